"""Settings that change over a run, optimisers with clipping and warm-up, and rates of parts of a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo.api import Net
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import OptimizerSettings, build
from ganzoo.errors import SettingsError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.player import Player, learning_rate
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import prepare

Install = Callable[..., Path]
Tiny = Callable[..., Plan]

# A term whose value is its weight, one whose value is the progress, and networks with a temperature.
PLUGIN = """
from dataclasses import dataclass
from ganzoo.api import ArchitectureSpec, Field, Networks, TermSpec, hookimpl

GANZOO_API_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class WeightConfig:
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class NetsConfig:
    temperature: float = 1.0
    slope: float = 0.1


def weighed(config):
    return lambda view: config.weight / 2 * view.fake_outputs["score"].square().mean() * 0 + config.weight


def progress(config):
    return lambda view: view.progress + 0 * view.fake_outputs["score"].mean()


def frozen(config):
    weight = float(config.weight)
    return lambda view: weight * view.fake_outputs["score"].mean()


def build(config, data):
    from torch import nn

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.temperature = config.temperature
            self.late = config.slope * 1.0 if False else None

        def forward(self, z):
            return self.linear(z) / self.temperature

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, point):
            return self.linear(point)

    latent = Field(name="z", shape=(3,), source="normal")
    return Networks.pair(Generator(), Discriminator(), latent=latent, writes="point")


@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="tempered", summary="s", factory=f"{__name__}:build", config=NetsConfig)]


@hookimpl
def ganzoo_terms():
    return [
        TermSpec(name=name, summary="s", factory=f"{__name__}:{name}", config=WeightConfig)
        for name in ("weighed", "progress", "frozen")
    ]
"""
SHORT: dict[str, Any] = {
    "train.device": "cpu", "train.batch_size": 8, "train.images": 160, "train.samples": 4,
    "train.log_every": 8, "data.source": "toy:ring",
}  # fmt: skip


@pytest.fixture
def plan(install: Install) -> Callable[..., Plan]:
    install("changing", "changing", PLUGIN)
    registry = load_registry()
    return lambda **more: resolve("tempered+non-saturating", registry, overrides={**SHORT, **more})


def test_a_term_follows_its_schedule_and_knows_the_progress(
    plan: Callable[..., Plan], tmp_path: Path
) -> None:
    settings = {"terms.weighed.weight": "linear 10 -> 0", "terms.progress": True}
    run, _ = start(plan(**settings), tmp_path / "run", NullReporter())
    log = [line["values"] for line in run.log()]
    assert [line["weighed"] for line in log] == pytest.approx([10 - k / 2 for k in range(20)])
    assert [line["progress"] for line in log] == pytest.approx([k / 20 for k in range(20)])


def test_what_reads_a_schedule_as_a_number_is_refused(plan: Callable[..., Plan]) -> None:
    with pytest.raises(SettingsError, match=r"'terms\.frozen\.weight' cannot be a schedule"):
        prepare(plan(**{"terms.frozen.weight": "linear 1 -> 0"}))
    with pytest.raises(
        SettingsError, match=r"'architecture\.slope' cannot be a schedule: no network holds it"
    ):
        prepare(plan(**{"architecture.slope": "linear 1 -> 0"}))


def test_a_scheduled_option_of_a_network_is_a_constant_of_the_export(
    plan: Callable[..., Plan], tmp_path: Path
) -> None:
    """Half way of a run that was stopped there, the temperature is 2 + 1 = 3."""
    changing = plan(**{"architecture.temperature": "linear 2 -> 4", "generator.lr": 0.0})
    run, outcome = start(changing, tmp_path / "run", NullReporter(), pause_at=80)
    assert outcome == "paused"
    made = ganzoo.load(ganzoo.export(run, tmp_path / "half")).generate(5, z=(1.0, 0.0, 0.0))
    resume(Run.open(run.path), changing, NullReporter())
    last = ganzoo.load(ganzoo.export(run.path, tmp_path / "whole")).generate(5, z=(1.0, 0.0, 0.0))
    assert made == pytest.approx(last * 4 / 3, rel=1e-5)


def test_a_run_with_schedules_resumes_bit_for_bit(tiny: Tiny, tmp_path: Path) -> None:
    settings = {
        "generator.lr": "cosine 1e-3 -> 1e-4 over 0..0.5", "generator.decay": "none",
        "generator.betas": ["linear 0 -> 0.5", "cosine 0.9 -> 0.99 over 0..80 images"],
        "generator.optimizer": "adamw", "generator.weight_decay": 0.01, "generator.warmup": 40,
        "generator.clip_norm": 0.5, "discriminator.clip_value": "exponential 1 -> 0.01",
        "generator.rates": "layers=0.5", "ema.half_life": "linear 10 -> 100",
        "terms.gradient-penalty.weight": "piecewise 0: 10, 0.5: 10, 1: 1",
    }  # fmt: skip
    plan = tiny("wgan-gp", **settings)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=56)
    again = resolve(str(parts.settings_file), load_registry())
    assert again.generator == plan.generator
    resume(Run.open(parts.path), again, NullReporter())
    first, second = (read_newest(run.checkpoints, pytest.fail)[0] for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- optimisers ---------------------------------------------------------------------------------


def options(**values: Any) -> OptimizerSettings:
    return build(OptimizerSettings, values, "generator", {})


def player(module: nn.Module, own: dict[str, float] | None = None, **values: Any) -> Player:
    made = Player({"net": Net(module=module, reads=("z",), rates=own or {})}, options(**values))
    made.schedule(0.0, 10**9, 0)
    return made


def stepped(module: nn.Module, gradient: Callable[[Tensor], Tensor], **values: Any) -> Tensor:
    side = player(module, **values)
    for parameter in side.parameters:
        parameter.grad = gradient(parameter)
    return side.step()


def test_the_norm_is_clipped_and_the_true_one_reported() -> None:
    module = nn.Linear(2, 2)
    before = [value.detach().clone() for value in module.parameters()]
    norm = stepped(module, torch.ones_like, optimizer="sgd", lr=1.0, clip_norm=0.5)
    moved = torch.cat([(b - a.detach()).flatten() for a, b in zip(module.parameters(), before, strict=True)])
    assert norm.item() == pytest.approx(math.sqrt(6))
    assert moved.norm().item() == pytest.approx(0.5)
    assert moved.tolist() == pytest.approx([0.5 / math.sqrt(6)] * 6)


def test_values_are_clipped_before_the_norm() -> None:
    module = nn.Linear(1, 1)
    before = [value.detach().clone() for value in module.parameters()]
    stepped(module, lambda p: torch.full_like(p, 8.0), optimizer="sgd", lr=1.0, clip_value=0.25, clip_norm=9)
    for value, old in zip(module.parameters(), before, strict=True):
        assert (old - value.detach()).flatten().tolist() == pytest.approx([0.25])


def test_a_small_gradient_is_left_alone() -> None:
    module = nn.Linear(1, 1, bias=False)
    before = module.weight.item()
    stepped(
        module, lambda p: torch.full_like(p, 0.125), optimizer="sgd", lr=1.0, clip_norm=1.0, clip_value=1.0
    )
    assert before - module.weight.item() == pytest.approx(0.125)


def test_adamw_takes_its_decay_from_the_weights() -> None:
    """With a gradient of 0, AdamW multiplies by 1 - lr * decay (equation 12); Adam would move by lr."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2.0)
    stepped(module, torch.zeros_like, optimizer="adamw", lr=0.1, weight_decay=0.5)
    assert module.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))


