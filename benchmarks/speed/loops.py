"""Training loops that can be measured: ganzoo's own, as `ganzoo train` runs it, and the plain one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.speed.step_gate import StepGate

if TYPE_CHECKING:
    from ganzoo.config.plan import Plan
    from ganzoo.runs.run import Run
    from ganzoo.training.state import Training

ENDLESS = 10**12


def ganzoo_loop(plan: Plan, gate: StepGate) -> None:
    """Train a plan with the product's loop, recorder and data; one cycle is a step. Ends with the gate."""
    from ganzoo.training.session import start

    with tempfile.TemporaryDirectory() as folder:
        start(endless(plan), Path(folder) / "run", GatedReporter(gate))


def plain_loop(plan: Plan, gate: StepGate) -> None:
    """Train the same plan with the plain loop. Ends with the gate."""
    from benchmarks.speed.plain_loop import train

    train(plan, gate)


def endless(plan: Plan) -> Plan:
    """The same plan, longer than any measurement.

    Log lines come as often as in a run of the plan's own length. Grids and checkpoints are left out:
    the loops to compare with write none.
    """
    log_every = plan.train.log_every or max(1, (plan.train.images or ENDLESS) // 200)
    train = replace(plan.train, images=ENDLESS, minutes=None, about_minutes=None, log_every=log_every)
    return replace(plan, train=replace(train, sample_every=ENDLESS, checkpoint_every=ENDLESS))


class GatedReporter:
    """Implements `recorder.Reporter`: after each cycle the gate may hold the loop."""

    def __init__(self, gate: StepGate) -> None:
        self.gate = gate
        self.batches = 1

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """The first step begins."""
        self.batches = plan.train.n_critic
        self.gate.on(training.engine)
        self.gate.step(self.batches)

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """A cycle has ended."""
        self.gate.step(self.batches)

    def tick(self, record: Mapping[str, Any]) -> None:
        """The log file has it."""

    def note(self, text: str) -> None:
        """What a user would be told goes where the loop prints."""
        print(text)
