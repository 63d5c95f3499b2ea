"""The fast ways of the loop compute what the plain ways do: joint judging, reused fakes, repeated cycles."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
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

    def watched(cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> list[str]:
        cycle(picked)
        return []

    monkeypatch.setattr(cuda_graphs, "_watched", watched)
    monkeypatch.setattr(
        session,
        "repeater_for",
        lambda setup, run, reporter: StandInGraphs(setup.training.engine, told.append, setup.phases.parts()),
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
    def watched(cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> list[str]:
        cycle(picked)
        return ["the host waits for the device in net.py, line 3"]

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


class Counting(nn.Module):
    """A loss of a plugin's with one fault; `Sound` below has none."""

    seen: Tensor

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss, self.calls = loss, 0
        self.register_buffer("seen", torch.zeros(()))

    def keep(self) -> None:
        self.calls += 1

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        self.keep()
        return self.loss.discriminator(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return self.loss.generator(fake, real)


class Rebinding(Counting):
    def keep(self) -> None:
        self.seen = self.seen + 1


class Replacing(Counting):
    def keep(self) -> None:
        self.seen.data = self.seen.data + 1


class Sound(Counting):
    def keep(self) -> None:
        self.seen.add_(1)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (Counting, "eager: a cycle changes the loss.calls on the host, from 2 to 3"),
        (Rebinding, "eager: a cycle binds another tensor to the loss.seen, or changes it in host memory"),
        (Replacing, "eager: a cycle binds another tensor to the loss.seen, or changes it in host memory"),
        (Sound, "captured"),
    ],
)
def test_a_cycle_with_state_that_a_replay_would_freeze_is_not_captured(
    loss: type[Counting], told: str, tiny: Tiny, stand_in: list[str]
) -> None:
    setup = prepare(tiny("vanilla"))
    phases = setup.phases
    phases.objective.loss = loss(phases.objective.loss)
    graphs = StandInGraphs(setup.training.engine, stand_in.append, phases.parts())
    real = setup.batches.take("discriminator", 0, 8)
    for step in range(5):

        def cycle(_: Sequence[Picked], step: int = step) -> None:
            phases.discriminator(real, 8, step, True)

        graphs.run("key", cycle, [])
    assert stand_in == [told]


def test_no_built_in_part_of_a_cycle_is_frozen(tiny: Tiny, tmp_path: Path, stand_in: list[str]) -> None:
    """Spectral norm, BatchNorm, LeCam's averages and ADA's strength keep their state on the device."""
    settings = {"train.replay": 16, "terms.lecam": True, "train.reuse_fakes": True, "augment.name": "ada"}
    final(tiny("dcgan", **settings), tmp_path / "run")
    assert stand_in == ["captured"]


def test_a_broken_capture_is_let_go_before_its_cycle_is_run(tiny: Tiny, stand_in: list[str]) -> None:
    """What it computed lies in memory that the cycle in its place needs."""
    alive: list[weakref.ref[Tensor]] = []
    left: list[int] = []

    class Breaking(cuda_graphs.Graphs):
        def _capture(self, cycle: cuda_graphs.Cycle, picked: Sequence[Picked]) -> Any:
            activation = torch.zeros(1)
            alive.append(weakref.ref(activation))
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def cycle(_: Sequence[Picked]) -> None:
        left.append(sum(reference() is not None for reference in alive))

    graphs = Breaking(prepare(tiny("vanilla")).training.engine, stand_in.append)
    for _ in range(cuda_graphs.WARM_UP + 1):
        graphs.run("key", cycle, [])
    assert len(alive) == 1
    assert left == [0] * (cuda_graphs.WARM_UP + 1)
    assert stand_in == ["eager: CUDA out of memory."]


