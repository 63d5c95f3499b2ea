"""The arithmetic of a cycle, counted before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.config.plan import Plan
from ganzoo.training import session
from ganzoo.training.cost import count_cycle, estimate, may_be_short, shortage
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare
from ganzoo.util import system

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


def short_of(note: str) -> int:
    """The size of micro-batches that a note about memory advises."""
    found = re.search(r"--set train\.micro_batch=(\d+) ", note)
    assert found, note
    return int(found[1])


def test_memory_that_will_not_do_is_said_with_a_size_that_does(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counts(**more: int) -> tuple[str, float]:
        setup = prepare(tiny("dcgan", **{"train.batch_size": 4000, **more}))
        found = estimate(setup)
        return shortage(setup, found), found["memory_mb"]

    enough, needed = counts()
    assert enough == ""
    monkeypatch.setattr(system, "free_memory", lambda: int(needed / 3 * 2**20))
    said, _ = counts()
    assert f"about {needed:,.0f} MB" in said
    assert f"{needed / 3:,.0f} MB are free" in said
    at_once = short_of(said)
    assert 0 < at_once < 4000 / 3
    advised, less = counts(**{"train.micro_batch": at_once})
    assert advised == ""
    assert less < needed / 3
    monkeypatch.setattr(system, "free_memory", lambda: 2**14)
    assert "not even one sample" in counts()[0]


def test_training_says_so_before_its_first_step(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system ends a process without a word; and a run of usual size pays nothing for the count."""
    plan, reporter = tiny("vanilla"), NullReporter()
    assert not may_be_short(prepare(plan))
    with monkeypatch.context() as patched:
        patched.setattr(system, "free_memory", lambda: 2**16)
        run, _ = start(plan, tmp_path / "short", reporter)
    (said,) = [note for note in reporter.notes if "MB are free" in note]
    assert said.startswith("this run needs about ")
    monkeypatch.setattr(session, "estimate", lambda setup: pytest.fail("it was counted"))
    plenty, _ = start(plan, tmp_path / "plenty", NullReporter())
    assert run.log()[-1]["values"] == plenty.log()[-1]["values"], "the count does not change the run"
