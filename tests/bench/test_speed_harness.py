"""The harness of benchmarks/speed: gate, rounds, plain loop, floors; and that ganzoo's loop is ahead."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.speed import plain_loop, versions
from benchmarks.speed.loops import endless
from benchmarks.speed.places import Places
from benchmarks.speed.roofline import Peaks, measure_peaks
from benchmarks.speed.rounds import Figures, Process, Result, factor, measure
from benchmarks.speed.step_gate import StepGate
from ganzoo.config.plan import Plan
from ganzoo.errors import FailedError
from ganzoo.training.setup import prepare

Tiny = Callable[..., Plan]

SLEEPER = """
import sys, time
from benchmarks.speed.step_gate import StepGate
gate = StepGate()
print("words of the loop do not disturb")
while True:
    gate.step(2)
    time.sleep(float(sys.argv[1]))
"""


def sleeper(seconds: float) -> Process:
    return Process("sleeper", [sys.executable, "-c", SLEEPER, str(seconds)])


def test_a_round_is_what_its_steps_took() -> None:
    with sleeper(0.02) as process:
        first, figures = process.read(), process.measure(10)
    assert first.wall > 0.02
    assert figures.batches == 10
    assert 0.1 <= figures.wall < 2
    assert figures.cpu < figures.wall / 2
    assert figures.peak_mb > 5


def test_a_loop_that_dies_is_named_with_its_last_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('out of paper')"]
    with Process("printer", command) as process, pytest.raises(FailedError, match=r"printer") as caught:
        process.read()
    assert caught.value.where == "out of paper"


def test_the_factor_is_the_median_of_ratios_of_the_same_round() -> None:
    def result(*walls: float) -> Result:
        return Result(Figures(1, 1, 1, 1), [Figures(10, wall, 1, 1) for wall in walls])

    # A neighbour made the second round four times as slow for both.
    assert factor(result(1, 4, 1), result(2, 8, 3)) == pytest.approx(2)


OTHER_VERSION = """
from time import process_time
from benchmarks.step_gate import StepGate
gate = StepGate()
while True:
    gate.step(1000)
    end = process_time() + 0.001
    while process_time() < end:
        pass
"""


def test_another_version_trains_in_its_own_checkout(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(versions.ROOT / "benchmarks/speed/step_gate.py", folder)
    (folder / "contender.py").write_text(OTHER_VERSION)
    every = versions.ratios(tmp_path, sys.executable, "vanilla", Places(), rounds=2, seconds=0.1)
    assert len(every) == 2
    assert all(0 < ratio < 1 for ratio in every)  # it claims a million batches a second


# --- the plain loop -------------------------------------------------------------------------------


class CountingGate(StepGate):
    """Ends a loop after some steps, without a conductor."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.wait = lambda: None

    def step(self, batches: int = 1) -> None:
        self.left -= batches
        if self.left < 0:
            raise StopIteration


@pytest.mark.parametrize("family", ["vanilla", "dcgan", "cgan", "wgan", "wgan-gp"])
@pytest.mark.parametrize("reuse", [False, True])
def test_the_plain_loop_trains_the_same_networks(
    family: str, reuse: bool, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = plain_loop.build_networks
    monkeypatch.setattr(plain_loop, "build_networks", lambda *args: built.append(build(*args)) or built[-1])
    plan = tiny(family, **{"train.reuse_fakes": reuse})
    with pytest.raises(StopIteration):
        plain_loop.train(plan, CountingGate(2 * plan.train.n_critic))
    [networks] = built
    before = build(plan, prepare(plan).dataset.info)
    for side in ("generators", "discriminators"):
        for name, net in getattr(networks, side).items():
            own = getattr(before, side)[name].module
            pairs = zip(net.module.parameters(), own.parameters(), strict=True)
            assert any(not torch.equal(one, other) for one, other in pairs)
            assert all(torch.isfinite(value).all() for value in net.module.parameters())


def test_an_endless_plan_logs_as_often_as_the_recipe(tiny: Tiny) -> None:
    plan = endless(tiny("dcgan", **{"train.images": 40_000}))
    assert plan.train.log_every == 200
    assert plan.train.images is not None
    assert plan.train.images > 10**9


# --- floors ---------------------------------------------------------------------------------------


def test_the_floor_adds_up_arithmetic_and_adam() -> None:
    peaks = Peaks({("product", "fp32"): 10.0, ("convolution", "bf16"): 100.0}, adam=1000.0)
    floor = peaks.floor({("product", "fp32"): 20, ("convolution", "bf16"): 300}, parameters=500)
    assert floor == pytest.approx(2 + 3 + 0.5)


def test_peaks_are_those_of_this_machine() -> None:
    peaks = measure_peaks(torch.device("cpu"))
    a = torch.randn(512, 512)
    begun = time.perf_counter()
    for _ in range(5):
        a @ a
    rate = 5 * 2 * 512**3 / (time.perf_counter() - begun)
    assert peaks.rates["product", "fp32"] > rate / 3
    assert peaks.adam > 1e6


# --- the guard ------------------------------------------------------------------------------------


# Sized recipes in fp32, so that it holds on any hardware. When written, on a Zen 5 core: dcgan 1.24 to 1.29.
GUARDED, AHEAD = "dcgan", 1.15


def test_the_loop_stays_ahead_of_the_plain_one() -> None:
    """Same networks, recipe and data, in turns, by CPU time on one thread."""
    names = ["ganzoo-fp32", "plain"]
    loops = measure(GUARDED, names, Places(), n_critic=1, rounds=5, seconds=2, tell=lambda _: None)
    own, plain = (loop.result for loop in loops)
    assert own is not None
    assert plain is not None
    assert factor(own, plain, "cpu") > AHEAD
    assert own.peak_mb < 1.2 * plain.peak_mb
