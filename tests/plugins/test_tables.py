"""Tables: which CSV files are read and refused, the encoding of rows, conditions."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ganzoo import load, tabular
from ganzoo.api import DataError, DataInfo, Field, places
from ganzoo.config.resolve import resolve
from ganzoo.exporting.from_run import export_run
from ganzoo.registry.registry import load_registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.util.progress import listening
from ganzoo_tables import mixtures
from ganzoo_tables.config import CsvConfig, TableConfig, TabularConfig, ToyTableConfig
from ganzoo_tables.datasets import open_csv, open_csv_held_out, open_toy, open_toy_held_out, toy_table
from ganzoo_tables.encoding import Table, fit_encoding, source_of, weights_of
from ganzoo_tables.networks import build
from ganzoo_tables.read_csv import read_table
from tests.helpers.evaluating import ganzoo

LINES = ["age,city,price"] + [f"{20 + at},{('Ulm', 'Bonn')[at % 2]},{at / 4}" for at in range(12)]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def changed(line: int, text: str) -> list[str]:
    return [*LINES[: line - 1], text, *LINES[line:]]


def with_column(name: str, cells: list[str]) -> list[str]:
    return [f"{line},{cell}" for line, cell in zip(LINES, [name, *cells], strict=True)]


def test_the_fitting_of_columns_is_counted(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with listening(lambda *now: seen.append(now)):
        open_csv(str(write(tmp_path / "a.csv", LINES)))
    assert seen == [("columns fitted", 0, 2)]  # the numbers; many are fitted at once
    seen.clear()
    wide = [",".join(f"c{at}" for at in range(150))]
    wide += [",".join(f"{(row * 37 + at) % 101}.5" for at in range(150)) for row in range(40)]
    with listening(lambda *now: seen.append(now)):
        open_csv(str(write(tmp_path / "b.csv", wide)))
    assert seen == [("columns fitted", at, 150) for at in (0, 64, 128)]


# --- reading ------------------------------------------------------------------------------------


def test_types_of_columns_follow_their_cells_or_the_options(tmp_path: Path) -> None:
    lines = [
        "n, whole, few, text, sci",
        *(f"{at}.50, {at}, {at % 3}, t{at % 2}, {at}e-3" for at in range(20)),
    ]
    table = read_table(write(tmp_path / "t.csv", lines), CsvConfig())
    assert {name: values.dtype.kind for name, values in table.columns.items()} == {
        "n": "f", "whole": "f", "few": "U", "text": "U", "sci": "f"
    }  # fmt: skip
    assert table.decimals == {"n": 1, "whole": 0, "sci": 3}
    assert table.columns["sci"][5] == 0.005
    config = CsvConfig(numbers=("few",), categories=("n",), leave_out=("sci",))
    lines[1] = lines[2]  # or each row would have another category
    forced = read_table(write(tmp_path / "t.csv", lines), config)
    assert list(forced.columns) == ["n", "whole", "few", "text"]
    assert [values.dtype.kind for values in forced.columns.values()] == ["U", "f", "f", "U"]


def test_other_separators_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f'"a;{at % 2}";{at}\r\n' for at in range(12)]
    path.write_bytes(("\ufeff" + "name;size\r\n" + "".join(rows) + "\r\n").encode())
    table = read_table(path, CsvConfig(separator=";"))
    assert set(table.columns["name"]) == {"a;0", "a;1"}
    assert len(table) == 12


BAD: dict[str, tuple[list[str], str, str]] = {
    "empty": ([""], "empty", ""),
    "no rows": (LINES[:1], "0 rows", ""),
    "one row": (LINES[:2], "1 row under", ""),
    "one column": ([line.split(",")[0] for line in LINES], "two columns", "age"),
    "a gap": (changed(5, "23,,0.75"), "cell is empty", "line 5, column 'city'"),
    "a gap in numbers": (changed(5, ",Ulm,0.75"), "cell is empty", "line 5, column 'age'"),
    "not available": (changed(7, "25,Ulm,NA"), "'NA' is not a finite number", "line 7, column 'price'"),
    "not a number": (changed(7, "25,Ulm,nan"), "'nan' is not a finite number", "line 7, column 'price'"),
    "infinite": (changed(7, "25,Ulm,-inf"), "not a finite number", "line 7, column 'price'"),
    "huge": (changed(7, "25,Ulm,1e300"), "too large", "line 7, column 'price'"),
    "tiny": (with_column("x", [f"{at}e-0014" for at in range(12)]), "12 decimal places", "column 'x'"),
    "text among numbers": (changed(7, "young,Ulm,1"), "'young' is not a number", "line 7, column 'age'"),
    "names": (with_column("x", [f"id{at}" for at in range(12)]), "different text", "column 'x'"),
    "one class": (with_column("x", ["same"] * 12), "same value", "column 'x'"),
    "a constant": (with_column("x", ["7.5"] * 12), "same value", "column 'x'"),
    "ragged": (changed(4, "22,Ulm"), "2 cells, the header has 3", "line 4"),
    "no header": (LINES[1:], "not a header", "line 1"),
    "two of a name": (changed(1, "age,city,age"), "Two columns", "line 1"),
    "an open quote": (changed(3, '21,"Ulm,0.25'), "not a CSV file", "line"),
    "a long text": (changed(3, f"21,{'Ulm' * 100},0.25"), "300 characters", "line 3, column 'city'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_a_table_is_refused_with_line_and_column(name: str, tmp_path: Path) -> None:
    lines, what, where = BAD[name]
    with pytest.raises(DataError) as caught:
        open_csv(str(write(tmp_path / "bad.csv", lines)))
    assert what in caught.value.what
    assert where in caught.value.where
    assert "bad.csv" in caught.value.where


def test_one_error_names_all_columns_and_its_options_work(tmp_path: Path) -> None:
    cities, scores = ("", "Ulm", "Bern"), ["" if at == 4 else str(at / 2) for at in range(30)]
    rows = [f"{at},person {at},{cities[at % 3]},{scores[at]},{at % 2}" for at in range(30)]
    path = write(tmp_path / "t.csv", ["id,name,city,score,member", *rows])
    with pytest.raises(DataError, match="3 of 5 columns") as caught:
        open_csv(str(path))
    for text in (
        "column 'name': Each",
        "line 2, column 'city': 10 cells",
        "line 6, column 'score': A cell",
    ):
        assert text in caught.value.where
    assert """--set 'data.leave_out=["name", "city", "score"]'; or""" in caught.value.fix
    assert """--set 'data.leave_out=["name"]' --set data.missing=value""" in caught.value.fix
    config = CsvConfig(leave_out=("name", "id"), missing="value")
    table = read_table(path, config)
    assert set(table.columns["city"]) == {"(missing)", "Ulm", "Bern"}
    assert (len(table), table.left_out) == (30, 0)
    assert np.flatnonzero(np.isnan(table.columns["score"])).tolist() == [4]
    skip = CsvConfig(leave_out=("name", "id"), missing="skip")
    skipped = read_table(path, skip)
    assert (set(skipped.columns["city"]), skipped.left_out) == ({"Ulm", "Bern"}, 11)
    assert open_csv(str(path), skip).notes[-1] == "11 rows with an empty cell left out"


def test_blanks_of_few_numbers_are_a_value_and_a_column_without_values_is_refused(tmp_path: Path) -> None:
    lines = ["grade,nothing,x", *(f"{'NA' if at % 5 == 0 else at % 4},,{at / 3}" for at in range(40))]
    path = write(tmp_path / "t.csv", lines)
    with pytest.raises(DataError, match="All cells are empty"):
        read_table(path, CsvConfig(missing="value"))
    words = write(
        tmp_path / "w.csv", ["a,b", *(f"{('', 'NA', 'null')[at % 3]},{at / 3}" for at in range(40))]
    )
    for missing in ("error", "value", "skip"):
        with pytest.raises(DataError, match="All cells are empty") as caught:
            read_table(words, CsvConfig(missing=missing))
        assert "missing=" not in caught.value.fix  # no option fills such a column
    table = read_table(path, CsvConfig(missing="value", leave_out=("nothing",)))
    assert set(table.columns["grade"]) == {"(missing)", "0", "1", "2", "3"}
    gaps = write(
        tmp_path / "g.csv", ["a,b", *(f"{at / 2 if at % 8 == 0 else ''},{at / 3}" for at in range(40))]
    )
    with pytest.raises(DataError, match="Only 5 of 40 rows"):
        read_table(gaps, CsvConfig(missing="skip"))
    holes = write(
        tmp_path / "h.csv",
        ["a,b", *(f"{'' if at % 2 else at / 3},{at / 3 if at % 2 else ''}" for at in range(40))],
    )
    with pytest.raises(DataError, match="Only 0 of 40 rows"):
        read_table(holes, CsvConfig(missing="skip", numbers=("a", "b")))
    table = read_table(holes, CsvConfig(missing="value", numbers=("a", "b")))
    assert np.array_equal(np.isnan(table.columns["a"]), ~np.isnan(table.columns["b"]))


def test_columns_of_different_lengths_are_no_table() -> None:
    with pytest.raises(ValueError, match="'x': 3, 'y': 2"):
        Table(columns={"x": np.arange(3.0), "y": np.arange(2.0)}, decimals={"x": 0, "y": 0})


def test_other_encodings_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("\n".join(changed(4, "22,K\u00f6ln,0.5")).encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8") as caught:
        open_csv(str(path))
    assert "line 4" in caught.value.where
    for argument in ("", str(tmp_path / "nothing.csv")):
        with pytest.raises(DataError, match="path"):
            open_csv(argument)
    with pytest.raises(DataError, match="not a file"):
        open_csv(str(tmp_path))
    with pytest.raises(DataError, match=r"data\.leave_out names"):
        read_table(write(tmp_path / "t.csv", LINES), CsvConfig(leave_out=("town",)))


@pytest.mark.parametrize("name", ["empty", "one column", "a gap", "names", "one class"])
def test_the_command_ends_with_3_before_anything_is_written(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.csv", BAD[name][0])
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--run-dir", tmp_path / "run")
    assert said.code == 3, said.err
    assert str(path) in said.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_detected_and_the_suggested_option_works(separator: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [line.replace(",", separator) for line in LINES])
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run")
    assert said.code == 3
    option, value = pasted(said.err)
    read = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run", "--json", option, value).document
    assert list(read["columns"]) == ["age", "city", "price"]


def pasted(text: str) -> list[str]:
    """The words of the first option that a message suggests, as a shell splits them."""
    return shlex.split(text[text.index("--set") :].splitlines()[0])


def test_suggested_options_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    difficult = 'it\'s "x"'
    lines = with_column(difficult, ["same"] * 12)
    lines = [f"{line},{end}" for line, end in zip(lines, ["y", *["1.5"] * 12], strict=True)]
    lines[0] = lines[0].replace('it\'s "x"', '"it\'s ""x"""')
    path = write(tmp_path / "t.csv", lines)
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run")
    assert said.code == 3
    assert "column 'y'" in said.err
    both = pasted(said.err)
    left = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run", "--set", "data.leave_out=y")
    assert pasted(left.err) == ["--set", f"data.leave_out={json.dumps(['y', difficult])}"]
    read = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run", "--json", *both).document
    assert list(read["columns"]) == ["age", "city", "price"]


