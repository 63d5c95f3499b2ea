"""Encoding of a table as rows of numbers in -1..1, and its conditions (Xu et al. 2019, CTGAN, section 4).

As in the paper, a number becomes a mode of its column and its position within that mode; a category becomes
a one-hot vector (indicators). A condition is a value of a category column. Training samples conditions by the
logarithm of their frequency, so rare ones are more frequent than in the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, Column, DataError, Field, places
from ganzoo_tables import mixtures
from ganzoo_tables.config import TableConfig, setting

Floats = NDArray[np.float64]

EDGE = 0.99  # largest distance of a number from the centre of its mode, in 4 standard deviations
MOST_BYTES = 1 << 31  # of the rows, repeated for their conditions


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns by name: float64 for numbers, text for categories. `decimals` are those of number columns.

    Blanks of numbers are NaN. `written`: how numbers are written, see `Column`. `codes`: categories of digits
    that are names. `left_out`: how many rows of the file had an empty cell and are not used. ValueError for
    columns of different lengths, whose rows would not belong together.
    """

    columns: Mapping[str, NDArray[Any]]
    decimals: Mapping[str, int]
    written: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    left_out: int = 0

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a table have different lengths: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, which: NDArray[Any]) -> Table:
        """Some of the rows."""
        columns = {name: values[which] for name, values in self.columns.items()}
        return Table(columns=columns, decimals=self.decimals)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How rows encode a table: its columns, and the mixtures of its number columns by name."""

    columns: tuple[Column, ...]
    mixtures: Mapping[str, mixtures.Mixture]


def split(table: Table, config: TableConfig) -> tuple[Table, Table | None]:
    """The training rows and the held-out rows, in random order; None instead of no held-out rows."""
    order = _random(config, "rows").permutation(len(table))
    count = round(config.held_out * len(table))
    return table.rows(order[count:]), table.rows(order[:count]) if count else None


def fit_encoding(training: Table, whole: Table, config: TableConfig) -> Encoding:
    """The encoding of the columns: modes fitted to the training rows, values and bounds of all rows.

    DataError where numbers are the same in all training rows.
    """
    numbers = {name: training.columns[name] for name in whole.decimals}
    filled = {name: values[~np.isnan(values)] for name, values in numbers.items()}
    if same := [name for name, values in filled.items() if len(set(values.tolist())) < 2]:
        raise DataError(
            f"The same number in all training rows: {', '.join(same)}.",
            fix=f"leave them out: {setting('leave_out', *same)}; or another data.seed",
        )
    randoms = [_random(config, f"modes of {name}") for name in filled]
    modes = dict(zip(filled, mixtures.fit(list(filled.values()), config.modes, randoms), strict=True))
    columns = []
    for name in training.columns:
        if name not in whole.decimals:
            names = sorted(set(whole.columns[name].tolist()), key=_in_order)
            columns.append(Column(name=name, values=tuple(names)))
            continue
        found = modes[name]
        columns.append(
            Column(
                name=name,
                centres=tuple(found.centres.tolist()),
                widths=tuple(found.widths.tolist()),
                bounds=(float(np.nanmin(whole.columns[name])), float(np.nanmax(whole.columns[name]))),
                decimals=whole.decimals[name],
                written=whole.written.get(name, ""),
                blanks=bool(np.isnan(whole.columns[name]).any()),
            )
        )
    return Encoding(columns=tuple(columns), mixtures=modes)


def source_of(
    table: Table, encoding: Encoding, config: TableConfig, identity: str, *, training: Table | None = None
) -> ArraySource:
    """`row` (d,), and with `config.conditions` also `condition`, an int64 label of class `COLUMN=VALUE`.

    A training set with conditions has each row once for each category column, and weights. For held-out rows,
    pass the `training` rows, in which the shares of the classes are counted: each row then occurs once, with
    one of its own values, so conditions are as frequent as in the data. DataError where that would take too
    much memory.
    """
    columns = encoding.columns
    rows = encoded(table, encoding, _random(config, "modes of rows"))
    fields = [
        Field(
            name="row", shape=rows.shape[1:], kind="row", axes=("value",), range=(-1.0, 1.0), columns=columns
        )
    ]
    own = classes_of(table, columns)
    if not config.conditions or not own.shape[1]:
        return ArraySource(fields=tuple(fields), arrays={"row": rows}, identity=identity)
    known = own if training is None else classes_of(training, columns)
    classes = tuple(f"{column.name}={value}" for column in columns for value in column.values)
    counts = np.bincount(known.ravel(), minlength=len(classes))
    shares = tuple((counts / counts.sum()).tolist())
    fields.append(Field(name="condition", dtype="int64", classes=classes, shares=shares))
    if training is not None:
        chosen = _random(config, "conditions").integers(0, own.shape[1], len(own))
        arrays: dict[str, NDArray[Any]] = {"row": rows, "condition": own[np.arange(len(own)), chosen]}
        return ArraySource(fields=tuple(fields), arrays=arrays, identity=identity)
    if rows.nbytes * own.shape[1] > MOST_BYTES:
        raise DataError(
            f"With conditions the rows take {rows.nbytes * own.shape[1] / 2**30:.1f} GiB of memory.",
            where=identity,
            fix="fewer rows, or data.conditions=false",
        )
    return ArraySource(
        fields=tuple(fields),
        arrays={"row": rows.repeat(own.shape[1], axis=0), "condition": own.ravel()},
        weights=weights_of(counts, columns)[own].ravel(),
        identity=identity,
        notes=_repeats(len(own), own.shape[1]),
    )


def _repeats(rows: int, columns: int) -> tuple[str, ...]:
    if columns < 2:
        return ()
    return (f"{rows * columns:,} samples: each of {rows:,} rows, once for each of {columns} categories",)


def weights_of(counts: NDArray[np.int64], columns: tuple[Column, ...]) -> Floats:
    """The sampling weight of a row for each class, from the `counts` of rows with that class.

    All columns have the same total weight. Within a column a value has the weight log(1 + count), divided
    among the rows with that value (section 4.3; the 1 is from the authors' data_sampler.py).
    """
    weights = np.log1p(counts).astype(np.float64)
    start = 0
    for column in columns:
        own = weights[start : start + len(column.values)]
        own /= own.sum() if column.values else 1
        start += len(column.values)
    result: Floats = weights / np.maximum(counts, 1)
    return result


def encoded(table: Table, encoding: Encoding, random: np.random.Generator) -> NDArray[np.float32]:
    """Rows (n, d); the mode of a number is drawn by the probability of each mode (section 4.2).

    A blank has the indicator after those of the modes, and the value 0.
    """
    size = sum(column.indicators + bool(column.centres) for column in encoding.columns)
    rows = np.zeros((len(table), size), np.float32)
    each = np.arange(len(table))
    for column, place in zip(encoding.columns, places(encoding.columns), strict=True):
        values = table.columns[column.name]
        if column.values:
            rows[each, place.start + _numbered(values, column)] = 1
            continue
        modes, blank = encoding.mixtures[column.name], np.isnan(values)
        values = np.where(blank, modes.centres[0], values)
        ends = modes.probabilities(values).cumsum(1)[:, :-1]
        mode = (random.random(len(values))[:, None] >= ends).sum(1)
        within = modes.within(values, mode)
        rows[each, place.start + np.where(blank, len(modes.centres), mode)] = 1
        rows[:, place.value] = np.where(blank, 0, within.clip(-EDGE, EDGE))
    return rows


def classes_of(table: Table, columns: tuple[Column, ...]) -> NDArray[np.int64]:
    """The class of each row in each category column, (n, columns); classes of all columns are numbered."""
    found, start = [], 0
    for column in columns:
        if column.values:
            found.append(start + _numbered(table.columns[column.name], column))
            start += len(column.values)
    return np.stack(found, axis=1) if found else np.empty((len(table), 0), np.int64)


def _numbered(values: NDArray[Any], column: Column) -> NDArray[np.int64]:
    names = np.asarray(column.values)
    order = np.argsort(names)
    found: NDArray[np.int64] = order[names.searchsorted(values, sorter=order)]
    return found


def _random(config: TableConfig, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{config.seed}/{purpose}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.frombuffer(digest, "<u4").tolist()))


def _in_order(name: str) -> tuple[float, str]:
    """Sort key: numbers by their value, before other names."""
    try:
        return (float(name), name) if name[-1].isdigit() else (np.inf, name)
    except ValueError:
        return np.inf, name
