"""Measures all contenders of a case in turns, so that a noisy neighbour falls on all of them.

Each contender is a process of its own that speaks the protocol of step_gate.py. A round has whole cycles of
critic and generator steps; contenders that fail do not stop the others. On a shared machine a single figure
means little; ratios of figures from the same round do not suffer when a neighbour slows everything down.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from types import TracebackType

from benchmarks.speed.places import Places
from ganzoo.errors import FailedError

ROOT = Path(__file__).parents[2]

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
    """A contender at work: a command that speaks the gate's protocol (see step_gate.py)."""

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


@dataclass
class Measured:
    """One contender: its figures, or why there are none."""

    name: str
    result: Result | None = None
    batches: int = 0
    failure: str = ""


def measure(
    case: str,
    names: Sequence[str],
    places: Places,
    *,
    n_critic: int,
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
) -> list[Measured]:
    """Figures of the contenders of those names, each measured in every round for about `seconds`."""
    everyone = [Measured(name) for name in names]
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for one in everyone:
            command = [sys.executable, "-m", "benchmarks.speed.contender", case, one.name]
            processes[one.name] = stack.enter_context(Process(one.name, command, environment(places)))
            tell(f"{case}: {one.name} starts")
            _attempt(one, partial(_begin, one, processes[one.name], n_critic, seconds))
        for turn in range(rounds if everyone else 0):
            tell(f"{case}: round {turn + 1} of {rounds}")
            for place in range(len(everyone)):
                one = everyone[(turn + place) % len(everyone)]
                if not one.failure:
                    _attempt(one, partial(_round, one, processes[one.name]))
    return everyone


def environment(places: Places) -> Mapping[str, str]:
    """What a contender's process finds in its environment."""
    threads = str(places.threads)
    variables = {
        **places.to_environment(),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if places.device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""  # some peers take CUDA whenever they see it
    return variables


def _attempt(one: Measured, action: Callable[[], None]) -> None:
    try:
        action()
    except (FailedError, OSError) as error:
        one.failure = f"{error.what} {error.where}" if isinstance(error, FailedError) else str(error)


def begin(process: Process, n_critic: int, seconds: float) -> tuple[Result, int]:
    """The first step, then trials, which warm up too, until the batches of a round are known."""
    result = Result(process.read())
    trial = process.measure(n_critic)
    for _ in range(12):
        trial = process.measure(2 * ceil(trial.batches / n_critic) * n_critic)
        if trial.wall > seconds / 4:
            break
    cycles = round(trial.batches / n_critic * seconds / trial.wall)
    return result, max(1, cycles) * n_critic


def play_round(process: Process, result: Result, batches: int) -> None:
    """Train on so many batches and keep the figures."""
    result.rounds.append(process.measure(batches))


def _begin(one: Measured, process: Process, n_critic: int, seconds: float) -> None:
    one.result, one.batches = begin(process, n_critic, seconds)


def _round(one: Measured, process: Process) -> None:
    assert one.result is not None  # noqa: S101 - it began, or its failure would have left it out
    play_round(process, one.result, one.batches)


def factor(own: Result, other: Result, clock: str = "wall") -> float:
    """How much faster `own` is: the median of the ratios of figures from the same round."""
    pairs = zip(own.rates(clock), other.rates(clock), strict=True)
    return statistics.median(one / two for one, two in pairs)
