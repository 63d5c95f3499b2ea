"""Rows that spell a table: the code of `Field.columns`, shares of labels, weights of samples, CSV out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganzoo import sampling, tabular
from ganzoo.api import ArraySource, Column, DataInfo, Field, Net, Networks, places
from ganzoo.data.batches import Batches, order, weighted
from ganzoo.data.dataset import open_source
from ganzoo.errors import DataError, UsageError
from ganzoo.evaluation.samples import stored
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.model_card import snippet
from ganzoo.page.graph import script
from ganzoo.runtime.generator import load
from ganzoo.runtime.onnx_file import METADATA_KEY
from ganzoo_media.plain import Rows
from tests.helpers.evaluating import ganzoo
from tests.page.test_interpreter import NODE, needs_node

PRICE = Column(name="price, net", centres=(10.0, 100.0), widths=(1.0, 5.0), bounds=(8.0, 104.5), decimals=2)
COLOUR = Column(name="colour", values=("red", 'dark "blue"'))
COUNT = Column(name="count", centres=(3.0,), widths=(0.5,), bounds=(0.0, 5.0))
SHOP = Field(name="row", shape=(7,), range=(-1.0, 1.0), columns=(PRICE, COLOUR, COUNT))
#                  red  blue | modes of price | count | price | count
ROWS = np.array(
    [
        [1.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.0],
        [0.2, 0.3, 0.1, 0.4, 0.9, 0.25, -0.25],
        [0.0, 1.0, 0.0, 1.0, 1.0, -1.5, 9.0],
    ],
    np.float32,
)


# A price that may be blank has one indicator more, after those of its modes.
GAPS = replace(SHOP, shape=(8,), columns=(replace(PRICE, blanks=True), COLOUR, COUNT))


# Prices in euro with a decimal comma, cells between semicolons.
EURO = replace(SHOP, columns=(replace(PRICE, written="1.234,5 €"), COLOUR, COUNT), facts={"separator": ";"})


def with_blank(rows: NDArray[Any], blank: Sequence[float]) -> NDArray[Any]:
    return np.insert(rows, 4, np.array(blank, rows.dtype), axis=1)


def test_categories_come_first_and_values_last() -> None:
    assert places(SHOP.columns) == [(2, 4, 5), (0, 2, -1), (4, 5, 6)]


def test_rows_are_read_by_their_largest_indicators() -> None:
    table = tabular.decode(SHOP, ROWS)
    # 10 + 4 * 1 * 0.5; 100 + 4 * 5 * 0.25, held at 104.5; a value beyond -1 counts as -1: 100 - 20
    assert table["price, net"].tolist() == [12.0, 104.5, 80.0]
    assert table["colour"].tolist() == ["red", 'dark "blue"', 'dark "blue"']
    assert table["count"].tolist() == [3.0, 2.0, 5.0]  # 2.5 is rounded to the even 2


def test_a_blank_is_a_number_that_is_missing() -> None:
    rows = with_blank(ROWS, [0.9, 0.5, 0.2])
    table = tabular.decode(GAPS, rows)
    np.testing.assert_array_equal(table["price, net"], [12.0, np.nan, 80.0])
    for name in ("colour", "count"):
        assert table[name].tolist() == tabular.decode(SHOP, ROWS)[name].tolist()
    lines = list(csv.reader(io.StringIO(tabular.to_csv(GAPS, rows).decode())))
    assert lines[2] == ["", 'dark "blue"', "2"]
    found = tabular.as_numbers(GAPS, rows)  # price, whether it is blank, two colours, count
    assert found[:, 0].tolist() == [12.0, 100.0, 80.0]
    assert found[:, 1].tolist() == [0.0, 1.0, 0.0]
    assert tabular.widths(GAPS) == (1, 1, 2, 1)


def test_numbers_and_cells_are_written_as_the_file_had_them() -> None:
    dear = replace(PRICE, centres=(-2_000_000.0, 100.0), bounds=(-2e6, 104.5), written="1.234,5 €")
    field = replace(EURO, columns=(dear, COLOUR, COUNT))
    lines = tabular.to_csv(field, ROWS).decode().splitlines()
    assert lines[0] == "price, net;colour;count"
    assert lines[1].startswith("-1.999.998,00 €;red;")
    assert tabular.described(field)["price, net"].startswith("number, -2.000.000,00 € to 104,50 €")
    assert Field.from_json(field.to_json()) == field
    assert "written" not in SHOP.to_json()["columns"][0]  # fingerprints of other tables stay
    foreign = replace(EURO, facts={"separator": "long"})
    assert tabular.to_csv(foreign, ROWS).decode().startswith('"price, net",colour')


@needs_node
def test_a_page_reads_rows_in_the_same_way(tmp_path: Path) -> None:
    shop = ROWS.copy()
    shop[1, 6] = -0.2  # no tie: JavaScript rounds 2.5 up
    for field, rows in ((SHOP, shop), (EURO, shop), (GAPS, with_blank(shop, [0.9, 0.5, 0.2]))):
        job = json.dumps({"columns": field.to_json()["columns"], "rows": rows.tolist()})
        read = "job.rows.map((row) => decodeRow(Float32Array.from(row), job.columns))"
        file = tmp_path / "run.js"
        code = f"const job = {job};\nconsole.log(JSON.stringify({read}));"
        file.write_text(f"{script('viewers.js')}\n{code}")
        done = subprocess.run([str(NODE), str(file)], capture_output=True, text=True, check=True)
        text = tabular.to_csv(field, rows).decode()
        written = list(csv.reader(io.StringIO(text), delimiter=field.facts.get("separator", ",")))
        assert json.loads(done.stdout) == written[1:]


def test_what_is_compared_are_numbers_and_indicators() -> None:
    expected = [[12.0, 1, 0, 3], [104.5, 0, 1, 2], [80, 0, 1, 5]]
    assert stored(Rows(), SHOP, ROWS).tolist() == expected
    assert stored(Rows(), SHOP, ROWS).dtype == np.float32


def test_a_csv_is_read_back_as_it_was() -> None:
    written = tabular.to_csv(SHOP, ROWS).decode()
    assert list(csv.reader(io.StringIO(written))) == [
        ["price, net", "colour", "count"],
        ["12.00", "red", "3"],
        ["104.50", 'dark "blue"', "2"],
        ["80.00", 'dark "blue"', "5"],
    ]


def test_columns_go_through_json_and_leave_other_fields_as_they_were() -> None:
    assert Field.from_json(json.loads(json.dumps(SHOP.to_json()))) == SHOP
    label = Field(name="label", dtype="int64", classes=("a", "b"), shares=(0.25, 0.75))
    assert Field.from_json(json.loads(json.dumps(label.to_json()))) == label
    plain = Field(name="image", shape=(1, 8, 8))
    assert {"columns", "shares"}.isdisjoint(plain.to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [8]},
        {"columns": "abc"},
        {"columns": ["abc"]},
        {"columns": [{"name": "x"}]},
        {"columns": [{"name": "x", "values": ["a"], "centres": [1.0], "widths": [1.0]}]},
        {"columns": [{"name": "x", "centres": [float("nan")], "widths": [1.0]}], "shape": [2]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": []}], "shape": [2]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": [1.0], "decimals": 99}], "shape": [2]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": [1.0], "decimals": 2.0}], "shape": [2]},
        {"columns": [{"name": "x", "values": ["a", 3]}], "shape": [2]},
        {"columns": [{"name": "x", "values": ["a", "b"], "blanks": True}], "shape": [3]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": [1.0], "blanks": 1.0}], "shape": [3]},
        {"columns": [{"name": "x", "values": "ab"}], "shape": [2]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": [1.0], "written": "1234"}], "shape": [2]},
        {"columns": [{"name": "x", "centres": [1.0], "widths": [1.0], "written": 1}], "shape": [2]},
        {"columns": 2 * [{"name": "x", "values": ["a", "b"]}], "shape": [4]},
        {"source": "constant", "default": "abc"},
        {"source": "constant", "default": float("nan")},
        {"source": "constant", "default": None},
        {"classes": ["a", "b"], "shares": [1.0]},
        {"classes": ["a", "b"], "shares": [-1.0, 2.0]},
        {"classes": ["a", "b"], "shares": [0.0, 0.0]},
    ],
)
def test_metadata_that_spell_no_table_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Field.from_json({**SHOP.to_json(), **change})


# --- shares and weights -------------------------------------------------------------------------


def test_labels_are_drawn_by_their_shares() -> None:
    label = Field(name="label", dtype="int64", classes=("a", "b", "c"), shares=(0.1, 0.0, 0.9))
    drawn = sampling.draw([label], 20_000, 1)["label"]
    counts = np.bincount(drawn, minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] - 2_000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert np.array_equal(sampling.draw([label], 50, 1, 100)["label"], drawn[100:150])
    equal = sampling.draw([replace(label, shares=())], 3_000, 1)["label"]
    assert np.bincount(equal).min() > 800


def test_samples_come_in_proportion_to_their_weights() -> None:
    weights = np.array([0.0, 1.0, 2.5, 0.1, 6.4])  # of 10
    ends, shuffled = weights.cumsum(), order(3, "discriminator", 0, 5)
    visits = Counter[int]()
    for epoch in range(2_000):
        epoch_visits = weighted(3, "discriminator", epoch, ends, shuffled)
        counts = np.bincount(epoch_visits, minlength=5)
        due = 5 * weights / 10
        assert (np.floor(due) <= counts).all()
        assert (counts <= np.ceil(due)).all()
        visits.update(epoch_visits.tolist())
    shares = np.array([visits[at] for at in range(5)]) / 10_000
    np.testing.assert_allclose(shares, weights / 10, atol=0.005)


def test_batches_follow_weights_and_positions_alone() -> None:
    values = np.arange(100, dtype=np.float32)[:, None]
    source = ArraySource(
        fields=(Field(name="x", shape=(1,)),), arrays={"x": values}, weights=(values[:, 0] >= 90) * 1.0
    )
    batches = Batches(open_source(source), seed=0, device=torch.device("cpu"))
    seen = batches.take("discriminator", 0, 200)["x"][:, 0]
    assert sorted(seen.tolist()) == sorted(list(range(90, 100)) * 20)
    assert torch.equal(batches.take("discriminator", 150, 50)["x"][:, 0], seen[150:])


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(4), np.zeros(4), np.full(4, np.nan)])
def test_weights_that_are_none_are_refused(weights: Any) -> None:
    fields = (Field(name="x", shape=(1,)),)
    source = ArraySource(fields=fields, arrays={"x": np.ones((4, 1), np.float32)}, weights=weights)
    with pytest.raises(DataError, match="weights"):
        open_source(source)


# --- from a bundle to a table -------------------------------------------------------------------


class Spelling(nn.Module):
    """Any row of the table by five numbers."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(5, size)

    def forward(self, z: Tensor) -> Tensor:
        return self.layer(z).tanh()


