"""Measures all contenders of a case in turns, so that a noisy neighbour falls on all of them.

The protocol of a process, and what it takes to speak it, is `ganzoo.bench`'s; here are the rounds: whole
cycles of critic and generator steps, and contenders that fail without stopping the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from benchmarks.speed.places import Places
from ganzoo.bench.rounds import Process, Result
from ganzoo.errors import FailedError

ROOT = Path(__file__).parents[1]


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


def _begin(one: Measured, process: Process, n_critic: int, seconds: float) -> None:
    """The first step, then trials, which warm up too, until the batches of a round are known."""
    one.result = Result(process.read())
    trial = process.measure(n_critic)
    for _ in range(12):
        trial = process.measure(2 * ceil(trial.batches / n_critic) * n_critic)
        if trial.wall > seconds / 4:
            break
    cycles = round(trial.batches / n_critic * seconds / trial.wall)
    one.batches = max(1, cycles) * n_critic


def _round(one: Measured, process: Process) -> None:
    assert one.result is not None  # noqa: S101 - it began, or its failure would have left it out
    one.result.rounds.append(process.measure(one.batches))
