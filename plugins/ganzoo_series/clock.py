"""Times of rows as numbers of steps, and back: weekdays, months, seconds, or plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ganzoo.api import DataError
from ganzoo_series.dates import EPOCHS, FIRST, seconds_of, written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The time column: its name, its unit, the time of the first step that is written, and the step.

    Times are seconds since 1970 on the clock of the data's place, or plain numbers; with `instants` they are
    seconds since 1970 in UTC. `step` is in seconds or plain numbers, a number of months, or 1 for weekdays.
    Without a time column the name is `step`. `form` is how times are written, see `dates.Dates`; empty for
    ISO 8601. `zone` is the place's distance from UTC (`+02:00`), a name such as `Europe/Berlin`, or empty.
    `day` is the day of months, at most their last one; 0 is that of `start`, at most 28.
    """

    column: str = "step"
    unit: Literal["weekday", "month", "second", "number"] = "number"
    start: float = 0.0
    step: float = 1.0
    form: str = ""
    zone: str = ""
    instants: bool = False
    day: int = 0

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; what 0.1.0 did not know is there only where it says something.

        So the data of its runs keeps its fingerprint.
        """
        usual = {"form": "", "zone": "", "instants": False, "day": 0}
        return {name: value for name, value in asdict(self).items() if usual.get(name) != value}

    def plain(self) -> Clock:
        """The same, with an empty form where that says the same: ISO 8601 without a zone."""
        whole = self.start % DAY == 0 and (self.unit != "second" or self.step % DAY == 0)
        usual = "%Y-%m-%d" if whole else "%Y-%m-%dT%H:%M:%S"
        return replace(self, form="") if self.form == usual and not self.zone else self

    @classmethod
    def from_json(cls, raw: Any) -> Clock:
        """The inverse of `to_json`; ValueError or TypeError for anything else."""
        clock = cls(**raw)
        if clock.unit not in ("weekday", "month", "second", "number") or not clock.step > 0:
            raise ValueError("the clock of a series has an unknown unit, or a step that is not above 0")
        if not (isinstance(clock.form, str) and isinstance(clock.zone, str) and clock.day in range(32)):
            raise ValueError("the clock of a series has an unknown form, zone or day")
        if clock.zone:
            place_of(clock.zone)
        return clock

    def positions(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times as numbers of steps, from any origin."""
        import numpy as np

        if self.unit == "weekday":
            days = (times // DAY).astype("datetime64[D]")
            return np.busday_count("1970-01-01", days).astype(np.float64)
        if self.unit == "month":
            return _months(times) / self.step
        return times / self.step

    def at(self, time: float) -> str:
        """One time as a text for people."""
        form = "" if self.form in EPOCHS else self.form
        return replace(self, start=float(time), form=form).texts(1)[0]

    def texts(self, count: int) -> list[str]:
        """The times of so many steps, the first one at `start`. DataError after the year 9999."""
        if self.unit == "number":
            numbers = [self.start + self.step * at for at in range(count)]
            return [f"{number:.0f}" if number.is_integer() else f"{number:.12g}" for number in numbers]
        form, moments = self.form, self._moments(count)
        if not form and self.start % DAY == 0 and (self.unit != "second" or self.step % DAY == 0):
            form = "%Y-%m-%d"
        place = place_of(self.zone) if self.zone else None
        if self.instants:
            moments = [moment.replace(tzinfo=UTC).astimezone(place) for moment in moments]
        elif place:
            moments = [moment.replace(tzinfo=place) for moment in moments]
        return [written(moment, form) for moment in moments]

    def _moments(self, count: int) -> list[datetime]:
        """The steps as times without a zone."""
        try:
            first = FIRST + timedelta(seconds=self.start)
            if self.unit == "second":
                return [first + timedelta(seconds=self.step * at) for at in range(count)]
            if self.unit == "month":
                months = [first.year * 12 + first.month - 1 + round(self.step) * at for at in range(count)]
                return [_day_of(first, month, self.day or min(first.day, 28)) for month in months]
        except (OverflowError, ValueError) as error:
            raise DataError(
                "The times of the series would be after the year 9999.",
                where=f"{count:,} steps of {self.describe()} from the end of the data on",
                fix="fewer steps: --length",
            ) from error
        import numpy as np

        days = np.busday_offset(np.datetime64(first, "D"), np.arange(count), roll="forward")
        return [datetime.combine(day, first.time()) for day in days.tolist()]

    def after(self, time: float) -> float:
        """The time one step later."""
        if self.unit in ("second", "number"):
            return time + self.step
        return seconds_of(replace(self, start=float(time))._moments(2)[1])

    def describe(self) -> str:
        """The step in a few words."""
        if self.unit == "month" and self.step != 1:
            return f"{self.step:g} months"
        if self.unit in ("weekday", "month"):
            return f"a {self.unit}"
        if self.unit == "number":
            return f"{self.step:g}"
        days, rest = divmod(timedelta(seconds=self.step), timedelta(days=1))
        parts = [f"{days} day{'s' * (days != 1)}"] if days else []
        return ", ".join([*parts, str(rest)] if rest or not days else parts)


def place_of(zone: str) -> tzinfo:
    """`+02:00`, or a name of the IANA's list. ValueError for others."""
    if zone[:1] in ("+", "-"):
        return timezone(offset_of(zone))
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"'{zone}' is no zone that this computer knows: write it as Europe/Berlin "
            "(on Windows after `pip install tzdata`)"
        ) from error