def exported(field: Field, folder: Path) -> Path:
    torch.manual_seed(0)
    networks = Networks(
        generators={"generator": Net(module=Spelling(field.shape[0]), reads=("z",), writes=("row",))},
        discriminators={},
        games=(),
        fields=(Field(name="z", shape=(5,), source="normal"),),
    )
    export_generators(networks, DataInfo(fields=(field,), count=3), folder, about={"recipe": "shop"})
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(SHOP, tmp_path_factory.mktemp("bundle") / "shop")


def test_a_bundle_writes_its_table_without_torch(bundle: Path, tmp_path: Path) -> None:
    table = load(bundle, provider="cpu").table(40, 7)
    assert list(table) == ["price, net", "colour", "count"]
    target = tmp_path / "out.csv"
    said = ganzoo("generate", bundle, "-n", "40", "--seed", "7", "-o", target)
    assert said.code == 0, said.err
    header, *lines = list(csv.reader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert header == list(table)
    assert [line[1] for line in lines] == table["colour"].tolist()
    assert [float(line[0]) for line in lines] == table["price, net"].tolist()
    assert set(table["colour"]) == set(COLOUR.values)


def test_what_is_no_table_is_not_written_as_one(tmp_path: Path, bundle: Path) -> None:
    generator = load(bundle, provider="cpu")
    generator.outputs = (replace(SHOP, columns=()),)
    with pytest.raises(UsageError, match="makes no table"):
        generator.table(1)


def test_columns_are_described_in_words() -> None:
    assert tabular.described(SHOP) == {
        "price, net": "number, 8.00 to 104.50, 2 modes",
        "colour": 'category, 2 values: red, dark "blue"',
        "count": "number, 0 to 5, 1 mode",
    }
    letters = Column(name="letter", values=tuple("abcdef"))
    assert tabular.described(Field(name="row", shape=(6,), columns=(letters,))) == {
        "letter": "category, 6 values: a, b, c, d, ..."
    }
    assert tabular.described(Field(name="point", shape=(2,))) == {}


def test_a_table_is_not_drawn_and_images_are_no_table(bundle: Path, tmp_path: Path) -> None:
    said = ganzoo("generate", bundle, "-o", tmp_path / "out.png")
    assert said.code == 2
    assert "'generator' writes rows, which cannot be written as '.png'." in said.err
    assert "use a folder, .csv, .npz" in said.err
    images = Path(__file__).parents[2] / "exported" / "vanilla"
    said = ganzoo("generate", images, "-o", tmp_path / "out.csv")
    assert said.code == 2
    assert "'generator' writes images, which cannot be written as '.csv'." in said.err
    assert "use a folder, .png, " in said.err


@pytest.mark.parametrize("field", [SHOP, GAPS], ids=["shop", "blanks"])
def test_the_card_reads_the_table_by_numpy_alone(
    field: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = exported(field, tmp_path / "shop")
    generator = load(bundle, provider="cpu")
    code = snippet("generator", generator.inputs, generator.outputs)
    assert code in (bundle / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(bundle)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    expected = tabular.decode(field, names["outputs"]["row"])
    assert list(names["table"]) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(names["table"][name], values)


def test_columns_that_do_not_fit_their_graph_are_refused(bundle: Path, tmp_path: Path) -> None:
    model = onnx.load(bundle / "generator.onnx")
    del model.metadata_props[1:]  # the seal
    (entry,) = [item for item in model.metadata_props if item.key == METADATA_KEY]
    record = json.loads(entry.value)
    record["outputs"][0]["columns"] = record["outputs"][0]["columns"][:1]
    entry.value = json.dumps(record)
    path = tmp_path / "bad.onnx"
    path.write_bytes(sealed_bytes(model))
    with pytest.raises(UsageError, match="metadata of the file cannot be read"):
        load(path, provider="cpu")
