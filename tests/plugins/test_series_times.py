"""Times and numbers as other programs write them: read, and written again in the same way."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ganzoo.api import ArraySource, DataError
from ganzoo_series.clock import Clock
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.datasets import open_series
from ganzoo_series.media import SeriesMedia

SHORT = CsvSeriesConfig(length=4, held_out=0.0)
COUNT, LATER = 400, 24
VALUES = [str(value) for value in np.random.default_rng(0).normal(0, 1, COUNT).round(3)]
NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


def write(path: Path, times: Sequence[str], values: Sequence[str] = VALUES, name: str = "Date") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([(name, "x (kW)"), *zip(times, values, strict=False)])
    return path


def clock_of(source: ArraySource) -> Clock:
    return Clock.from_json(source.fields[0].facts["clock"])


def refusal(path: Path, config: CsvSeriesConfig = SHORT) -> str:
    with pytest.raises(DataError) as error:
        open_series(str(path), config)
    return f"{error.value} {error.value.fix}"


def moments(start: datetime, step: timedelta, count: int = COUNT) -> list[datetime]:
    return [start + step * at for at in range(count)]


def weekdays(start: str = "2024-01-01", count: int = COUNT + LATER) -> list[datetime]:
    found = np.busday_offset(start, np.arange(count)).tolist()
    return [datetime(day.year, day.month, day.day) for day in found]


def months(step: int = 1, day: int = 1, count: int = COUNT + LATER) -> list[datetime]:
    numbers = [1960 * 12 + step * at for at in range(count)]
    firsts = [datetime(number // 12, number % 12 + 1, 1) for number in numbers]
    lasts = [((first + timedelta(31)).replace(day=1) - timedelta(1)).day for first in firsts]
    return [first.replace(day=min(day, last)) for first, last in zip(firsts, lasts, strict=True)]


HOURS = moments(datetime(2024, 1, 1), timedelta(hours=1), COUNT + LATER)
DAYS = moments(datetime(2023, 1, 1), timedelta(days=1), COUNT + LATER)
UTC_HOURS = moments(datetime(2024, 3, 28, tzinfo=UTC), timedelta(hours=1), COUNT + LATER)


def local(times: Sequence[datetime], zone: ZoneInfo) -> list[str]:
    return [time.replace(tzinfo=zone).isoformat(" ") for time in times]


@pytest.mark.parametrize(
    ("times", "zone", "unit"),
    [
        ([time.isoformat() for time in HOURS], "", "second"),
        ([time.isoformat(" ", "minutes") for time in HOURS], "", "second"),
        ([f"{time.isoformat()}Z" for time in HOURS], "", "second"),
        ([f"{time.isoformat()}+05:30" for time in HOURS], "", "second"),
        ([f"{time:%Y-%m-%d %H:%M}-0300" for time in HOURS], "", "second"),
        ([time.astimezone(BERLIN).isoformat() for time in UTC_HOURS], "Europe/Berlin", "second"),
        ([f"{time:%Y-%m-%d}" for time in DAYS], "", "second"),
        (local(DAYS, BERLIN), "Europe/Berlin", "second"),
        ([f"{time:%Y-%m-%d}" for time in weekdays()], "", "weekday"),
        ([f"{time:%Y-%m-%d} 16:00:00" for time in weekdays()], "", "weekday"),
        (local(weekdays(), NEW_YORK), "America/New_York", "weekday"),
        ([f"{time:%Y-%m-%d}" for time in months()], "", "month"),
        ([f"{time:%Y-%m}" for time in months()], "", "month"),
        ([f"{time:%Y-%m-%d}" for time in months(day=31)], "", "month"),
        ([f"{time:%Y-%m-%d}" for time in months(3)], "", "month"),
        ([f"{time:%Y-%m-%d}" for time in months(12)], "", "month"),
        (local(months(count=COUNT + LATER), BERLIN), "Europe/Berlin", "month"),
        ([f"{time:%d.%m.%Y %H:%M:%S}" for time in HOURS], "", "second"),
        ([f"{time:%m/%d/%Y %I:%M %p}" for time in HOURS], "", "second"),
        ([f"{time:%d-%b-%Y}" for time in DAYS], "", "second"),
        ([f"{time:%Y%m%d}" for time in weekdays()], "", "weekday"),
        ([f"{time.timestamp():.0f}" for time in UTC_HOURS], "", "second"),
        ([f"{1000 * time.timestamp():.0f}" for time in UTC_HOURS], "", "second"),
    ],
)
def test_generated_times_go_on_as_those_of_the_data_and_are_read_again(
    tmp_path: Path, times: list[str], zone: str, unit: str
) -> None:
    config = replace(SHORT, zone=zone)
    source = open_series(str(write(tmp_path / "a.csv", times[:COUNT])), config)
    clock = clock_of(source)
    assert clock.unit == unit
    assert len(source.arrays["series"]) == COUNT - 3
    field = source.fields[0]
    SeriesMedia().write(field, np.resize(source.arrays["series"], (12, LATER, 1)), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["series", "Date", "x (kW)"]
    assert [row[1] for row in rows[:LATER]] == times[COUNT:]
    config = replace(config, entity="series", time_format="" if clock.form[:2] in ("", "%Y") else clock.form)
    again = open_series(str(tmp_path / "x.csv"), config)
    assert again.fields[0].facts["columns"] == ["x (kW)"]
    read = clock_of(again)
    assert replace(read, start=clock.start) == clock
    values = SeriesMedia().metric_values(field, source.arrays["series"][:1])
    assert [float(row[2]) for row in rows[:4]] == pytest.approx(values.ravel().tolist(), abs=1e-5)


def test_days_of_a_place_are_days_where_its_distance_from_utc_changes(tmp_path: Path) -> None:
    times = local(weekdays("2020-01-01"), NEW_YORK)[:COUNT]
    source = open_series(str(write(tmp_path / "a.csv", times)), SHORT)
    assert len(source.arrays["series"]) == COUNT - 3
    assert {name: value for name, value, _ in source.card}["gaps"] == "0"
    assert clock_of(source).unit == "weekday"
    assert clock_of(source).texts(1)[0].endswith(" 00:00:00" + times[-1][-6:])
    (note,) = source.notes
    assert "-05:00, -04:00" in note
    assert "data.zone=" in note


def test_hours_of_a_place_go_on_when_its_clock_is_changed(tmp_path: Path) -> None:
    start = datetime(2024, 10, 20, tzinfo=UTC)
    utc = moments(start, timedelta(hours=1))
    aware = [time.astimezone(BERLIN).isoformat() for time in utc]
    plain = [text[:-6] for text in aware]  # 02:00 to 03:00 comes twice
    assert len(set(plain)) == COUNT - 1
    after = (utc[-1] + timedelta(hours=1)).astimezone(BERLIN).isoformat()
    for times, zone, first in ((aware, "", after), (plain, "Europe/Berlin", after[:-6])):
        source = open_series(str(write(tmp_path / "a.csv", times)), replace(SHORT, zone=zone))
        assert len(source.arrays["series"]) == COUNT - 3
        assert clock_of(source).texts(1) == [first]
    assert "data.zone=Europe/Berlin" in refusal(write(tmp_path / "b.csv", plain))


def test_a_zone_in_some_rows_or_an_unknown_one_is_refused(tmp_path: Path) -> None:
    times = [f"{time.isoformat()}{'Z' * (at < 200)}" for at, time in enumerate(HOURS[:COUNT])]
    said = refusal(write(tmp_path / "a.csv", times))
    assert "Some times have a zone" in said
    assert "line 202" in said
    with pytest.raises(ValueError, match="Europe/Berlin"):
        CsvSeriesConfig(zone="Mars/Olympus")


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d-%m-%Y %H:%M", "%d/%m/%y"])
def test_days_and_months_that_cannot_be_told_apart_are_asked_for(tmp_path: Path, form: str) -> None:
    times = [f"{datetime(1990 + at, at % 12 + 1, 3 + at % 5):{form}}" for at in range(60)]
    path = write(tmp_path / "a.csv", times)
    said = refusal(path)
    assert "ambiguous" in said
    assert f"data.time_format={form}" in said
    assert f"data.time_format={form.replace('%d', '?').replace('%m', '%d').replace('?', '%m')}" in said
    assert clock_of(open_series(str(path), replace(SHORT, time_format=form, gap=400))).form == form


def test_dates_that_are_not_known_or_not_all_the_same_name_the_option(tmp_path: Path) -> None:
    said = refusal(write(tmp_path / "a.csv", [f"{time:%d.%m.%Y}, {time:%H} h" for time in HOURS[:COUNT]]))
    assert "--set data.time=Date --set 'data.time_format=" in said
    assert "data.entity" not in said
    said = refusal(write(tmp_path / "q.csv", [f"{1950 + at // 4}-Q{at % 4 + 1}" for at in range(COUNT)]))
    assert "write it as 2024-12-31" in said
    times = [f"{time:%d.%m.%Y}" for time in DAYS[:COUNT]]
    times[30], times[31] = "soon", ""
    said = refusal(write(tmp_path / "b.csv", times))
    assert "line 32, column 'Date'" in said
    assert "time_format" in said
    config = replace(SHORT, time_format="%d/%m/%y")
    assert "No column has times that are written as '%d/%m/%y'" in refusal(tmp_path / "b.csv", config)


@pytest.mark.parametrize(
    ("name", "times", "said"),
    [
        ("openTime", [str(1_700_000_000_000_000 + at * 10**9) for at in range(COUNT)], "microseconds"),
        ("timestamp", [f"{1_700_000_000 + at * 0.5}" for at in range(COUNT)], "Unix time in seconds"),
        ("YYYYMM", [f"{time:%Y%m}" for time in months(count=COUNT)], "dates, %Y%m"),
        ("year", [str(1500 + at) for at in range(COUNT)], "the time, in steps"),
        ("t", [f"{at / 8}" for at in range(COUNT)], "the time, in steps"),
    ],
)
def test_numbers_that_are_times_are_no_values(tmp_path: Path, name: str, times: list[str], said: str) -> None:
    source = open_series(str(write(tmp_path / "a.csv", times, name=name)), SHORT)
    assert source.fields[0].facts["columns"] == ["x (kW)"]
    assert clock_of(source).column == name
    assert said in source.notes[0]
    learned = open_series(str(tmp_path / "a.csv"), replace(SHORT, columns=(name, "x (kW)")))
    assert learned.fields[0].facts["columns"] == [name, "x (kW)"]


def test_a_counter_with_another_name_is_a_value_with_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [str(at) for at in range(COUNT)], name="sample no")
    source = open_series(str(path), SHORT)
    assert source.fields[0].facts["columns"] == ["sample no", "x (kW)"]
    assert "--set 'data.time=sample no'" in source.notes[0]
    assert not open_series(str(path), replace(SHORT, time="sample no")).notes


def test_series_in_one_file_name_the_column_that_tells_them_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{time:%Y-%m-%d},{at},{VALUES[at]}" for time in DAYS[:60] for at in range(3)]
    path.write_text("\n".join(["time,house,x", *rows]))
    assert "--set data.entity=house" in refusal(path)


def test_times_after_the_year_9999_are_an_error(tmp_path: Path) -> None:
    times = [f"{9400 + at}-01-01" for at in range(COUNT)]
    clock = clock_of(open_series(str(write(tmp_path / "a.csv", times)), SHORT))
    assert clock.texts(2) == ["9800-01-01", "9801-01-01"]
    with pytest.raises(DataError, match="year 9999"):
        clock.texts(300)


@pytest.mark.parametrize(("form", "unit"), [("%Y-%m-%d", "second"), ("%Y-%m-01", "month")])
def test_plain_dates_have_the_facts_of_0_1_0_so_that_its_runs_can_be_resumed(
    tmp_path: Path, form: str, unit: str
) -> None:
    times = months(count=COUNT) if unit == "month" else DAYS[:COUNT]
    source = open_series(str(write(tmp_path / "a.csv", [f"{time:{form}}" for time in times])), SHORT)
    assert set(source.fields[0].facts["clock"]) == {"column", "unit", "start", "step"}
    assert source.fields[0].facts["clock"]["unit"] == unit


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (["1,5", "-0,25", "7", "1.234,5"], [1.5, -0.25, 7, 1234.5], "1.234,5"),
        (["1,000.5", "12", "1,234", "-2,000,000"], [1000.5, 12, 1234, -2e6], "1,234.5"),
        (["5 %", "7.5 %", "-1 %", "0 %"], [5, 7.5, -1, 0], "1234.5 %"),
        (["5,5%", "7%", "-1,25%", "0%"], [5.5, 7, -1.25, 0], "1234,5%"),
        (["$5.50", "$7,000", "-$1.25", "$0"], [5.5, 7000, -1.25, 0], "$1,234.5"),
    ],
)
def test_numbers_of_other_countries_are_read(
    tmp_path: Path, cells: list[str], values: list[float], note: str
) -> None:
    times = [f"{time:%Y-%m-%d}" for time in DAYS[:COUNT]]
    source = open_series(str(write(tmp_path / "a.csv", times, cells * 100)), SHORT)
    made = SeriesMedia().metric_values(source.fields[0], source.arrays["series"])
    assert made[0, :, 0] == pytest.approx(values, rel=1e-5, abs=0.2)
    assert f"are read as {note};" in source.notes[0]


def test_a_comma_that_may_be_either_is_asked_for(tmp_path: Path) -> None:
    times = [f"{time:%Y-%m-%d}" for time in DAYS[:COUNT]]
    path = write(tmp_path / "a.csv", times, ["1,234", "5", "2,750", "3"] * 100)
    said = refusal(path)
    assert "'1,234' can be " in said
    assert "--set data.decimal=." in said
    assert "--set data.decimal=," in said
    for point, first in ((".", 1234), (",", 1.234)):
        source = open_series(str(path), replace(SHORT, decimal=point))
        made = SeriesMedia().metric_values(source.fields[0], source.arrays["series"])
        assert made[0, 0, 0] == pytest.approx(first, rel=1e-5)


def test_a_comma_means_the_same_in_all_columns(tmp_path: Path) -> None:
    rows = [f'{time:%Y-%m-%d},"{1 + at % 3},234","{at},5"' for at, time in enumerate(DAYS[:COUNT])]
    (tmp_path / "a.csv").write_text("\n".join(["time,x,y", *rows]))
    source = open_series(str(tmp_path / "a.csv"), SHORT)
    made = SeriesMedia().metric_values(source.fields[0], source.arrays["series"])
    assert made[0, :3, 0] == pytest.approx([1.234, 2.234, 3.234], rel=1e-5)


def test_many_columns_are_a_few_lines_of_the_card(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    noise = np.random.default_rng(0).normal(size=(60, 300)).round(2)
    rows = [",".join([f"{time:%Y-%m-%d}", *map(str, row)]) for time, row in zip(DAYS, noise, strict=False)]
    path.write_text("\n".join([",".join(["time", *(f"c{at}" for at in range(300))]), *rows]))
    card = open_series(str(path), SHORT).card
    assert len(card) < 20
    assert ("...", "290 more columns", "values") in card


@pytest.mark.parametrize(
    ("step", "text"),
    [(86_400.0, "1 day"), (3 * 86_400.0, "3 days"), (90_000.0, "1 day, 1:00:00"), (1800.0, "0:30:00")],
)
def test_a_step_in_words(step: float, text: str) -> None:
    assert Clock(unit="second", step=step).describe() == text


# --- sessions -------------------------------------------------------------------------------------


def trading(
    days: int, opens: Sequence[str] = ("09:30",), rows: int = 30, step: timedelta = timedelta(minutes=5)
) -> list[datetime]:
    """So many rows from each opening on, from Monday to Friday."""
    return [
        datetime.fromisoformat(f"{day:%Y-%m-%d}T{time}") + step * at
        for day in weekdays(count=days)
        for time in opens
        for at in range(rows)
    ]


def card_of(source: ArraySource) -> dict[str, str]:
    return {name: f"{value} ({remark})" for name, value, remark in source.card}


def prices(path: Path, times: Sequence[datetime]) -> Path:
    values = [f"{100 + at % 7 + at % 11 / 10}" for at in range(len(times))]
    return write(path, [f"{time:%Y-%m-%d %H:%M:%S}" for time in times], values)


@pytest.mark.parametrize("returns", [False, True])
def test_nights_and_weekends_are_told_once_as_sessions(tmp_path: Path, returns: bool) -> None:
    times = trading(20)
    del times[100:103]  # a gap within a session
    source = open_series(str(prices(tmp_path / "a.csv", times)), CsvSeriesConfig(length=8, returns=returns))
    card = card_of(source)
    assert card["sessions"].startswith("20 of up to 30 steps, from 09:30")
    assert card["gaps"].startswith(
        "1 (more than 1.5 steps within sessions, or 835 between; the longest: 2024-"
    )
    assert "2024-01-04 10:15:00 to 2024-01-04 10:35:00" in card["gaps"]
    assert card["gaps"].count(" to ") == 1
    # The last row is of Friday.
    assert clock_of(source).texts(2) == ["2024-01-29 09:30:00", "2024-01-29 09:35:00"]


@pytest.mark.parametrize(
    "start", ["2024-02-26", "2024-10-21"]
)  # summer time begins, or ends, in the second week
@pytest.mark.parametrize("zone", ["", "America/New_York"])
def test_sessions_follow_daylight_saving_time(tmp_path: Path, start: str, zone: str) -> None:
    """Offsets as finance packages write them, or the place: the market opens at 9:30 there."""
    days = weekdays(start, 25)
    times = [day.replace(hour=9, minute=30) + timedelta(minutes=5 * at) for day in days for at in range(20)]
    values = [f"{100 + at % 7}" for at in range(len(times))]
    path = write(tmp_path / "a.csv", local(times, NEW_YORK), values)
    source = open_series(str(path), CsvSeriesConfig(length=8, zone=zone))
    assert card_of(source)["sessions"].startswith("25 of up to 20 steps")
    first = datetime.fromisoformat(clock_of(source).texts(1)[0])
    assert (first.hour, first.minute) == (9, 30)
    assert first.date() == weekdays(start, 26)[-1].date()


@pytest.mark.parametrize(
    ("start", "zone", "place"),
    [
        ("2024-03-25", "Australia/Sydney", "Australia/Sydney"),
        ("2024-02-26", "", "America/New_York"),
        ("2024-10-21", "", "America/New_York"),
    ],
)
def test_an_hour_that_has_just_changed_is_that_of_the_next_session(
    tmp_path: Path, start: str, zone: str, place: str
) -> None:
    """Summer time begins or ends on the Sunday before the last four days; the rows are in UTC."""
    days = [day.replace(hour=10, tzinfo=ZoneInfo(place)) for day in weekdays(start, 15)]
    opens = [day.astimezone(UTC) for day in days]
    times = [one + timedelta(minutes=15 * at) for one in opens[:14] for at in range(24)]
    values = [f"{100 + at % 7}" for at in range(len(times))]
    path = write(tmp_path / "a.csv", [time.isoformat() for time in times], values)
    source = open_series(str(path), replace(SHORT, zone=zone))
    assert datetime.fromisoformat(clock_of(source).texts(1)[0]) == opens[14]


def test_a_market_may_close_at_noon(tmp_path: Path) -> None:
    source = open_series(str(prices(tmp_path / "a.csv", trading(12, ("09:30", "13:00")))), SHORT)
    assert "24 of up to 30 steps, from 09:30 and 13:00" in card_of(source)["sessions"]


def test_weekends_alone_are_breaks(tmp_path: Path) -> None:
    hours = moments(datetime(2024, 1, 7, 22), timedelta(hours=1), 8 * 7 * 24)  # a Sunday
    open_hours = [time for time in hours if (time - datetime(2024, 1, 7, 22)).days % 7 < 5]
    source = open_series(str(prices(tmp_path / "a.csv", open_hours)), SHORT)
    assert "8 of up to 120 steps, from Sunday 22:00" in card_of(source)["sessions"]
    assert clock_of(source).texts(1) == ["2024-03-03 22:00:00"]


def test_sessions_shorter_than_a_window_name_the_options_that_work(tmp_path: Path) -> None:
    path = prices(tmp_path / "a.csv", trading(60, rows=7, step=timedelta(hours=1)))
    with pytest.raises(DataError) as caught:
        open_series(str(path), CsvSeriesConfig(length=24))
    found = dict(re.findall(r"data\.(\w+)=(\d+)", caught.value.fix))
    assert found == {"gap": "66", "length": "7"}
    for config in (CsvSeriesConfig(length=24, gap=66), CsvSeriesConfig(length=7)):
        assert len(open_series(str(path), config).arrays["series"]) >= 40


def test_gaps_at_any_time_are_no_sessions(tmp_path: Path) -> None:
    """A sensor that fails now and then; and one with few rows a day, whose gaps must end at few times."""
    for step in (timedelta(minutes=5), timedelta(hours=12)):
        times = moments(datetime(2024, 1, 1), step, 2000)
        for at in np.random.default_rng(0).integers(0, 1900, 40):
            times[at : at + 3] = []
        source = open_series(str(prices(tmp_path / "a.csv", times)), SHORT)
        assert "sessions" not in card_of(source)
        assert int(card_of(source)["gaps"].split()[0]) > 20


@pytest.mark.parametrize(
    ("first", "zone", "last", "begin"),
    [
        ("2024-01-07", "", "2024-02-01", "2024-02-04 09:00:00"),  # Sunday to Thursday
        ("2024-01-08", "Australia/Sydney", "2024-03-08", "2024-03-11T09:00:00+11:00"),
        ("2024-05-06", "Australia/Brisbane", "2024-06-07", "2024-06-10T09:00:00+10:00"),
    ],
)
def test_generated_times_begin_on_a_day_with_sessions(
    tmp_path: Path, first: str, zone: str, last: str, begin: str
) -> None:
    """Five days of each week are open, from 9:00 on; in Australia that is Sunday to Thursday in UTC, too."""
    start = datetime.fromisoformat(first)
    days = [start + timedelta(days=at) for at in range((datetime.fromisoformat(last) - start).days + 1)]
    open_days = [day.replace(hour=9) for day in days if (day - start).days % 7 < 5]
    times = [day + timedelta(minutes=15 * at) for day in open_days for at in range(24)]
    path = prices(tmp_path / "a.csv", times)
    if zone:
        texts = [time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat() for time in times]
        path = write(path, texts, [f"{100 + at % 7}" for at in range(len(times))])
    source = open_series(str(path), replace(SHORT, zone=zone))
    assert "sessions" in card_of(source)
    assert clock_of(source).texts(1) == [begin]


def test_only_breaks_of_a_usual_length_are_between_sessions(tmp_path: Path) -> None:
    """Of a market a month is missing, and there is a holiday; all files miss the same month."""
    times = [time for time in trading(80) if time.month != 2 and time.date() != datetime(2024, 3, 25).date()]
    path = prices(tmp_path / "a.csv", times)
    source = open_series(str(path), SHORT)
    card = card_of(source)
    assert "58 of up to 30 steps, from 09:30" in card["sessions"]
    # From Friday 11:55 to Tuesday 09:30.
    assert "data.gap=1123 " in card["sessions"]
    assert card["gaps"] == (
        "1 (more than 1.5 steps within sessions, or 1,123 between; "
        "the longest: 2024-01-31 11:55:00 to 2024-03-01 09:30:00)"
    )
    rows = path.read_text().splitlines()
    both = tmp_path / "both.csv"
    lines = [f"name,{rows[0]}", *(f"{name},{row}" for name in "ab" for row in rows[1:])]
    both.write_text("\n".join(lines) + "\n")
    card = card_of(open_series(str(both), replace(SHORT, entity="name")))
    assert "116 of up to 30 steps" in card["sessions"]
    assert "data.gap=1123 " in card["sessions"]
    assert card["gaps"].startswith("2 (")


def test_a_day_without_a_session_is_a_gap_where_every_day_has_one(tmp_path: Path) -> None:
    """Machines that are switched off at night, at various hours, have no holidays."""
    times = [
        datetime(2024, 1, 1, 8) + timedelta(days=day, minutes=10 * at)
        for day in range(30)
        for at in range(60 + day % 4)
        if day not in (12, 13)
    ]
    card = card_of(open_series(str(prices(tmp_path / "a.csv", times)), SHORT))
    assert card["gaps"].startswith("1 (")
    assert "2024-01-15 08:00:00" in card["gaps"]
    assert "data.gap=85 " in card["sessions"]  # from 17:50 on


def test_summer_time_changes_a_break_by_an_hour(tmp_path: Path) -> None:
    """Weekends of currencies in UTC: 48 hours, and once 49; a week that is missing is none."""
    hours = moments(datetime(2024, 9, 1, 21), timedelta(hours=1), 14 * 7 * 24)  # a Sunday
    times = [time for time in hours if (time - hours[0]).days % 7 < 5 and (time - hours[0]).days // 7 != 4]
    later = [time + timedelta(hours=time > datetime(2024, 10, 27)) for time in times]
    card = card_of(open_series(str(prices(tmp_path / "a.csv", later)), SHORT))
    assert "13 of up to 120 steps, from Sunday 21:00 and Sunday 22:00" in card["sessions"]
    assert "data.gap=50 " in card["sessions"]
    assert card["gaps"].startswith("1 (")


def test_windows_across_breaks_are_advised_only_where_there_are_enough(tmp_path: Path) -> None:
    path = prices(tmp_path / "a.csv", trading(7, rows=3, step=timedelta(hours=1)))
    fix = refusal(path, CsvSeriesConfig(length=24))
    assert "data.gap" not in fix
    assert "provide more rows" in fix
    length = re.findall(r"data\.length=(\d+)", fix)[0]
    assert len(open_series(str(path), CsvSeriesConfig(length=int(length))).arrays["series"]) >= 10
    path = prices(tmp_path / "b.csv", trading(14, rows=3, step=timedelta(hours=1)))
    gap = re.findall(r"data\.gap=(\d+)", refusal(path, CsvSeriesConfig(length=24)))[0]
    assert len(open_series(str(path), CsvSeriesConfig(length=24, gap=int(gap))).arrays["series"]) >= 10
