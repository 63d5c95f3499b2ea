"""The rows of each entity, sorted in time, and the clock that all of them share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ganzoo.api import counted, some
from ganzoo_series.clock import DAY, Clock, clock_of, goes_on_in_utc, offset_text
from ganzoo_series.faults import Faults
from ganzoo_series.number_columns import NumberColumns
from ganzoo_series.series_file import SeriesFile
from ganzoo_series.time_column import TimeColumn


@dataclass
class Rows:
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


def rows_of(file: SeriesFile, time: TimeColumn, columns: NumberColumns) -> list[Rows]:
    """The rows of one file by entity, in the order of their first row."""
    values = [list(row) for row in zip(*map(columns.numbers, columns.names), strict=True)]
    entity = file.config.entity
    names = file.cells(entity) if entity else [_stem(file.path)] * len(values)
    about = [file.cells(name) for name in file.config.about]
    found: dict[str, Rows] = {}
    seen: set[tuple[str, float]] = set()
    beside = time.column_beside()
    for at, ((line, _), name) in enumerate(zip(file.lines, names, strict=True)):
        attributes = tuple(cells[at] for cells in about)
        rows = found.setdefault(name, Rows(file.path, name, beside, attributes=attributes))
        if rows.attributes != attributes:
            file.faults.add(
                "attributes",
                f"The attributes of '{name}' are {attributes} here, and {rows.attributes} before.",
                "attributes have one value for each entity: --set data.entity=COLUMN names the entities",
                file.path,
                line,
            )
        rows.lines.append(line)
        moment, ahead = time.at_row(at, name, seen)
        rows.times.append(float(len(rows.times)) if moment is None else moment)
        rows.ahead.append(ahead)
        rows.values.append(values[at])
    return list(found.values())


def in_order(rows: Rows, notes: list[str], faults: Faults, *, back: bool) -> Rows:
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


def on_one_clock(entities: Sequence[Rows], first: TimeColumn, notes: list[str]) -> tuple[list[Rows], Clock]:
    """The clock, and the rows with its times."""
    utc = [np.asarray(rows.times) for rows in entities]
    name, zone = first.name or "step", first.file.config.zone
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


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _of(rows: Rows) -> str:
    return f"'{rows.name}': "
