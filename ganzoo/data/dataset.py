"""Turns the source that a dataset plugin returns into checked arrays, one for each field.

Training, evaluation and export use the result, a `Dataset`. It has NumPy arrays; `batches` makes
tensors from them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo.api.media import holds_indices
from ganzoo.api.sources import ArraySource, ItemSource, Row
from ganzoo.data.decode import check_skipped, decoded, facts_of, skipped_note
from ganzoo.data.drawing import Drawing, first_drawing
from ganzoo.data.validation import Array, blocks, stored_dtype, value_problem
from ganzoo.errors import DataError
from ganzoo.fields import DataInfo, Field
from ganzoo.util.cache import cache_folder as _cache_folder
from ganzoo.util.suggest import suggest
from ganzoo.util.text import counted, ending_of, printable, some

_HASHED_BYTES = 64 << 20
_HASHED_SAMPLES = 1024
CALIBRATING, SCORING = slice(0, None, 2), slice(1, None, 2)
"""Which held-out samples of its classes calibrate a network before its export, and which then score it."""

_REASONS = 3  # reasons for skipped items that the card names


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Checked data: for each field an array with `count` samples in its first dimension.

    Arrays are integers (values or indices of a float field with a range, see `as_floats`), float32 or
    int64, and may be memory-mapped and read-only. `skipped` lists items that could not be used, with the
    reason. Datasets with the same data have the same `fingerprint`, see `fingerprint_of`. `weights` are
    those of `ArraySource`. `card` has facts for the user, see `Row`.
    """

    fields: tuple[Field, ...]
    arrays: Mapping[str, Array]
    count: int
    identity: str
    notes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str
    weights: NDArray[np.float64] | None = None
    card: tuple[Row, ...] = ()
    drawing: Drawing | None = None
    """How training draws the samples anew; `arrays` have one drawing."""

    @property
    def info(self) -> DataInfo:
        """The facts that architectures may use."""
        return DataInfo(fields=self.fields, count=self.count)


def open_source(source: ArraySource | ItemSource, *, cache_folder: Path | None = None) -> Dataset:
    """Check a source; if it has items, decode them first.

    Decoded items are stored in `cache_folder`, by default in $GANZOO_CACHE, else in the user's cache folder,
    and memory-mapped from there.
    DataError when arrays do not fit the fields, when too many items are unusable (`check_skipped`), or when
    no items are left.
    """
    _check_fields(source)
    skipped, notes, duplicates = (*source.damaged, *source.unfit), source.notes, 0
    drawing: Drawing | None = None
    items = len(source.items) if isinstance(source, ItemSource) else 0
    total = max(source.files, items + len(skipped))
    check_skipped(source.damaged, total, source.identity)
    if isinstance(source, ItemSource):
        whole = source if source.draw is None else replace(source, fields=source.drawn_from)
        result = decoded(whole, folder=cache_folder)
        arrays, skipped, notes = result.arrays, (*skipped, *result.skipped), (*notes, *result.notes)
        duplicates = result.duplicates
        if source.draw is not None:
            once, drawing = first_drawing(source, arrays)
            result = decoded(once, folder=cache_folder)
            if result.skipped:
                raise DataError(f"A sample cannot be drawn: {result.skipped[0][1]}.", where=source.identity)
            arrays, notes = result.arrays, (*notes, *result.notes)
    else:
        arrays = _checked(source)
    if skipped:
        notes = (*notes, skipped_note(skipped, total))
    weights = None if isinstance(source, ItemSource) else source.weights
    count = len(next(iter(arrays.values())))
    return Dataset(
        fields=source.fields,
        arrays=arrays,
        count=count,
        identity=printable(source.identity),
        notes=notes,
        skipped=skipped,
        fingerprint=fingerprint_of(source.fields, arrays, source.identity, weights),
        weights=weights,
        card=_card(source.card, count, skipped, duplicates),
        drawing=drawing,
    )


