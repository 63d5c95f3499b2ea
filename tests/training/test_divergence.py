"""Numbers that are not finite, memory that runs out, training that goes wrong: noticed, said, survived."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import OptimizerSettings
from ganzoo.errors import DivergedError
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.player import Player
from ganzoo.training.reporting.recorder import CHECK_EVERY
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume
from ganzoo.training.setup import prepare
from ganzoo.training.step_snapshot import StepSnapshot

Tiny = Callable[..., Plan]
Install = Callable[..., Path]

# A penalty that is NaN in some of its steps.
NAN = '''
import dataclasses
import torch
from torch import nn
from ganzoo.api import TermSpec, hookimpl

@dataclasses.dataclass(frozen=True)
class Config:
    first: int = 0
    last: int = 10**9
    fast: float = 0.0

class Sometimes(nn.Module):
    """NaN in the steps `first` to `last`; with `fast`, only while weights move faster than that."""
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.step = 0
    def forward(self, view):
        self.step += 1
        bad = self.config.first <= self.step <= self.config.last
        return view.fake_outputs["score"].mean() * (float("nan") if bad else 0.0)

def make(config):
    return Sometimes(config)

@hookimpl
def ganzoo_terms():
    return [TermSpec(name="sometimes-nan", summary="For tests.", factory=__name__ + ":make", config=Config)]
'''


def sick(install: Install, first: int, last: int = 10**9, **settings: Any) -> Plan:
    install("nan-dist", "nan", NAN)
    return resolve(
        "mlp+non-saturating+sometimes-nan",
        load_registry(),
        overrides={
            "architecture.generator_hidden": [8],
            "architecture.discriminator_hidden": [8],
            "train.device": "cpu",
            "train.precision": "fp32",
            "train.batch_size": 4,
            "train.images": 1200,
            "train.checkpoint_every": 200,
            "train.samples": 4,
            "terms.sometimes-nan.first": first,
            "terms.sometimes-nan.last": last,
            **settings,
        },
    )


def all_finite(run_dir: Path) -> bool:
    tensors, _ = read_newest(run_dir / "checkpoints")
    return all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point())


# --- not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 60, 130])
def test_nan_is_noticed_soon_without_a_log_line(step: int, install: Install, tmp_path: Path) -> None:
    plan = sick(install, step, **{"train.log_every": 10**6, "train.images": 4000})
    with pytest.raises(DivergedError, match="not finite") as caught:
        start(plan, tmp_path / "run", NullReporter())
    saved = any((tmp_path / "run" / "checkpoints").iterdir())
    assert ("--on-nan rollback" in caught.value.fix) == saved, "no step is offered that cannot be taken"
    assert "--set generator.lr=" in caught.value.fix
    noticed = int(caught.value.what.split("after ")[1].split(" ")[0]) // 4
    assert step <= noticed <= step + CHECK_EVERY <= step + 200
    assert Run.open(tmp_path / "run").record["status"] == "diverged"
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        assert int(path.name) // 4 < step
        assert all_finite(tmp_path / "run")


def test_a_run_that_diverged_is_not_begun_again_and_again(install: Install, tmp_path: Path) -> None:
    plan = sick(install, 150)
    with pytest.raises(DivergedError, match="not finite"):
        start_or_resume(plan, tmp_path / "run", NullReporter())
    with pytest.raises(DivergedError, match="would diverge again"):
        start_or_resume(plan, tmp_path / "run", NullReporter())


def test_skipped_steps_move_nothing_and_are_counted(install: Install, tmp_path: Path) -> None:
    # A line for each step would not end the run: single steps may be skipped.
    start(
        sick(install, 20, 29, **{"train.on_nan": "skip", "train.log_every": 4}),
        tmp_path / "each",
        NullReporter(),
    )
    plan = sick(install, 20, 29, **{"train.on_nan": "skip", "train.log_every": 40})
    run, outcome = start(plan, tmp_path / "run", NullReporter())
    assert outcome == "done"
    skipped = {line["images"]: line["values"]["skipped_discriminator"] for line in run.log()}
    assert skipped[80] == pytest.approx(0.1)  # steps 11 to 20: the last of them
    assert skipped[120] == pytest.approx(0.9)
    assert skipped[160] == 0
    assert all_finite(run.path)


def test_a_run_of_which_every_step_is_skipped_ends(install: Install, tmp_path: Path) -> None:
    plan = sick(install, 20, **{"train.on_nan": "skip"})
    with pytest.raises(DivergedError, match="100 steps of the discriminator in a row were skipped"):
        start(plan, tmp_path / "run", NullReporter())


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_skipped_step_leaves_everything(optimizer: Any, first: bool) -> None:
    """Weights, moments and running statistics, also where the step would create the moments."""
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    momentum = {} if optimizer == "adam" else {"momentum": 0.9, "weight_decay": 0.1}
    sides = [
        Player({"d": _net(part)}, OptimizerSettings(optimizer=optimizer, lr=0.1, **momentum), skips=True)
        for part in (module, copy.deepcopy(module))
    ]
    sample = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def step(side: Player, factor: float) -> None:
        undo = StepSnapshot(side, side.modules.values())
        side.clear()
        side.add_gradients((side.modules["d"](factor * sample) - 1).square().sum())
        undo.where(~torch.isfinite(side.step()))

    skipping, plain = sides
    for factor in (float("nan"), 1.0, 1.0) if first else (1.0, float("inf"), 1.0):
        step(skipping, factor)
    for _ in range(2):
        step(plain, 1.0)
    assert all(map(torch.equal, skipping.parameters, plain.parameters))
    assert all(map(torch.equal, skipping.modules["d"].buffers(), plain.modules["d"].buffers()))
    assert {k: v.tolist() for k, v in skipping.state().items()} == {
        k: v.tolist() for k, v in plain.state().items()
    }


def _net(module: nn.Module) -> Any:
    from ganzoo.api import Net

    return Net(module=module, reads=("x",))


def test_rolling_back_halves_the_rates_and_three_times_is_enough(install: Install, tmp_path: Path) -> None:
    plan = sick(install, 120, **{"train.on_nan": "rollback"})
    reporter = NullReporter()
    with pytest.raises(DivergedError, match="not finite"):
        start(plan, tmp_path / "run", reporter)
    told = [note for note in reporter.notes if "Rolled back" in note]
    assert [note.split("(")[1] for note in told] == [f"rollback {n} of 3)" for n in (1, 2, 3)]
    tensors, manifest = read_newest(tmp_path / "run" / "checkpoints")
    assert int(tensors["counters.rollbacks"]) == 3
    assert manifest["images"] == 400
    again = prepare(plan).training
    again.load(tensors)
    for side in (again.generator, again.discriminator):
        side.schedule(0.0, 0, 0)
        assert side.optimizer.param_groups[0]["lr"] == pytest.approx(side.settings.lr / 8)


def test_what_was_sick_at_the_first_rate_is_well_at_half_of_it(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = sick(install, 10**8, **{"train.on_nan": "rollback"})
    step = Player.step

    def too_fast(side: Player) -> torch.Tensor:
        norm = step(side)
        at = side.optimizer.state[side.parameters[0]]["step"]
        return norm * float("nan") if side.slowed == 1.0 and at > 110 else norm

    monkeypatch.setattr(Player, "step", too_fast)
    reporter = NullReporter()
    run, outcome = start(plan, tmp_path / "run", reporter, pause_at=800)
    assert sum("Rolled back to 400 images" in note for note in reporter.notes) == 1
    images = [line["images"] for line in run.log()]
    assert images == sorted(set(images)), "the log holds each moment once"
    # A resume keeps what the rollback changed.
    _, outcome = resume(Run.open(run.path), plan, reporter)
    assert outcome == "done"
    assert sum("Rolled back" in note for note in reporter.notes) == 1


def test_a_rollback_before_the_first_checkpoint_begins_anew(install: Install, tmp_path: Path) -> None:
    plan = sick(install, 5, **{"train.on_nan": "rollback", "train.log_every": 40})
    reporter = NullReporter()
    with pytest.raises(DivergedError, match="not finite"):
        start(plan, tmp_path / "run", reporter)
    assert sum("Rolled back to 0 images" in note for note in reporter.notes) == 3


def test_a_learning_rate_of_a_thousand_is_noticed(tmp_path: Path, registry: Registry) -> None:
    plan = resolve(
        "dcgan",
        registry,
        overrides={
            "architecture.generator_width": 4,
            "architecture.discriminator_width": 4,
            "train.device": "cpu",
            "train.batch_size": 8,
            "train.images": 8 * 200,
            "train.samples": 4,
            "generator.lr": 1e3,
            "discriminator.lr": 1e3,
        },
    )
    reporter = NullReporter()
    with contextlib.suppress(DivergedError):
        start(plan, tmp_path / "run", reporter)
        assert any("sizes are absurd" in note for note in reporter.notes)
    assert all(line["images"] <= 8 * 200 for line in Run.open(tmp_path / "run").log()) or reporter.notes