def test_the_rate_rises_from_nothing_during_the_warm_up() -> None:
    settings = options(lr=0.4, warmup=1000)
    assert [learning_rate(settings, 0.1, 5, images) for images in (0, 250, 1000, 5000)] == [0, 0.1, 0.4, 0.4]


@pytest.mark.parametrize(("rates", "values"), [({"a": 0.01}, {}), ({"a": 5.0}, {"rates": ["a=0.01"]})])
def test_parts_of_a_network_have_rates_of_their_own(rates: dict[str, float], values: dict[str, Any]) -> None:
    module = nn.ModuleDict({"a": nn.Linear(1, 1, bias=False), "ab": nn.Linear(1, 1, bias=False)})
    before = {name: value.item() for name, value in module.named_parameters()}
    side = player(module, rates, optimizer="sgd", lr=1.0, **values)
    for parameter in side.parameters:
        parameter.grad = torch.ones_like(parameter)
    side.step()
    moved = {name: before[name] - value.item() for name, value in module.named_parameters()}
    assert moved == pytest.approx({"a.weight": 0.01, "ab.weight": 1.0})


def test_the_state_of_parts_is_read_back_by_name() -> None:
    def made() -> Player:
        torch.manual_seed(0)
        return player(nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)}), {"a": 0.5})

    first, second = made(), made()
    for parameter in first.parameters:
        parameter.grad = torch.randn_like(parameter)
    first.step()
    second.load_state(first.state())
    assert all(torch.equal(value, second.state()[name]) for name, value in first.state().items())


def test_a_rate_for_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="No parameter's name begins with 'mapping'") as caught:
        Player({"net": Net(module=nn.Linear(1, 1), reads=("z",))}, options(rates=["mapping=0.1"]))
    assert "weight" in str(caught.value.fix)
    with pytest.raises(SettingsError, match="invalid value"):
        options(rates=["mapping"])


def test_where_nothing_changes_over_a_run_a_schedule_is_refused(plan: Callable[..., Plan]) -> None:
    with pytest.raises(SettingsError, match=r"'train\.minutes' cannot be a schedule"):
        plan(**{"train.minutes": "linear 1 -> 2"})
    with pytest.raises(SettingsError, match="has a schedule and a decay"):
        plan(**{"generator.lr": "linear 1e-3 -> 1e-4", "generator.decay": "linear"})
