"""CSV files as series: one or several entities, sorted in time, cut at gaps; errors name line and column."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted
from ganzoo_series.clock import FORMATS, Clock, clock_of, parsed_dates
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_tables.config import setting
from ganzoo_tables.read_csv import MISSING, NUMBER, Lines, other_separator, read_cells

Floats = NDArray[np.float64]

HOLIDAYS = 6.0  # weekdays from one row to the next that are no gap, of days that are all weekdays
JITTER = 1.5  # the same for other times, in steps
LARGEST = 1e30
SHOWN = 3  # gaps that are named


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of one entity without a gap: times (n,), values (n, C)."""

    entity: str
    attributes: tuple[str, ...]
    times: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class SeriesTable:
    """All pieces, in the order of the files and entities; `columns` name the values.

    With `labelled`, each piece has one attribute more than `attributes` names: its label.
    """

    columns: tuple[str, ...]
    attributes: tuple[str, ...]
    pieces: tuple[Piece, ...]
    clock: Clock
    labelled: bool = False
    notes: tuple[str, ...] = ()
    card: tuple[tuple[str, str, str], ...] = ()


@dataclass
class _Rows:
    """The rows of one entity as they are read."""

    path: Path
    name: str
    lines: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    attributes: tuple[str, ...] = ()


def read_series(path: Path, config: CsvSeriesConfig) -> SeriesTable:
    """One CSV file, or each file of a folder as an entity. DataError for what is no series of numbers."""
    files = [path]
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if item.name.lower().endswith((".csv", ".csv.gz")))
        if not files:
            raise DataError("The folder has no .csv or .csv.gz files.", where=str(path))
        if config.entity:
            raise DataError(
                "In a folder each file is an entity.",
                where=f"data.entity={config.entity}",
                fix="leave it out",
            )
    entities: list[_Rows] = []
    columns: tuple[str, ...] = ()
    dates = False
    for file in files:
        header, lines = read_cells(file, config.separator, "series")
        reader = _Reader(file, header, lines, config)
        if columns and reader.columns != columns:
            raise DataError(
                f"Its columns are {', '.join(reader.columns)}, those before {', '.join(columns)}.",
                where=str(file),
                fix=f"name the common ones: {setting('columns', *columns)}",
            )
        columns, dates = reader.columns, reader.dates
        entities += reader.entities()
    time = reader.time or "step"
    notes: list[str] = []
    ordered = [_ordered(rows, config, notes) for rows in entities]
    clock = clock_of(np.concatenate([np.asarray(rows.times) for rows in ordered]), time, dates=dates)
    return _cut(ordered, columns, clock, config, notes)


