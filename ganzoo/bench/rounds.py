"""Measures contenders in turns: each in its own process, all of them in every round, the order rotated.

On a shared machine a single figure means little; ratios of figures from the same round do not suffer
when a neighbour slows everything down.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ganzoo.errors import FailedError

# Seconds for a contender to clean up, once it is told that all is measured.
PATIENCE = 10


@dataclass(frozen=True)
class Figures:
    """What some batches took, in seconds, and the process's peak memory."""

    batches: int
    wall: float
    cpu: float
    peak_mb: float


@dataclass
class Result:
    """All figures of one contender. `first` counts from the start of the process to its first step."""

    first: Figures
    rounds: list[Figures] = field(default_factory=list)

    def rates(self, clock: str = "wall") -> list[float]:
        """Batches a second in each round, by the clock `wall` or `cpu`."""
        return [item.batches / getattr(item, clock) for item in self.rounds]

    @property
    def peak_mb(self) -> float:
        """Peak memory of the process."""
        return max(item.peak_mb for item in (self.first, *self.rounds))


class Process:
    """A contender at work: a command that speaks the gate's protocol (see `gate`)."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; it stops where its next step would begin."""
        assert self._process.stdin is not None  # noqa: S101 - tells the type checker what PIPE means
        assert self._process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def read(self) -> Figures:
        """The next line of figures. FailedError, with what it printed last, when the process ended."""
        assert self._process.stdout is not None  # noqa: S101 - tells the type checker what PIPE means
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise FailedError(f"'{self.name}' ended before it was measured.", where=said[-1] if said else "")
        return Figures(**json.loads(line))

    def measure(self, batches: int) -> Figures:
        """Let it train on so many batches."""
        assert self._process.stdin is not None  # noqa: S101 - tells the type checker what PIPE means
        self._process.stdin.write(f"{batches}\n")
        self._process.stdin.flush()
        return self.read()


def contender(kind: str, recipe: str, settings: Mapping[str, Any]) -> list[str]:
    """The command that runs `ganzoo` or the `plain` loop for a recipe with these settings."""
    return [sys.executable, "-m", "ganzoo.bench.loops", kind, recipe, json.dumps(dict(settings))]


def measure(processes: Sequence[Process], rounds: int, seconds: float) -> list[Result]:
    """Figures of all processes, each measured in every round for about `seconds`.

    A first, short turn that is not counted finds how many batches that is.
    """
    results = [Result(process.read()) for process in processes]
    counts = []
    for process in processes:
        trial = process.measure(1)
        while trial.wall < seconds / 10:
            trial = process.measure(2 * trial.batches)
        counts.append(max(1, round(trial.batches * seconds / trial.wall)))
    for turn in range(rounds):
        order = [(turn + place) % len(processes) for place in range(len(processes))]
        for place in order:
            results[place].rounds.append(processes[place].measure(counts[place]))
    return results


def factor(own: Result, other: Result, clock: str = "wall") -> float:
    """How much faster `own` is: the median of the ratios of figures from the same round."""
    pairs = zip(own.rates(clock), other.rates(clock), strict=True)
    return statistics.median(one / two for one, two in pairs)
