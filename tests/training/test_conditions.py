"""Conditions: labels, several labels at once, numbers and vectors of the data, real or drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ganzoo
from ganzoo.cli.generate import command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError, UsageError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import TrainingSetup, prepare

Install = Callable[..., Path]

PLUGIN = """
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from ganzoo.api import (
    ArchitectureSpec, ArraySource, DatasetSpec, Field, Net, Networks, RecipeSpec, hookimpl,
)

GANZOO_API_VERSION = 2

class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4 + 3 + 4 + 1, 16), nn.ReLU(), nn.Linear(16, 2))
    def forward(self, z, label, marks, angle):
        return self.net(torch.cat([z, F.one_hot(label, 3).float(), marks, angle], 1))

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 + 3 + 4 + 1, 16), nn.ReLU(), nn.Linear(16, 1))
    def forward(self, point, label, marks, angle):
        return self.net(torch.cat([point, F.one_hot(label, 3).float(), marks, angle], 1)).squeeze(1)

def nets(config, data):
    return Networks.pair(
        Generator(), Discriminator(), latent=Field(name="z", shape=(4,), source="normal"), writes="point",
        conditions=("label", "marks", "angle"),
    )

def data(argument, config=None):
    rng = np.random.default_rng(0)
    angle = rng.uniform(-1, 1, (200, 1)).astype(np.float32)
    marks = (rng.random((200, 4)) < 0.3).astype(np.float32)
    point = np.concatenate([np.sin(3 * angle), np.cos(3 * angle)], 1) + 2 * marks[:, :1]
    arrays = {
        "point": point.astype(np.float32), "marks": marks, "angle": angle,
        "label": np.repeat([0, 1, 2], [150, 40, 10]),
    }
    fields = (
        Field(name="point", shape=(2,), kind="points"), Field(name="marks", shape=(4,), range=(0.0, 1.0)),
        Field(name="angle", shape=(1,), range=(-1.0, 1.0)),
        Field(name="label", dtype="int64", classes=("common", "rare", "rarest")),
    )
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="conditioned", summary="Conditions.", factory=__name__ + ":nets")]

@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="marked-points", summary="Points.", factory=__name__ + ":data")]

@hookimpl
def ganzoo_recipes():
    return [RecipeSpec(name="conditioned", summary="Conditions.", architecture="conditioned",
                       loss="non-saturating", data="marked-points")]
