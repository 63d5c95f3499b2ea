"""The table of `train.conditions = "table:FILE"`: conditions that belong together, with relative frequencies.

A row is a sample of a `Dataset`, so its checks, its order and its way to the device are those of data.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganzoo.api.sources import ArraySource
from ganzoo.data.dataset import Dataset, open_source
from ganzoo.data.validation import Array
from ganzoo.errors import DataError, UsageError
from ganzoo.fields import Field
from ganzoo.runtime.inputs import class_number

_WEIGHT = "weight"
_ROWS = 4096  # a shorter epoch would have to be planned several times in each step


def open_table(path: Path, fields: Sequence[Field]) -> Dataset:
    """The rows of a .csv or .npz file as samples with these fields; rows of a short table are repeated.

    A .csv file has a column `NAME` for each field, `NAME.0`, `NAME.1` ... for a vector; a class is given by
    its name, or else its number. A .npz file has an array (rows, *shape) for each field. Both may have
    `weight`, the relative frequency of each row. DataError for other columns or values, and for no rows.
    """
    where = f"train.conditions = table:{path}"
    try:
        arrays = (_read_npz if path.suffix.lower() == ".npz" else _read_csv)(path, fields)
    except Exception as error:  # a damaged file raises errors of many classes
        names = ", ".join(field.name for field in fields)
        problem, fix = str(error), f"a .csv or .npz file needs {names}; '{_WEIGHT}' is optional"
        if isinstance(error, UsageError):
            problem, fix = error.what, error.fix
        raise DataError(f"The table of conditions cannot be read: {problem}", where=where, fix=fix) from error
    weights = arrays.pop(_WEIGHT) if len(arrays) > len(fields) else None
    table = ArraySource(fields=tuple(fields), arrays=arrays, weights=weights, identity=where)
    rows = open_source(table).count
    # Neighbouring copies: an epoch then has each row as often as its weight says, up to 1.
    many = -(-_ROWS // rows)
    copies = {name: array.repeat(many, axis=0) for name, array in arrays.items()}
    return open_source(
        replace(table, arrays=copies, weights=None if weights is None else weights.repeat(many))
    )


def _read_csv(path: Path, fields: Sequence[Field]) -> dict[str, Array]:
    columns = {
        field.name: [f"{field.name}.{at}" for at in range(math.prod(field.shape))]
        if math.prod(field.shape) > 1
        else [field.name]
        for field in fields
    }
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    for number, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} values for {len(head)} columns")
    _check_names(head, [name for names in columns.values() for name in names])
    cells = dict(zip(head, zip(*rows, strict=True) if rows else [()] * len(head), strict=True))
    arrays = {
        field.name: np.array([[_value(field, text) for text in cells[name]] for name in columns[field.name]])
        .T.reshape(-1, *field.shape)
        .astype(np.int64 if field.dtype == "int64" else np.float64)
        for field in fields
    }
    if _WEIGHT in head and _WEIGHT not in arrays:
        arrays[_WEIGHT] = np.array([float(text) for text in cells[_WEIGHT]])
    return arrays


def _value(field: Field, text: str) -> float:
    return class_number(text, field.classes) if field.dtype == "int64" else float(text)


def _read_npz(path: Path, fields: Sequence[Field]) -> dict[str, Array]:
    with path.open("rb") as file, np.load(file) as archive:  # numpy leaves a damaged one open
        _check_names(archive.files, [field.name for field in fields])
        arrays = {name: archive[name] for name in archive.files}
    if len(arrays) > len(fields):
        arrays[_WEIGHT] = arrays[_WEIGHT].astype(np.float64)
    return arrays


def _check_names(found: Sequence[str], wanted: Collection[str]) -> None:
    """ValueError unless each wanted column is there once, with `weight` as the only other one."""
    if sorted(found) not in (sorted(wanted), sorted({*wanted, _WEIGHT})):
        raise ValueError(
            f"its columns are {', '.join(found) or 'none'}; the conditions are {', '.join(wanted)}, and "
            f"'{_WEIGHT}' may be there, too"
        )
