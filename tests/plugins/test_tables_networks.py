"""CTGAN: its networks, the term `condition`, generated tables and what they are worth."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ganzoo import sampling, tabular
from ganzoo.api import DataError, DataInfo, Field, SettingsError, View, places
from ganzoo.config.resolve import resolve
from ganzoo.networks.apply import apply, declared, sampled
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry
from ganzoo.runs.load import load_trained
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_tables.config import ConditionConfig, CsvConfig, TabularConfig, ToyTableConfig
from ganzoo_tables.datasets import open_csv, open_csv_held_out, open_toy, toy_table
from ganzoo_tables.networks import Choices, build
from ganzoo_tables.read_csv import read_table
from ganzoo_tables.terms import condition
from tests.helpers.evaluating import ganzoo
from tests.plugins.test_tables import write


def toy_info(**options: Any) -> DataInfo:
    return DataInfo(fields=open_toy("", ToyTableConfig(count=300, **options)).fields, count=300)


def widths(module: nn.Module) -> list[tuple[int, int]]:
    return [(part.in_features, part.out_features) for part in module.modules() if isinstance(part, nn.Linear)]


def test_the_networks_of_the_paper(registry: Registry) -> None:
    """Section 4.4: h1 = h0 + 256, h2 = h1 + 256 by concatenation; D scores packs of 10 by layers of 256."""
    info = toy_info(conditions=True)
    networks = build_networks(resolve("ctgan-paper", registry), info)
    size, classes = info.field("row").shape[0], len(info.field("condition").classes)
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    first = 128 + classes
    assert widths(generator.module) == [(first, 256), (first + 256, 256), (first + 512, size)]
    assert widths(discriminator.module) == [(10 * (size + classes), 256), (256, 256), (256, 1)]
    norms = [part for part in generator.module.modules() if isinstance(part, nn.BatchNorm1d)]
    drops = [part.p for part in discriminator.module.modules() if isinstance(part, nn.Dropout)]
    assert (len(norms), drops) == (2, [0.5, 0.5])
    batch = {"row": torch.randn(40, size), "condition": torch.arange(40) % classes}
    assert apply(discriminator, batch)["score"].shape == (4,)


def test_choices_follow_the_softmax_of_their_logits() -> None:
    """Gumbel's trick: the largest of logits plus noise is drawn by the softmax (Jang et al. 2017)."""
    columns = toy_info().field("row").columns
    choices = Choices(columns, temperature=0.2)
    torch.manual_seed(0)
    logits = torch.randn(1, choices.size).expand(20_000, -1)
    made = choices(logits, 2 * torch.rand(20_000, choices.size) - 1)
    for first, stop, _ in places(columns):
        part = made[:, first:stop]
        torch.testing.assert_close(part.sum(1), torch.ones(20_000))
        shares = nn.functional.one_hot(part.argmax(1), stop - first).float().mean(0)
        expected = logits[0, first:stop].softmax(0)
        assert float((shares - expected).abs().max()) < 0.02
    still = torch.zeros(1, choices.size)
    alone = choices(logits[:1], still)[0, slice(*places(columns)[0][:2])]
    torch.testing.assert_close(alone, (logits[0, slice(*places(columns)[0][:2])] / 0.2).softmax(0))


def test_extreme_chance_stays_finite() -> None:
    choices = Choices(toy_info().field("row").columns, temperature=0.05)
    for end in (-1.0, 1.0):
        made = choices(torch.zeros(2, choices.size), torch.full((2, choices.size), end))
        assert torch.isfinite(made).all()


@pytest.mark.parametrize("shape", [(4,), (1, 4, 4)])
def test_rows_without_columns_are_refused(shape: tuple[int, ...]) -> None:
    info = DataInfo(fields=(Field(name="row", shape=shape),), count=9)
    with pytest.raises(DataError, match="known columns"):
        build(TabularConfig(), info)


class Asked:
    """A view of rows that were generated for conditions."""

    def __init__(self, row: torch.Tensor, conditioned: list[int] | None) -> None:
        self.written = ("row",)
        self.fake = {"row": row}
        if conditioned is not None:
            self.fake["condition"] = torch.tensor(conditioned)


def term(view: Any, weight: float = 1.0) -> torch.Tensor:
    given: View = view
    return condition(ConditionConfig(weight=weight))(given)


def test_the_term_is_the_cross_entropy_of_the_condition() -> None:
    row = torch.tensor([[0.5, 0.5, 0.1], [0.2, 0.8, 0.9], [0.0, 1.0, 0.0]], requires_grad=True)
    value = term(Asked(row, [0, 1, 1]), weight=3.0)
    assert value.item() == pytest.approx(-3 * (math.log(0.5) + math.log(0.8)) / 3)
    value.backward()  # type: ignore[no-untyped-call]
    assert row.grad is not None
    assert row.grad[0].tolist() == pytest.approx([-2.0, 0, 0])
    assert math.isfinite(term(Asked(row, [0, 0, 0])).item())
    assert term(Asked(row, None)).item() == 0
    view = Asked(row, [0, 0, 0])
    view.written = ("image",)
    with pytest.raises(SettingsError, match="rows"):
        term(view)


