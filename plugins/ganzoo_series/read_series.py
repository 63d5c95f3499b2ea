"""CSV files as series: one or several entities, sorted in time, cut at gaps; errors name line and column."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted, is_hidden, some
from ganzoo_datasets.picture_folders import has_parts
from ganzoo_series.clock import DAY, Clock, ahead_of_utc, clock_of, goes_on_in_utc, offset_text
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.dates import (
    EPOCH_NAMES,
    EPOCHS,
    AmbiguousDatesError,
    Dates,
    looks_like_a_date,
    number_dates,
    read_dates,
)
from ganzoo_series.faults import Faults
from ganzoo_tables.config import setting
from ganzoo_tables.number_forms import PLAIN, NumberForm, forms_of
from ganzoo_tables.read_csv import MISSING, NUMBER, Lines, other_separator, read_cells

Floats = NDArray[np.float64]

HOLIDAYS = 6.0  # weekdays from one row to the next that are no gap, of days that are all weekdays
JITTER = 1.5  # the same for other times, in steps
LARGEST = 1e30
SHOWN = 3  # gaps that are named
FEW = 6  # columns that are named in full


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
    """The rows of one entity as they are read.

    `times` are in UTC where the zone is known, and the clock of the place is `ahead` of them, in seconds.
    `entity` is a column that tells rows of the same time apart, if there is one.
    """

    path: Path
    name: str
    entity: str = "COLUMN"
    lines: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
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
                f"Its columns are {some(reader.columns)}, those of {first.path.name} {some(first.columns)}.",
                f"name the common ones: {setting('columns', *first.columns)}",
                file,
            )
        elif None not in (reader.times_are, first.times_are) and reader.times_are != first.times_are:
            faults.add(
                "kinds of times",
                f"Its times are {reader.times_are}, those of {first.path.name} are {first.times_are}.",
                "write dates in all files, or in none; or if that is not the time: --set data.time=COLUMN",
                file,
                column=reader.time,
            )
        elif reader.dates and first.dates and reader.zoned != first.zoned:
            what = f"Of this file and {first.path.name} only one has times with a zone."
            faults.add("zones", what, "write the zone in all files, or in none", file, column=reader.time)
        else:
            entities += reader.entities()
    notes = list(first.notes) if first else []
    if has_parts([file.name for file in files], files=True):
        notes.append(
            "files of train and of other parts are entities of the same data, of each the last rows are held "
            "out; give one file to train on it alone"
        )
    back = first is not None and first.dates is not None and not first.zoned and not config.zone
    ordered = [_ordered(rows, notes, faults, back=back) for rows in entities]
    faults.check()
    assert first is not None  # noqa: S101 (a file, or a fault)
    ordered, clock = _clock(ordered, first, notes)
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
            self.refuse(what, f"one of {some(header)}", line=1)
        if len(lines) < 2:
            self.refuse(
                f"{counted(len(lines), 'row')} under the header: a series needs more.",
                "provide some hundred rows",
            )
        self.notes: list[str] = []
        self.text_seen = False
        self.dates: Dates | None = None
        self.numbers: list[float] = []  # the times that are no dates
        self.time = self._time()
        used = {self.time, config.entity, *config.leave_out, *config.about}
        self.columns = tuple(config.columns or (name for name in header if name not in used))
        if not self.columns:
            self.refuse("No column is left to learn.", "leave out fewer columns")
        self.forms = self._forms()

    @property
    def times_are(self) -> str | None:
        """What the times are, for messages; None where there is a fault in the column."""
        if self.dates is not None:
            return "dates"
        return "numbers" if self.numbers else None if self.time else "the row numbers"

    @property
    def zoned(self) -> bool:
        """Whether the times name their zone."""
        return self.dates is not None and self.dates.offsets[0] is not None

    def refuse(self, what: str, fix: str, line: int = 0) -> NoReturn:
        raise DataError(what, where=f"{self.path}" + f", line {line}" * bool(line), fix=fix)

    def cells(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [row[at] for _, row in self.lines]

    def _time(self) -> str:
        """The column of times, whose values it reads; empty if there is none."""
        config = self.config
        taken = {config.entity, *config.columns, *config.leave_out, *config.about}
        candidates = [config.time] if config.time else [name for name in self.header if name not in taken]
        numeric = [name for name in candidates if all(map(NUMBER.fullmatch, self.cells(name)))]
        if config.time_format in EPOCHS and not config.time:
            candidates = [name for name in numeric if _is_named_as_time(name)]
        for name in candidates:
            if name in numeric and not config.time_format:
                continue
            try:
                found = read_dates(self.cells(name), config.time_format)
            except AmbiguousDatesError as error:
                fix = " or ".join(f"--set {shlex.quote(f'data.time_format={one}')}" for one in error.formats)
                self.faults.add("dates", f"The dates are ambiguous: {error}.", fix, self.path, column=name)
                return name
            if found is not None:
                self._use(name, found)
                return name
        for name in numeric:
            if not config.time_format and self._use_numbers(name):
                return name
        partly = [name for name in candidates if name not in numeric and self._is_date(self.cells(name)[0])]
        for name in [config.time] if config.time else partly[:1]:
            self._note_times(name)
            return name
        if config.time_format:
            self.refuse(
                f"No column has times that are written as '{config.time_format}'.",
                "correct data.time_format, or name the column: --set data.time=COLUMN",
            )
        self._note_counters(numeric)
        return ""

    def _use(self, name: str, found: Dates) -> None:
        self.dates = found
        zoned = [offset is not None for offset in found.offsets]
        if any(zoned) and not all(zoned):
            at = zoned.index(not zoned[0])
            what = "Some times have a zone, such as +02:00 or Z, others have none."
            self.faults.add(
                "zones", what, "write it in all rows, or in none", self.path, self.lines[at][0], name
            )

    def _use_numbers(self, name: str) -> bool:
        """Whether a column of numbers is the time; then it is read."""
        if name != self.config.time and not _is_named_as_time(name):
            return False
        cells = self.cells(name)
        if (found := number_dates(cells)) is not None:
            self._use(name, found)
            unit = EPOCH_NAMES.get(found.form)
            how = f"as Unix time in {unit}" if unit else f"as dates, {found.form}"
        elif name == self.config.time or self._grows(name):
            self.numbers = list(map(float, cells))
            how = "as the time, in steps"
        else:
            return False
        if name != self.config.time:
            used = (self.config.entity, *self.config.leave_out, *self.config.about)
            others = [other for other in self.header if other not in used]
            learn = setting("columns", *others) if len(others) < FEW else "name it in data.columns"
            self.notes.append(f"column '{name}' was read {how}; to learn it as a value: {learn}")
        return True

    def _grows(self, name: str) -> bool:
        """Whether the numbers grow from row to row of each entity."""
        last: dict[str, float] = {}
        names = self.cells(self.config.entity) if self.config.entity else [""] * len(self.lines)
        for entity, cell in zip(names, self.cells(name), strict=True):
            if entity in last and float(cell) <= last[entity]:
                return False
            last[entity] = float(cell)
        return True

    def _note_counters(self, numeric: Sequence[str]) -> None:
        """A note on the first column of numbers that may be the time, where there is no other."""
        for name in numeric if len(numeric) > 1 else []:
            with np.errstate(invalid="ignore"):  # numbers that are too large
                steps = np.diff(np.array(self.cells(name), np.float64))
            if _is_named_as_time(name) or (steps[0] > 0 and (steps == steps[0]).all()):
                self.notes.append(
                    f"column '{name}' is learned as a value; if it is the time: --set "
                    f"{shlex.quote(f'data.time={name}')}, and if needed --set data.time_format=FORMAT"
                )
                return

    def _is_date(self, cell: str) -> bool:
        form = self.config.time_format
        try:
            return read_dates([cell], form) is not None
        except AmbiguousDatesError:
            return True

    def _note_times(self, name: str) -> None:
        """The faults of a column whose cells are not all times."""
        cells = self.cells(name)
        bad = [at for at, cell in enumerate(cells) if not cell or not self._is_date(cell)]
        for at in bad:
            self.faults.add(
                "dates",
                f"'{cells[at]:.40}' is no date that is known." if cells[at] else "A time is empty.",
                "write dates as 2024-12-31 or 2024-12-31T23:59:00, or say how they are written: "
                "--set 'data.time_format=%d.%m.%y'",
                self.path,
                self.lines[at][0],
                name,
            )
        if not bad:
            what = "The dates are not all written in the same way."
            self.faults.add("dates", what, "write all as 2024-12-31", self.path, column=name)

    def _forms(self) -> dict[str, NumberForm]:
        """How the numbers of each column are written; where that is not clear, there is a fault."""
        decimal = self.config.decimal
        found = {name: [PLAIN] for name in self.columns}
        for name in self.columns:
            cells = [cell for cell in self.cells(name) if cell.lower() not in MISSING]
            if decimal == "," or not all(map(NUMBER.fullmatch, cells)):
                found[name] = forms_of(cells, (".", ",") if decimal == "auto" else (decimal,)) or [PLAIN]
        signs = {forms[0].decimal for forms in found.values() if len(forms) == 1 and _has_commas(forms[0])}
        for name, forms in found.items():
            if len(forms) > 1 and len(signs) == 1:
                found[name] = forms = [form for form in forms if form.decimal in signs]
            if len(forms) > 1:
                cell = next(cell for cell in self.cells(name) if "," in cell)
                what = "The numbers are ambiguous: " + " or ".join(
                    f"'{cell}' can be {form.plain(cell)}" for form in forms
                )
                fix = "write the decimal sign: --set data.decimal=, or --set data.decimal=."
                self.faults.add("commas", f"{what}.", fix, self.path, column=name)
        for form in sorted({forms[0] for forms in found.values()} - {PLAIN}, key=lambda form: form.written):
            names = some([f"'{name}'" for name, forms in found.items() if forms[0] == form])
            self.notes.append(f"numbers of {names} are read as {form.written}; generated ones are as 1234.5")
        return {name: forms[0] for name, forms in found.items()}

    def entities(self) -> list[_Rows]:
        """The rows by entity, in the order of their first row."""
        columns = [self._numbers(name) for name in self.columns]
        values = [list(row) for row in zip(*columns, strict=True)]
        names = self.cells(self.config.entity) if self.config.entity else [_stem(self.path)] * len(values)
        about = [self.cells(name) for name in self.config.about]
        found: dict[str, _Rows] = {}
        seen: set[tuple[str, float]] = set()
        entity = self._telling_apart()
        for at, ((line, _), name) in enumerate(zip(self.lines, names, strict=True)):
            attributes = tuple(cells[at] for cells in about)
            rows = found.setdefault(name, _Rows(self.path, name, entity, attributes=attributes))
            if rows.attributes != attributes:
                self.faults.add(
                    "attributes",
                    f"The attributes of '{name}' are {attributes} here, and {rows.attributes} before.",
                    "attributes have one value for each entity: --set data.entity=COLUMN names the entities",
                    self.path,
                    line,
                )
            rows.lines.append(line)
            time, ahead = self._time_at(at, name, seen)
            rows.times.append(float(len(rows.times)) if time is None else time)
            rows.ahead.append(ahead)
            rows.values.append(values[at])
        return list(found.values())

    def _time_at(self, at: int, entity: str, seen: set[tuple[str, float]]) -> tuple[float | None, float]:
        """The time of a row, None where rows are steps, and how far the clock of the place is ahead of it.

        `seen` collects entities with their times.
        """
        zone = self.config.zone
        if self.dates is None:
            return (self.numbers[at] if self.numbers else None), 0.0
        local, ahead = self.dates.local[at], self.dates.offsets[at]
        if ahead is None and zone and self.dates.form not in EPOCHS:
            ahead = ahead_of_utc(zone, local, again=(entity, local) in seen)
            seen.add((entity, local))
        elif zone:
            utc = local - (ahead or 0.0)
            return utc, ahead_of_utc(zone, utc, utc=True)
        return local - (ahead or 0.0), ahead or 0.0

    def _telling_apart(self) -> str:
        """A column that differs between rows of the same time; the word COLUMN if there is none."""
        times = self.dates.local if self.dates else self.numbers
        if not self.config.entity and len(set(times)) < len(times):
            for name in self.header:
                cells = self.cells(name)
                pairs = len(set(zip(times, cells, strict=True)))
                if name != self.time and pairs == len(times) and 2 * len(set(cells)) <= len(cells):
                    return name
        return "COLUMN"

    def _numbers(self, name: str) -> list[float]:
        """The numbers of a column; NaN for missing ones, whose rows are left out, and for faults."""
        cells, form = self.cells(name), self.forms[name]
        plain = [cell if form == PLAIN else form.plain(cell) or "" for cell in cells]
        numbers = [_number(cell) for cell in plain]
        bad = [at for at, number in enumerate(numbers) if np.isnan(number)]
        gaps = {at for at in bad if cells[at].lower() in MISSING}
        others = [at for at in bad if at not in gaps]
        large = {at for at in others if NUMBER.fullmatch(plain[at])}
        commas = {at for at in others if _has_comma(cells[at])}
        words = [at for at in others if at not in large and at not in commas]
        if words and 2 * len(words) >= len(cells) - len(gaps):
            self._note_text(name, self.lines[words[0]][0])
            return numbers
        for at in others if self.config.missing == "skip" else bad:
            cell, where = cells[at], (self.path, self.lines[at][0], name)
            if at in gaps:
                what = f"'{cell}' is not a number." if cell else "A cell is empty."
                fix = "fill it in; or leave such rows out: --set data.missing=skip"
                self.faults.add("gaps", what, fix, *where, leave=True)
            elif at in large:
                self.faults.add("large", f"'{cell:.40}' is too large.", "correct it", *where, leave=True)
            elif at in commas:
                what = f"'{cell}' has a decimal comma."
                fix = "write all numbers with a decimal point, or all with a comma"
                self.faults.add("commas", what, fix, *where)
            else:
                what = f"'{cell:.40}' is not a number, but most of the column is."
                self.faults.add("numbers", what, "correct it", *where, leave=True)
        return numbers

    def _note_text(self, name: str, line: int) -> None:
        fix = f"if it names the series of each row: --set {shlex.quote(f'data.entity={name}')}"
        if looks_like_a_date(self.cells(name)[0]):
            time = f"--set {shlex.quote(f'data.time={name}')}"
            fix = (
                "if it is the time, write it as 2024-12-31, or say how it is written: "
                f"{time} --set 'data.time_format=%d.%m.%y'"
            )
        separator = other_separator([name])
        fix = separator or fix * (not self.text_seen)  # a file has one column of names, and one of times
        self.text_seen = True
        self.faults.add("text", "This column is text.", fix, self.path, line, name, leave=not separator)


_TIME_WORDS = frozenset(
    (
        *("time", "times", "timestamp", "timestamps", "datetime", "date", "dates", "utc", "gmt"),
        *("day", "days", "month", "year", "years", "period", "ts", "t", "unix", "unixtime", "epoch"),
        *("yyyymmdd", "yyyymm"),
    )
)


def _is_named_as_time(name: str) -> bool:
    """Whether a word of a column's name says that it is the time."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return not _TIME_WORDS.isdisjoint(re.findall("[a-z]+", words))