def test_one_name_needs_no_list(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", LINES)
    arguments = ["train", "ctgan", "--data", f"csv:{path}", "--dry-run", "--json", "--set"]
    assert list(ganzoo(*arguments, "data.leave_out=city").document["columns"]) == ["age", "price"]
    said = ganzoo(*arguments, "data.leave_out=city,age")
    assert said.code == 3
    assert "city,age" in said.err
    assert "data.leave_out=[" in said.err


def test_a_note_names_columns_that_are_probably_useless(tmp_path: Path) -> None:
    days = [f"day {at % 130}" for at in range(1_000)]
    lines = ["id,day,x", *(f"{at},{day},{at % 7 + 0.5}" for at, day in enumerate(days))]
    path = str(write(tmp_path / "t.csv", lines))
    notes = open_csv(path).notes
    assert len(notes) == 2
    assert "column 'id'" in notes[0]
    assert "'day' has 130 values in 1,000 rows" in notes[1]
    assert notes[1].endswith("""--set 'data.leave_out=["id", "day"]'""")
    left = open_csv(path, CsvConfig(leave_out=("id",))).notes
    day = notes[1].partition(";")[0]
    assert left == (f'{day}; to leave it out: --set \'data.leave_out=["id", "day"]\'',)
    blank = [re.sub(r"^[01],", ",", line) for line in lines]  # identifiers that are not known in two rows
    config = CsvConfig(missing="value")
    assert "column 'id'" in open_csv(str(write(tmp_path / "b.csv", blank)), config).notes[0]
    few = ["id,day,x", *(f"{at // 2},d{at % 100},{at % 7 + 0.5}" for at in range(1_000))]
    assert open_csv(str(write(tmp_path / "t.csv", few))).notes == ()


def test_a_dry_run_says_how_columns_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", LINES)
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run")
    assert said.code == 0, said.err
    assert "category, 2 values: Bonn, Ulm" in said.out
    assert "number, 20 to 31" in said.out
    assert "note: column 'age' has a different whole number in each row" in said.err


# --- numbers in other forms, codes ---------------------------------------------------------------


def written(form: str, value: float) -> str:
    """A number in a form that is named by how it writes 1234.5."""
    whole, part = f"{abs(value):.2f}".split(".")
    before, thousands, decimal, after = re.fullmatch(r"(\D*)1(\D?)234(\D)5(\D*)", form).groups()  # type: ignore[union-attr]
    sign = "-" if value < 0 else ""
    return f"{sign}{before}{int(whole):,}".replace(",", thousands) + f"{decimal}{part}{after}"


FORMS = (
    "1234,5",
    "1.234,5",
    "1,234.5",
    "1'234.5",
    "1\u202f234,5\u00a0€",
    "$1,234.5",
    "CHF 1234.5",
    "1234.5%",
    "1234,5 %",
)


@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_read_and_written_in_the_form_of_their_column(form: str, tmp_path: Path) -> None:
    """The case 06-decimal-comma, and its neighbours: thousands, currency, percent."""
    values = np.random.default_rng(0).normal(3_000, 2_500, 60).round(2)
    values[:4] = 0, -0.5, 12, 1_234_567.25
    lines = ["x\tkind", *(f"{written(form, value)}\t{'ab'[at % 2]}" for at, value in enumerate(values))]
    path = write(tmp_path / "t.tsv", lines)
    config = CsvConfig(separator="\t", held_out=0.0)
    table = read_table(path, config)
    np.testing.assert_array_equal(table.columns["x"], values)
    assert table.written == {"x": form}
    source = open_csv(str(path), config)
    assert any(form in note and "column 'x'" in note for note in source.notes)
    again = write(
        tmp_path / "again.tsv", tabular.to_csv(source.fields[0], source.arrays["row"]).decode().splitlines()
    )
    assert again.read_text(encoding="utf-8").startswith("x\tkind\n")
    read = read_table(again, config)
    assert read.written == table.written
    np.testing.assert_array_equal(
        read.columns["x"], tabular.decode(source.fields[0], source.arrays["row"])["x"]
    )
    texts = CsvConfig(separator="\t", categories=("x",))
    with pytest.raises(DataError, match="different text"):
        read_table(path, texts)


def test_the_case_of_a_decimal_comma(tmp_path: Path) -> None:
    """06-decimal-comma: after the hint on the semicolon, the amounts were 'names that cannot be learned'."""
    lines = [f"{20 + at % 40};{at * 37 % 101 + 100},{at % 10}7;Zürich;{at % 3 == 0}" for at in range(60)]
    path = write(tmp_path / "t.csv", ["age;income;city;member", *lines])
    path.write_text(path.read_text(encoding="utf-8").replace("Zürich", "Genève", 9), encoding="utf-8")
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run")
    option, value = pasted(said.err)
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run", option, value)
    assert said.code == 0, said.err
    assert re.search(r"income +number, \d+,\d7 to \d+,\d7", said.out)
    assert "column 'income' read as numbers; 1234.5 is 1234,5" in said.err


def test_a_comma_that_may_be_either_follows_the_other_columns_or_the_option(tmp_path: Path) -> None:
    lines = [f'"{at + 1},{at * 7 + 100}","{at},{at % 9}5"' for at in range(40)]
    path = write(tmp_path / "t.csv", ["x,y", *lines])
    assert read_table(path, CsvConfig()).columns["x"][1] == 2.107
    whole = ["x,y", *(f'"{at + 1},{at * 7 + 100}",{at}.5' for at in range(40))]
    alone = write(tmp_path / "alone.csv", whole)
    with pytest.raises(DataError, match="different text") as caught:
        read_table(alone, CsvConfig())
    assert "'1,100' may have a decimal comma or thousands" in caught.value.fix
    assert read_table(alone, CsvConfig(decimal=".")).columns["x"][1] == 2107
    assert read_table(alone, CsvConfig(decimal=",", leave_out=())).columns["x"][1] == 2.107


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ([f"2024-01-{at % 28 + 1:02d} 03:{at:02d}:05" for at in range(40)], "dates and times are not read"),
        ([f"10.0.{at}.{at % 7}" for at in range(40)], "leave the column out"),
        ([f"044 123 {at + 400}" for at in range(40)], "leave the column out"),
        ([f"{at}.5 %" if at % 2 else f"{at}.5 €" for at in range(40)], "leave the column out"),
    ],
)
def test_texts_with_digits_are_no_numbers(cells: list[str], what: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["x,y", *(f"{cell},{at / 2}" for at, cell in enumerate(cells))])
    with pytest.raises(DataError, match="different text") as caught:
        read_table(path, CsvConfig())
    assert what in caught.value.fix


