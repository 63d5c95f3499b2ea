"""CSV files as series: one or several entities, sorted in time, cut at gaps; errors name line and column."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted, is_hidden
from ganzoo_datasets.picture_folders import has_parts
from ganzoo_series.clock import FORMATS, Clock, clock_of, parsed_dates
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.faults import Faults
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

    `left_out` are columns that the user does not want. With `labelled`, each piece has one attribute more
    than `attributes` names: its label.
    """

    columns: tuple[str, ...]
    attributes: tuple[str, ...]
    pieces: tuple[Piece, ...]
    clock: Clock
    left_out: tuple[str, ...] = ()
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
        files = sorted(item for item in path.iterdir() if _is_csv(item.name))
        if not files:
            raise DataError("The folder has no .csv or .csv.gz files.", where=str(path))
        if config.entity:
            raise DataError(
                "In a folder each file is an entity.",
                where=f"data.entity={config.entity}",
                fix="leave it out",
            )
    faults = Faults(config.leave_out)
    entities: list[_Rows] = []
    first: _Reader | None = None
    for file in files:
        try:
            header, lines = read_cells(file, config.separator, "series")
            reader = _Reader(file, header, lines, config, faults)
        except DataError as error:
            faults.add_error(error, file)
            continue
        first = first or reader
        if reader.columns != first.columns:
            faults.add(
                "columns",
                f"Its columns are {', '.join(reader.columns)}, those of {first.path.name} "
                f"{', '.join(first.columns)}.",
                f"name the common ones: {setting('columns', *first.columns)}",
                file,
            )
        else:
            entities += reader.entities()
    notes: list[str] = []
    if has_parts([file.name for file in files], files=True):
        notes.append(
            "files of train and of other parts are entities of the same data, of each the last rows are held "
            "out; give one file to train on it alone"
        )
    ordered = [_ordered(rows, config, notes, faults) for rows in entities]
    faults.check()
    assert first is not None  # noqa: S101 (a file, or a fault)
    times = np.concatenate([np.asarray(rows.times) for rows in ordered])
    clock = clock_of(times, first.time or "step", dates=first.dates)
    return _cut(ordered, first.columns, clock, config, notes)


def _is_csv(name: str) -> bool:
    return name.lower().endswith((".csv", ".csv.gz")) and not is_hidden(name)


