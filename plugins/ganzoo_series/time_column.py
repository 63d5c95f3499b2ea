"""The column of times of one file: which one it is, how it is read, and the time of each row."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import numpy as np

from ganzoo_series.clock import ahead_of_utc
from ganzoo_series.dates import EPOCH_NAMES, EPOCHS, AmbiguousDatesError, Dates, number_dates, read_dates
from ganzoo_series.series_file import SeriesFile
from ganzoo_tables.config import setting
from ganzoo_tables.read_csv import NUMBER

FEW = 6  # columns that are named in full


class TimeColumn:
    """The times of one file. `name` is empty where the rows are steps; `notes` are for the user.

    DataError where no column is as the options say; other faults go to `file.faults`, and there are then no
    times, or not all.
    """

    def __init__(self, file: SeriesFile) -> None:
        self.file = file
        self.notes: list[str] = []
        self.dates: Dates | None = None
        self.numbers: list[float] = []  # the times that are no dates
        self.name = self._find()

    @property
    def times_are(self) -> str | None:
        """What the times are, for messages; None where there is a fault in the column."""
        if self.dates is not None:
            return "dates"
        return "numbers" if self.numbers else None if self.name else "the row numbers"

    @property
    def zoned(self) -> bool:
        """Whether the times name their zone."""
        return self.dates is not None and self.dates.offsets[0] is not None

    def at_row(self, at: int, entity: str, seen: set[tuple[str, float]]) -> tuple[float | None, float]:
        """The time of a row, None where rows are steps, and how far the clock of the place is ahead of it.

        `seen` collects entities with their times.
        """
        zone = self.file.config.zone
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

    def column_beside(self) -> str:
        """A column that differs between rows of the same time; the word COLUMN if there is none."""
        times = self.dates.local if self.dates else self.numbers
        if not self.file.config.entity and len(set(times)) < len(times):
            for name in self.file.header:
                cells = self.file.cells(name)
                pairs = len(set(zip(times, cells, strict=True)))
                if name != self.name and pairs == len(times) and 2 * len(set(cells)) <= len(cells):
                    return name
        return "COLUMN"

    def _find(self) -> str:
        """The column of times, whose values it reads; empty if there is none."""
        file, config = self.file, self.file.config
        taken = {config.entity, *config.columns, *config.leave_out, *config.about}
        candidates = [config.time] if config.time else [name for name in file.header if name not in taken]
        numeric = [name for name in candidates if all(map(NUMBER.fullmatch, file.cells(name)))]
        if config.time_format in EPOCHS and not config.time:
            candidates = [name for name in numeric if _is_named_as_time(name)]
        for name in candidates:
            if name in numeric and not config.time_format:
                continue
            try:
                found = read_dates(file.cells(name), config.time_format)
            except AmbiguousDatesError as error:
                fix = " or ".join(f"--set {shlex.quote(f'data.time_format={one}')}" for one in error.formats)
                file.faults.add("dates", f"The dates are ambiguous: {error}.", fix, file.path, column=name)
                return name
            if found is not None:
                self._use(name, found)
                return name
        for name in numeric:
            if not config.time_format and self._use_numbers(name):
                return name
        partly = [name for name in candidates if name not in numeric and self._is_date(file.cells(name)[0])]
        for name in [config.time] if config.time else partly[:1]:
            self._note_times(name)
            return name
        if config.time_format:
            file.refuse(
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
            where = (self.file.path, self.file.lines[at][0], name)
            self.file.faults.add("zones", what, "write it in all rows, or in none", *where)

    def _use_numbers(self, name: str) -> bool:
        """Whether a column of numbers is the time; then it is read."""
        if name != self.file.config.time and not _is_named_as_time(name):
            return False
        cells = self.file.cells(name)
        if (found := number_dates(cells)) is not None:
            self._use(name, found)
            unit = EPOCH_NAMES.get(found.form)
            how = f"as Unix time in {unit}" if unit else f"as dates, {found.form}"
        elif name == self.file.config.time or self._grows(name):
            self.numbers = list(map(float, cells))
            how = "as the time, in steps"
        else:
            return False
        if name != self.file.config.time:
            used = (self.file.config.entity, *self.file.config.leave_out, *self.file.config.about)
            others = [other for other in self.file.header if other not in used]
            learn = setting("columns", *others) if len(others) < FEW else "name it in data.columns"
            self.notes.append(f"column '{name}' was read {how}; to learn it as a value: {learn}")
        return True

    def _grows(self, name: str) -> bool:
        """Whether the numbers grow from row to row of each entity."""
        last: dict[str, float] = {}
        names = (
            self.file.cells(self.file.config.entity)
            if self.file.config.entity
            else [""] * len(self.file.lines)
        )
        for entity, cell in zip(names, self.file.cells(name), strict=True):
            if entity in last and float(cell) <= last[entity]:
                return False
            last[entity] = float(cell)
        return True

    def _note_counters(self, numeric: Sequence[str]) -> None:
        """A note on the first column of numbers that may be the time, where there is no other."""
        for name in numeric if len(numeric) > 1 else []:
            with np.errstate(invalid="ignore"):  # numbers that are too large
                steps = np.diff(np.array(self.file.cells(name), np.float64))
            if _is_named_as_time(name) or (steps[0] > 0 and (steps == steps[0]).all()):
                self.notes.append(
                    f"column '{name}' is learned as a value; if it is the time: --set "
                    f"{shlex.quote(f'data.time={name}')}, and if needed --set data.time_format=FORMAT"
                )
                return

    def _is_date(self, cell: str) -> bool:
        form = self.file.config.time_format
        try:
            return read_dates([cell], form) is not None
        except AmbiguousDatesError:
            return True

    def _note_times(self, name: str) -> None:
        """The faults of a column whose cells are not all times."""
        cells = self.file.cells(name)
        bad = [at for at, cell in enumerate(cells) if not cell or not self._is_date(cell)]
        for at in bad:
            self.file.faults.add(
                "dates",
                f"'{cells[at]:.40}' is no date that is known." if cells[at] else "A time is empty.",
                "write dates as 2024-12-31 or 2024-12-31T23:59:00, or say how they are written: "
                "--set 'data.time_format=%d.%m.%y'",
                self.file.path,
                self.file.lines[at][0],
                name,
            )
        if not bad:
            what = "The dates are not all written in the same way."
            self.file.faults.add("dates", what, "write all as 2024-12-31", self.file.path, column=name)


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
