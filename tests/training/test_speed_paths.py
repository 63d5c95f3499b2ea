"""The fast ways of the loop compute what the plain ways do: joint judging, reused fakes, repeated cycles."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganzoo.api import DataInfo, Field, Net, Networks
from ganzoo.config.plan import Plan
from ganzoo.data.batches import Picked
from ganzoo.errors import SettingsError
from ganzoo.networks.apply import independent_of_batch
from ganzoo.training import session
from ganzoo.training.compute import cuda_graphs
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.shards import Shard, StepRandom
from ganzoo.util import system

Tiny = Callable[..., Plan]
FP32 = {"train.precision": "fp32"}


def gradients(setup: TrainingSetup, learn: bool = False) -> list[Tensor]:
    """Of the discriminator, for a fixed batch and noise."""
    real = setup.batches.take("discriminator", 0, 8)
    setup.training.engine.random.manual_seed(3)
    phases, draws = setup.phases, StepRandom(setup.training.engine)
    draws.begin(Shard(0, 8, 8))
    drawn = phases.draw(real, phases.engine.noise(phases.noise_fields, 8), learn=learn)
    loss = phases.total("discriminator", real, drawn, 0, draws)
    return list(torch.autograd.grad(loss, setup.training.discriminator.parameters))


# --- one call for real and generated samples ------------------------------------------------------


class Judge(nn.Module):
    """A discriminator of 3-vectors with one part to try."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 6), part, nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.layers(x)
        return score