def _has_commas(form: NumberForm) -> bool:
    return "," in (form.decimal, form.thousands)


def _has_comma(cell: str) -> bool:
    return "," in cell and NUMBER.fullmatch(cell.replace(",", ".", 1)) is not None


def _number(cell: str) -> float:
    """NaN for what is no number, or too large."""
    number = float(cell) if NUMBER.fullmatch(cell) else np.nan
    return number if abs(number) < LARGEST else np.nan


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _ordered(rows: _Rows, notes: list[str], faults: Faults, *, back: bool) -> _Rows:
    """The rows sorted in time, equal rows of the same time once; where such rows differ is a fault.

    `back`: it may be the hour by which a clock is set back.
    """
    times = np.asarray(rows.times)
    if (np.diff(times) < 0).any():
        notes.append(f"{_of(rows)}the rows were not in the order of time: they have been sorted")
    order = np.argsort(times, kind="stable")
    kept: list[int] = []
    for at in order:
        if kept and times[at] == times[kept[-1]]:
            if not np.array_equal(rows.values[at], rows.values[kept[-1]], equal_nan=True):
                fix = (
                    "keep one row of each time; or if several series are in the file, name the column that "
                    f"tells them apart: --set {shlex.quote(f'data.entity={rows.entity}')}"
                )
                if back and times[at] % DAY:
                    fix += (
                        "; or if the clock is set back there, name its place: --set data.zone=Europe/Berlin"
                    )
                what = "Two rows have the same time and different values."
                faults.add("times", what, fix, rows.path, f"{rows.lines[kept[-1]]} and {rows.lines[at]}")
            continue
        kept.append(int(at))
    if len(kept) < len(times):
        notes.append(f"{_of(rows)}{counted(len(times) - len(kept), 'row')} repeated in the file: used once")
    return replace(
        rows,
        lines=[rows.lines[at] for at in kept],
        times=times[kept].tolist(),
        ahead=[rows.ahead[at] for at in kept],
        values=[rows.values[at] for at in kept],
    )