class _Reader:
    """One file: which column is the time, which are values, and its rows.

    DataError for a file without the columns that are needed; other faults go to `faults`, and what is
    returned then has gaps.
    """

    def __init__(
        self, path: Path, header: list[str], lines: Lines, config: CsvSeriesConfig, faults: Faults
    ) -> None:
        self.path, self.header, self.lines, self.config, self.faults = path, header, lines, config, faults
        if len(set(header)) < len(header) or not all(header) or any(map(NUMBER.fullmatch, header)):
            twice = next((name for name in header if header.count(name) > 1), "")
            self.refuse(
                f"Two columns have the name '{twice}'." if twice else "The first line is not a header.",
                "write a name for each column into the first line",
                line=1,
            )
        named = (config.time, config.entity, *config.columns, *config.leave_out, *config.about)
        if unknown := [f"'{name}'" for name in dict.fromkeys(named) if name and name not in header]:
            what = f"There is no column {', and no column '.join(unknown)}."
            self.refuse(what, f"one of {', '.join(header)}", line=1)
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

    def refuse(self, what: str, fix: str, line: int = 0) -> NoReturn:
        raise DataError(what, where=f"{self.path}" + f", line {line}" * bool(line), fix=fix)

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
                fix = f"--set {shlex.quote(f'data.time_format={FORMATS[0]}')}"
                self.faults.add("dates", f"The dates are ambiguous: {error}.", fix, self.path, column=name)
                return name
            if found is not None:
                self.times, self.dates = found, True
                return name
        if self.config.time:
            self._note_times(self.config.time)
        return self.config.time

    def _note_times(self, name: str) -> None:
        """The faults of a column whose cells are not all times."""
        cells = self.cells(name)
        bad = [at for at, cell in enumerate(cells) if not cell or _is_no_date(cell, self.config.time_format)]
        for at in bad:
            self.faults.add(
                "dates",
                f"'{cells[at]:.40}' is no date that is known.",
                "write dates as 2024-12-31 or 2024-12-31T23:59:00, or say how they are written: "
                "--set 'data.time_format=%d.%m.%y'",
                self.path,
                self.lines[at][0],
                name,
            )
        if not bad:
            what = "The dates are not all written in the same way."
            self.faults.add("dates", what, "write all as 2024-12-31", self.path, column=name)

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
                self.faults.add(
                    "attributes",
                    f"The attributes of '{name}' are {attributes} here, and {rows.attributes} before.",
                    "attributes have one value for each entity: --set data.entity=COLUMN names the entities",
                    self.path,
                    line,
                )
            rows.lines.append(line)
            rows.times.append(self.times[at] if self.times else float(len(rows.times)))
            rows.values.append(values[at])
        return list(found.values())

    def _numbers(self, name: str) -> list[float]:
        """The numbers of a column; NaN for missing ones, whose rows are left out, and for faults."""
        cells = self.cells(name)
        numbers = [_number(cell) for cell in cells]
        bad = [at for at, number in enumerate(numbers) if np.isnan(number)]
        gaps = {at for at in bad if cells[at].lower() in MISSING}
        others = [at for at in bad if at not in gaps]
        commas = {at for at in others if _has_comma(cells[at])}
        if others and not commas and 2 * (len(cells) - len(bad)) <= len(cells) - len(gaps):
            self._note_text(name, self.lines[others[0]][0])
            return numbers
        for at in others if self.config.missing == "skip" else bad:
            cell, where = cells[at], (self.path, self.lines[at][0], name)
            if at in gaps:
                what = f"'{cell}' is not a number." if cell else "A cell is empty."
                fix = "fill it in; or leave such rows out: --set data.missing=skip"
                self.faults.add("gaps", what, fix, *where, leave=True)
            elif at in commas:
                what = f"'{cell}' has a decimal comma."
                self.faults.add("commas", what, "write numbers with a decimal point", *where)
            else:
                large = NUMBER.fullmatch(cell)
                what = "is too large" if large else "is not a number, but most of the column is"
                self.faults.add("numbers", f"'{cell:.40}' {what}.", "correct it", *where, leave=True)
        return numbers

    def _note_text(self, name: str, line: int) -> None:
        entity = f"if it names the series of each row: --set {shlex.quote(f'data.entity={name}')}"
        separator = other_separator([name])
        fix = separator or entity
        self.faults.add("text", "This column is text.", fix, self.path, line, name, leave=not separator)


def _has_comma(cell: str) -> bool:
    return "," in cell and NUMBER.fullmatch(cell.replace(",", ".", 1)) is not None


def _number(cell: str) -> float:
    """NaN for what is no number, or too large."""
    number = float(cell) if NUMBER.fullmatch(cell) else np.nan
    return number if abs(number) < LARGEST else np.nan


def _is_no_date(cell: str, time_format: str) -> bool:
    try:
        return parsed_dates([cell], time_format) is None
    except ValueError:  # a date that can be read in two ways
        return False


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _ordered(rows: _Rows, config: CsvSeriesConfig, notes: list[str], faults: Faults) -> _Rows:
    """The rows sorted in time, equal rows of the same time once; where such rows differ is a fault."""
    times = np.asarray(rows.times)
    if (np.diff(times) < 0).any():
        notes.append(f"{_of(rows)}the rows were not in the order of time: they have been sorted")
    order = np.argsort(times, kind="stable")
    kept: list[int] = []
    for at in order:
        if kept and times[at] == times[kept[-1]]:
            if not np.array_equal(rows.values[at], rows.values[kept[-1]], equal_nan=True):
                faults.add(
                    "times",
                    "Two rows have the same time and different values.",
                    "keep one of them; or if several series are in the file, name the column that tells "
                    "them apart: --set data.entity=COLUMN",
                    rows.path,
                    f"{rows.lines[kept[-1]]} and {rows.lines[at]}",
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
        left_out=config.leave_out,
        notes=tuple(notes),
        card=tuple(card),
    )
