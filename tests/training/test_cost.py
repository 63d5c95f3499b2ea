"""The arithmetic of a cycle, counted before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ganzoo.config.plan import Plan
from ganzoo.training.cost import count_cycle
from ganzoo.training.setup import prepare

Tiny = Callable[..., Plan]


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