def test_codes_keep_their_leading_zeros(tmp_path: Path) -> None:
    """The case 04-leading-zeros: postcodes were numbers from 0 to 7729."""
    codes = [f"{at % 60 * 131:05d}" for at in range(400)]
    path = write(tmp_path / "zip.csv", ["zip,income", *(f"{code},{at / 4}" for at, code in enumerate(codes))])
    said = ganzoo("train", "ctgan", "--data", f"csv:{path}", "--dry-run")
    assert said.code == 0, said.err
    assert re.search(r"zip +category, 60 values: 00000, 00131", said.out)
    option = said.err[said.err.index("column 'zip' with leading zeros") :]
    assert pasted(option) == ["--set", 'data.numbers=["zip"]']
    source = open_csv(str(path), CsvConfig(held_out=0.0))
    lines = tabular.to_csv(source.fields[0], source.arrays["row"]).decode().splitlines()
    assert sorted(line.split(",")[0] for line in lines[1:]) == sorted(codes)
    assert read_table(path, CsvConfig(numbers=("zip",))).columns["zip"].max() == 59 * 131
    phones = write(tmp_path / "p.csv", ["p,x", *(f"+4179123456{at % 3},{at / 4}" for at in range(40))])
    assert read_table(phones, CsvConfig()).codes == ("p",)
    signed = write(tmp_path / "s.csv", ["p,x", *(f"{at - 20:+d},{at / 4}" for at in range(40))])
    assert read_table(signed, CsvConfig()).decimals == {"p": 0, "x": 2}


