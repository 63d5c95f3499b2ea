"""Checks of datasets: what they declare, and their held-out part."""

from __future__ import annotations

import numpy as np

from ganzoo.api.sources import ItemSource
from ganzoo.data.dataset import open_source
from ganzoo.data.open_data import open_dataset
from ganzoo.data.validation import Array
from ganzoo.errors import DataError, SettingsError, UsageError
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.data_targets import DatasetTarget

FEW = 2_000  # samples that are compared


@check("dataset")
def says_what_it_needs(target: DatasetTarget) -> None:
    """Without its argument or with a wrong one, it says so by DataError."""
    if not target.item.spec.argument:
        raise NotApplicable("it takes no argument")
    for argument in ("", "/no such thing"):
        try:
            open_dataset(target.choice, f"{target.name}:{argument}", target.kinds)
        except (DataError, SettingsError, UsageError):
            continue
        raise Failed(
            f"It opens '{target.name}:{argument}' as if that were data.",
            "raise ganzoo.api.DataError for an argument that it cannot use",
        )


@check("dataset")
def opens_as_declared(target: DatasetTarget) -> None:
    """Its arrays have the shapes, types, ranges and classes of its fields."""
    spec, dataset = target.item.spec, target.dataset
    floats = [field for field in dataset.fields if field.dtype == "float32"]
    demand(bool(floats), "It has labels only.", "declare what generators shall make as a float field")
    demand(not spec.unpaired or len(floats) > 1, "It is `unpaired`, but has one float field only.")
    parts = [field.shape for field in dataset.fields if field.classes]
    demand(
        not spec.stacked or floats[0].shape[:1] in parts,
        f"It is `stacked`: a label has the shape {floats[0].shape[:1]}, not {parts}.",
    )


@check("dataset", "opens-as-declared")
def same_data_each_time(target: DatasetTarget) -> None:
    """Opened twice, it has the same samples in the same order."""
    first, again = target.opened(), target.opened()
    advice = "draw random numbers from a generator with a fixed seed, and sort the names of files"
    if isinstance(first, ItemSource) and isinstance(again, ItemSource):
        demand(
            (first.fingerprint, list(first.items)) == (again.fingerprint, list(again.items)),
            "Its items or its fingerprint differ from time to time: nothing stays in the cache.",
            advice,
        )
        for at in {0, len(first.items) // 2, len(first.items) - 1}:
            one, other = first.read(at), again.read(at)
            same = all(np.array_equal(one[name], other[name]) for name in one)
            demand(same, f"The item '{first.items[at]}' differs from time to time.", advice)
        return
    known = target.dataset.fingerprint
    for source in (first, again):
        if source is not None:
            same = open_source(source).fingerprint == known
            demand(same, "Its samples differ from time to time: no run can be resumed.", advice)


@check("dataset", "opens-as-declared")
def held_out_is_other_data(target: DatasetTarget) -> None:
    """Held-out samples have the fields of the data, and are not those of training."""
    held_out, dataset = target.held_out, target.dataset
    if held_out is None:
        raise NotApplicable("it has no held-out samples here")
    shapes = [
        [(item.name, item.shape, item.dtype, item.range, item.kind, item.classes) for item in part.fields]
        for part in (dataset, held_out)
    ]
    demand(shapes[0] == shapes[1], f"Training has the fields {shapes[0]}, the held-out part {shapes[1]}.")
    for field in dataset.fields:
        if field.dtype == "float32":
            ours, others = _rows(dataset.arrays[field.name]), _rows(held_out.arrays[field.name][:FEW])
            # Rows of few values are alike by chance; then training samples are alike, too.
            usual = 1 - len(set(ours)) / len(ours)
            found = set(ours)
            shared = sum(row in found for row in others) / len(others)
            demand(
                shared <= usual + 0.1 + len(others) ** -0.5,
                f"{shared:.0%} of its held-out samples are training samples ('{field.name}').",
                "split the data before training: scores of copies mean nothing",
            )


def _rows(array: Array) -> list[int]:
    return [hash(row.tobytes()) for row in array]