def test_its_gradient_is_on_average_that_of_the_logits() -> None:
    """At the temperature t, t times the gradient after the noise is that of the cross entropy before it."""
    torch.manual_seed(0)
    logits, temperature = torch.randn(3), 0.2
    noisy = logits.expand(200_000, 3).clone().requires_grad_()
    gumbel = -(-torch.rand(200_000, 3).clamp(1e-6, 1 - 1e-6).log()).log()
    row = ((noisy + gumbel) / temperature).softmax(1)
    term(Asked(row, [1] * 200_000), weight=temperature).backward()  # type: ignore[no-untyped-call]
    assert noisy.grad is not None
    expected = logits.softmax(0) - torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(noisy.grad.sum(0), expected, atol=0.03, rtol=0)


# --- training -----------------------------------------------------------------------------------

SMALL: dict[str, Any] = {
    "train.device": "cpu",
    "train.threads": 1,
    "train.samples": 4,
    "architecture.latent": 16,
    "architecture.generator_hidden": (64, 64),
    "architecture.discriminator_hidden": (64, 64),
}


def made(run: Run, registry: Registry, n: int, **given: int) -> dict[str, Any]:
    """Rows of a run's generator, by column, for drawn conditions or a given one."""
    net = load_trained(run, registry, "newest", lambda note: None).networks.generators["generator"]
    field = run.info.field("row")
    inputs = sampling.draw([item for item in run_inputs(run, registry) if item.name not in given], n, 0)
    inputs |= {name: np.full(n, value, np.int64) for name, value in given.items()}
    net.module.eval()
    return tabular.decode(field, sampled(net, inputs))


def run_inputs(run: Run, registry: Registry) -> list[Field]:
    networks = load_trained(run, registry, "newest", lambda note: None).networks
    fields = declared(networks, run.info)
    return [fields[name] for name in networks.generators["generator"].reads]


def test_a_short_run_learns_the_table_and_uses_conditions(registry: Registry, tmp_path: Path) -> None:
    settings = {**SMALL, "train.images": 60_000, "train.batch_size": 200, "train.pack": 2}
    rates = {f"{side}.lr": 2e-3 for side in ("generator", "discriminator")}
    plan = resolve("ctgan", registry, overrides={**settings, **rates})
    run, _ = start(plan, tmp_path / "run", NullReporter())
    real, fake = toy_table(4000, 1, ()).columns, made(run, registry, 4000)
    shares = [[(part["region"] == name).mean() for name in ("north", "south", "east", "islands")]
              for part in (real, fake)]  # fmt: skip
    assert np.abs(np.subtract(*shares)).sum() / 2 < 0.12
    for name in ("age", "visits", "spent"):
        assert stats.ks_2samp(fake[name], real[name]).statistic < 0.3
    # Members are older by 24 years: what two columns have to do with each other.
    gap = [part["age"][part["member"] == "yes"].mean() - part["age"][part["member"] == "no"].mean()
           for part in (real, fake)]  # fmt: skip
    assert gap[1] > gap[0] / 2
    islands = run.info.field("condition").classes.index("region=islands")
    assert (made(run, registry, 500, condition=islands)["region"] == "islands").mean() > 0.5


