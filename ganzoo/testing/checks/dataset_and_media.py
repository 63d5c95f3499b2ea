"""Checks of datasets, and of media: previews, and files that are written and read back."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.api.media import as_floats
from ganzoo.api.sources import ItemSource
from ganzoo.config.plan import Choice
from ganzoo.data.dataset import open_source
from ganzoo.data.open_data import open_held_out
from ganzoo.errors import DataError, SettingsError, UsageError
from ganzoo.fields import Field
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.data_targets import DatasetTarget, MediaTarget
from ganzoo.testing.evidence import FIELDS, Array

FEW = 2_000  # held-out samples that are looked for in the training data
EXACT, LOSSY = 0.02, 0.3
"""Mean error of values that were read back, as a share of their span: in the usual file, in any other one.

Rounding to 8 bits costs 0.002. A .jpg has no alpha, which costs 0.22; upside down would be 0.5."""


@check("dataset")
def says_what_it_needs(target: DatasetTarget) -> None:
    """Without its argument or with a wrong one, it says so by DataError."""
    if not target.item.spec.argument:
        raise NotApplicable("it takes no argument")
    for argument in ("", "/no such thing"):
        try:
            target.opened(f"{target.name}:{argument}")
        except (DataError, SettingsError, UsageError):
            continue
        raise Failed(
            f"It opens '{target.name}:{argument}' as if that were data.", "raise ganzoo.api.DataError"
        )


@check("dataset")
def opens_as_declared(target: DatasetTarget) -> None:
    """Its arrays have the shapes, types, ranges and classes of its fields."""
    spec, fields = target.item.spec, target.dataset.fields
    floats = [field for field in fields if field.dtype == "float32"]
    demand(len(floats) > spec.unpaired, f"It has {len(floats)} float fields: generators make float fields.")
    parts = [field.shape for field in fields if field.classes]
    channels = floats[0].shape[:1]
    demand(not spec.stacked or channels in parts, f"It is `stacked`, but no label has the shape {channels}.")


@check("dataset", "opens-as-declared")
def same_data_each_time(target: DatasetTarget) -> None:
    """Opened twice, it has the same samples in the same order."""
    known, seen = target.dataset.fingerprint, list[Any]()
    for source in (target.made(), target.made()):
        if isinstance(source, ItemSource):  # the decoded ones are in the cache
            some = {name: value.tobytes() for name, value in source.read(0).items()}
            seen.append((source.fingerprint, list(source.items), some))
        else:
            seen.append(open_source(source).fingerprint if source.fields == target.dataset.fields else known)
    demand(
        seen[0] == seen[1],
        "Its samples differ from time to time: no run can be resumed.",
        "draw random numbers from a generator with a fixed seed, and sort the names of files",
    )


@check("dataset", "opens-as-declared")
def held_out_is_other_data(target: DatasetTarget) -> None:
    """Held-out samples have the fields of the data, and are not those of training."""
    held_out = open_held_out(Choice(target.item, target.options), target.source, target.kinds)
    if held_out is None:
        raise NotApplicable("it has no held-out samples here")
    for field, other in zip(target.dataset.fields, held_out.fields, strict=True):
        facts = [(item.name, item.shape, item.range, item.kind, item.classes) for item in (field, other)]
        demand(facts[0] == facts[1], f"Training has the field {facts[0]}, the held-out part {facts[1]}.")
        if field.dtype == "int64":
            continue
        ours = [hash(row.tobytes()) for row in target.dataset.arrays[field.name]]
        others, known = [hash(row.tobytes()) for row in held_out.arrays[field.name][:FEW]], set(ours)
        # Rows of few values are alike by chance; then training samples are alike, too.
        usual = 1 - len(known) / len(ours) + 0.1 + len(others) ** -0.5
        share = sum(row in known for row in others) / len(others)
        demand(
            share <= usual,
            f"{share:.0%} of its held-out samples are training samples ('{field.name}').",
            "split the data before training: scores of copies mean nothing",
        )


@check("media")
def knows_its_fields(target: MediaTarget) -> None:
    """It accepts some field, refuses others by ValueError only, and accepts each one that it claims."""
    for field, _ in target.samples:
        demand(bool(target.media.describe(field).strip()), f"It does not describe {field.shape}.")
    for field in FIELDS:
        if target.media.claims(field):
            target.kinds.assign([field])  # the DataError says what it claims and then refuses


@check("media", "knows-its-fields")
def previews_are_files(target: MediaTarget) -> None:
    """A preview of many samples, of one, of extreme values and of other sizes has content of its type."""
    for at, (field, samples) in enumerate(target.cases()):
        preview = target.kinds.of(field.kind).preview(field, samples)
        if preview is None:
            raise NotApplicable("it has no previews")
        shown = f"The preview ({preview.suffix}) of {len(samples)} samples of shape {samples.shape[1:]}"
        demand(bool(preview.data), f"{shown} is empty.", "return None where nothing can be shown")
        if Image.registered_extensions().get(preview.suffix) in Image.OPEN:
            try:
                picture = Image.open(io.BytesIO(preview.data)).convert("RGB")
            except OSError as error:
                raise Failed(f"{shown} cannot be opened: {error}", "use ganzoo.api.encode_image") from error
            plain = picture.getcolors(maxcolors=1) is not None
            demand(at > 0 or not plain, f"{shown} has one colour only.")


@check("media", "knows-its-fields")
def writes_files(target: MediaTarget) -> None:
    """For each of its endings it writes what it says: files with that ending, not empty, and no others."""
    if not target.media.suffixes:
        raise NotApplicable("it writes no files of its own")
    for suffix in target.media.suffixes:
        for field, samples in target.cases():
            path = target.path(suffix)
            said = sorted(file.name for file in target.media.write(field, samples, path))
            there = {file.name: file.stat().st_size for file in sorted(path.parent.iterdir())}
            good = all(name.lower().endswith(suffix) and size for name, size in there.items())
            demand(
                bool(said) and said == list(there) and good,
                f"For {len(samples)} samples of shape {samples.shape[1:]} as {path.name} it says that "
                f"it wrote {said}; there are, with their bytes: {there}.",
                "write to the path or with_stem of it, and return all paths",
            )


@check("media", "writes-files")
def reads_what_it_writes(target: MediaTarget) -> None:
    """A single sample comes back from its file with its shape, and its values in the format's precision."""
    suffixes = [suffix for suffix in target.media.suffixes if suffix in target.media.reads]
    if not suffixes:
        raise NotApplicable("it reads no file that it writes")
    for field, samples in target.samples:
        sample = samples[len(samples) // 2][None]
        low, high = field.range or (float(sample.min()), float(sample.max()))
        for suffix in suffixes:
            path = target.path(suffix)
            target.media.write(field, sample.copy(), path, single=True)
            found = as_floats(field, np.asarray(target.media.read(field, path, {})))
            what = f"A sample of shape {field.shape}, written as {suffix} and read back,"
            demand(found.shape == sample.shape, f"{what} has the shape {found.shape[1:]}.")
            error = float(np.abs(found - sample).mean()) / max(high - low, 1e-6)
            demand(
                error <= (EXACT if suffix == suffixes[0] else LOSSY),
                f"{what} is wrong by {error:.1%} of its span, on average.",
                "map the range of the field onto that of the file in `write`, and back in `read`",
            )


@check("media", "knows-its-fields")
def refuses_broken_files(target: MediaTarget) -> None:
    """ValueError or OSError for a file that is empty, or has other content than its ending says."""
    for suffix in target.media.reads:
        for content in (b"", b"\x00\xff no such file \n" * 9):
            path = target.path(suffix)
            path.write_bytes(content)
            try:
                target.media.read(target.samples[0][0], path, {})
            except (ValueError, OSError):  # any other exception fails the check
                continue
            raise Failed(f"It reads {len(content)} arbitrary bytes as a {suffix} file.", "raise ValueError")
    if not target.media.reads:
        raise NotApplicable("it reads no files")


@check("media", "writes-files", "previews-are-files")
def same_samples_same_files(target: MediaTarget) -> None:
    """The same samples give the same previews and files, and do not change."""
    for field, samples in target.samples:
        for name, call in _uses(target, field).items():
            given = samples.copy()
            first = call(given)
            demand(np.array_equal(given, samples), f"'{name}' changes the samples.", "work on a copy")
            demand(call(given) == first, f"'{name}' of the same samples differs from call to call.")


def _uses(target: MediaTarget, field: Field) -> dict[str, Callable[[Array], Any]]:
    media = target.media

    def writing(suffix: str) -> Callable[[Array], Any]:
        path = target.path(suffix)
        return lambda samples: [file.read_bytes() for file in media.write(field, samples, path)]

    return {
        "preview": lambda samples: media.preview(field, samples),
        "metric_values": lambda samples: media.metric_values(field, samples).tobytes(),
        **{f"write {suffix}": writing(suffix) for suffix in media.suffixes},
    }