def offset_of(zone: str) -> timedelta:
    """How far a place with the distance `+02:00` is ahead of UTC. ValueError for other texts."""
    ahead = datetime.strptime(zone, "%z").utcoffset()
    assert ahead is not None  # noqa: S101 (strptime has read one)
    return ahead


def ahead_of_utc(zone: str, seconds: float, *, utc: bool = False, again: bool = False) -> float:
    """Seconds that a place is ahead of UTC at a time of its own clock, or with `utc` at a time in UTC.

    `again`: its clock shows the time for the second time, because it has been set back.
    """
    moment = FIRST + timedelta(seconds=seconds)
    place = place_of(zone)
    there = moment.replace(tzinfo=UTC).astimezone(place) if utc else moment.replace(tzinfo=place, fold=again)
    ahead = there.utcoffset()
    assert ahead is not None  # noqa: S101 (`place_of` has returned a zone)
    return ahead.total_seconds()


def offset_text(seconds: float) -> str:
    """`+02:00` for 7,200."""
    text = f"{datetime(1970, 1, 1, tzinfo=timezone(timedelta(seconds=seconds))):%z}"
    return f"{text[:3]}:{text[3:5]}"


def _day_of(first: datetime, month: int, day: int) -> datetime:
    """A day of the month (a number since the year 0), at most its last one, at the time of day of `first`."""
    start = first.replace(year=month // 12, month=month % 12 + 1, day=1)
    last = (start + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return start.replace(day=min(day, last.day))


def _last_day(days: set[int]) -> int:
    """The day of months for a clock, 0 for one that all months have."""
    return max(days) if max(days) > 28 else 0


def _months(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return (times * 1e6).astype("datetime64[us]").astype("datetime64[M]").astype("float64")


def goes_on_in_utc(utc: Sequence[NDArray[np.float64]], local: Sequence[NDArray[np.float64]]) -> bool:
    """Whether series go on evenly in UTC, such as measurements every hour, and not on the clock of a place.

    `utc` and `local` are the times of each series. Days begin at local midnight.
    """
    import numpy as np

    steps = [np.concatenate([np.diff(part) for part in times]) for times in (utc, local)]
    if not len(steps[0]) or min(map(np.median, steps)) <= 0:
        return True
    usual = float(np.median(steps[0]))
    even, even_there = (int((one % np.median(one) == 0).sum()) for one in steps)
    return even > even_there or (even == even_there and usual % DAY != 0)


def clock_of(times: NDArray[np.float64], column: str, *, dates: bool) -> Clock:
    """The clock of sorted times of one series or several (concatenated): the usual difference is the step."""
    import numpy as np

    steps = np.diff(times)
    steps = steps[steps > 0]
    step = float(np.median(steps)) if len(steps) else 1.0
    start = float(times[0])
    if not dates:
        return Clock(column=column, start=start, step=step)
    same_hour = bool((times % DAY == start % DAY).all())
    weekdays = bool(((times // DAY + 3) % 7 < 5).all())
    if same_hour and step == DAY and weekdays and np.ptp(times) > 10 * DAY:
        return Clock(column=column, unit="weekday", start=start)
    different = np.unique(times)
    if same_hour and step >= 28 * DAY and len(different) > 2:
        days = {moment.day for moment in (different * 1e6).astype("datetime64[us]").tolist()}
        if len(days) == 1 or min(days) >= 28:
            between = np.diff(_months(times))
            months = float(np.median(between[between > 0]))
            return Clock(column=column, unit="month", start=start, step=max(months, 1.0), day=_last_day(days))
    return Clock(column=column, unit="second", start=start, step=step)
