"""Rows -> pieces without gaps, and what the user should know of the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted, some
from ganzoo_series.clock import Clock
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.rows import Rows
from ganzoo_series.sessions import Sessions, sessions_of

Floats = NDArray[np.float64]

HOLIDAYS = 6.0  # weekdays from one row to the next that are no gap, of days that are all weekdays
JITTER = 1.5  # the same for other times, in steps
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
    than `attributes` names: its label. `sessions` are there if the gaps between pieces come again.
    """

    columns: tuple[str, ...]
    attributes: tuple[str, ...]
    pieces: tuple[Piece, ...]
    clock: Clock
    left_out: tuple[str, ...] = ()
    labelled: bool = False
    notes: tuple[str, ...] = ()
    card: tuple[tuple[str, str, str], ...] = ()
    sessions: Sessions | None = None


def cut_at_gaps(
    entities: Sequence[Rows],
    columns: tuple[str, ...],
    clock: Clock,
    config: CsvSeriesConfig,
    notes: list[str],
) -> SeriesTable:
    """The pieces between gaps, and what the user should know of them.

    DataError if no row has all its values.
    """
    most = config.gap or (HOLIDAYS if clock.unit == "weekday" else JITTER)
    pieces: list[Piece] = []
    gaps: list[tuple[float, float, float]] = []  # steps, the times before and after
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
            gaps.append((positions[after] - positions[before], times[before], times[after]))
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
    sessions = sessions_of(
        clock, [np.asarray(rows.times) for rows in entities], [(steps, end) for steps, _, end in gaps]
    )
    opened = 0
    if sessions:
        gaps = [gap for gap in gaps if gap[0] > sessions.gap or not sessions.begin_at(gap[2])]
        opened = len(pieces) - sum(not sessions.begin_at(end) for _, _, end in gaps)
        rule += f" within sessions, or {sessions.gap:,} between"
    longest = [
        f"{clock.at(before)} to {clock.at(after)}" for _, before, after in sorted(gaps, reverse=True)[:SHOWN]
    ]
    first = clock.at(min(piece.times[0] for piece in pieces))
    last = clock.at(max(piece.times[-1] for piece in pieces))
    said = f"{rule}; the longest: {', '.join(longest)}" if gaps else f"none of {rule}"
    card = [
        ("time", f"{clock.column}: {first} to {last}", f"a step is {clock.describe()}"),
        *_about_sessions(sessions, pieces, clock, opened),
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
        sessions=sessions,
    )


def _about_sessions(
    sessions: Sessions | None, pieces: Sequence[Piece], clock: Clock, count: int
) -> list[tuple[str, str, str]]:
    if sessions is None:
        return []
    longest = max(len(piece.times) for piece in pieces)
    opens = sessions.describe() + " UTC" * clock.instants
    return [
        (
            "sessions",
            f"{count:,} of up to {longest:,} steps, from {opens}",
            f"a window is within one; --set data.gap={sessions.gap} lets windows go on across the breaks",
        )
    ]