def test_numbers_around_codes_percents_and_blanks(tmp_path: Path) -> None:
    lines = [f'{at % 5 * 10} %;{"" if at % 4 == 0 else f"{at},5"};"a\nb{at % 2}"' for at in range(40)]
    path = write(tmp_path / "t.csv", ["few;gaps;text", *lines])
    table = read_table(path, CsvConfig(separator=";", missing="value"))
    assert set(table.columns["few"]) == {"0 %", "10 %", "20 %", "30 %", "40 %"}
    assert set(table.columns["text"]) == {"a\nb0", "a\nb1"}
    assert np.isnan(table.columns["gaps"]).sum() == 10
    assert table.written == {"gaps": "1234,5"}
    unnamed = write(
        tmp_path / "u.csv", [f",{LINES[0]}", *(f"{at},{line}" for at, line in enumerate(LINES[1:]))]
    )
    with pytest.raises(DataError, match="Column 1 has no name"):
        read_table(unnamed, CsvConfig())


def with_blanks(path: Path, count: int = 400) -> Path:
    """Prices, a fifth of which are blank in shops and two thirds in markets; weights without blanks.

    Fines are 0 in three quarters of the rows, and far apart in the others.
    """
    random = np.random.default_rng(0)
    market = random.integers(0, 2, count)
    blank = random.random(count) < np.where(market, 0.65, 0.2)
    prices = random.normal(np.where(market, 5, 50), 1)
    fines = np.where(random.random(count) < 0.75, 0, random.lognormal(8, 2, count)).round()
    gaps = ("", "NA", "?")
    written = [gaps[at % 3] if blank[at] else f"{prices[at]:.2f}" for at in range(count)]
    places = np.where(market, "market", "shop")
    lines = [f"{written[at]},{places[at]},{at / 4},{fines[at]:.0f}" for at in range(count)]
    return write(path, ["price,place,weight,fine", *lines])


