"""Breaks that come again: nights, weekends and lunch of a market, or of machines that are switched off."""

from __future__ import annotations

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
WEEK = 7 * DAY
DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """`opens`: seconds after midnight at which sessions begin, or with `weekly` after Thursday's midnight.

    `recent` are those of the last two weeks: in UTC a market opens an hour earlier in summer. `gap`: steps of
    the longest break between two. `weekdays`: no row is on a Saturday or Sunday.
    """

    opens: tuple[float, ...]
    recent: tuple[float, ...]
    weekly: bool
    gap: int
    weekdays: bool

    @property
    def period(self) -> float:
        """A day or a week in seconds. The first week since 1970 began on a Thursday."""
        return WEEK if self.weekly else DAY

    def begin_at(self, time: float) -> bool:
        """Whether a session begins at that time."""
        return time % self.period in self.opens

    def after(self, time: float) -> float:
        """When the next session after a time begins: seconds since 1970 on the clock of `time`."""
        start = time // self.period * self.period
        later = [start + self.period * more + at for more in range(4) for at in self.recent]
        return next(
            moment for moment in later if moment > time and not (self.weekdays and _is_weekend(moment))
        )

    def describe(self) -> str:
        """The openings: `09:30`, `Sunday 22:00`."""
        texts = [f"{int(at % DAY // 3600):02}:{int(at % 3600 // 60):02}" for at in self.opens]
        if self.weekly:
            texts = [f"{DAYS[int(at // DAY)]} {text}" for at, text in zip(self.opens, texts, strict=True)]
        return " and ".join(texts)


def _is_weekend(time: float) -> bool:
    return int(time // DAY + 3) % 7 >= 5


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
            last = {end % period for end in ends[ends > ends.max() - 2 * WEEK].tolist()}
            regular = [steps for steps, end in gaps if end % period in common]
            return Sessions(
                opens=tuple(sorted(common)),
                recent=tuple(sorted(last.intersection(common) or common)),
                weekly=weekly,
                gap=math.ceil(max(regular)),
                weekdays=bool(((np.concatenate(times) // DAY + 3) % 7 < 5).all()),
            )
    return None