class Pools:
    """Stands for what torch does with the memory of captures, and counts who holds a pool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, breaks: str) -> None:
        self.breaks, self.begun, self.open, self.held = breaks, 0, 0, 0
        self.handles: set[object] = set()
        monkeypatch.setattr(torch.cuda, "CUDAGraph", StandIn)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", self.end, raising=False)
        monkeypatch.setattr(torch._C, "_cuda_releasePool", self.release, raising=False)

    @contextmanager
    def graph(self, graph: StandIn, pool: object, stream: None) -> Iterator[None]:
        self.handles.add(pool)
        self.begun, self.open, self.held = self.begun + 1, self.open + 1, self.held + 1
        yield
        if self.breaks == "in the cycle" and self.begun == 2:
            raise RuntimeError("capture failed")
        self.open -= 1
        if self.breaks == "at its end" and self.begun == 2:
            self.held -= 1  # by the destructor of the graph
            raise RuntimeError("no memory for the graph")

    def end(self, device: int, pool: object) -> None:
        if not self.open:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.open -= 1

    def release(self, device: int, pool: object) -> None:
        self.held -= 1


@pytest.mark.parametrize("breaks", ["", "in the cycle", "at its end"])
def test_a_broken_capture_leaves_no_pool_open(
    breaks: str, tiny: Tiny, stand_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = prepare(tiny("vanilla")).training.engine
    pools = Pools(monkeypatch, breaks)
    graphs = cuda_graphs.Graphs(engine, stand_in.append)
    for key in ("plain", "with a lazy term"):
        for _ in range(cuda_graphs.WARM_UP + 1):
            graphs.run(key, lambda _: None, [])
    assert pools.begun == 2
    assert len(pools.handles) == 1
    assert (pools.open, pools.held) == (0, 1 if breaks else 2)
    assert stand_in == ["captured"] + ["eager: " + text for text in [ERRORS[breaks]] if text]


ERRORS = {"": "", "in the cycle": "capture failed", "at its end": "no memory for the graph"}


@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_a_step_that_breaks_leaves_no_samples_for_the_next(
    role: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a broken capture, what it kept is memory that no kernel has written."""
    setup = prepare(tiny("vanilla", **{"train.reuse_fakes": True}))
    phases, engine = setup.phases, setup.training.engine
    real = setup.batches.take("discriminator", 0, 8)
    made: list[Tensor] = []
    module = setup.training.networks.generators["generator"].module
    module.register_forward_hook(lambda module, given, samples: made.append(samples))

    def cycle() -> None:
        phases.discriminator(real, 8, 0, last=True)
        phases.generator(real, 8, 0)

    with monkeypatch.context() as broken:
        broken.setattr(phases.players[role], "step", lambda: (_ for _ in ()).throw(RuntimeError("broken")))
        with pytest.raises(RuntimeError, match="broken"):
            cycle()
    made.clear()
    states = []
    for _ in range(2):
        engine.random.manual_seed(4)
        cycle()
        states.append(engine.random.get_state())
    assert len(made) == 2  # one batch in each cycle
    assert torch.equal(*states)  # and as much noise in the first as in any other


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


@pytest.mark.skipif(system._used() is None, reason="the system does not tell")
def test_other_cores_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was given one core of a large machine."""
    ticks = os.sysconf("SC_CLK_TCK")
    lines = [
        f"cpu  {900 * ticks} 0 0 0 0 0 0 0",
        f"cpu0 {7 * ticks} 0 {ticks} 5 5 0 0 0",
        f"cpu1 {892 * ticks} 0 0 0 0 0 0 0",
        "intr 1",
    ]
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: "\n".join(lines))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    used = system._used()
    assert used is not None
    assert used[1] == 8


def apart(lines: list[dict[str, float]], others: list[dict[str, float]]) -> list[float]:
    """How far two logs of one run are apart, line by line, relative to values of about 1 and above."""
    return [
        max(abs(one[name] - other[name]) / max(abs(other[name]), 0.1) for name in other)
        for one, other in zip(lines, others, strict=True)
    ]


def same_but_for_rounding(
    graphs: list[dict[str, float]], eager: list[dict[str, float]], again: list[dict[str, float]]
) -> bool:
    """Whether graphs are no farther from an eager run than ten times what another eager run is.

    Sums of atomics come in any order, and Adam makes much of the last bits: so rounding grows, on some
    devices beyond any fixed bound. Two runs that round alike leave 1 %.
    """
    noise = accumulate(apart(again, eager), max)
    return all(far <= max(1e-2, 10 * near) for far, near in zip(apart(graphs, eager), noise, strict=True))


def test_rounding_is_told_from_other_work() -> None:
    eager = [{"loss": 1.0 + 0.1 * step} for step in range(20)]
    drifting = [{"loss": line["loss"] + 1e-5 * 2**step} for step, line in enumerate(eager)]
    other = [{"loss": line["loss"] + 1e-5 * 2.2**step} for step, line in enumerate(eager)]
    frozen = [{"loss": 1.0} for _ in eager]
    assert apart(other, eager)[-1] > 1  # far beyond 1 %
    assert same_but_for_rounding(other, eager, drifting)
    assert same_but_for_rounding(eager, eager, eager)
    assert not same_but_for_rounding(drifting, eager, eager)
    assert not same_but_for_rounding(frozen, eager, drifting)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", ["vanilla", "dcgan", "cgan", "wgan", "wgan-gp"])
def test_graphs_give_the_losses_of_eager_cycles(family: str, tiny: Tiny, tmp_path: Path) -> None:
    values = []
    for name, graphs in (("graphs", True), ("eager", False), ("again", False)):
        plan = tiny(family, **{"train.device": "cuda", "train.images": 1600, "train.graphs": graphs})
        run, _ = start(plan, tmp_path / name, NullReporter())
        assert run.record["graphs"] == ("captured" if graphs else "off")
        values.append([line["values"] for line in run.log()][:20])
    assert len(values[0]) == 20
    assert same_but_for_rounding(*values)


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
    waits = cuda_graphs._watched(cycle, [{"wait": value}])
    assert len(waits) == 1
    assert "test_speed_paths.py, line" in waits[0]
    with pytest.warns(UserWarning, match="own"):
        assert not cuda_graphs._watched(cycle, [{"own": value}])