def check_card(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code on the card of a table works, and draws conditions as often as the data has them."""
    card = (bundle / "README.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"^ganzoo generate \. (.*)$", card, re.MULTILINE)
    assert "\n[samples](samples.csv)" in card  # a link: a table is no image
    (bundle / "samples.csv").unlink()
    with monkeypatch.context() as patch:
        patch.chdir(bundle)
        said = ganzoo("generate", ".", *words.split())
        assert said.code == 0, said.err
        assert (bundle / "samples.csv").exists()
        (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        names: dict[str, Any] = {}
        exec(code.replace("(16,)", "(4000,)").replace("(16, ", "(4000, "), names)  # noqa: S102
    (condition,) = (field for field in names["record"]["inputs"] if field["name"] == "condition")
    shares = np.array(condition["shares"]) / np.sum(condition["shares"])
    counts = np.bincount(names["inputs"]["condition"], minlength=len(shares))
    assert np.abs(counts / 4000 - shares).max() < 5 * 0.5 / 4000**0.5
    assert len(set(shares.round(6))) > 2


def test_from_a_csv_to_a_csv_with_scores_between(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # scores of a bundle are written where the command is given
    table = toy_table(300, 4, ()).columns
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path = write(tmp_path / "shop.csv", lines)
    options = {**SMALL, "data.source": f"csv:{path}", "train.batch_size": 40, "train.images": 400}
    plan = resolve("ctgan", registry, overrides={**options, "data.leave_out": ["visits"]})
    run, _ = start(plan, tmp_path / "run", NullReporter())
    document = ganzoo("evaluate", run.path, "--json").document
    assert {"column_distance", "column_ks", "pair_correlation"} <= set(document["scores"])
    assert document["reference"]["real"]["column_ks"] < document["scores"]["column_ks"]
    said = ganzoo("export", run.path, "-o", tmp_path / "bundle")
    assert said.code == 0, said.err
    check_card(tmp_path / "bundle", monkeypatch)
    said = ganzoo(
        "generate", tmp_path / "bundle", "-n", "50", "--label", "member=yes", "-o", tmp_path / "o.csv"
    )
    assert said.code == 0, said.err
    header, *rows = csv.reader(io.StringIO((tmp_path / "o.csv").read_text(encoding="utf-8")))
    assert header == ["region", "member", "spent", "age", "rating"]
    assert len(rows) == 50
    for row in rows:
        assert row[0] in set(table["region"])
        assert table["spent"].min() <= float(row[2]) <= table["spent"].max()
        assert row[3].isdigit()
    scored = ganzoo("evaluate", tmp_path / "bundle", "--data", f"csv:{path}", "--json").document["scores"]
    assert scored["column_ks"] == pytest.approx(document["scores"]["column_ks"], abs=0.02)
    other = write(tmp_path / "other.csv", [line.replace("north", "west") for line in lines])
    refused = ganzoo("evaluate", tmp_path / "bundle", "--data", f"csv:{other}")
    assert refused.code == 3
    assert "does not know the class 'region=west'" in refused.err


def test_any_architecture_of_rows_makes_tables(registry: Registry, tmp_path: Path) -> None:
    overrides = {"data.source": "toy-table", "train.images": 32, "train.batch_size": 8, "train.pack": 2}
    plan = resolve(
        "wgan-gp-mlp", registry, overrides={**overrides, "train.device": "cpu", "train.samples": 4}
    )
    run, _ = start(plan, tmp_path / "run", NullReporter())
    assert run.info.count == 5_000
    assert set(made(run, registry, 20)["member"]) <= {"yes", "no"}


def real_table(path: Path) -> Path:
    """The 569 tumours of scikit-learn's breast cancer table: ten numbers, and a diagnosis."""
    datasets = pytest.importorskip("sklearn.datasets")
    found = datasets.load_breast_cancer()
    names = [name.replace(" ", "_") for name in found.feature_names[:10]]
    rows = [
        ",".join([*map(repr, map(float, row[:10])), str(found.target_names[kind])])
        for row, kind in zip(found.data, found.target, strict=True)
    ]
    return write(path, [",".join([*names, "diagnosis"]), *rows])


def test_a_real_table_is_read_and_encoded(tmp_path: Path) -> None:
    path = real_table(tmp_path / "cancer.csv")
    source = open_csv(str(path), CsvConfig(held_out=0.0))
    columns = source.fields[0].columns
    assert [column.name for column in columns if column.values] == ["diagnosis"]
    whole = read_table(path, CsvConfig())
    read = tabular.decode(source.fields[0], source.arrays["row"])
    for name in whole.decimals:
        spread = whole.columns[name].std()
        assert abs(read[name].mean() - whole.columns[name].mean()) < 0.02 * spread


@pytest.mark.slow
def test_a_classifier_learns_from_generated_rows_of_a_real_table(registry: Registry, tmp_path: Path) -> None:
    """Trained on generated rows and tested on held-out real ones, against one trained on real rows."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    path = real_table(tmp_path / "cancer.csv")
    options = {"data.source": f"csv:{path}", "train.device": "cpu", "train.samples": 4}
    run, _ = start(resolve("ctgan", registry, overrides=options), tmp_path / "run", NullReporter())
    training, held_out = open_csv(str(path)), open_csv_held_out(str(path))
    assert held_out is not None
    field = run.info.field("row")
    parts = [
        made(run, registry, 455),
        *(tabular.decode(field, part.arrays["row"]) for part in (training, held_out)),
    ]
    values = [np.stack([part[c.name] for c in field.columns if not c.values], 1) for part in parts]
    scores = []
    for at in (0, 1):
        forest = ensemble.RandomForestClassifier(200, random_state=0).fit(values[at], parts[at]["diagnosis"])
        scores.append(forest.score(values[2], parts[2]["diagnosis"]))
    assert scores[1] > 0.9
    assert scores[0] > scores[1] - 0.1
