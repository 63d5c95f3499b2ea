"""A DataLoader that stops at the gate before it makes a batch, in place of torch's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.utils.data

from benchmarks.speed.step_gate import StepGate


def install(gate: StepGate, peeks: int = 0) -> None:
    """Every DataLoader that is made from now on is gated.

    The first `peeks` batches are looked at before training begins and count as no step.
    """
    waiting = peeks
    loader: Any = torch.utils.data.DataLoader

    class GatedLoader(loader):  # type: ignore[misc]  # whatever is in place now
        """The same loader; worker processes, whose CPU time the gate cannot see, are left out."""

        def __init__(self, dataset: Any, *args: Any, **options: Any) -> None:
            super().__init__(dataset, *args, **{**options, "num_workers": 0})

        def __iter__(self) -> Iterator[Any]:
            return GatedBatches(super().__iter__(), len(self))

    class GatedBatches:
        """An iterator whose batches begin a step each."""

        def __init__(self, batches: Iterator[Any], count: int) -> None:
            self.batches, self.left = batches, count

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            nonlocal waiting
            if self.left == 0:
                raise StopIteration
            self.left -= 1
            if waiting:
                waiting -= 1
            else:
                gate.step()
            return next(self.batches)

        next = __next__  # the iterators of torch 1.8, which vegans was written for, had it

    torch.utils.data.DataLoader = GatedLoader  # type: ignore[misc]
