"""Series as data: which files are read and refused, windows, transforms, written tables and plots."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import special, stats

from ganzoo.api import ArraySource, Column, DataError, Field
from ganzoo_series.clock import Clock
from ganzoo_series.config import CsvSeriesConfig, ToyReturnsConfig
from ganzoo_series.datasets import (
    open_series,
    open_series_held_out,
    open_sines,
    open_toy_charging,
    open_toy_returns,
    open_toy_returns_held_out,
    toy_index,
)
from ganzoo_series.fields import Layout
from ganzoo_series.media import SeriesMedia
from ganzoo_series.transform import Scale, fit_scale, fit_tail, gaussianise, heavy_tailed, log_returns
from ganzoo_series.windows import attributes_field

SHORT = CsvSeriesConfig(length=4)


def days(count: int, start: str = "2024-01-01", step: int = 1) -> list[str]:
    first = date.fromisoformat(start)
    return [str(first + timedelta(days=step * at)) for at in range(count)]


def walk(count: int, seed: int = 0) -> list[float]:
    return (100 * np.exp(np.random.default_rng(seed).normal(0, 0.02, count).cumsum())).round(4).tolist()


def write(path: Path, header: str, *columns: Sequence[object]) -> Path:
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def windows(path: Path, config: CsvSeriesConfig = SHORT) -> np.ndarray:
    """Training windows in the data's own values."""
    return values_of(open_series(str(path), config))


def values_of(source: ArraySource) -> np.ndarray:
    return SeriesMedia().metric_values(source.fields[0], source.arrays["series"])


def refusal(path: Path, config: CsvSeriesConfig = SHORT) -> str:
    with pytest.raises(DataError) as error:
        open_series(str(path), config)
    return f"{error.value} {error.value.where} {error.value.fix}"


# --- transforms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.01, 0.1, 0.4])
def test_lambert_w_takes_a_heavy_tail_away_and_gives_it_back(delta: float) -> None:
    w = np.random.default_rng(0).standard_t(3, 2_000)
    u = gaussianise(w, delta)
    assert np.allclose(special.lambertw(delta * w**2).real, delta * u**2)
    assert np.allclose(heavy_tailed(u, delta), w, rtol=1e-12, atol=1e-12)
    assert (np.sign(u) == np.sign(w)).all()
    assert np.array_equal(gaussianise(w, 0.0), w)


@pytest.mark.parametrize(("mu", "sigma", "delta"), [(0.0, 1.0, 0.2), (3.0, 0.5, 0.05)])
def test_igmm_finds_the_tail_that_made_the_values(mu: float, sigma: float, delta: float) -> None:
    normal = np.random.default_rng(1).normal(size=5_000)
    found = fit_tail(mu + sigma * heavy_tailed(normal, delta))
    assert found == pytest.approx((mu, sigma, delta), abs=0.05)


def test_gaussianised_values_are_standard_and_have_the_kurtosis_of_a_normal_distribution() -> None:
    values = 0.01 * np.random.default_rng(2).standard_t(4, 5_000) + 0.001
    scale = fit_scale(values, "gauss")
    seen = scale.forward(values)
    assert (seen.mean(), seen.std()) == pytest.approx((0, 1), abs=1e-9)
    assert stats.kurtosis(values) > 3
    assert stats.kurtosis(seen) == pytest.approx(0, abs=1e-3)
    assert np.allclose(scale.inverse(seen), values, rtol=1e-10, atol=1e-12)


def test_light_tails_and_other_scales_are_inverted_exactly() -> None:
    values = np.random.default_rng(3).uniform(5, 9, 500)
    for kind in ("minmax", "standard", "gauss"):
        scale = fit_scale(values, kind)
        assert np.allclose(scale.inverse(scale.forward(values)), values, rtol=1e-9)
    ends = fit_scale(values, "minmax").forward(np.array([values.min(), values.max()]))
    assert ends == pytest.approx([-1, 1])


# --- files --------------------------------------------------------------------------------------