def test_blanks_of_numbers_come_back_from_rows_and_in_the_file(tmp_path: Path) -> None:
    path = with_blanks(tmp_path / "t.csv")
    config = CsvConfig(missing="value", held_out=0.0)
    source = open_csv(str(path), config)
    (field,) = source.fields
    assert [column.blanks for column in field.columns] == [True, False, False, False]
    rows = source.arrays["row"]
    price, place = field.columns[0], places(field.columns)[0]
    assert place.stop - place.start == len(price.centres) + 1
    assert (rows[:, place.start : place.stop].sum(1) == 1).all()
    read, given = tabular.decode(field, rows), read_table(path, config)
    order = np.argsort(given.columns["weight"])
    back = np.argsort(read["weight"], kind="stable")
    blank = np.isnan(read["price"])[back]
    assert 100 < blank.sum() < 300
    assert np.array_equal(blank, np.isnan(given.columns["price"])[order])
    np.testing.assert_allclose(read["price"][back], given.columns["price"][order], atol=0.006)

    written = tabular.to_csv(field, rows).decode().splitlines()
    assert [line.startswith(",") for line in written[1:]] == np.isnan(read["price"]).tolist()
    again = read_table(write(tmp_path / "again.csv", written), config)
    np.testing.assert_array_equal(again.columns["price"], read["price"])
    assert Field.from_json(field.to_json()) == field
    assert "blanks" not in field.to_json()["columns"][2]  # fingerprints of tables without blanks stay
    assert tabular.described(field)["price"].endswith("or blank")


