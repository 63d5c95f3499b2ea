"""Cells as times: how they are written (ISO 8601, a format of `strptime`, Unix time), and their zones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

FIRST = datetime(1970, 1, 1)
EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Unix time: ticks in a second, by the unit, which is a `time_format`."""
EPOCH_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

FARTHEST = 2.5e11  # seconds from 1970 to about the year 9900

_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b %Y", "%b-%Y", "%B %Y")
FORMATS = (*(day + time for day, time in product(_DAYS, _TIMES)), *_MONTHS)
"""Formats that are tried where dates are no ISO 8601."""

_ISO = re.compile(
    r"\d{4}(?P<dash>-?)\d\d(?P=dash)\d\d"
    r"((?P<gap>[T ])\d\d(?P<colon>:?)\d\d(?P<seconds>(?P=colon)\d\d(?P<part>[.,]\d+)?)?"
    r"(?P<zone>Z|[+-]\d\d(?P<mid>:?)\d\d)?)?",
    re.ASCII,
)
_LIKE_A_DATE = re.compile(
    r"\d{1,4}[-/. ]+(\d{1,2}|[^\W\d]{3,9}\.?)([-/. ]+\d{1,4})?\b.*|[^\W\d]{3,9}\.? \d{1,2},? \d{4}.*"
    r"|\d{1,2}:\d{2}(:\d{2}.*)?|\d{4}[- ]?Q[1-4]|Q[1-4][-/ ]?\d{4}",
    re.ASCII,
)


class AmbiguousDatesError(ValueError):
    """Several formats fit; `formats` are those."""

    def __init__(self, cell: str, formats: Sequence[str]) -> None:
        super().__init__(f"'{cell}' can be read as {' or '.join(formats)}")
        self.formats = tuple(formats)


@dataclass(frozen=True, kw_only=True)
class Dates:
    """The times of some cells.

    `local` are seconds since 1970 on the clock of the place, as written. `offsets` are seconds that this
    clock is ahead of UTC, None for a cell that names no zone. `form` is how they are written: a format of
    `strftime`, in which `%z` is +0200 and `%:z` is +02:00; or a key of `EPOCHS`.
    """

    local: list[float]
    offsets: list[float | None]
    form: str


def read_dates(cells: Sequence[str], time_format: str = "") -> Dates | None:
    """The times of all cells, or None. `AmbiguousDatesError` if two formats fit that mean different times."""
    if time_format in EPOCHS:
        return _unix(cells, time_format)
    if time_format:
        return _dates(cells, time_format)
    if (found := _iso(cells)) is not None:
        return found
    fitting = [dates for form in formats_of(cells[0]) if (dates := _dates(cells, form)) is not None]
    different = [dates.local != fitting[0].local for dates in fitting]
    if any(different):
        raise AmbiguousDatesError(cells[0], [dates.form for dates in fitting])
    return fitting[0] if fitting else None


def formats_of(cell: str) -> list[str]:
    """Those of `FORMATS` that fit one cell."""
    return [form for form in FORMATS if _dates([cell], form) is not None]


def looks_like_a_date(cell: str) -> bool:
    """Whether somebody could take the text for a date."""
    return _LIKE_A_DATE.fullmatch(cell) is not None


def number_dates(cells: Sequence[str]) -> Dates | None:
    """Whole numbers that are times: 20240131, 202401, and Unix time of the years 1973 to 2100.

    Dates without separators have 8 digits, or 12 or 14 with a time; months have 6. Seconds have 9 or 10
    digits, and their thousandths 3 more each.
    """
    sizes = {len(cell) for cell in cells}
    by_size = {6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    if len(sizes) == 1 and all(map(str.isdigit, cells)) and (form := by_size.get(min(sizes))):
        found = _dates(cells, form) if all(1800 <= int(cell[:4]) <= 2200 for cell in cells) else None
        if found:
            return found
    for unit, ticks in EPOCHS.items():
        if all(1e8 * ticks <= float(cell) < 4_102_444_800 * ticks for cell in cells):
            return _unix(cells, unit)
    return None


def seconds_of(moment: datetime) -> float:
    """Seconds since 1970 of a time without a zone."""
    return (moment - FIRST).total_seconds()


def written(moment: datetime, form: str) -> str:
    """One time as a text; `form` as in `Dates`, or empty for ISO 8601. Unix time is exact to microseconds."""
    if form in EPOCHS:
        utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        micros = (utc - FIRST) // timedelta(microseconds=1)
        return str(micros * round(EPOCHS[form]) // 1_000_000)
    if not form:
        return moment.isoformat()
    offset = f"{moment:%z}"
    # strftime has no %:z before Python 3.12, and C libraries differ in the width of %Y before the year 1000
    for code, text in (("%:z", f"{offset[:3]}:{offset[3:5]}"), ("%z", offset), ("%Y", f"{moment.year:04d}")):
        form = form.replace(code, text)
    return moment.strftime(form)


def _iso(cells: Sequence[str]) -> Dates | None:
    return _read(cells, datetime.fromisoformat, _iso_form(max(cells, key=len)))


def _iso_form(cell: str) -> str:
    """How an ISO 8601 text is written; empty for rare ways, such as weeks."""
    if (found := _ISO.fullmatch(cell)) is None:
        return ""
    dash, colon = found["dash"], found["colon"] or ""
    form = f"%Y{dash}%m{dash}%d"
    if found["gap"]:
        form += f"{found['gap']}%H{colon}%M" + f"{colon}%S" * bool(found["seconds"])
        form += ".%f" * bool(found["part"])
    if found["zone"]:
        form += "Z" if found["zone"] == "Z" else "%:z" if found["mid"] else "%z"
    return form


def _dates(cells: Sequence[str], form: str) -> Dates | None:
    shown = form.replace("%z", "%:z") if re.search(r"[+-]\d\d:\d\d$", cells[0]) else form
    return _read(cells, lambda cell: datetime.strptime(cell, form), shown)


def _read(cells: Sequence[str], parse: Callable[[str], datetime], form: str) -> Dates | None:
    try:
        moments = [parse(cell) for cell in cells]
    except ValueError:
        return None
    ahead = [moment.utcoffset() for moment in moments]
    return Dates(
        local=[seconds_of(moment.replace(tzinfo=None)) for moment in moments],
        offsets=[None if offset is None else offset.total_seconds() for offset in ahead],
        form=form,
    )


def _unix(cells: Sequence[str], unit: str) -> Dates | None:
    try:
        local = [float(cell) / EPOCHS[unit] for cell in cells]
    except ValueError:
        return None
    inside = all(abs(seconds) < FARTHEST for seconds in local)
    return Dates(local=local, offsets=[None] * len(local), form=unit) if inside else None
