"""Reads a CSV file as a table of numbers and categories; errors name the line and the column."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted
from ganzoo_tables.config import CsvConfig, setting
from ganzoo_tables.encoding import Table
from ganzoo_tables.number_forms import PLAIN, are_codes, are_dates, forms_of

LARGEST = 1 << 28  # bytes: Python's strings take several times as much memory
FEWEST = 10  # rows
MOST_VALUES = 1_000  # of a category column: each value is a number in every encoded row
MANY = 100  # a category column with more values than this and than a tenth of the rows gets a note
LONGEST = 200  # characters of a category: a NumPy array of text is as wide as its longest value

MOST_DECIMALS = 12
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
MISSING = ("", "nan", "nil", "na", "n/a", "null", "none", "?", "-", ".")
"""Cells in lower case that stand for a missing value."""
MISSING_VALUE = "(missing)"
GAPS = (
    f"with --set data.missing=value gaps are learned and generated, in a category as the value "
    f"'{MISSING_VALUE}'; with data.missing=skip all rows with a gap are left out"
)

Lines = list[tuple[int, list[str]]]
Cells = list[str]


def read_table(path: Path, config: CsvConfig) -> Table:
    """The table of a CSV file in UTF-8 with a header. DataError, with line and column, for other files."""
    header, lines = read_cells(path, config.separator)
    names = _selected(header, config, path)
    if len(names) < 2:
        raise DataError(
            "A table needs two columns or more.",
            where=f"{path} has: {', '.join(names)}",
            fix=other_separator(header) or "add another column, or leave fewer out",
        )
    if len(lines) < FEWEST:
        raise DataError(
            f"{counted(len(lines), 'row')} under the header: too few to train on.",
            where=str(path),
            fix=f"provide at least {FEWEST} rows; useful results need hundreds",
        )
    lines, read = _plain_numbers(header, lines, names, config)
    kept, named = _without_gaps(header, lines, names, replace(config, categories=read.categories))
    if len(kept) < FEWEST:
        raise DataError(
            f"Only {len(kept)} of {len(lines):,} rows have no empty cell.",
            where=str(path),
            fix="leave out columns with many empty cells: --set data.leave_out=...",
        )
    numbers = np.array([number for number, _ in kept])
    columns: dict[str, NDArray[Any]] = {}
    decimals: dict[str, int] = {}
    faults: dict[str, DataError] = {}
    for at, name in enumerate(header):
        if name in names:
            cells, filled = _filled([row[at] for _, row in kept], config)
            place = _Place(path, name, numbers[filled].tolist(), config)
            try:
                if _is_number(cells, name, named, place):
                    columns[name] = np.full(len(kept), np.nan)
                    columns[name][filled] = _numbers(cells, place)
                    decimals[name] = max(_decimals(cell) for cell in set(cells))
                else:
                    columns[name] = _categories(cells, place, read.hints.get(name, ""))
            except DataError as error:
                faults[name] = error
    table = Table(
        columns=columns,
        decimals=decimals,
        written={name: text for name, text in read.written.items() if name in decimals},
        codes=read.codes,
        left_out=len(lines) - len(kept),
    )
    if faults:
        raise _all_of(faults, len(names), path, config)
    return table


@dataclass(frozen=True, kw_only=True)
class _Read:
    """How numbers are read: `written`, see `Column`; those that are `codes`; what to do about the others.

    `categories`: those of the options, and the codes.
    """

    written: Mapping[str, str]
    codes: tuple[str, ...]
    hints: Mapping[str, str]
    categories: tuple[str, ...]


def _plain_numbers(
    header: list[str], lines: Lines, names: Sequence[str], config: CsvConfig
) -> tuple[Lines, _Read]:
    """The lines with plain numbers, and how those were written.

    Digits that are names (codes) and categories stay as they are. Where 1,234 may be two numbers, it is the
    one with the decimal sign of the other columns.
    """
    filled: dict[str, Cells] = {}
    for at, name in enumerate(header):
        if name in names and name not in config.categories:
            cells = [row[at] for _, row in lines if row[at].lower() not in MISSING]
            if cells and (config.decimal == "," or not all(map(NUMBER.fullmatch, cells)) or are_codes(cells)):
                filled[name] = cells
    codes = tuple(name for name, cells in filled.items() if name not in config.numbers and are_codes(cells))
    hints = {name: f"if these are numbers: {setting('numbers', *config.numbers, name)}" for name in codes}
    decimals = (".", ",") if config.decimal == "auto" else (config.decimal,)
    found = {name: forms_of(cells, decimals) for name, cells in filled.items() if name not in codes}
    clear = [forms[0] for forms in found.values() if len(forms) == 1]
    known = {form.decimal for form in clear if "," in (form.decimal, form.thousands)}
    rows, written = [list(row) for _, row in lines], dict[str, str]()
    for name, forms in found.items():
        at, cells = header.index(name), filled[name]
        if len(forms) > 1 and len(known) == 1:
            forms = [form for form in forms if form.decimal in known]
        if len(forms) > 1:
            cell = next(cell for cell in cells if "," in cell)
            hints[name] = (
                f"'{cell}' may have a decimal comma or thousands: --set 'data.decimal=\",\"' or '\".\"'"
            )
        elif not forms:
            if are_dates(cells):
                hints[name] = "dates and times are not read: write a number, such as days, or a month"
        elif forms[0] != PLAIN:
            plain = [forms[0].plain(cell) or cell for cell in cells]
            if plain != cells and _is_number_column(plain, name, config):
                written[name] = forms[0].written
                for row in rows:
                    row[at] = forms[0].plain(row[at]) or row[at]
    read = _Read(written=written, codes=codes, hints=hints, categories=(*config.categories, *codes))
    return [(line, row) for (line, _), row in zip(lines, rows, strict=True)], read


def _without_gaps(
    header: list[str], lines: Lines, names: Sequence[str], config: CsvConfig
) -> tuple[Lines, CsvConfig]:
    """The lines as `config.missing` has it, and the options with the columns that got `MISSING_VALUE`.

    Gaps of numbers that stay are empty cells.
    """
    if config.missing == "error":
        return lines, config
    rows = [list(row) for _, row in lines]
    dropped: set[int] = set()
    valued: list[str] = []
    for at, name in enumerate(header):
        cells = [row[at] for row in rows]
        filled = [cell for cell in cells if cell.lower() not in MISSING]
        if name not in names or not filled:  # a column without any value is a fault
            continue
        numeric = name in config.numbers or (_mostly_numbers(filled) and name not in config.categories)
        gaps = [row for row, cell in enumerate(cells) if not cell or (numeric and cell.lower() in MISSING)]
        if config.missing == "skip":
            dropped.update(gaps)
            continue
        stays = numeric and _is_number_column(filled, name, config)
        valued += [name] * (bool(gaps) and not stays)
        for row in gaps:
            rows[row][at] = "" if stays else MISSING_VALUE
    kept = [
        (line, row) for at, ((line, _), row) in enumerate(zip(lines, rows, strict=True)) if at not in dropped
    ]
    return kept, replace(config, categories=(*config.categories, *valued))


def _filled(cells: Cells, config: CsvConfig) -> tuple[Cells, NDArray[np.bool_]]:
    """The cells without gaps that stay, and which those are; all cells of a column without values."""
    stay = config.missing == "value" and _has_values(cells)
    filled = np.array([bool(cell) or not stay for cell in cells])
    return [cell for cell, used in zip(cells, filled, strict=True) if used], filled


def _has_values(cells: Cells) -> bool:
    return any(cell.lower() not in MISSING for cell in cells)


def _all_of(faults: Mapping[str, DataError], count: int, path: Path, config: CsvConfig) -> DataError:
    """One error for all faults of a table with `count` columns."""
    if len(faults) == 1:
        return next(iter(faults.values()))
    fix = f"leave the columns out: {setting('leave_out', *config.leave_out, *faults)}"
    if any(isinstance(error, _GapError) for error in faults.values()):
        others = [name for name, error in faults.items() if not isinstance(error, _GapError)]
        if others:
            rest = setting("leave_out", *config.leave_out, *others)
            fix += f"; or keep those with gaps: {rest} --set data.missing=value"
        fix += f" ({GAPS})"
    lines = [f"{error.where.removeprefix(f'{path}, ')}: {error.what}" for error in faults.values()]
    return DataError(
        f"{len(faults)} of {count} columns cannot be used as they are.",
        where="\n    ".join([str(path), *lines]),
        fix=fix,
    )


def advice(table: Table, config: CsvConfig) -> tuple[str, ...]:
    """Notes: columns with very many categories, or a different whole number in each row; rows left out."""
    names, lines = [], []
    for name, cells in table.columns.items():
        values = cells[~np.isnan(cells)] if name in table.decimals else cells
        different = len(np.unique(values))
        if name not in table.decimals and different > max(MANY, len(table) / 10):
            lines.append(f"column '{name}' has {different:,} values in {len(table):,} rows")
        elif table.decimals.get(name) == 0 and different == len(values):
            lines.append(f"column '{name}' has a different whole number in each row; it may be an identifier")
        else:
            continue
        names.append(name)
    if names:
        it = "it" if len(names) == 1 else "them"
        lines[-1] += f"; to leave {it} out: {setting('leave_out', *config.leave_out, *names)}"
    if table.codes:
        lines.append(
            f"{_columns(table.codes)} with leading zeros or + read as text; if these are numbers: "
            f"{setting('numbers', *config.numbers, *table.codes)}"
        )
    for text in sorted(set(table.written.values())):
        same = [name for name, other in table.written.items() if other == text]
        lines.append(
            f"{_columns(same)} read as numbers; 1234.5 is {text}, also in generated files; if they are text: "
            f"{setting('categories', *config.categories, *same)}"
        )
    if table.left_out:
        lines.append(f"{counted(table.left_out, 'row')} with an empty cell left out")
    return tuple(lines)


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


class _GapError(DataError):
    """A column has empty cells."""


class _Place:
    """Where a column is, for messages."""

    def __init__(self, path: Path, name: str, lines: Sequence[int], config: CsvConfig) -> None:
        self.path, self.name, self.lines, self.config = path, name, lines, config

    def error(
        self, what: str, fix: str, row: int | None = None, kind: type[DataError] = DataError
    ) -> DataError:
        line = f"line {self.lines[row]}, " if row is not None else ""
        return kind(what, where=f"{self.path}, {line}column '{self.name}'", fix=fix)

    def option(self, name: str) -> str:
        """The command line option that adds this column to the columns of option `name`."""
        return setting(name, *getattr(self.config, name), self.name)


def read_cells(path: Path, separator: str, source: str = "csv") -> tuple[list[str], Lines]:
    """The header, and the other lines that are not empty, with their numbers; also of a .csv.gz file.

    `source` is the name of the data set, for messages. DataError for a file that is no CSV file.
    """
    if not path.is_file():
        raise DataError("The path is not a file.", where=str(path), fix=f"--data {source}:FILE")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"The file cannot be unpacked: {error}.", where=str(path)) from error
    if len(raw) > LARGEST:
        raise DataError(
            f"The file has more than {LARGEST >> 20} MiB.",
            where=str(path),
            fix="use a part of its rows; some ten thousand are enough",
        )
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
            f"This is not a CSV file: {error}.",
            where=f"{path}, line {reader.line_num}",
            fix="check its quotes",
        ) from error
    if not lines:
        raise DataError("The file is empty.", where=str(path), fix="write a header, and a line for each row")
    header = lines[0][1]
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"The line has {len(cells)} cells, the header has {len(header)}.",
                where=f"{path}, line {line}",
                fix=other_separator(header)
                or "correct the line, or set the character between cells: --set data.separator=...",
            )
    return header, lines[1:]


def other_separator(header: list[str]) -> str:
    """The option for a header of one cell that contains another separator; empty for other headers."""
    for separator, shown in ((";", ";"), ("\t", r"\t"), ("|", "|"), (",", ",")):
        if len(header) == 1 and separator in header[0]:
            return f"""if '{shown}' separates the cells: --set 'data.separator="{shown}"'"""
    return ""


def _selected(header: list[str], config: CsvConfig, path: Path) -> list[str]:
    where = f"{path}, line 1"
    counts = Counter(header)
    for at, name in enumerate(header):
        if not name:
            raise DataError(
                f"Column {at + 1} has no name.",
                where=where,
                fix="write a name; an index of pandas is left out by df.to_csv(path, index=False)",
            )
        if NUMBER.fullmatch(name):
            raise DataError(
                f"The first line is not a header: '{name}' is not a column name.",
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
    """Whether a column holds numbers; DataError for missing cells, or a mixture of numbers and text."""
    if count := cells.count(""):
        if not _has_values(cells):
            raise place.error("All cells are empty.", f"leave the column out: {place.option('leave_out')}")
        raise place.error(
            "A cell is empty." if count == 1 else f"{count:,} cells are empty.",
            f"fill in what is missing; {GAPS}; or leave the column out: {place.option('leave_out')}",
            cells.index(""),
            _GapError,
        )
    if name in config.categories:
        return False
    numeric = [NUMBER.fullmatch(cell) is not None for cell in cells]
    if name not in config.numbers and not _mostly_numbers(cells):
        return False
    if not all(numeric):
        row = numeric.index(False)
        missing = _NOT_FINITE.fullmatch(cells[row]) or cells[row].lower() in MISSING
        what = "is not a finite number" if missing else "is not a number"
        raise place.error(
            f"'{cells[row]:.40}' {what}, but most of the column is.",
            f"fill it in or remove the row; if these are categories: {place.option('categories')}",
            row,
        )
    return _is_number_column(cells, name, config)


def _mostly_numbers(cells: Cells) -> bool:
    return 2 * sum(NUMBER.fullmatch(cell) is not None for cell in cells) >= len(cells)


def _is_number_column(cells: Cells, name: str, config: CsvConfig) -> bool:
    """Whether a column of numbers is no category: it has more than a few different whole numbers."""
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
            f"All values lie within {np.ptp(values):.2g}; only {MOST_DECIMALS} decimal places are kept.",
            "give the column in another unit",
        )
    return values


def _categories(cells: Cells, place: _Place, hint: str) -> NDArray[np.str_]:
    names = set(cells)
    if len(names) == 1:
        raise _constant(cells, place)
    if len(names) == len(cells):
        raise place.error(
            "Each row has a different text here: names and identifiers cannot be learned.",
            f"{hint and f'{hint}; or '}leave the column out: {place.option('leave_out')}",
        )
    if len(names) > MOST_VALUES:
        raise place.error(
            f"{len(names):,} different values are too many for categories; the limit is {MOST_VALUES:,}.",
            f"{hint and f'{hint}; or '}merge rare ones, or leave the column out: {place.option('leave_out')}",
        )
    if max(map(len, names)) > LONGEST:
        row = max(range(len(cells)), key=lambda at: len(cells[at]))
        raise place.error(
            f"A text of {len(cells[row]):,} characters is too long for a category; the limit is {LONGEST}.",
            f"shorten it, or leave the column out: {place.option('leave_out')}",
            row,
        )
    return np.array(cells)


def _constant(cells: Cells, place: _Place) -> DataError:
    return place.error(
        f"All rows have the same value here, '{cells[0]:.40}'.",
        f"leave the column out: {place.option('leave_out')}",
    )


def _decimals(cell: str) -> int:
    """Decimal places that a number needs: 0 for 24.0, as some programs write whole numbers."""
    mantissa, _, exponent = cell.lower().partition("e")
    power = int(exponent.lstrip("+-0")[:4] or 0)  # float64 ends at e-324
    digits = len(mantissa.partition(".")[2].rstrip("0")) + (power if exponent.startswith("-") else -power)
    return min(max(digits, 0), MOST_DECIMALS)