"""


def plan_of(install: Install, conditions: str, **more: Any) -> Plan:
    install("conditions-dist", "conditions", PLUGIN)
    settings = {
        "train.device": "cpu", "train.precision": "fp32", "train.batch_size": 8, "train.images": 160,
        "train.conditions": conditions, **more,
    }  # fmt: skip
    return resolve("conditioned", load_registry(), overrides=settings)


def seen(setup: TrainingSetup, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    """(role, real batch, generated batch) of each view that the phases make from now on."""
    views: list[tuple[str, Any, Any]] = []
    known = setup.phases.view

    def view(game: int, role: str, *arguments: Any) -> Any:
        made = known(game, role, *arguments)
        views.append((role, made.real, made.fake))
        return made

    monkeypatch.setattr(setup.phases, "view", view)
    return views


def cycle(setup: TrainingSetup, start: int = 0) -> None:
    names, batches, phases = setup.batches.names, setup.batches, setup.phases
    others = phases.conditions.others
    for role in ("discriminator", "generator"):
        real = batches.take(role, start, 8, names)
        given = batches.take(f"conditions {role}", start, 8, others) if others else {}
        if role == "discriminator":
            phases.discriminator(real, 8, 0, True, given)
        else:
            phases.generator(real, 8, 0, given)


@pytest.mark.parametrize("conditions", ["real", "shares", "uniform"])
def test_where_conditions_of_generated_samples_come_from(
    install: Install, conditions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepare(plan_of(install, conditions))
    views = seen(setup, monkeypatch)
    for turn in range(40):
        cycle(setup, 8 * turn)
    assert {role for role, _, _ in views} == {"discriminator", "generator"}
    for _, real, fake in views:
        same = {name: torch.equal(real[name], fake[name]) for name in ("label", "marks", "angle")}
        assert same["angle"] == same["marks"] == (conditions == "real")
        rows = {tuple(row) for row in fake["marks"].tolist()}
        assert rows <= {tuple(row) for row in setup.dataset.arrays["marks"].tolist()}
    labels = torch.cat([fake["label"] for _, _, fake in views])
    shares = torch.bincount(labels, minlength=3) / len(labels)
    wanted = [1 / 3] * 3 if conditions == "uniform" else [0.75, 0.2, 0.05]
    assert shares.tolist() == pytest.approx(wanted, abs=0.08)


@pytest.mark.parametrize("conditions", ["real", "shares", "uniform"])
def test_it_trains_resumes_exports_and_is_sampled(install: Install, tmp_path: Path, conditions: str) -> None:
    plan = plan_of(install, conditions, **{"train.n_critic": 2})
    registry = load_registry()
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=64)
    parts = Run.open(parts.path)
    parts, outcome = resume(parts, resolve(str(parts.settings_file), registry), NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    bundle = ganzoo.export(whole, tmp_path / "bundle")
    out = tmp_path / "made.npz"
    words = [str(bundle.path), "--set", "marks=1,0,0,1", "-n", "5", "-o", str(out)]
    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, UsageError)
    assert result.exception.fix.startswith("--set angle=0,")
    result = CliRunner().invoke(command, [*words, "--set", "angle=0.5"])
    assert result.exit_code == 0, result.output
    generator = ganzoo.load(bundle, provider="cpu")
    given = {"marks": (1, 0, 0, 1), "angle": (0.5,)}
    np.testing.assert_allclose(np.load(out)["point"], generator.generate(5, **given), rtol=1e-5)
    words = [str(bundle.path), "--set", "marks=1,0,0,1", "--set", "angle=0.5", "-o", str(out)]
    for more, count in ((["--classes", "-n", "2"], 6), (["--interpolate", "4", "-n", "2"], 8)):
        result = CliRunner().invoke(command, [*words, *more])
        assert result.exit_code == 0, result.output
        assert np.load(out)["point"].shape == (count, 2)


@pytest.mark.parametrize("conditions", ["shares", "uniform"])
def test_drawn_conditions_do_not_depend_on_micro_batches(
    install: Install, tmp_path: Path, conditions: str
) -> None:
    plans = [plan_of(install, conditions), plan_of(install, conditions, **{"train.micro_batch": 4})]
    states = []
    for number, plan in enumerate(plans):
        run, _ = start(plan, tmp_path / str(number), NullReporter())
        states.append(read_newest(run.checkpoints)[0])
    for name, value in states[0].items():
        if name.startswith("networks."):
            torch.testing.assert_close(states[1][name], value, rtol=1e-4, atol=1e-5)


def test_samples_that_are_reused_keep_their_conditions(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepare(plan_of(install, "uniform", **{"train.reuse_fakes": True}))
    views = seen(setup, monkeypatch)
    cycle(setup)
    (_, _, first), (_, _, second) = views
    for name in first:
        assert torch.equal(first[name], second[name].detach())


def test_networks_without_conditions_are_refused(tiny: Callable[..., Plan]) -> None:
    with pytest.raises(SettingsError, match="reads a condition"):
        prepare(tiny("vanilla", **{"train.conditions": "uniform"}))


def test_an_image_that_is_read_stays_the_real_one(install: Install) -> None:
    from tests.helpers.kinds import PLUGIN as KINDS

    install("kinds-dist", "kinds", KINDS)
    settings = {"train.device": "cpu", "train.conditions": "shares"}
    with pytest.raises(SettingsError, match="reads a condition"):
        prepare(resolve("test-images", load_registry(), overrides=settings))