def test_windows_are_consecutive_rows_of_the_columns_that_are_numbers(tmp_path: Path) -> None:
    close, volume = walk(40), list(range(100, 140))
    path = write(tmp_path / "a.csv", "Date,close (EUR),volume", days(40), close, volume)
    source = open_series(str(path), replace(SHORT, held_out=0.0))
    made = values_of(source)
    assert made.shape == (37, 4, 2)
    assert np.allclose(made[5, :, 0], close[5:9], rtol=1e-6)
    assert np.allclose(made[5, :, 1], volume[5:9])
    assert source.fields[0].facts["columns"] == ["close (EUR)", "volume"]
    assert open_series_held_out(str(path), replace(SHORT, held_out=0.0)) is None
    zipped = tmp_path / "b.csv.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(made, windows(zipped, replace(SHORT, held_out=0.0)))


def test_the_held_out_part_is_later_and_shares_no_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", days(200), range(200))
    config = replace(SHORT, held_out=0.25)
    training, rest = windows(path, config), values_of(open_series_held_out(str(path), config))
    assert training.max() < rest.min() - 0.5
    assert (training.max(), rest.max()) == (149, 199)


def test_no_window_crosses_a_gap_or_an_entity(tmp_path: Path) -> None:
    times = [*days(30), *days(30, "2024-03-01")]
    path = write(tmp_path / "a.csv", "time,x", times, [*range(30), *range(1000, 1030)])
    source = open_series(str(path), replace(SHORT, held_out=0.0))
    made = values_of(source)
    assert len(made) == 2 * 27
    assert np.ptp(made, axis=1).max() < 4
    card = {name: (value, remark) for name, value, remark in source.card}
    assert card["gaps"][0] == "1"
    assert "2024-01-30 to 2024-03-01" in card["gaps"][1]
    assert len(windows(path, replace(SHORT, held_out=0.0, gap=40))) == 57
    two = write(
        tmp_path / "b.csv",
        "name,time,x",
        ["a", "b"] * 30,
        [day for day in days(30) for _ in range(2)],
        [value for at in range(30) for value in (at, 1000 + at)],
    )
    made = windows(two, replace(SHORT, held_out=0.0, entity="name"))
    assert len(made) == 2 * 27
    assert np.ptp(made, axis=1).max() < 4


def test_weekends_and_holidays_are_no_gaps_of_weekdays(tmp_path: Path) -> None:
    all_days = [day for day in days(60) if date.fromisoformat(day).weekday() < 5]
    path = write(tmp_path / "a.csv", "time,x", all_days[:10] + all_days[12:], walk(len(all_days) - 2))
    source = open_series(str(path), replace(SHORT, held_out=0.0))
    assert len(source.arrays["series"]) == len(all_days) - 2 - 3
    assert source.fields[0].facts["clock"]["unit"] == "weekday"
    missing = write(tmp_path / "b.csv", "time,x", all_days[:10] + all_days[17:], walk(len(all_days) - 7))
    assert "1" in {value for name, value, _ in open_series(str(missing), SHORT).card if name == "gaps"}


def test_a_folder_has_an_entity_in_each_file(tmp_path: Path) -> None:
    for at, name in enumerate("ab"):
        write(tmp_path / f"{name}.csv", "time,x", days(30), np.arange(30) + 1000 * at)
    source = open_series(str(tmp_path), replace(SHORT, held_out=0.0))
    assert len(source.arrays["series"]) == 2 * 27
    assert source.card[0] == ("entities", "2", "a, b")
    write(tmp_path / "c.csv", "time,y", days(30), range(30))
    assert "Its columns are y" in refusal(tmp_path)
    assert "each file is an entity" in refusal(tmp_path, replace(SHORT, entity="x"))
    assert "no .csv" in refusal(make(tmp_path / "empty"))


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_unsorted_and_equal_rows_are_repaired_and_said(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(40)
    times = np.array(days(40))[order].tolist()
    path = write(tmp_path / "a.csv", "time,x", [*times, times[0]], [*order.tolist(), order[0]])
    source = open_series(str(path), replace(SHORT, held_out=0.0))
    assert (np.diff(values_of(source)[..., 0], axis=1) > 0.99).all()
    assert "sorted" in source.notes[0]
    assert "1 row repeated" in source.notes[1]


def test_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", [*days(40), days(40)[3]], range(41))
    said = refusal(path)
    assert "lines 5 and 42" in said
    assert "data.entity" in said


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "A cell is empty"),
        ("NaN", "'NaN' is not a number"),
        ("1,5", "decimal comma"),
        ("abc", "'abc' is not a number"),
        ("1e40", "too large"),
    ],
)
def test_a_cell_that_is_no_number_names_line_and_column(tmp_path: Path, cell: str, said: str) -> None:
    values = [str(value) for value in walk(30)]
    path = write(tmp_path / "a.csv", "time;x", [f"{a};{b}" for a, b in zip(days(30), values, strict=True)])
    config = replace(SHORT, separator=";", held_out=0.0)
    assert len(windows(path, config)) == 27
    lines = path.read_text().splitlines()
    lines[7] = f"{days(30)[6]};{cell}"
    path.write_text("\n".join(lines))
    text = refusal(path, config)
    assert said in text
    assert "line 8" in text
    assert "column 'x'" in text


