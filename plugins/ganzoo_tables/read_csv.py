"""From a CSV file to a table of numbers and categories, or to the line and column where it is none."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError
from ganzoo_tables.config import CsvConfig, setting
from ganzoo_tables.encoding import Table

LARGEST = 1 << 28  # bytes: Python's strings take several times as much memory
FEWEST = 10  # rows
MOST_VALUES = 1_000  # of a category: each is a number in every row
MANY = 100  # values of a category that a note is due for, if it is also more than a tenth of the rows
LONGEST = 200  # characters of a category: an array of text is as wide as its longest

MOST_DECIMALS = 12
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UNFIT = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_MISSING = ("", "na", "n/a", "null", "none", "?", "-")

Lines = list[tuple[int, list[str]]]
Cells = list[str]


def read_table(path: Path, config: CsvConfig) -> Table:
    """The table of a CSV file in UTF-8 with a header. DataError, with line and column, for all else."""
    header, lines = _cells(path, config.separator)
    wanted = _wanted(header, config, path)
    if len(wanted) < 2:
        raise DataError(
            "A table needs two columns or more.",
            where=f"{path} has: {', '.join(wanted)}",
            fix=_other_separator(header) or "add another column, or leave fewer out",
        )
    if len(lines) < FEWEST:
        raise DataError(
            f"{len(lines)} row{'s' * (len(lines) != 1)} under the header: too few to learn from.",
            where=str(path),
            fix=f"{FEWEST} rows at the very least, hundreds for a result",
        )
    numbers = [number for number, _ in lines]
    columns: dict[str, NDArray[Any]] = {}
    decimals: dict[str, int] = {}
    for at, name in enumerate(header):
        if name in wanted:
            cells = [row[at] for _, row in lines]
            place = _Place(path, name, numbers, config)
            if _is_number(cells, name, config, place):
                columns[name] = _numbers(cells, place)
                decimals[name] = max(_decimals(cell) for cell in cells)
            else:
                columns[name] = _categories(cells, place)
    return Table(columns=columns, decimals=decimals)


def advice(table: Table, config: CsvConfig) -> tuple[str, ...]:
    """A line on each column that is hardly worth learning: very many values, another number in each row."""
    names, lines = [], []
    for name, values in table.columns.items():
        different = len(np.unique(values))
        if name not in table.decimals and different > max(MANY, len(table) / 10):
            lines.append(f"column '{name}' has {different:,} values in {len(table):,} rows")
        elif table.decimals.get(name) == 0 and different == len(table):
            lines.append(f"column '{name}' has another whole number in each row, as numbers of things do")
        else:
            continue
        names.append(name)
    if names:
        it = "it" if len(names) == 1 else "them"
        lines[-1] += f"; to leave {it} out: {setting('leave_out', *config.leave_out, *names)}"
    return tuple(lines)


class _Place:
    """Where a column is, for messages."""

    def __init__(self, path: Path, name: str, lines: Sequence[int], config: CsvConfig) -> None:
        self.path, self.name, self.lines, self.config = path, name, lines, config

    def error(self, what: str, fix: str, row: int | None = None) -> DataError:
        line = f"line {self.lines[row]}, " if row is not None else ""
        return DataError(what, where=f"{self.path}, {line}column '{self.name}'", fix=fix)

    def option(self, name: str) -> str:
        """What adds this column to that option, beside the columns that it names already."""
        return setting(name, *getattr(self.config, name), self.name)


def _cells(path: Path, separator: str) -> tuple[list[str], Lines]:
    """The header, and the other lines that are not empty, with their numbers."""
    if not path.is_file():
        raise DataError("A table is read from one file.", where=str(path), fix="--data csv:FILE")
    if path.stat().st_size > LARGEST:
        raise DataError(
            f"The file has {path.stat().st_size / 2**20:,.0f} MiB, {LARGEST >> 20} are the most.",
            where=str(path),
            fix="take a part of its rows: some ten thousand teach as much",
        )
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            "The file is not text in UTF-8.",
            where=f"{path}, line {line}",
            fix="save it again as CSV in UTF-8",
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: Lines = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"This is no CSV: {error}.", where=f"{path}, line {reader.line_num}", fix="check its quotes"
        ) from error
    if not lines:
        raise DataError("The file is empty.", where=str(path), fix="a header, and a line for each row")
    header = lines[0][1]
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"{len(cells)} cells, where the header has {len(header)}.",
                where=f"{path}, line {line}",
                fix=_other_separator(header)
                or "mend the line; --set data.separator=..., if the cells are divided by something else",
            )
    return header, lines[1:]


def _other_separator(header: list[str]) -> str:
    """What reads a header of one cell that looks like several; nothing for another header."""
    for separator, shown in ((";", ";"), ("\t", r"\t"), ("|", "|"), (",", ",")):
        if len(header) == 1 and separator in header[0]:
            return f"""if '{shown}' divides the cells: --set 'data.separator="{shown}"'"""
    return ""


def _wanted(header: list[str], config: CsvConfig, path: Path) -> list[str]:
    where = f"{path}, line 1"
    counts = Counter(header)
    for name in header:
        if not name or _NUMBER.fullmatch(name):
            raise DataError(
                f"The first line is no header: '{name}' is no name of a column.",
                where=where,
                fix="write the names of the columns into the first line",
            )
        if counts[name] > 1:
            raise DataError(f"Two columns have the name '{name}'.", where=where, fix="rename one")
    for option in ("numbers", "categories", "leave_out"):
        unknown = [name for name in getattr(config, option) if name not in header]
        if unknown:
            raise DataError(
                f"There is no column '{unknown[0]}', which data.{option} names.",
                where=f"{path} has: {', '.join(header)}",
                fix=f"names of the header, such as {setting(option, *header[:2])}",
            )
    return [name for name in header if name not in config.leave_out]


def _is_number(cells: Cells, name: str, config: CsvConfig, place: _Place) -> bool:
    """Whether a column is one of numbers; DataError where cells are missing, or it may be either."""
    for row, cell in enumerate(cells):
        if not cell:
            raise place.error(
                "A cell is empty: nothing is made up for missing values.",
                f"fill it in, leave its row out, or the column: {place.option('leave_out')}",
                row,
            )
    if name in config.categories:
        return False
    spelt = [_NUMBER.fullmatch(cell) is not None for cell in cells]
    if name not in config.numbers and 2 * sum(spelt) < len(cells):
        return False
    if not all(spelt):
        row = spelt.index(False)
        missing = _UNFIT.fullmatch(cells[row]) or cells[row].lower() in _MISSING
        what = "is no finite number" if missing else "is no number"
        raise place.error(
            f"'{cells[row]:.40}' {what}, most of the column is.",
            f"fill it in or leave its row out; if these are names: {place.option('categories')}",
            row,
        )
    few = len(set(cells)) <= config.few and all(_WHOLE.fullmatch(cell) for cell in cells)
    return not few or name in config.numbers


def _numbers(cells: Cells, place: _Place) -> NDArray[np.float64]:
    values = np.array(cells, np.float64)
    large = ~(np.abs(values) < 1e30)
    if large.any():
        row = int(large.argmax())
        raise place.error(f"{cells[row]:.40} is too large.", "give the column in another unit", row)
    if np.ptp(values) == 0:
        raise _constant(cells, place)
    if np.ptp(values) < 100 * 10.0**-MOST_DECIMALS:
        raise place.error(
            f"All values lie within {np.ptp(values):.2g}: {MOST_DECIMALS} digits behind the point are kept.",
            "give the column in another unit",
        )
    return values


def _categories(cells: Cells, place: _Place) -> NDArray[np.str_]:
    names = set(cells)
    if len(names) == 1:
        raise _constant(cells, place)
    if len(names) == len(cells):
        raise place.error(
            "Each row has another text here: names or numbers of things cannot be learned.",
            f"leave the column out: {place.option('leave_out')}",
        )
    if len(names) > MOST_VALUES:
        raise place.error(
            f"{len(names):,} different values are too many for a category; {MOST_VALUES:,} are the most.",
            f"join rare ones, or leave the column out: {place.option('leave_out')}",
        )
    if max(map(len, names)) > LONGEST:
        row = max(range(len(cells)), key=lambda at: len(cells[at]))
        raise place.error(
            f"A text of {len(cells[row]):,} characters is no category; {LONGEST} are the most.",
            f"shorten it, or leave the column out: {place.option('leave_out')}",
            row,
        )
    return np.array(cells)


def _constant(cells: Cells, place: _Place) -> DataError:
    return place.error(
        f"All rows have '{cells[0]:.40}' here: there is nothing to learn.",
        f"leave the column out: {place.option('leave_out')}",
    )


def _decimals(cell: str) -> int:
    """Digits behind the point that a number needs: none for 24.0, as other programs write whole numbers."""
    mantissa, _, exponent = cell.lower().partition("e")
    power = int(exponent.lstrip("+-0")[:4] or 0)  # float64 ends at e-324
    digits = len(mantissa.partition(".")[2].rstrip("0")) + (power if exponent.startswith("-") else -power)
    return min(max(digits, 0), MOST_DECIMALS)