def _clock(entities: Sequence[_Rows], first: _Reader, notes: list[str]) -> tuple[list[_Rows], Clock]:
    """The clock, and the rows with its times."""
    utc = [np.asarray(rows.times) for rows in entities]
    name, zone = first.time or "step", first.config.zone
    if first.dates is None:
        return list(entities), clock_of(np.concatenate(utc), name, dates=False)
    ahead = [np.asarray(rows.ahead) for rows in entities]
    local = [part + more for part, more in zip(utc, ahead, strict=True)]
    last = max(entities, key=lambda rows: rows.times[-1]).ahead[-1]
    times, instants, form = local, False, first.dates.form
    offsets = list(dict.fromkeys(offset_text(one) for one in np.concatenate(ahead).tolist()))
    if (len(offsets) > 1 or zone) and goes_on_in_utc(utc, local):
        times, instants = (utc, True) if zone else ([part + last for part in utc], False)
    if len(offsets) > 1 and not zone:
        example = "America/New_York" if last < 0 else "Europe/Berlin"
        notes.append(
            f"the zone changes ({some(offsets, 3)}): generated times have the last one, {offset_text(last)}; "
            "with the name of the place they follow its daylight saving time, for example "
            f"--set data.zone={example}"
        )
    if zone and form.endswith("Z"):
        form = form.removesuffix("Z") + "%:z"
    clock = clock_of(np.concatenate(times), name, dates=True)
    if first.zoned and not zone:
        zone = offset_text(last)
    moved = [replace(rows, times=part.tolist()) for rows, part in zip(entities, times, strict=True)]
    return moved, replace(clock, form=form, zone=zone, instants=instants).plain()


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
        names = some([rows.name for rows in entities])
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