def test_scores_see_blanks_as_a_column_of_their_own(tmp_path: Path) -> None:
    source = open_csv(str(with_blanks(tmp_path / "t.csv")), CsvConfig(missing="value"))
    (field,), rows = source.fields, source.arrays["row"]
    numbers = tabular.as_numbers(field, rows)
    assert tabular.widths(field) == (1, 1, 2, 1, 1)
    assert np.isfinite(numbers).all()
    blank = np.isnan(tabular.decode(field, rows)["price"])
    assert np.array_equal(numbers[:, 1], blank)
    assert len(set(numbers[blank, 0])) == 1
    assert tabular.as_numbers(field, rows, excluded=("price",)).shape[1] == 4


def test_a_column_with_blanks_needs_two_numbers_among_the_training_rows(tmp_path: Path) -> None:
    lines = ["a,b", *(f"{at / 2 if at in (3, 30) else ''},{at / 3}" for at in range(40))]
    path = str(write(tmp_path / "t.csv", lines))
    source = open_csv(path, CsvConfig(missing="value", held_out=0.0))
    assert source.fields[0].columns[0].bounds == (1.5, 15.0)
    with pytest.raises(DataError, match="same number in all training rows: a"):
        open_csv(path, CsvConfig(missing="value", held_out=0.9))


def test_generated_rows_have_blanks_and_zeros_as_often_as_the_data(tmp_path: Path) -> None:
    path = with_blanks(tmp_path / "t.csv", 2_000)
    options = {"data.source": f"csv:{path}", "data.missing": "value", "data.leave_out": ("weight",)}
    short = {
        "train.images": 40_000,
        "train.batch_size": 50,
        "train.device": "cpu",
        "train.threads": 1,
        "train.precision": "fp32",
    }
    plan = resolve("ctgan", load_registry(), overrides={**options, **short})
    run, _ = start(plan, tmp_path / "run", NullReporter())
    bundle = export_run(run, tmp_path / "bundle")
    made = load(bundle.path).table(2_000)
    blank, market = np.isnan(made["price"]), made["place"] == "market"
    assert abs(blank.mean() - 0.425) < 0.1
    assert blank[market].mean() > blank[~market].mean() + 0.2
    prices = made["price"][~blank]
    assert 0 < prices.min() < 10 < 40 < prices.max() < 60
    assert 0.6 < (made["fine"] == 0).mean() < 0.97  # 0.75 of the data; without an exact mode 0.4


# --- mixtures -----------------------------------------------------------------------------------


def fitted(values: NDArray[np.float64], modes: int) -> mixtures.Mixture:
    (found,) = mixtures.fit([values], modes, [np.random.default_rng(0)])
    return found


def test_a_known_mixture_is_found() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(-50, 5, 900), random.normal(0, 10, 1500), random.normal(80, 20, 600)]
    found = fitted(np.concatenate(parts), 10)
    np.testing.assert_allclose(found.weights, [0.3, 0.5, 0.2], atol=0.03)
    np.testing.assert_allclose(found.centres, [-50, 0, 80], atol=4)
    np.testing.assert_allclose(found.widths, [5, 10, 20], rtol=0.15)