def test_one_error_names_all_faults_and_the_first_lines_of_each_kind(tmp_path: Path) -> None:
    x = [str(value) for value in walk(60)]
    y = [str(at) for at in range(60)]
    for at in (3, 9, 10, 11, 12, 13):
        x[at] = ""
    x[20], y[30], y[31] = "wet", "1.5e40", "NA"
    names = ["north"] * 60
    days_ = days(60)
    days_[50] = days_[49]
    path = write(tmp_path / "a.csv", "time,x,y,name", days_, x, y, names)
    said = refusal(path)
    for text in (
        "The data cannot be used as it is: 11 faults.",
        "line 5, column 'x' (6 of these: also 11, 12, 13, ...): A cell is empty.",
        "line 22, column 'x': 'wet' is not a number, but most of the column is.",
        "line 32, column 'y': '1.5e40' is too large.",
        "line 33, column 'y': 'NA' is not a number.",
        "line 2, column 'name': This column is text.",
        "lines 51 and 52: Two rows have the same time and different values.",
        "--set data.missing=skip",
        "data.entity=name",
    ):
        assert text in said
    assert """leave these columns out: --set 'data.leave_out=["x", "y", "name"]'""" in said
    needed = said.rpartition("all of these:\n")[2]
    assert [line.strip().partition(";")[0] for line in needed.splitlines()[:4]] == [
        "'x', 'y': fill it in",
        "'x', 'y': correct it",
        "'name': if it names the series of each row: --set data.entity=name",
        "keep one row of each time",
    ]
    only = refusal(path, replace(SHORT, leave_out=("name", "y"), missing="skip"))
    assert "line 22, column 'x': 'wet'" in only
    assert "lines 51 and 52" in only


def test_faults_of_several_files_come_together(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "time,x", days(30), range(30))
    write(tmp_path / "b.csv", "time,y", days(30), range(30))
    write(tmp_path / "c.csv", "time,x", days(1), [1])
    write(tmp_path / "d.csv", "time,x", days(30), [*range(29), ""])
    (tmp_path / "e.csv").write_bytes(b"\xff")
    said = refusal(tmp_path)
    for text in (
        "b.csv: Its columns are y, those of a.csv x.",
        "c.csv: 1 row under the header",
        "d.csv, line 31, column 'x': A cell is empty.",
        "not text in UTF-8",
    ):
        assert text in said


def test_files_with_dates_and_with_numbers_as_times_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "time,x", range(30), range(30))
    write(tmp_path / "b.csv", "time,x", days(30), range(30))
    config = replace(SHORT, time="time")
    with pytest.raises(DataError, match=r"Its times are dates, those of a\.csv are numbers") as error:
        open_series(str(tmp_path), config)
    assert error.value.where.endswith("b.csv, column 'time'")
    write(tmp_path / "a.csv", "time,x", ["early"] * 30, range(30))
    said = refusal(tmp_path, config)
    assert "'early' is no date" in said
    assert "b.csv" not in said  # no fault of its own


