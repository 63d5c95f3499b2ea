"""Times of rows as numbers of steps, and back: weekdays, months, seconds, or plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M")
DAY = 86_400.0
_FIRST = datetime(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The time column: its name, its unit, the time of the first step that is written, and the step.

    Times are seconds since 1970 (in UTC where the data says a zone), or plain numbers. `step` is in seconds
    or plain numbers; 1 for weekdays and months. Without a time column the name is `step`.
    """

    column: str = "step"
    unit: Literal["weekday", "month", "second", "number"] = "number"
    start: float = 0.0
    step: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> Clock:
        """The inverse of `to_json`; ValueError or TypeError for anything else."""
        clock = cls(**raw)
        if clock.unit not in ("weekday", "month", "second", "number") or not clock.step > 0:
            raise ValueError("the clock of a series has an unknown unit, or a step that is not above 0")
        return clock

    def positions(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times as numbers of steps, from any origin."""
        import numpy as np

        if self.unit == "weekday":
            days = (times // DAY).astype("datetime64[D]")
            return np.busday_count("1970-01-01", days).astype(np.float64)
        if self.unit == "month":
            return (times * 1e6).astype("datetime64[us]").astype("datetime64[M]").astype(np.float64)
        return times / self.step

    def at(self, time: float) -> str:
        """One time as a text."""
        return replace(self, start=float(time)).texts(1)[0]

    def texts(self, count: int) -> list[str]:
        """The times of so many steps, the first one at `start`."""
        if self.unit == "number":
            return [f"{self.start + self.step * at:.12g}" for at in range(count)]
        first = _FIRST + timedelta(seconds=self.start)
        if self.unit == "second":
            times = [first + timedelta(seconds=self.step * at) for at in range(count)]
            short = self.step % DAY == 0 and self.start % DAY == 0
            return [f"{time:%Y-%m-%d}" if short else time.isoformat() for time in times]
        if self.unit == "month":
            months = [first.year * 12 + first.month - 1 + at for at in range(count)]
            return [f"{month // 12:04d}-{month % 12 + 1:02d}-{min(first.day, 28):02d}" for month in months]
        import numpy as np

        days = np.busday_offset(np.datetime64(first, "D"), np.arange(count), roll="forward")
        return [str(day) for day in days]

    def after(self, time: float) -> float:
        """The time one step later."""
        if self.unit in ("second", "number"):
            return time + self.step
        moment = datetime.fromisoformat(replace(self, start=float(time)).texts(2)[1])
        return (moment - _FIRST).total_seconds()

    def describe(self) -> str:
        """The step in a few words."""
        if self.unit in ("weekday", "month"):
            return f"a {self.unit}"
        if self.unit == "number":
            return f"{self.step:g}"
        return str(timedelta(seconds=self.step))


def parsed_dates(cells: Sequence[str], time_format: str = "") -> list[float] | None:
    """Seconds since 1970 for each cell; None where they are no dates. ValueError if two formats fit."""
    if time_format:
        return _dates(cells, time_format)
    if (found := _dates(cells, "")) is not None:
        return found
    fitting = {text: dates for text in FORMATS if (dates := _dates(cells, text)) is not None}
    if len(fitting) > 1:
        raise ValueError(f"'{cells[0]}' can be read as {' or '.join(fitting)}")
    return next(iter(fitting.values()), None)


def _dates(cells: Sequence[str], time_format: str) -> list[float] | None:
    try:
        times = [
            datetime.strptime(cell, time_format) if time_format else datetime.fromisoformat(cell)
            for cell in cells
        ]
    except ValueError:
        return None
    plain = [time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time for time in times]
    return [(time - _FIRST).total_seconds() for time in plain]


def clock_of(times: NDArray[np.float64], column: str, *, dates: bool) -> Clock:
    """The clock of sorted times of one series or several (concatenated): the usual difference is the step."""
    import numpy as np

    steps = np.diff(times)
    steps = steps[steps > 0]
    step = float(np.median(steps)) if len(steps) else 1.0
    start = float(times[0])
    if not dates:
        return Clock(column=column, start=start, step=step)
    whole = bool((times % DAY == 0).all())
    if whole and step == DAY and bool(((times // DAY + 3) % 7 < 5).all()) and np.ptp(times) > 10 * DAY:
        return Clock(column=column, unit="weekday", start=start)
    if (
        whole
        and 28 * DAY <= step <= 31 * DAY
        and len(set((times * 1e6).astype("datetime64[us]").tolist())) > 2
    ):
        days = {moment.day for moment in (times * 1e6).astype("datetime64[us]").tolist()}
        if len(days) == 1 or min(days) >= 28:
            return Clock(column=column, unit="month", start=start)
    return Clock(column=column, unit="second", start=start, step=step)