def test_one_gaussian_is_one_mode_and_a_spike_is_another() -> None:
    random = np.random.default_rng(1)
    assert len(fitted(random.normal(3, 2, 3000), 10).weights) == 1
    found = fitted(np.concatenate([np.zeros(2700), random.lognormal(8, 1, 300)]), 10)
    assert found.weights[0] == pytest.approx(0.9)
    assert (found.centres[0], found.widths[0]) == (0, 0)
    assert (found.widths[1:] > 0).all()
    assert fitted(np.array([1.0, 2.0]), 10).centres.size in (1, 2)


def test_columns_are_fitted_together_as_they_are_alone() -> None:
    random = np.random.default_rng(3)
    columns = [random.normal(0, 1, 900), random.poisson(9, 500) * 1.0, random.lognormal(0, 1, 40)]
    together = mixtures.fit(columns, 10, [np.random.default_rng(0) for _ in columns])
    for values, found in zip(columns, together, strict=True):
        np.testing.assert_allclose(found.centres, fitted(values, 10).centres, rtol=1e-9)


def test_values_that_are_far_more_frequent_than_others_are_spikes_and_counts_are_not() -> None:
    random = np.random.default_rng(2)
    hours = np.concatenate([np.full(500, 40.0), np.full(100, 50.0), random.normal(38, 12, 400).round(1)])
    found = fitted(hours, 10)
    assert found.centres[found.widths == 0].tolist() == [40, 50]
    assert (fitted(hours, 2).widths == 0).tolist().count(True) == 1  # the other mode is for all the rest
    assert (fitted(hours, 1).widths > 0).all()
    for values in (random.poisson(6, 2000) * 1.0, random.normal(40, 10, 2000).round(), random.random(2000)):
        assert (fitted(values, 10).widths > 0).all()
    two = fitted(np.array([0.5] * 39 + [7.25]), 10)
    assert (two.centres.tolist(), two.widths.tolist()) == ([0.5, 7.25], [0, 0])
    assert two.probabilities(np.array([0.5, 7.25, 6.0])).tolist() == [[1, 0], [0, 1], [0, 1]]


def test_the_zeros_of_a_cost_are_exact_and_stay_as_frequent(tmp_path: Path) -> None:
    """The case 07-zero-inflated-number: 98 % zeros beside costs of millions became half of the rows."""
    random = np.random.default_rng(0)
    cost = np.where(random.random(3_000) < 0.98, 0, random.lognormal(10, 2, 3_000).round())
    path = write(
        tmp_path / "t.csv", ["cost,x", *(f"{c:.0f},{x:.3f}" for c, x in zip(cost, cost / 3 + 1, strict=True))]
    )
    source = open_csv(str(path), CsvConfig(held_out=0.0))
    (field,), rows = source.fields, source.arrays["row"]
    noisy = rows + random.normal(0, 0.02, rows.shape).astype(np.float32)  # as a generator writes them
    for row in (rows, noisy):
        made = tabular.decode(field, row)["cost"]
        assert (made == 0).mean() == pytest.approx((cost == 0).mean(), abs=0.002)
    np.testing.assert_allclose(np.sort(tabular.decode(field, rows)["cost"]), np.sort(cost), rtol=0.01)


def test_probabilities_of_modes_follow_bayes_rule() -> None:
    mixture = mixtures.Mixture(
        weights=np.array([0.25, 0.75]), centres=np.array([0.0, 4.0]), widths=np.array([1.0, 2.0])
    )
    x = np.array([1.0, 3.0])
    joint = mixture.weights * stats.norm.pdf(x[:, None], mixture.centres, mixture.widths)
    np.testing.assert_allclose(mixture.probabilities(x), joint / joint.sum(1, keepdims=True))


# --- rows and conditions ------------------------------------------------------------------------


def test_rows_are_read_back_as_the_table_that_they_came_from() -> None:
    source = open_toy("", ToyTableConfig(count=2000))
    (field,) = source.fields
    rows, table = source.arrays["row"], toy_table(2000, 0, ())
    assert np.abs(rows).max() <= 1
    read = tabular.decode(field, rows)
    for column, place in zip(field.columns, places(field.columns), strict=True):
        values = table.columns[column.name]
        if column.values:
            assert np.array_equal(read[column.name], values)
            continue
        inside = np.abs(rows[:, place.value]) < 0.99
        assert inside.mean() > 0.98
        step = 0.51 * 10.0**-column.decimals
        np.testing.assert_allclose(read[column.name][inside], values[inside], atol=step, rtol=1e-5)
        assert (rows[:, place.start : place.stop].sum(1) == 1).all()