class _Reader:
    """One file: which column is the time, which are values, and its rows."""

    def __init__(self, path: Path, header: list[str], lines: Lines, config: CsvSeriesConfig) -> None:
        self.path, self.header, self.lines, self.config = path, header, lines, config
        if len(set(header)) < len(header) or not all(header) or any(map(NUMBER.fullmatch, header)):
            twice = next((name for name in header if header.count(name) > 1), "")
            self.refuse(
                f"Two columns have the name '{twice}'." if twice else "The first line is not a header.",
                "write a name for each column into the first line",
                line=1,
            )
        named = (config.time, config.entity, *config.columns, *config.leave_out, *config.about)
        for name in named:
            if name and name not in header:
                self.refuse(f"There is no column '{name}'.", f"one of {', '.join(header)}", line=1)
        if len(lines) < 2:
            self.refuse(
                f"{counted(len(lines), 'row')} under the header: a series needs more.",
                "provide some hundred rows",
            )
        self.dates = False
        self.times: list[float] = []
        self.time = self._time()
        used = {self.time, config.entity, *config.leave_out, *config.about}
        self.columns = tuple(config.columns or (name for name in header if name not in used))
        if not self.columns:
            self.refuse("No column is left to learn.", "leave out fewer columns")

    def refuse(self, what: str, fix: str, line: int = 0, column: str = "") -> NoReturn:
        where = f"{self.path}" + f", line {line}" * bool(line) + f", column '{column}'" * bool(column)
        raise DataError(what, where=where, fix=fix)

    def cells(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [row[at] for _, row in self.lines]

    def _time(self) -> str:
        """The column of times, whose values it reads; empty if there is none."""
        taken = {self.config.entity, *self.config.columns, *self.config.leave_out, *self.config.about}
        candidates = [self.config.time] if self.config.time else [n for n in self.header if n not in taken]
        for name in candidates:
            cells = self.cells(name)
            if all(map(NUMBER.fullmatch, cells)) and not self.config.time_format:
                if self.config.time:
                    self.times = list(map(float, cells))
                    return name
                continue
            try:
                found = parsed_dates(cells, self.config.time_format)
            except ValueError as error:
                self.refuse(
                    f"The dates are ambiguous: {error}.",
                    f"--set {shlex.quote(f'data.time_format={FORMATS[0]}')}",
                    column=name,
                )
            if found is not None:
                self.times, self.dates = found, True
                return name
        if self.config.time:
            self._refuse_times(self.config.time)
        return ""

    def _refuse_times(self, name: str) -> NoReturn:
        for (line, _), cell in zip(self.lines, self.cells(name), strict=True):
            if not cell or parsed_dates([cell], self.config.time_format) is None:
                self.refuse(
                    f"'{cell:.40}' is no date that is known.",
                    "write dates as 2024-12-31 or 2024-12-31T23:59:00, or say how they are written: "
                    "--set 'data.time_format=%d.%m.%y'",
                    line=line,
                    column=name,
                )
        self.refuse("The dates are not all written in the same way.", "write all as 2024-12-31", column=name)

    def entities(self) -> list[_Rows]:
        """The rows by entity, in the order of their first row."""
        columns = [self._numbers(name) for name in self.columns]
        values = [list(row) for row in zip(*columns, strict=True)]
        names = self.cells(self.config.entity) if self.config.entity else [_stem(self.path)] * len(values)
        about = [self.cells(name) for name in self.config.about]
        found: dict[str, _Rows] = {}
        for at, ((line, _), name) in enumerate(zip(self.lines, names, strict=True)):
            attributes = tuple(cells[at] for cells in about)
            rows = found.setdefault(name, _Rows(self.path, name, attributes=attributes))
            if rows.attributes != attributes:
                self.refuse(
                    f"The attributes of '{name}' are {attributes} here, and {rows.attributes} before.",
                    "attributes have one value for each entity: --set data.entity=COLUMN names the entities",
                    line=line,
                )
            rows.lines.append(line)
            rows.times.append(self.times[at] if self.time else float(len(rows.times)))
            rows.values.append(values[at])
        return list(found.values())

    def _numbers(self, name: str) -> list[float]:
        """The numbers of a column; NaN for missing ones, whose rows are left out."""
        numbers = []
        cells = self.cells(name)
        for (line, _), cell in zip(self.lines, cells, strict=True):
            if NUMBER.fullmatch(cell) and abs(float(cell)) < LARGEST:
                numbers.append(float(cell))
            elif cell.lower() in MISSING and self.config.missing == "skip":
                numbers.append(float("nan"))
            else:
                self._refuse_number(name, cell, cells, line)
        return numbers

    def _refuse_number(self, name: str, cell: str, cells: Sequence[str], line: int) -> NoReturn:
        leave_out = f"leave the column out: {setting('leave_out', *self.config.leave_out, name)}"
        if cell.lower() in MISSING:
            self.refuse(
                "A cell is empty." if not cell else f"'{cell}' is not a number.",
                f"fill it in; or leave such rows out: --set data.missing=skip; or {leave_out}",
                line=line,
                column=name,
            )
        if NUMBER.fullmatch(cell.replace(",", ".", 1)) and "," in cell:
            self.refuse(
                f"'{cell}' has a decimal comma.", "write numbers with a decimal point", line=line, column=name
            )
        if sum(map(bool, map(NUMBER.fullmatch, cells))) * 2 > len(cells):
            what = "is too large" if NUMBER.fullmatch(cell) else "is not a number, but most of the column is"
            self.refuse(f"'{cell:.40}' {what}.", f"correct it, or {leave_out}", line=line, column=name)
        entity = f"--set {shlex.quote(f'data.entity={name}')}"
        self.refuse(
            "This column is text.",
            other_separator([name]) or f"if it names the series of each row: {entity}; or {leave_out}",
            line=line,
            column=name,
        )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _ordered(rows: _Rows, config: CsvSeriesConfig, notes: list[str]) -> _Rows:
    """The rows sorted in time, equal rows of the same time once. DataError where such rows differ."""
    times = np.asarray(rows.times)
    if (np.diff(times) < 0).any():
        notes.append(f"{_of(rows)}the rows were not in the order of time: they have been sorted")
    order = np.argsort(times, kind="stable")
    kept: list[int] = []
    for at in order:
        if kept and times[at] == times[kept[-1]]:
            if not np.array_equal(rows.values[at], rows.values[kept[-1]], equal_nan=True):
                raise DataError(
                    "Two rows have the same time and different values.",
                    where=f"{rows.path}, lines {rows.lines[kept[-1]]} and {rows.lines[at]}",
                    fix="keep one of them; or if several series are in the file, name the column that tells "
                    "them apart: --set data.entity=COLUMN",
                )
            continue
        kept.append(int(at))
    if len(kept) < len(times):
        notes.append(f"{_of(rows)}{counted(len(times) - len(kept), 'row')} repeated in the file: used once")
    lines, values = [rows.lines[at] for at in kept], [rows.values[at] for at in kept]
    return replace(rows, lines=lines, times=times[kept].tolist(), values=values)


def _of(rows: _Rows) -> str:
    return f"'{rows.name}': "


def _cut(
    entities: Sequence[_Rows],
    columns: tuple[str, ...],
    clock: Clock,
    config: CsvSeriesConfig,
    notes: list[str],
) -> SeriesTable:
    """The pieces between gaps, and what the user should know of them."""
    most = config.gap or (HOLIDAYS if clock.unit == "weekday" else JITTER)
    pieces: list[Piece] = []
    gaps: list[tuple[float, str]] = []
    empty = 0
    for rows in entities:
        times, values = np.asarray(rows.times), np.asarray(rows.values, np.float64)
        positions = clock.positions(times)
        there = ~np.isnan(values).any(axis=1)
        empty += int((~there).sum())
        kept = np.flatnonzero(there)
        far = np.diff(positions[kept]) > most
        for at in np.flatnonzero(far):
            before, after = kept[at], kept[at + 1]
            text = f"{clock.at(times[before])} to {clock.at(times[after])}"
            gaps.append((positions[after] - positions[before], text))
        pieces += [
            Piece(
                entity=rows.name,
                attributes=rows.attributes,
                times=times[part],
                values=values[part],
            )
            for part in np.split(kept, np.flatnonzero(far) + 1)
            if len(part)
        ]
    if not pieces:
        raise DataError("No row has all its values.", where=str(entities[0].path))
    if empty:
        notes.append(f"{counted(empty, 'row')} with an empty cell left out")
    rule = f"more than {most:g} steps"
    longest = [text for _, text in sorted(gaps, reverse=True)[:SHOWN]]
    first = clock.at(min(piece.times[0] for piece in pieces))
    last = clock.at(max(piece.times[-1] for piece in pieces))
    said = f"{rule}; the longest: {', '.join(longest)}" if gaps else f"none of {rule}"
    card = [
        ("time", f"{clock.column}: {first} to {last}", f"a step is {clock.describe()}"),
        ("gaps", f"{len(gaps):,}", said),
    ]
    if len(entities) > 1:
        names = ", ".join(rows.name for rows in entities[:5]) + ", ..." * (len(entities) > 5)
        card.insert(0, ("entities", f"{len(entities):,}", names))
    return SeriesTable(
        columns=columns,
        attributes=config.attributes,
        labelled=bool(config.label),
        pieces=tuple(pieces),
        clock=clock,
        notes=tuple(notes),
        card=tuple(card),
    )