def test_files_without_times_are_not_mixed_with_dates(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x", range(30))
    write(tmp_path / "b.csv", "time,x", days(30), range(30))
    assert "Its times are dates, those of a.csv are the row numbers." in refusal(tmp_path)


def test_a_column_that_is_mostly_empty_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", days(40), ["" if at % 4 else at for at in range(40)])
    said = refusal(path)
    assert "fill it in; or leave such rows out" in said
    assert "; or leave the column out" in said  # of one fault, each way is enough
    assert "line 3, column 'x' (30 of these: also 4, 5, 7, ...)" in said
    path = write(tmp_path / "b.csv", "time,x", days(40), ['"1,5"', "1.5"] * 20)
    assert "(20 of these: also 4, 6, 8, ...)" in refusal(path)
    assert "decimal comma" in refusal(path)


def test_a_column_of_numbers_that_are_too_large_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", days(40), ["1e40"] * 40)
    said = refusal(path)
    assert "line 2, column 'x' (40 of these: also 3, 4, 5, ...)" in said
    assert "'1e40' is too large" in said
    assert "text" not in said
    mixed = ["1e40", "wet", *range(38)]
    said = refusal(write(tmp_path / "b.csv", "time,x", days(40), mixed))
    assert "line 2, column 'x': '1e40' is too large." in said
    assert "line 3, column 'x': 'wet' is not a number, but most of the column is." in said
    percent = ["1e40 %", *(f"{at} %" for at in range(39))]
    assert "'1e40 %' is too large" in refusal(write(tmp_path / "c.csv", "time,x", days(40), percent))


def test_a_decimal_comma_does_not_make_numbers_of_a_column_of_text(tmp_path: Path) -> None:
    rows = [f"{day};{('wet', 'dry', 'mist')[at % 3] if at else '1,5'}" for at, day in enumerate(days(40))]
    path = write(tmp_path / "a.csv", "time;x", rows)
    with pytest.raises(DataError, match="This column is text") as error:
        open_series(str(path), replace(SHORT, separator=";"))
    assert error.value.where.endswith("line 3, column 'x'")


def test_columns_without_change_or_logarithm_are_named_together(tmp_path: Path) -> None:
    down = np.arange(30) - 3.0
    path = write(tmp_path / "a.csv", "time,x,y,z,w", days(30), walk(30), down, -down, walk(30, 1))
    config = replace(SHORT, leave_out=("w",))
    said = refusal(path, replace(config, returns=True))
    assert "above 0, and there is -3 (and in z)" in said
    assert """leave the columns out: --set 'data.leave_out=["w", "y", "z"]'""" in said
    path = write(tmp_path / "b.csv", "time,x,y,z,w", days(30), walk(30), [7] * 30, [8] * 30, walk(30, 1))
    said = refusal(path, config)
    assert "The same in all training rows: y, z." in said
    assert """'data.leave_out=["w", "y", "z"]'""" in said


def test_many_faults_of_a_long_file_are_found_fast(tmp_path: Path) -> None:
    count = 20_000
    path = write(tmp_path / "a.csv", "time,x", range(count), ["wet" if at % 3 else at for at in range(count)])
    began = time.process_time()
    assert "This column is text" in refusal(path, replace(SHORT, time="time"))
    path = write(tmp_path / "b.csv", "time,x", range(count), ["" if at % 3 else at for at in range(count)])
    assert "13,333 of these" in refusal(path, replace(SHORT, time="time"))
    assert time.process_time() - began < 5


def test_rows_with_missing_cells_are_left_out_where_the_user_says_so(tmp_path: Path) -> None:
    values = [str(at) for at in range(40)]
    values[20] = ""
    path = write(tmp_path / "a.csv", "time,x", days(40), values)
    source = open_series(str(path), replace(SHORT, held_out=0.0, missing="skip"))
    assert len(source.arrays["series"]) == 17 + 16
    assert "1 row with an empty cell left out" in source.notes


def test_leading_zeros_are_numbers_as_in_tables(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", days(30), [f"{at:04d}" for at in range(30)])
    assert windows(path, replace(SHORT, held_out=0.0)).max() == 29


def test_other_bad_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    assert "1 row under the header" in refusal(write(tmp_path / "a.csv", "time,x", days(1), [1]))
    text = refusal(write(tmp_path / "b.csv", "time,name,x", days(30), ["AB"] * 30, range(30)))
    assert "data.entity=name" in text
    assert "The same in all training rows: x." in refusal(
        write(tmp_path / "c.csv", "time,x", days(30), [7] * 30)
    )
    few = write(tmp_path / "d.csv", "time,x", days(16), range(16))
    assert "data.length=3" in refusal(few)
    windows(few, replace(SHORT, length=3))
    said = refusal(few, replace(SHORT, length=3, stride=5))
    assert "data.stride=1" in said
    assert "data.length" not in said
    assert "provide more rows" in refusal(write(tmp_path / "k.csv", "time,x", days(12), range(12)))
    assert "no column 'y'" in refusal(write(tmp_path / "e.csv", "time,x", days(30), range(30)),
                                      replace(SHORT, columns=("y",)))  # fmt: skip
    assert "does not exist" in refusal(tmp_path / "none.csv")
    broken = tmp_path / "f.csv.gz"
    broken.write_bytes(b"\x1f\x8b no zip")
    assert "cannot be unpacked" in refusal(broken)
    assert "no date that is known" in refusal(
        write(tmp_path / "g.csv", "time,x", [*days(29), "soon"], range(30)), replace(SHORT, time="time")
    )
    ambiguous = write(
        tmp_path / "h.csv", "t,x", [f"0{at % 9 + 1}/02/{1990 + at}" for at in range(30)], range(30)
    )
    assert "time_format" in refusal(ambiguous)
    assert len(windows(ambiguous, replace(SHORT, time_format="%d/%m/%Y", held_out=0.0, gap=9))) == 27
    negative = write(tmp_path / "i.csv", "time,x", days(30), np.arange(30) - 3.0)
    assert "above 0" in refusal(negative, replace(SHORT, returns=True))
    other = tmp_path / "j.csv"
    other.write_text("time;x\n" + "".join(f"{day};{at}\n" for at, day in enumerate(days(30))))
    assert "if ';' separates the cells" in refusal(other)


def test_times_of_other_steps_and_zones(tmp_path: Path) -> None:
    hours = [f"2024-01-{1 + at // 24:02d}T{at % 24:02d}:00:00+02:00" for at in range(60)]
    source = open_series(str(write(tmp_path / "a.csv", "t,x", hours, walk(60))), SHORT)
    clock = Clock.from_json(source.fields[0].facts["clock"])
    assert (clock.unit, clock.step) == ("second", 3600.0)
    assert clock.texts(2) == ["2024-01-03T12:00:00+02:00", "2024-01-03T13:00:00+02:00"]
    months = [f"{2000 + at // 12}-{at % 12 + 1:02d}-01" for at in range(60)]
    source = open_series(str(write(tmp_path / "b.csv", "t,x", months, walk(60))), SHORT)
    assert Clock.from_json(source.fields[0].facts["clock"]).texts(3) == [
        "2005-01-01",
        "2005-02-01",
        "2005-03-01",
    ]
    steps = write(tmp_path / "c.csv", "n,x", np.arange(60) * 5, walk(60))
    source = open_series(str(steps), replace(SHORT, time="n"))
    assert Clock.from_json(source.fields[0].facts["clock"]).texts(2) == ["300", "305"]
    plain = open_series(str(write(tmp_path / "d.csv", "x,y", walk(60), walk(60, 1))), SHORT)
    assert plain.fields[0].facts["clock"]["column"] == "step"


def test_arrays_are_series_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(5, 2, (60, 12, 3))
    np.save(tmp_path / "a.npy", values)
    source = open_series(str(tmp_path / "a.npy"))
    assert np.allclose(values_of(source), values[:48], atol=1e-5)
    assert len(open_series_held_out(str(tmp_path / "a.npy")).arrays["series"]) == 12
    for name, bad in {"nan": np.full((60, 4, 1), np.nan), "few": values[:5], "flat": values[:, 0, 0]}.items():
        np.save(tmp_path / f"{name}.npy", bad)
        assert name in refusal(tmp_path / f"{name}.npy")
    (tmp_path / "no.npy").write_text("text")
    assert "no array" in refusal(tmp_path / "no.npy")


def test_attributes_belong_to_entities_and_samples_may_end(tmp_path: Path) -> None:
    names = [name for name, count in zip("abc", (25, 7, 12), strict=True) for _ in range(count)]
    times = [day for count in (25, 7, 12) for day in days(count)]
    size = ["large" if name == "a" else "small" for name in names]
    path = write(tmp_path / "a.csv", "id,size,time,x", names, size, times, range(44))
    config = CsvSeriesConfig(
        length=10, entity="id", attributes=("size",), variable=True, held_out=0.0
    )  # fmt: skip
    with pytest.raises(DataError, match="6 training windows"):
        open_series(str(path), config)
    config = replace(config, stride=4)
    source = open_series(str(path), config)
    series, attributes = source.arrays["series"], source.arrays["attributes"]
    field = source.fields[0]
    assert field.shape == (10, 2)
    lengths = Layout.of(field).lengths(series)
    assert lengths.tolist() == [10, 10, 10, 10, 9, 5, 7, 3, 10, 8, 4]
    assert (series[4, 9] == (0, -1)).all()
    assert [column.values for column in source.fields[1].columns] == [("large", "small")]
    assert attributes.argmax(1).tolist() == [0] * 6 + [1] * 5
    changed = write(tmp_path / "b.csv", "id,size,time,x", names, [*size[:-1], "large"], times, range(44))
    assert "The attributes of 'c'" in refusal(changed, config)


def test_a_label_names_the_class_of_each_window(tmp_path: Path) -> None:
    columns = (["b", "a"] * 30, [day for day in days(30) for _ in range(2)], range(60))
    path = write(tmp_path / "a.csv", "name,time,x", *columns)
    config = replace(SHORT, entity="name", label="name", held_out=0.0)
    source = open_series(str(path), config)
    assert source.fields[1].classes == ("a", "b")
    even = np.rint(values_of(source)[:, 0, 0]) % 2 == 0
    assert np.array_equal(source.arrays["label"], even.astype(int))
    with pytest.raises(ValueError, match="both the label and an attribute"):
        replace(config, attributes=("name",))


# --- written series -----------------------------------------------------------------------------


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    head, *rows = [line.split(",") for line in path.read_text().splitlines()]
    return head, rows


def test_written_prices_start_where_the_data_ends_and_have_the_returns_of_the_samples(tmp_path: Path) -> None:
    prices = walk(200)
    weekdays = [day for day in days(280) if date.fromisoformat(day).weekday() < 5]
    path = write(tmp_path / "a.csv", "Date,price", weekdays[:200], prices)
    config = replace(SHORT, returns=True, scale="gauss", length=8)
    source = open_series(str(path), config)
    field, samples = source.fields[0], source.arrays["series"][:3]
    SeriesMedia().write(field, samples, tmp_path / "out.csv")
    head, rows = read_table(tmp_path / "out.csv")
    assert head == ["series", "Date", "price"]
    assert len(rows) == 3 * 9
    assert [row[1] for row in rows[:9]] == weekdays[199:] + str_days(weekdays[-1], 9 - len(weekdays[199:]))
    assert float(rows[9][2]) == pytest.approx(prices[-1])
    written = np.array([float(row[2]) for row in rows]).reshape(3, 9)
    real = np.stack([log_returns(np.array(prices[at : at + 9])) for at in range(3)])
    assert np.allclose(np.diff(np.log(written), axis=1), real, atol=2e-7)
    again = SeriesMedia().read(field, tmp_path / "out.csv", {})
    assert np.allclose(again, samples, atol=1e-4)


def str_days(last: str, count: int) -> list[str]:
    return [str(day) for day in np.busday_offset(last, np.arange(1, count + 1))] if count > 0 else []


def test_ends_and_attributes_are_in_the_table(tmp_path: Path) -> None:
    source = open_toy_charging()
    field, attributes = source.fields
    samples, about = source.arrays["series"][:5], source.arrays["attributes"][:5]
    media = SeriesMedia()
    media.write(field, samples, tmp_path / "out.csv", others=[(attributes, about)])
    head, rows = read_table(tmp_path / "out.csv")
    assert head == ["series", "car", "place", "time", "power (kW)", "charge (%)"]
    counts = [sum(row[0] == str(at) for row in rows) for at in range(5)]
    assert counts == Layout.of(field).lengths(samples).tolist()
    assert len(set(counts)) > 1
    assert {row[1] for row in rows} <= {"small", "van", "truck"}
    assert np.allclose(media.read(field, tmp_path / "out.csv", {}), samples, atol=1e-6)


def test_generated_numbers_have_the_decimals_of_their_column(tmp_path: Path) -> None:
    rain, count = [0.0 if at % 3 else at / 10 for at in range(60)], list(range(60))
    third = [at / 3 for at in range(60)]
    path = write(tmp_path / "a.csv", "date,rain,count,third", days(60), rain, count, third)
    field = open_series(str(path), SHORT).fields[0]
    samples = np.full((1, field.shape[0], 3), -1.0, np.float32)
    samples[0, 1] = 0.123
    SeriesMedia().write(field, samples, tmp_path / "out.csv")
    _, rows = read_table(tmp_path / "out.csv")
    assert rows[0][2:] == ["0.0", "0", "0"]  # and not -0.0
    assert rows[1][2:4] == ["3.2", "33"]
    assert float(rows[1][4]) == pytest.approx(1.123 / 2 * 59 / 3, rel=1e-6)


def test_decimals_are_those_of_the_training_rows(tmp_path: Path) -> None:
    values = [at % 7 / 2 if at < 50 else at / 64 for at in range(60)]
    path = write(tmp_path / "a.csv", "date,x", days(60), values)
    for held_out, decimals in ((0.2, (1,)), (0.0, (6,))):
        field = open_series(str(path), replace(SHORT, held_out=held_out)).fields[0]
        assert Layout.of(field).decimals == decimals


def test_longer_series_than_those_of_training_are_written(tmp_path: Path) -> None:
    field = open_sines().fields[0]
    SeriesMedia().write(field, np.zeros((2, 75, 1), np.float32), tmp_path / "out.csv")
    _, rows = read_table(tmp_path / "out.csv")
    assert [row[1] for row in rows[:75]] == [str(at) for at in range(75)]


@pytest.mark.parametrize("content", ["", "series,step,sine\n", "a,b\n1,2\n", "series,step,sine\n0,0,x\n"])
def test_a_table_that_is_no_series_is_a_value_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=r"columns|could not convert"):
        SeriesMedia().read(open_sines().fields[0], tmp_path / "a.csv", {})


def test_previews_show_real_samples_beside_generated_ones_on_one_scale() -> None:
    source = open_sines()
    field, samples = source.fields[0], source.arrays["series"]
    media = SeriesMedia()
    alone = Image.open(io.BytesIO(media.preview(field, samples[:50]).data))
    both = Image.open(io.BytesIO(media.preview(field, 0.1 * samples[:50], real=samples[50:99]).data))
    assert both.size == (2 * alone.width, alone.height)
    left, right = (np.asarray(both.crop(box).convert("L")) < 235 for box in
                   ((70, 30, 410, 195), (490, 30, 830, 195)))  # fmt: skip
    assert left.any(1).sum() > 5 * right.any(1).sum()


def test_facts_that_are_wrong_are_refused() -> None:
    good = open_sines().fields[0]
    changes: list[dict[str, object]] = [
        {"scales": []}, {"columns": ["a", "b"]}, {"clock": {"unit": "moon"}}, {"start": [1, 2]},
        {"decimals": [99]}, {"decimals": [1, 1, 1]}
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(ValueError, match=r"a series|clock"):
            SeriesMedia().check(replace(good, facts={**good.facts, **change}))
    with pytest.raises(ValueError, match="facts"):
        SeriesMedia().check(replace(good, facts={}))


def test_the_simulated_index_has_the_usual_facts_of_returns() -> None:
    returns = log_returns(toy_index(20_000, 0))
    assert stats.kurtosis(returns) > 2
    centred = returns - returns.mean()
    corr = [np.corrcoef(np.abs(centred[:-k]), np.abs(centred[k:]))[0, 1] for k in (1, 10)]
    assert min(corr) > 0.1
    assert abs(np.corrcoef(centred[:-1], centred[1:])[0, 1]) < 0.05
    assert np.corrcoef(centred[:-1], centred[1:] ** 2)[0, 1] < -0.03
    training, rest = open_toy_returns(), open_toy_returns_held_out("", ToyReturnsConfig())
    assert training.fields[0] == rest.fields[0]


def test_attributes_are_categories_of_one_field() -> None:
    field = attributes_field((Column(name="a", values=("x", "y")), Column(name="b", values=("z",))))
    assert isinstance(field, Field)
    assert field.shape == (3,)
    assert Scale()._replace(c=1.0, d=2.0).inverse(np.array([0.5])) == pytest.approx([2.0])