def test_modes_are_drawn_by_their_probability() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 1, 3000), random.normal(3, 1, 3000)])
    table = Table(columns={"x": values, "y": random.normal(size=6000)}, decimals={"x": 3, "y": 3})
    encoding = fit_encoding(table, table, TableConfig())
    column, place = encoding.columns[0], places(encoding.columns)[0]
    assert len(column.centres) == 2
    rows = source_of(table, encoding, TableConfig(), "x").arrays["row"]
    between = np.abs(values - 1.5) < 0.25
    chosen = rows[between, place.start + 1].mean()
    expected = encoding.mixtures["x"].probabilities(values[between])[:, 1].mean()
    assert abs(chosen - expected) < 4 * (0.25 / between.sum()) ** 0.5


def small_table() -> Table:
    size = np.array(["big"] * 70 + ["mid"] * 27 + ["tiny"] * 3)
    side = np.array((["left"] * 9 + ["right"]) * 10)
    return Table(columns={"size": size, "side": side, "x": np.arange(100.0)}, decimals={"x": 0})


def test_conditions_are_sampled_by_the_logarithm_of_their_frequency() -> None:
    table = small_table()
    encoding = fit_encoding(table, table, TableConfig())
    source = source_of(table, encoding, TableConfig(conditions=True), "x")
    label = source.fields[1]
    assert label.classes == ("size=big", "size=mid", "size=tiny", "side=left", "side=right")
    counts = np.array([70, 27, 3, 90, 10])
    np.testing.assert_allclose(label.shares, counts / 200)
    logs = np.log1p(counts)
    expected = np.concatenate([logs[:3] / logs[:3].sum(), logs[3:] / logs[3:].sum()]) / 2
    assert source.weights is not None
    found = np.bincount(source.arrays["condition"], source.weights)
    np.testing.assert_allclose(found / found.sum(), expected)
    np.testing.assert_allclose(weights_of(counts, encoding.columns)[:3] * counts[:3], 2 * expected[:3])


def test_a_condition_is_true_of_the_row_beside_it() -> None:
    for source in (open_toy("", ToyTableConfig(count=500, conditions=True)),
                   open_toy_held_out("", ToyTableConfig(count=500, conditions=True))):  # fmt: skip
        rows, conditioned = source.arrays["row"], source.arrays["condition"]
        assert (rows[np.arange(len(rows)), conditioned] == 1).all()
    assert source.weights is None
    assert len(rows) == 500
    shares = np.bincount(conditioned, minlength=len(source.fields[1].classes)) / 500
    np.testing.assert_allclose(shares, source.fields[1].shares, atol=0.07)


def test_training_and_held_out_rows_share_the_encoding_and_no_row(tmp_path: Path) -> None:
    lines = ["x,kind", *(f"{at + 0.5},{'ab'[at % 2]}" for at in range(200))]
    path, config = str(write(tmp_path / "t.csv", lines)), CsvConfig(conditions=True, held_out=0.25)
    training, rest = open_csv(path, config), open_csv_held_out(path, config)
    assert rest is not None
    assert training.fields == rest.fields
    assert (len(training.arrays["row"]), len(rest.arrays["row"])) == (150, 50)
    read = [set(tabular.decode(part.fields[0], part.arrays["row"])["x"]) for part in (training, rest)]
    assert read[0].isdisjoint(read[1])
    assert read[0] | read[1] == {at + 0.5 for at in range(200)}
    assert open_csv_held_out(path, CsvConfig(held_out=0.0)) is None


def test_numbers_alone_have_no_conditions(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = ["x,y", *(f"{a:.4f},{b:.4f}" for a, b in random.normal(size=(60, 2)))]
    source = open_csv(str(write(tmp_path / "t.csv", lines)), CsvConfig(conditions=True))
    assert [field.name for field in source.fields] == ["row"]
    networks = build(TabularConfig(), DataInfo(fields=source.fields, count=48))
    assert networks.generators["generator"].reads == ("z", "chance")


# --- networks and term --------------------------------------------------------------------------
