"""Breaks that come again: nights, weekends and lunch of a market, or of machines that are switched off."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganzoo_series.clock import DAY, Clock

Floats = NDArray[np.float64]

FEWEST = 5  # breaks
OPENINGS = 3  # times of the day, or of the week, at which sessions begin; a market may close at noon
ALMOST_ALL = 0.9  # of the gaps end then
OFTEN = 0.5  # of the days, or of the weeks, begin with one
HOUR = 3600.0  # by which breaks of one kind differ: daylight saving time begins or ends in one
WEEK = 7 * DAY
HOLIDAYS = 5 * DAY  # the longest break of a market, with four closed days: Good Friday to Easter Monday
DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """`opens`: seconds after midnight at which sessions begin, or with `weekly` after Thursday's midnight.

    `recent`: seconds after Thursday's midnight at which they begin on each day that has some, as in the last
    two weeks: in UTC a market opens an hour earlier in summer. `gap`: steps of the longest usual break.
    """

    opens: tuple[float, ...]
    recent: tuple[float, ...]
    weekly: bool
    gap: int

    @property
    def period(self) -> float:
        """A day or a week in seconds. The first week since 1970 began on a Thursday."""
        return WEEK if self.weekly else DAY

    def begin_at(self, time: float) -> bool:
        """Whether a session begins at that time."""
        return time % self.period in self.opens

    def after(self, time: float) -> float:
        """When the next session after a time begins: seconds since 1970 on the clock of `time`."""
        start = time // WEEK * WEEK
        later = [start + at for at in self.recent]
        return min(moment if moment > time else moment + WEEK for moment in later)

    def describe(self) -> str:
        """The openings: `09:30`, `Sunday 22:00`."""
        texts = [f"{int(at % DAY // 3600):02}:{int(at % 3600 // 60):02}" for at in self.opens]
        if self.weekly:
            texts = [f"{DAYS[int(at // DAY)]} {text}" for at, text in zip(self.opens, texts, strict=True)]
        return " and ".join(texts)


def sessions_of(
    clock: Clock, times: Sequence[Floats], gaps: Sequence[tuple[float, float]]
) -> Sessions | None:
    """What the gaps have in common; None if they do not come again each day or each week.

    `times` are those of each entity, in order; `gaps` are the steps of each gap and the time after it.
    """
    if clock.unit != "second" or clock.step >= DAY or len(gaps) < FEWEST:
        return None
    ends = np.array([end for _, end in gaps])
    for weekly, period in ((False, DAY), (True, WEEK)):
        usual = Counter((ends % period).tolist()).most_common(OPENINGS)
        count = sum(len(np.unique(one // period)) for one in times)
        if sum(found for _, found in usual) >= ALMOST_ALL * len(ends) and len(ends) >= OFTEN * count:
            common = [at for at, found in usual if found * OPENINGS >= usual[0][1]]
            regular = [(steps * clock.step, end) for steps, end in gaps if end % period in common]
            starts = [float(one[0]) for one in times if one[0] % period in common]
            recent = _of_a_week([*starts, *(end for _, end in regular)], period)
            most = _longest_usual(regular, weekly=weekly, every_day=len({at // DAY for at in recent}) == 7)
            breaks = [length for length, _ in regular if length <= most]
            return Sessions(
                opens=tuple(sorted(common)),
                recent=recent,
                weekly=weekly,
                gap=math.ceil(max(breaks, default=most) / clock.step),
            )
    return None


def _of_a_week(starts: Sequence[float], period: float) -> tuple[float, ...]:
    """When in a week sessions begin, from when they have: at the times of the last two weeks.

    Days are those of all weeks, as these two may have holidays, but without rare ones. Times an hour from
    each other are of one opening, and its last one counts.
    """
    last = {start % period: start for start in sorted(starts) if start > max(starts) - 2 * WEEK}
    found: set[float] = set()
    for at, time in last.items():
        ahead = [(at - start + period / 2) % period - period / 2 for start in starts]
        same = [(start, by) for start, by in zip(starts, ahead, strict=True) if abs(by) <= HOUR]
        if max(start for start, _ in same) == time:
            counts = Counter((start + by) % WEEK for start, by in same)
            found |= {one for one, count in counts.items() if count * OPENINGS >= max(counts.values())}
    return tuple(sorted(found))


def _longest_usual(breaks: Sequence[tuple[float, float]], *, weekly: bool, every_day: bool) -> float:
    """Seconds of the longest break that is no missing data, of (seconds, the time after it).

    That is one as long as another one at another time; a night; or a weekend with holidays, of markets.
    """
    at_once = {end: length for length, end in sorted(breaks)}  # entities often miss the same rows
    lengths = sorted(at_once.values())
    twice = [long for short, long in itertools.pairwise(lengths) if long - short <= HOUR]
    if weekly:
        return max(twice, default=WEEK)
    return max(DAY if every_day else HOLIDAYS, *twice)
