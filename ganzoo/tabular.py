"""Decodes the rows of a float field into a table: by column, as numbers, as CSV.

Needs only numpy and the standard library, so that an exported generator writes tables anywhere.
`Field.columns` defines the meaning of a row's values.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.fields import WRITTEN, Column, Field, Place, places
from ganzoo.util.text import counted

__all__ = ["as_numbers", "decode", "described", "high_cardinality", "to_csv", "widths"]

Rows = NDArray[Any]

SHOWN = 4  # values of a category that a description lists
SEPARATORS = (",", ";", "\t", "|")  # other facts of a foreign file are ignored
FEW = 10  # values: a category with at most so many never has high cardinality


def decode(field: Field, rows: Rows) -> dict[str, NDArray[Any]]:
    """Rows (n, d) by column: numbers as float64 (n,), categories as an object array of text (n,).

    Blanks of numbers are NaN.
    """
    return {
        column.name: np.array(column.values, dtype=object)[_which(place, rows)]
        if column.values
        else _numbers(column, place, rows)
        for column, place in zip(field.columns, places(field.columns), strict=True)
    }


def as_numbers(field: Field, rows: Rows, excluded: Collection[str] = ()) -> NDArray[np.float32]:
    """Rows (n, d) as numbers that can be compared: numbers as they are, categories as one-hot vectors.

    A number that may be blank has two: the number, which is its middle mode where it is blank, and whether it
    is blank. Columns whose names are in `excluded` are dropped; `widths` gives the number of values of the
    others.
    """
    parts: list[NDArray[Any]] = []
    for column, place in zip(field.columns, places(field.columns), strict=True):
        if column.name in excluded:
            continue
        if column.values:
            parts.append(_which(place, rows)[:, None] == np.arange(len(column.values)))
        else:
            numbers = _numbers(column, place, rows)
            blank = np.isnan(numbers)
            parts.append(np.where(blank, column.centres[len(column.centres) // 2], numbers)[:, None])
            parts += [blank[:, None]] * column.blanks
    return np.concatenate(parts, axis=1, dtype=np.float32)


def described(field: Field) -> dict[str, str]:
    """A short description of each column, by its name; {} for a field that is not a table."""
    return {column.name: _description(column) for column in field.columns}


def widths(field: Field, excluded: Collection[str] = ()) -> tuple[int, ...]:
    """How many values of `as_numbers` are scaled together, in order; () for a field that is not a table.

    Those of a category are; a number and whether it is blank are not.
    """
    used = (column for column in field.columns if column.name not in excluded)
    return tuple(width for column in used for width in (len(column.values) or 1, *[1] * column.blanks))


def high_cardinality(field: Field, count: int) -> tuple[str, ...]:
    """Names of categories with too many values to compare `count` rows: fewer than two rows for each value.

    Most of their values occur in only one of two samples. Every row would be far from every other row, and
    near to rows that share a value by chance. Empty if no column would be left.
    """
    names = [column.name for column in field.columns if max(FEW, count / 2) < len(column.values)]
    return tuple(names) if len(names) < len(field.columns) else ()


def to_csv(field: Field, rows: Rows) -> bytes:
    """The table as a CSV file in UTF-8: a header, then one line for each of the rows (n, d).

    The cell of a blank is empty. Numbers are as `Column.written` has them; the fact `separator` is the
    character between the cells, if it is no comma.
    """
    table = decode(field, rows)
    columns = [
        table[column.name].tolist()
        if column.values
        else ["" if np.isnan(value) else _written(value, column) for value in table[column.name]]
        for column in field.columns
    ]
    text = io.StringIO(newline="")
    separator = field.facts.get("separator", ",")
    writer = csv.writer(text, lineterminator="\n", delimiter=separator if separator in SEPARATORS else ",")
    writer.writerow(column.name for column in field.columns)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _description(column: Column) -> str:
    if column.values:
        more = ", ..." if len(column.values) > SHOWN else ""
        return f"category, {counted(len(column.values), 'value')}: {', '.join(column.values[:SHOWN])}{more}"
    low, high = (_written(bound, column) for bound in column.bounds)
    modes = len(column.centres)
    return f"number, {low} to {high}, {counted(modes, 'mode')}{', or blank' * column.blanks}"


def _written(value: float, column: Column) -> str:
    """A number as the column writes it; its sign is before all other signs."""
    plain = f"{value:.{column.decimals}f}"
    form = WRITTEN.fullmatch(column.written)
    if form is None:
        return plain
    before, thousands, decimal, after = form.groups()
    whole, _, part = plain.lstrip("-").partition(".")
    whole = f"{int(whole):,}".replace(",", thousands)
    return f"{'-' * plain.startswith('-')}{before}{whole}{decimal * bool(part)}{part}{after}"


def _which(place: Place, rows: Rows) -> NDArray[np.intp]:
    """The category or mode of each row (n,); a blank is the mode after the last one."""
    largest: NDArray[np.intp] = rows[:, place.start : place.stop].argmax(1)
    return largest


def _numbers(column: Column, place: Place, rows: Rows) -> NDArray[np.float64]:
    mode = _which(place, rows)
    value = rows[:, place.value].astype(np.float64).clip(-1, 1)
    centres, widths = (np.array([*numbers, np.nan])[mode] for numbers in (column.centres, column.widths))
    numbers = centres + 4 * widths * value
    # Adding 0 turns the -0 that rounding may leave into 0.
    rounded: NDArray[np.float64] = numbers.clip(*column.bounds).round(column.decimals) + 0.0
    return rounded