class MinibatchSpread(nn.Module):
    """As in progressive growing: a statistic over the batch, in training and evaluation alike."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.std(0, keepdim=True)


class Silent(nn.Sequential):
    """A part whose result does not count yet, as after an initialisation with zeros."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__(part, nn.Linear(6, 6))
        nn.init.zeros_(self[1].weight)
        nn.init.zeros_(self[1].bias)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Switched(nn.Module):
    """Batch statistics in training only, without being one of torch's BatchNorms."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0) if self.training else x


@pytest.mark.parametrize(
    ("part", "alone"),
    [
        (nn.LeakyReLU(), True),
        (nn.LayerNorm(6), True),
        (nn.Dropout(0.5), True),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)), True),
        (nn.BatchNorm1d(6), False),
        (Silent(MinibatchSpread()), False),
        (MinibatchSpread(), False),
        (Noise(), False),
        (Switched(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_discriminators_that_mix_samples_are_found_by_trying(part: nn.Module, alone: bool) -> None:
    module = Judge(part)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    networks = Networks(
        generators={}, discriminators={"d": Net(module=module, reads=("x",))}, games=(), fields=()
    )
    found = independent_of_batch(networks, DataInfo(fields=(Field(name="x", shape=(3,)),), count=10))
    assert found == ({"d"} if alone else set())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training


@pytest.mark.parametrize("family", ["cgan", "wgan-gp"])
def test_judging_both_batches_in_one_call_gives_the_same_gradients(family: str, tiny: Tiny) -> None:
    jointly, apart = prepare(tiny(family, **FP32)), prepare(tiny(family, **FP32))
    assert jointly.phases.joint == {"discriminator"}
    apart.phases.joint = frozenset()
    for one, other in zip(gradients(jointly), gradients(apart), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_batch_norm_judges_each_batch_by_itself(tiny: Tiny) -> None:
    plan = tiny("dcgan", **{"architecture.discriminator_norm": "batch"})
    assert prepare(plan).phases.joint == frozenset()


# --- the generators learn from the samples that the discriminators saw ----------------------------


def test_reused_fakes_save_the_generators_forward_pass(tiny: Tiny, tmp_path: Path) -> None:
    calls: dict[bool, int] = {}
    for reuse in (False, True):
        setup = prepare(tiny("cgan", **{"train.n_critic": 2, "train.reuse_fakes": reuse}))
        count = 0

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1

        setup.training.networks.generators["generator"].module.register_forward_hook(counted)
        real = setup.batches.take("discriminator", 0, 8)
        for turn in range(2):
            setup.phases.discriminator(real, 8, turn, last=turn == 1)
        setup.phases.generator(real, 8, 0)
        calls[reuse] = count
    assert calls == {False: 3, True: 2}


def test_reused_fakes_give_the_generator_the_gradient_of_that_noise(tiny: Tiny) -> None:
    """With the discriminator held still, reused samples and the same noise drawn anew agree."""
    moved = []
    for reuse in (True, False):
        setup = prepare(tiny("vanilla", **FP32, **{"train.reuse_fakes": reuse, "discriminator.lr": 0.0}))
        real = setup.batches.take("discriminator", 0, 8)
        setup.training.engine.random.manual_seed(5)
        setup.phases.discriminator(real, 8, 0, last=True)
        if not reuse:
            setup.training.engine.random.manual_seed(5)
        setup.phases.generator(real, 8, 0)
        moved.append([value.detach() for value in setup.training.generator.parameters])
    for one, other in zip(*moved, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_reused_fakes_need_equal_batches(tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="reuse_fakes"):
        tiny("vanilla", **{"train.reuse_fakes": True, "train.generator_batch_size": 16})


# --- cycles as graphs -----------------------------------------------------------------------------


class StandIn:
    """Stands for torch.cuda.CUDAGraph on a machine without one: replay calls what was captured."""

    fail = ""

    def __init__(self) -> None:
        self.work: Callable[[], None] = lambda: None

    def register_generator_state(self, generator: torch.Generator) -> None:
        pass

    def pool(self) -> None:
        pass

    def replay(self) -> None:
        self.work()


class StandInGraphs(cuda_graphs.Graphs):
    def _capture(self, cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> Any:
        if StandIn.fail:
            self._engine.random.manual_seed(99)  # a broken capture leaves its mark
            raise RuntimeError(StandIn.fail)
        inputs = [{name: value.clone() for name, value in item.items()} for item in picked]
        captured = StandIn()
        captured.work = lambda: cycle(inputs)
        return captured, [value for item in inputs for value in item.values()]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Runs on the CPU repeat their cycles as on CUDA; the list hears what the repeater tells."""
    told: list[str] = []

    def watched(cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> str:
        cycle(picked)
        return ""

    monkeypatch.setattr(cuda_graphs, "_watched", watched)
    monkeypatch.setattr(
        session,
        "repeater_for",
        lambda plan, training, run, reporter: StandInGraphs(training.engine, told.append),
    )
    yield told
    StandIn.fail = ""


def final(plan: Plan, folder: Path) -> bytes:
    run, _ = start(plan, folder, NullReporter())
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


@pytest.mark.parametrize("fail", ["", "operation not permitted when stream is capturing\nmore"])
@pytest.mark.parametrize("lazy", [1, 3])
def test_repeated_cycles_train_the_same_run(
    fail: str, lazy: int, tiny: Tiny, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {"train.images": 600, "terms.gradient-penalty.every": lazy, "data.flip": True}
    plan = tiny("wgan-gp", **settings)
    eager = final(plan, tmp_path / "eager")
    told = request.getfixturevalue("stand_in")
    StandIn.fail = fail
    assert final(plan, tmp_path / "repeated") == eager
    wanted = "eager: operation not permitted when stream is capturing" if fail else "captured"
    assert told == [wanted]


def test_a_cycle_that_waits_for_the_device_is_not_captured(
    tiny: Tiny, tmp_path: Path, stand_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> str:
        cycle(picked)
        return "the host waits for the device in net.py, line 3"

    monkeypatch.setattr(cuda_graphs, "_watched", watched)
    monkeypatch.setattr(StandInGraphs, "_capture", lambda *_: pytest.fail("captured"))
    final(tiny("vanilla"), tmp_path / "run")
    assert stand_in == ["eager: the host waits for the device in net.py, line 3"]


def test_one_cycle_that_cannot_be_captured_makes_all_of_them_eager(
    tiny: Tiny, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plan = tiny("wgan-gp", **{"train.images": 600, "terms.gradient-penalty.every": 3})
    eager = final(plan, tmp_path / "eager")
    told = request.getfixturevalue("stand_in")
    monkeypatch = request.getfixturevalue("monkeypatch")
    capture = StandInGraphs._capture
    captured: list[Any] = []

    def second_fails(self: StandInGraphs, cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> Any:
        StandIn.fail = "no" if captured else ""
        captured.append(capture(self, cycle, picked))
        return captured[-1]

    monkeypatch.setattr(StandInGraphs, "_capture", second_fails)
    assert final(plan, tmp_path / "repeated") == eager
    assert told == ["captured", "eager: no"]


def test_cycles_beyond_the_most_graphs_run_eagerly(
    tiny: Tiny, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plan = tiny("wgan-gp", **{"train.images": 600, "terms.gradient-penalty.every": 3})
    eager = final(plan, tmp_path / "eager")
    told = request.getfixturevalue("stand_in")
    request.getfixturevalue("monkeypatch").setattr(cuda_graphs, "MOST_GRAPHS", 1)
    assert final(plan, tmp_path / "repeated") == eager
    assert told == ["captured"]


def test_the_first_error_is_the_reason() -> None:
    """Leaving a broken capture raises an error of its own."""
    left = RuntimeError("capture failed due to a previous error")
    left.__context__ = RuntimeError("operation not permitted when stream is capturing\nmore")
    assert cuda_graphs._cause(left) == "operation not permitted when stream is capturing"
    assert cuda_graphs._cause(RuntimeError()) == "RuntimeError"


@pytest.mark.skipif(system._used() is None, reason="the system does not tell")
def test_cores_that_others_keep_busy_are_seen() -> None:
    """A process that is not this one's child, so that it counts as a neighbour."""
    spin = "import time; end = time.time() + 1.2\nwhile time.time() < end: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {spin!r}])"
    subprocess.run([sys.executable, "-c", orphan], check=True)
    system.watch_cores()
    time.sleep(0.8)
    assert system.busy_cores() > 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", ["vanilla", "dcgan", "cgan", "wgan", "wgan-gp"])
def test_graphs_give_the_losses_of_eager_cycles(family: str, tiny: Tiny, tmp_path: Path) -> None:
    values = []
    for graphs in (True, False):
        plan = tiny(family, **{"train.device": "cuda", "train.images": 1600, "train.graphs": graphs})
        run, _ = start(plan, tmp_path / str(graphs), NullReporter())
        assert run.record["graphs"] == ("captured" if graphs else "off")
        values.append([line["values"] for line in run.log()])
    assert len(values[0]) > 20
    for one, other in list(zip(*values, strict=True))[:20]:  # later, rounding has grown
        assert one == pytest.approx(other, rel=1e-2, abs=1e-3)


def test_waits_are_told_from_other_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA torch warns of each wait, and that this watching is a prototype."""
    texts = {
        "prototype": "Synchronization debug mode is a prototype feature and does not yet detect all "
        "synchronizing operations",
        "wait": "called a synchronizing CUDA operation",
        "own": "a plugin's own warning",
    }

    def watch(mode: str) -> None:
        if mode == "warn":
            warnings.warn(texts["prototype"], stacklevel=1)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", watch)

    def cycle(picked: Sequence[Picked]) -> None:
        for name in picked[0]:
            warnings.warn(texts[name], stacklevel=1)

    value = torch.zeros(1)
    assert not cuda_graphs._watched(cycle, [{}])
    assert "test_speed_paths.py, line" in cuda_graphs._watched(cycle, [{"wait": value}])
    with pytest.warns(UserWarning, match="own"):
        assert not cuda_graphs._watched(cycle, [{"own": value}])
