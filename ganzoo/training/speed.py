"""How fast a run is on this machine, measured before it begins, on networks that are thrown away."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable
from statistics import fmean, median
from typing import TYPE_CHECKING, cast

from ganzoo.training.compute.cuda_graphs import Repeater
from ganzoo.training.loop import Outcome, train_loop
from ganzoo.training.setup import TrainingSetup

if TYPE_CHECKING:
    from ganzoo.training.reporting.recorder import Recorder

# A trial ends so many seconds after its first cycle; after LEAST seconds already if it has so many cycles. It
# ends after the cycle in which it has taken MOST seconds.
SECONDS, LEAST, CYCLES, MOST = 3.0, 1.0, 50, 10.0

# Lazy terms are averaged over so many cycles.
PERIOD = 64


class Stopwatch:
    """Takes the time of each cycle, in the place of a recorder, and ends the trial."""

    share = 0.0

    def __init__(self, setup: TrainingSetup) -> None:
        self._setup = setup
        self._times: dict[Hashable, list[float]] = defaultdict(list)
        self._begun = self._warm = self._before = time.perf_counter()

    def after_cycle(self, images_before: int) -> None:
        """Keep the time of the cycle that has ended, with those of the same work."""
        training = self._setup.training
        training.engine.wait()
        now = time.perf_counter()
        self._times[self._work(training.steps - 1)].append(now - self._before)
        self._before = now
        if training.steps == 1:
            self._warm = now

    def stop(self) -> Outcome | None:
        """Whether there was time enough. All ranks stop together."""
        training, now = self._setup.training, time.perf_counter()
        whole, warm = training.engine.ranks.largest(now - self._begun, now - self._warm)
        enough = whole >= MOST or warm >= (SECONDS if training.steps < CYCLES else LEAST)
        return "paused" if training.steps and enough else None

    def rate(self) -> float:
        """Real images a second, the same on all ranks.

        The first cycle is left out where others did the same work: it allocates, and chooses kernels.
        Work that no cycle of the trial did is taken to be that of the first, in which every term is due.
        """
        first = self._times[self._work(0)]
        seconds = {work: median(times) for work, times in self._times.items() if times is not first}
        slowest = median(first[1:] or first)
        mean = fmean(seconds.get(self._work(step), slowest) for step in range(PERIOD))
        return self._setup.plan.train.cycle / self._setup.training.engine.ranks.largest(mean)[0]

    def _work(self, step: int) -> Hashable:
        return self._setup.phases.due(step, self._setup.plan.train.n_critic)


def measure(setup: TrainingSetup, repeater: Repeater) -> float:
    """The real images a second of a few cycles. This changes the state: do not train with `setup` then."""
    watch = Stopwatch(setup)
    recorder = cast("Recorder", watch)  # the loop uses only `share` and `after_cycle` of it
    with setup.training.engine.stream():
        train_loop(setup.plan, setup.training, setup.phases, setup.batches, repeater, recorder, watch.stop)
    return watch.rate()
