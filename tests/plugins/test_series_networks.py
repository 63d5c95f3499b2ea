"""RCGAN, QuantGAN and DoppelGANger: sizes, receptive field, ends; train, resume, export, generate."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ganzoo.api import DataError, DataInfo, Field, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry
from ganzoo_series import doppelganger, quantgan, rcgan, rules
from ganzoo_series.config import (
    CsvSeriesConfig,
    DoppelgangerConfig,
    QuantganConfig,
    RcganConfig,
    SinesConfig,
    ToyChargingConfig,
    ToyReturnsConfig,
)
from ganzoo_series.datasets import open_series, open_sines, open_toy_charging, open_toy_returns
from ganzoo_series.fields import Layout
from tests.helpers.evaluating import ganzoo
from tests.plugins.test_series import days, walk, write

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from ganzoo.cli import main; main()"


def info(source: object) -> DataInfo:
    return DataInfo(fields=source.fields, count=100)


def parameters(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


SINES = info(open_sines("", SinesConfig(count=100)))
RETURNS = info(open_toy_returns("", ToyReturnsConfig(count=600)))
CHARGES = info(open_toy_charging("", ToyChargingConfig(count=100)))


def test_sizes_are_those_of_the_papers() -> None:
    assert parameters(rcgan.build(RcganConfig(), SINES).generators["generator"].module) == 42_901
    labelled = DataInfo(
        fields=(
            replace(SINES.field("series"), shape=(14, 14)),
            Field(name="label", dtype="int64", classes=("0", "1", "2")),
        ),
        count=100,
    )
    networks = rcgan.build(RcganConfig(latent=3), labelled)
    assert parameters(networks.generators["generator"].module) == 44_614
    assert networks.discriminators["discriminator"].reads == ("series", "label")
    assert parameters(quantgan.build(QuantganConfig(), RETURNS).generators["generator"].module) == 207_135


def test_the_label_matters_to_both_networks_of_rcgan() -> None:
    generator = rcgan.LabelledGenerator(RcganConfig(), SINES.field("series"), 2)
    noise = torch.randn(3, 30, 5)
    one, two = (generator(noise, torch.full((3,), value)) for value in (0, 1))
    assert not torch.allclose(one, two)
    judge = rcgan.LabelledDiscriminator(1, 1, 8, 2, 0.1)
    assert judge(one, torch.zeros(3, dtype=torch.int64)).shape == (3, 30)


@pytest.mark.parametrize("levels", [2, 4, 7])
def test_the_receptive_field_is_what_it_says(levels: int) -> None:
    wide = quantgan.receptive_field(levels)
    network = quantgan.Temporal(1, 1, 4, levels, spectral=False)
    series = torch.randn(1, wide + 20, 1, requires_grad=True)
    written = network(series)
    assert written.shape == (1, 21, 1)
    written[0, 0, 0].backward()
    touched = series.grad[0, :, 0].nonzero().flatten()
    assert (int(touched.min()), int(touched.max())) == (0, wide - 1)
    assert wide == {2: 3, 4: 15, 7: 127}[levels]


def test_causal_convolutions_are_those_of_torch() -> None:
    layer = quantgan.Causal(3, 5, 4)
    reference = torch.nn.Conv1d(3, 5, 2, dilation=4)
    with torch.no_grad():
        reference.weight.copy_(layer.weight.reshape(5, 2, 3).transpose(1, 2))
        reference.bias.copy_(layer.bias)
    series = torch.randn(2, 20, 3)
    assert torch.allclose(layer(series), reference(series.transpose(1, 2)).transpose(1, 2), atol=1e-6)


def test_weights_of_quantgan_begin_as_in_the_authors_code() -> None:
    layer = quantgan.Causal(80, 80, 2)
    assert layer.weight.var().item() == pytest.approx(2 / (160 + 80), rel=0.05)
    assert (layer.bias == 0).all()


def test_the_critic_of_the_recipe_learns_what_order_means() -> None:
    """Calm and wild windows against windows that mix the same values: volatility clusters, in small."""
    plan = resolve("quantgan", load_registry())
    options = plan.architecture.options
    assert isinstance(options, QuantganConfig)
    torch.manual_seed(0)
    critic = quantgan.Discriminator(replace(options, levels=4), Field(name="series", shape=(15, 1)))
    optimiser = torch.optim.Adam(critic.parameters(), plan.discriminator.lr, plan.discriminator.betas)

    def scores(count: int, steps: int) -> Tensor:
        volatility = torch.where(torch.rand(count, steps, 1) < 0.5, 0.4, 1.6)
        found: Tensor = critic(torch.randn(count, 15, 1) * volatility)
        return found

    for _ in range(150):
        optimiser.zero_grad()
        loss = functional.softplus(-scores(64, 1)) + functional.softplus(scores(64, 15))
        loss.mean().backward()
        optimiser.step()
    with torch.no_grad():
        assert (scores(500, 1) > scores(500, 15).T).float().mean() > 0.75


def test_all_layers_of_quantgan_have_the_largest_singular_value_one() -> None:
    network = quantgan.Temporal(3, 1, 8, 3).eval()
    for layer in network.modules():
        if isinstance(layer, quantgan.Causal):
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.02)


def test_windows_shorter_than_the_receptive_field_are_refused() -> None:
    with pytest.raises(DataError, match="shorter than the receptive field") as error:
        quantgan.build(QuantganConfig(), SINES)
    assert "architecture.levels=4" in str(error.value.fix)
    quantgan.build(QuantganConfig(levels=4), SINES)


def test_a_sample_is_zero_after_its_first_end() -> None:
    values, flags = torch.randn(6, 12, 2), torch.randn(6, 12, 2)
    written = doppelganger.ended(values, flags)
    for sample, value, flag in zip(written, values, flags, strict=True):
        ends = (flag[:, 0] < flag[:, 1]).nonzero().flatten()
        length = int(ends[0]) + 1 if len(ends) else 12
        assert torch.equal(sample[:length, :2], value[:length])
        assert (sample[length:, :2] == 0).all()
        assert (sample[length:, 2] == -1).all()
        assert (sample[: length - 1, 2] > 0).all()


def test_ranges_are_those_before_the_end() -> None:
    series = torch.zeros(1, 6, 2)
    series[0, :3, 0] = torch.tensor([0.5, 0.2, 0.9])
    series[0, :, 1] = torch.tensor([1.0, 1, -1, -1, -1, -1])
    seen: list[torch.Tensor] = []
    judge = doppelganger.Judge(DoppelgangerConfig(), CHARGES.field("series"), 0, whole=False)
    judge.signals, judge.layers = 1, torch.nn.Sequential(Spy(seen))
    judge.score(series, None)
    assert seen[0][0].tolist() == pytest.approx([0.55, 0.35 + doppelganger.LEAST], abs=1e-3)


class Spy(torch.nn.Module):
    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(inputs)
        return inputs[:, :1]


def test_steps_of_doppelganger_divide_the_length() -> None:
    assert [doppelganger.steps_for(length) for length in (48, 24, 500, 53)] == [1, 1, 10, 53]
    with pytest.raises(SettingsError, match="5 at a time"):
        doppelganger.build(DoppelgangerConfig(steps=5), CHARGES)
    networks = doppelganger.build(DoppelgangerConfig(steps=4), CHARGES)
    generator = networks.generators["generator"].module
    series, attributes = generator(
        torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 12, 5), torch.randn(3, 2, 100)
    )
    assert series.shape == (3, 48, 3)
    assert attributes.split([3, 2], 1)[0].sum(1).tolist() == pytest.approx([1, 1, 1])
    assert series[..., :2].abs().max() <= 1


def test_recipes_suit_their_data() -> None:
    suits = (rules.suits_rcgan, rules.suits_quantgan, rules.suits_doppelganger)
    best = [max(suits, key=lambda rule: rule(data)).__name__ for data in (SINES, RETURNS, CHARGES)]
    assert best == ["suits_rcgan", "suits_quantgan", "suits_doppelganger"]
    image = DataInfo(fields=(Field(name="image", shape=(1, 8, 8)),), count=9)
    assert [rule(image) for rule in suits] == [0, 0, 0]


# --- through the commands -----------------------------------------------------------------------


def prices(folder: Path) -> Path:
    path = folder / "prices.csv"
    return path if path.exists() else write(path, "Date,close", days(300), walk(300))


def generated(folder: Path, bundle: Path, *more: str) -> list[dict[str, str]]:
    out = folder / "out.csv"
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "generate", str(bundle), "-n", "3", "-o", str(out), *more],
        check=True,
        capture_output=True,
    )
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def test_returns_train_resume_export_and_come_back_as_prices_of_any_length(tmp_path: Path) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    small = (
        "architecture.levels=4",
        "architecture.generator_hidden=8",
        "architecture.discriminator_hidden=8",
    )
    data = ("data.length=16", "data.returns=true", "data.scale=gauss", "train.batch_size=16")
    options = [word for text in (*small, *data) for word in ("--set", text)]
    begin = ganzoo(
        "train", "quantgan", "--data", f"series:{prices(tmp_path)}", "--images", "64", "--pause-at", "32",
        "--run-dir", run, *options,
    )  # fmt: skip
    assert begin.code == 0, begin.err
    assert ganzoo("train", "--resume", run).code == 0
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert list((run / "samples").glob("*.png"))
    assert ganzoo("export", run, "-o", bundle).code == 0
    said = ganzoo("generate", bundle, "--walk", "4", "-o", tmp_path / "walk.gif")
    assert said.code == 2
    assert "Series cannot be animated" in said.err
    rows = generated(tmp_path, bundle, "--length", "100")
    assert len(rows) == 3 * 101
    assert list(rows[0]) == ["series", "Date", "close"]
    assert float(rows[0]["close"]) == pytest.approx(walk(300)[-1], rel=1e-6)
    assert rows[0]["Date"] == days(300)[-1]
    assert min(float(row["close"]) for row in rows) > 0
    scores = ganzoo(
        "evaluate", run, "--n", "40", "--metric", "correlations", "--metric", "distributions", "--json"
    ).document
    assert scores["scores"]["emd_1"] > 0
    assert scores["reference"]["real"]["emd_1"] >= 0


def test_series_with_attributes_and_ends_are_generated_as_one_table(tmp_path: Path) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    done = ganzoo(
        "train", "doppelganger", "--images", "64", "--run-dir", run, "--set", "data.count=200", "--set",
        "train.batch_size=32",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert ganzoo("export", run, "-o", bundle).code == 0
    rows = generated(tmp_path, bundle)
    assert list(rows[0]) == ["series", "car", "place", "time", "power (kW)", "charge (%)"]
    assert {row["place"] for row in rows} <= {"home", "street"}
    assert max(float(row["power (kW)"]) for row in rows) <= 50


def test_rcgan_generates_series_of_a_class_at_any_length(tmp_path: Path) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    rows = (["low", "high"] * 60, [day for day in days(60) for _ in range(2)], walk(120))
    path = write(tmp_path / "a.csv", "name,day,x", *rows)
    done = ganzoo(
        "train", "rcgan", "--data", f"series:{path}", "--images", "64", "--run-dir", run, "--set",
        "data.entity=name", "--set", "data.label=name", "--set", "architecture.generator_hidden=8",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert ganzoo("export", run, "-o", bundle).code == 0
    assert len(generated(tmp_path, bundle, "--length", "75", "--label", "high")) == 3 * 75


def test_bad_files_end_the_command_with_the_code_of_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x", days(3), [1, "", 3])
    done = ganzoo("train", "rcgan", "--data", f"series:{path}", "--dry-run")
    assert done.code == 3
    assert "line 3" in done.err


def test_the_lengths_of_samples_are_read_from_their_last_channel() -> None:
    source = open_toy_charging("", ToyChargingConfig(count=100))
    lengths = Layout.of(source.fields[0]).lengths(source.arrays["series"])
    assert lengths.min() >= 2
    assert len(np.unique(lengths)) > 10


def test_the_usual_windows_of_a_file(tmp_path: Path) -> None:
    assert open_series(str(prices(tmp_path)), CsvSeriesConfig()).fields[0].shape == (24, 1)
