"""The CPU threads of a run while it goes on: those of the record, or again by the load of the machine.

The number of threads changes rounding: a kernel that divides a sum among threads adds in another order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence

import torch

from ganzoo.data.batches import Picked
from ganzoo.training.compute.cuda_graphs import Cycle, Eager

# Seconds after which the number is chosen again, the first time and later. The load is the mean of that time.
FIRST, LATER = 10.0, 60.0

History = list[list[int]]
"""Pairs of images and threads: from so many images on, so many threads."""


class ThreadedCycles(Eager):
    """Calls the cycle on as many threads as `history` says, and after its end on as many as `choose` says.

    `choose` is None where the number stays. `on_change` is called after a new entry in `history`.
    """

    def __init__(
        self,
        images: Callable[[], int],
        history: History,
        choose: Callable[[], int] | None,
        on_change: Callable[[History], None],
    ) -> None:
        self._images, self._history = images, history
        self._choose, self._on_change = choose, on_change
        self._next = time.monotonic() + FIRST

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Run `cycle(picked)`."""
        images = self._images()
        if self._choose is not None and time.monotonic() >= self._next and images >= self._history[-1][0]:
            self._next = time.monotonic() + LATER
            if (chosen := self._choose()) != self._history[-1][1]:
                self._history.append([images, chosen])
                self._on_change(self._history)
        threads = [number for start, number in self._history if start <= images][-1]
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        cycle(picked)
