"""`ganzoo bench train`: gate, rounds, plain loop, figures; and that ganzoo's loop is ahead."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from ganzoo.bench import plain_loop
from ganzoo.bench.loops import endless
from ganzoo.bench.roofline import Peaks, measure_peaks
from ganzoo.bench.rounds import Figures, Process, Result, contender, factor, measure
from ganzoo.bench.step_gate import StepGate
from ganzoo.config.plan import Plan
from ganzoo.errors import FailedError
from ganzoo.training.compute.conv_as_matmul import use_matmul_convolutions
from ganzoo.training.cost import count_cycle
from ganzoo.training.setup import prepare

Tiny = Callable[..., Plan]

SLEEPER = """
import sys, time
from ganzoo.bench.step_gate import Gate
gate = Gate()
print("words of the loop do not disturb")
while True:
    gate.step(2)
    time.sleep(float(sys.argv[1]))
"""


def sleeper(seconds: float) -> Process:
    return Process("sleeper", [sys.executable, "-c", SLEEPER, str(seconds)])


def test_loops_are_measured_in_turns() -> None:
    with sleeper(0.02) as slow, sleeper(0.01) as fast:
        slow_result, fast_result = measure([slow, fast], rounds=3, seconds=0.2)
    assert len(slow_result.rounds) == len(fast_result.rounds) == 3
    assert all(item.batches % 2 == 0 for item in slow_result.rounds)
    assert all(0.1 < item.wall < 2 for item in (*slow_result.rounds, *fast_result.rounds))
    assert all(item.cpu < item.wall / 2 for item in slow_result.rounds)
    assert slow_result.first.wall > 0.02
    assert 1.3 < factor(fast_result, slow_result) < 3
    assert slow_result.peak_mb > 5


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


def test_the_work_of_a_cycle_is_counted_exactly(tiny: Tiny) -> None:
    """An MLP by hand: forward 2 MAC, backward twice that, less what no gradient is needed for."""
    widths = {"architecture.generator_hidden": [16], "architecture.discriminator_hidden": [8]}
    more = {"train.precision": "fp32", "architecture.latent": 10, "terms.r1": False}
    plan = tiny("vanilla", **widths, **more)
    work = count_cycle(prepare(plan)).work
    generator, first, last = 10 * 16 + 16 * 784, 784 * 8, 8
    judged = 2 * 2 * (2 * first + 3 * last)  # two batches; the images need no gradient
    drawn = 2 * generator
    learned = 2 * (2 * 10 * 16 + 3 * 16 * 784) + 2 * 2 * (first + last)  # D's weights need none
    assert work == {("product", "fp32"): 8 * (judged + drawn + learned)}


def test_a_lazy_penalty_counts_by_its_share(tiny: Tiny) -> None:
    """Every fourth step: the work without it, and a quarter of what it adds."""
    always, lazy, never = (
        count_cycle(prepare(tiny("wgan-gp", **{"train.precision": "fp32", **more}))).operations
        for more in (
            {"terms.gradient-penalty.every": 1},
            {"terms.gradient-penalty.every": 4},
            {"terms.gradient-penalty.every": 10**9},
        )
    )
    assert lazy == pytest.approx(never + (always - never) / 4, rel=1e-6)
    assert never < 0.9 * always


# --- products -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda bias: nn.Conv2d(3, 5, 4, bias=bias), (2, 3, 4, 4)),
        (lambda bias: nn.Conv2d(3, 5, (2, 3), stride=2, bias=bias), (2, 3, 2, 3)),
        (lambda bias: nn.Conv2d(3, 5, 4, padding=1, bias=bias), (2, 3, 4, 4)),
        (lambda bias: nn.Conv2d(4, 6, 4, groups=2, bias=bias), (2, 4, 4, 4)),
        (lambda bias: nn.Conv2d(3, 5, 3, bias=bias), (2, 3, 8, 8)),
        (lambda bias: nn.Conv2d(3, 5, 4, bias=bias), (3, 4, 4)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, (2, 4), stride=3, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, output_padding=1, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(4, 6, 4, groups=2, bias=bias), (2, 4, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=bias), (2, 3, 4, 4)),
    ],
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_products_are_the_convolutions(
    layer: Callable[[bool], nn.Module], shape: tuple[int, ...], bias: bool, memory: torch.memory_format
) -> None:
    """Values, gradients and the gradient of a gradient (a penalty's), in double precision."""
    torch.manual_seed(0)
    plain = layer(bias).double().to(memory_format=memory)  # type: ignore[call-overload]
    fast = layer(bias).double().to(memory_format=memory)  # type: ignore[call-overload]
    fast.load_state_dict(plain.state_dict())
    use_matmul_convolutions(fast)
    maps = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found = []
    for module in (plain, fast):
        out = module(maps).tanh()
        slope = torch.autograd.grad(out.sum(), maps, create_graph=True)[0]
        grads = torch.autograd.grad(slope.square().sum(), [maps, *module.parameters()])
        found.append([out, slope, *grads])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_products_leave_parametrised_layers_alone() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 5, 4))
    kind = type(layer)
    use_matmul_convolutions(layer)
    assert type(layer) is kind


# --- the command ----------------------------------------------------------------------------------


def test_bench_train_prints_rows_for_scripts() -> None:
    command = [sys.executable, "-m", "ganzoo", "bench", "train", "vanilla-scalar", "--json"]
    command += ["--rounds", "2", "--seconds", "0.3", "--precision", "fp32", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [row] = json.loads(done.stdout)["rows"]
    assert row["recipe"] == "vanilla-scalar"
    assert row["precision"] == "fp32"
    assert row["images_per_second"] * row["ms_per_step"] == pytest.approx(1e3 * 128, rel=0.01)  # the batch
    assert 0 < row["percent_of_floor"] < 100
    assert 0.5 < row["factor_over_reference"] < 5
    assert 0.5 < row["first_step_s"] < 120
    assert 50 < row["peak_mb"] < 2000
    assert "measuring vanilla-scalar" in done.stderr


# --- the guard ------------------------------------------------------------------------------------


# Sized recipes in fp32, so that it holds on any hardware. When written, on a Zen 5 core: dcgan 1.24 to 1.29.
GUARDED, AHEAD = "dcgan", 1.15


def test_the_loop_stays_ahead_of_the_plain_one() -> None:
    """Same networks, recipe and data, in turns, by CPU time on one thread."""
    settings = {"train.threads": 1, "train.precision": "fp32", "train.device": "cpu"}
    with ExitStack() as stack:
        loops = [
            stack.enter_context(Process(kind, contender(kind, GUARDED, settings)))
            for kind in ("ganzoo", "plain")
        ]
        own, plain = measure(loops, rounds=5, seconds=2)
    assert factor(own, plain, "cpu") > AHEAD
    assert own.peak_mb < 1.2 * plain.peak_mb