class MissingClassError(DataError):
    """Data without the class `name` that is asked for; its classes are `names`."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"The data has no class '{name}'.",
            where="data.only, data.without",
            fix=suggest(name, names) or f"its classes are: {some(names) or 'none'}",
        )
        self.name, self.names = name, tuple(names)


def of_classes(
    dataset: Dataset, only: Sequence[str], without: Sequence[str], *, lenient: bool = False
) -> Dataset:
    """The samples of these classes, or of all but those; labels keep their numbers and names.

    DataError when the data has no classes, not these, or nothing is left. With `lenient` it may lack classes:
    all of `without`, some of `only`. Without any classes, all samples are used.
    """
    label = _label(dataset)
    names = () if label is None else label.classes
    if lenient:
        if not names:
            return dataset
        without = [name for name in without if name in names]
        only = [name for name in only if name in names] or only
    for name in (*only, *without):
        if name not in names:
            raise MissingClassError(name, names)
    kept = [at for at, name in enumerate(names) if (not only or name in only) and name not in without]
    assert label is not None  # noqa: S101
    labels = dataset.arrays[label.name]
    rows = np.flatnonzero(np.isin(labels, kept))
    if not len(rows):
        left = [name for at, name in enumerate(names) if name not in without and (labels == at).any()]
        why = "" if kept else ": data.without names them, too"
        raise DataError(
            f"No sample has one of the chosen classes{why}.",
            where=f"data.only={', '.join(only) or 'all'}, data.without={', '.join(without) or 'none'}",
            fix=f"classes with samples: {', '.join(left)}" if left else "name fewer classes in data.without",
        )
    arrays = {name: rows_of(array, rows) for name, array in dataset.arrays.items()}
    weights = None if dataset.weights is None else dataset.weights[rows]
    chosen = ", ".join(names[at] for at in kept)
    return replace(
        dataset,
        arrays=arrays,
        weights=weights,
        count=len(rows),
        drawing=None if dataset.drawing is None else dataset.drawing.of(rows),
        fingerprint=fingerprint_of(dataset.fields, arrays, dataset.identity, weights),
        card=(
            *dataset.card,
            ("chosen", f"{counted(len(rows), 'sample')} of {counted(len(kept), 'class', 'classes')}", chosen),
        ),
    )


def numbered_as(dataset: Dataset, known: Field) -> Dataset:
    """The dataset with its labels numbered as those of the field `known`, by the names of the classes.

    Without such a label, or if there are as many classes of which none has a name in common, nothing changes.
    DataError for other data with a class that `known` does not have.
    """
    label = _label(dataset)
    if label is None or label.name != known.name or label.classes == known.classes:
        return dataset
    unknown = [name for name in label.classes if name not in known.classes]
    if len(unknown) == len(label.classes) == len(known.classes):
        return dataset
    if unknown:
        raise DataError(
            f"The generator does not know the class '{unknown[0]}' of this data.",
            where=f"{dataset.identity}, classes: {some(label.classes, 20)}",
            fix=f"data whose classes have these names: {some(known.classes, 20)}",
        )
    numbers = np.array([known.classes.index(name) for name in label.classes])
    return replace(
        dataset,
        fields=tuple(known if field is label else field for field in dataset.fields),
        arrays={**dataset.arrays, label.name: numbers[dataset.arrays[label.name]]},
    )


def _label(dataset: Dataset) -> Field | None:
    """The first field of classes; None if it has several values for each sample, or there is none."""
    label = next((field for field in dataset.fields if field.dtype == "int64" and field.classes), None)
    return None if label is None or label.shape else label


def rows_of(array: Array, rows: NDArray[np.intp]) -> Array:
    """Some rows of an array; of a large memory-mapped one in a file, which the system removes after use."""
    if not isinstance(array, np.memmap) or array.nbytes < _HASHED_BYTES:
        return array[rows]
    try:
        with tempfile.TemporaryFile(dir=_cache_folder()) as file:
            taken: Array = np.memmap(file, array.dtype, "w+", shape=(len(rows), *array.shape[1:]))
            for start in range(0, len(rows), _HASHED_SAMPLES):
                taken[start : start + _HASHED_SAMPLES] = array[rows[start : start + _HASHED_SAMPLES]]
            return taken
    except OSError:  # a full disk, or a cache that cannot be written
        return array[rows]


def _card(
    rows: tuple[Row, ...], count: int, skipped: Sequence[tuple[str, str]], duplicates: int
) -> tuple[Row, ...]:
    """The rows of the source, and what the core knows of any data."""
    remark = f"{counted(duplicates, 'exact copy', 'exact copies')} of others" if duplicates else ""
    found: list[Row] = [("samples", f"{count:,}", remark), *rows]
    if skipped:
        endings = ((ending_of(item.partition(" [")[0]), reason) for item, reason in skipped)
        reasons = Counter(f"{ending}: {reason}" if ending else reason for ending, reason in endings)
        shown = [f"{many:,} {what}" for what, many in reasons.most_common(_REASONS)]
        shown += [f"{len(reasons) - _REASONS:,} other reasons"] if len(reasons) > _REASONS else []
        found.append(("skipped", f"{len(skipped):,}", "; ".join(shown)))
    return tuple((printable(name), printable(value), printable(note)) for name, value, note in found)


def fingerprint_of(
    fields: tuple[Field, ...],
    arrays: Mapping[str, Array],
    identity: str,
    weights: NDArray[np.float64] | None = None,
) -> str:
    """sha256 of the declarations of the fields, their data, and the weights of samples if there are any.

    All bytes of an array below 64 MiB are hashed, so equal data from another path or with other file
    times has an equal fingerprint. For a larger array, its shape, `identity` and 1,024 evenly spread
    samples (at most 64 MiB) are hashed; a change of other samples is not detected.
    """
    digest = hashlib.sha256()
    for field in fields:
        array = arrays[field.name]
        head = [facts_of(field), str(array.dtype), list(array.shape)]
        digest.update(json.dumps(head, sort_keys=True).encode())
        if array.nbytes < _HASHED_BYTES:
            digest.update(np.ascontiguousarray(array).data)
            continue
        digest.update(identity.encode("utf-8", "surrogateescape"))
        budget = max(1, _HASHED_BYTES // (array.nbytes // len(array)))
        rows = np.linspace(0, len(array) - 1, min(_HASHED_SAMPLES, budget, len(array)), dtype=np.int64)
        for row in rows:
            digest.update(np.ascontiguousarray(array[row]).data)
    if weights is not None:
        digest.update(np.ascontiguousarray(weights, np.float64).data)
    return digest.hexdigest()


def _check_fields(source: ArraySource | ItemSource) -> None:
    names = [field.name for field in source.fields]
    where = source.identity or "data set"
    if not names or len(set(names)) != len(names):
        raise DataError(f"A data set needs fields with different names, this one has: {names}.", where=where)
    for field in source.fields:
        if field.source != "data":
            raise DataError(
                f"The field '{field.name}' is declared as random noise, not as data.",
                where=where,
                fix="the architecture declares noise, in Networks.fields",
            )
        try:
            field.check_columns()
        except ValueError as error:
            raise DataError(f"A field does not fit its data: {error}.", where=where) from error


def _checked(source: ArraySource) -> dict[str, Array]:
    where = source.identity or "data set"
    names = [field.name for field in source.fields]
    if sorted(names) != sorted(source.arrays):
        raise DataError(
            f"Fields and arrays do not match: fields {sorted(names)}, arrays {sorted(source.arrays)}.",
            where=where,
        )
    lengths = {name: len(array) if array.ndim else 0 for name, array in source.arrays.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        shown = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(f"Every field needs the same number of samples, at least one: {shown}.", where=where)
    weights = source.weights
    if weights is not None and (
        weights.shape != (lengths[names[0]],)
        or not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any())
    ):
        raise DataError("The weights must be one finite number of 0 or more for each sample.", where=where)
    return {field.name: _conformed(field, source.arrays[field.name], where) for field in source.fields}


def _conformed(field: Field, array: Array, where: str) -> Array:
    """The array in its stored type; no copy if it has that type already."""
    place = f"{where}, field '{field.name}'"
    indices = holds_indices(field, array.shape[1:], array.dtype)
    if not indices and array.shape[1:] != field.shape:
        raise DataError(
            f"Samples have the shape {array.shape[1:]}, the field declares {field.shape}.", where=place
        )
    dtype = stored_dtype(field, array.dtype)
    if isinstance(dtype, str):
        raise DataError(f"The array holds {dtype}.", where=place)
    for block in blocks(array):
        problem = value_problem(field, block, indices=indices)
        if problem:
            raise DataError(f"The array has {problem}.", where=place)
    return array.astype(dtype, copy=False)
