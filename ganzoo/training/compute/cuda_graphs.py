"""How a cycle reaches the device: called each time, or captured once as a CUDA graph and replayed.

Small networks spend most of a step on starting kernels; a replayed graph starts them all at once. The
work is the same and so are the numbers: this is not a second loop.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ganzoo.data.batches import Picked
from ganzoo.training.compute.device import Engine
from ganzoo.training.compute.host_state import HostState

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE

Cycle = Callable[[Sequence[Picked]], None]

# Cycles that run eagerly before one is captured: they create the optimisers' state, and let cuDNN
# and the allocator choose. The last of them is watched for what no graph can hold.
WARM_UP = 3

# Each combination of lazy terms that fall due together is a graph; a plan may have very many.
MOST_GRAPHS = 32


class Repeater(Protocol):
    """Runs cycles."""

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Do `cycle(picked)`. Cycles of equal `key` do the same work on batches of the same shapes."""


class Eager:
    """Calls the cycle: on a CPU, and where a graph cannot be had."""

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Do `cycle(picked)`."""
        cycle(picked)


class Graphs:
    """Captures each kind of cycle as a CUDA graph and replays it.

    What a cycle reads must be in `picked` or keep its place in memory. A cycle that waits for the
    device, changes state of `parts` on the host, or cannot be captured for another reason, makes this
    run all cycles eagerly; `told` is called once with what became of it.
    """

    def __init__(
        self, engine: Engine, told: Callable[[str], None], parts: Mapping[str, object] | None = None
    ) -> None:
        """`parts`: what cycles compute with and plugins wrote, by the names that a reason gives them."""
        self._engine = engine
        self._told = told
        self._parts = parts or {}
        self._runs: Counter[Hashable] = Counter()
        self._captured: dict[Hashable, tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}
        self._pool: _POOL_HANDLE | None = None
        self._eager = False

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Do `cycle(picked)`, by replay once it is captured."""
        if key not in self._captured and not self._prepared(key, cycle, picked):
            return
        graph, inputs = self._captured[key]
        values = _tensors(picked)
        if values:
            torch._foreach_copy_(inputs, values)
        graph.replay()

    def _prepared(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> bool:
        """Whether the cycle is captured now; if not, it has been run eagerly."""
        self._runs[key] += 1
        if self._eager or self._runs[key] < WARM_UP or len(self._captured) >= MOST_GRAPHS:
            cycle(picked)
            return False
        if self._runs[key] == WARM_UP:
            before = HostState(self._parts, self._engine.device)
            if reasons := [*_watched(cycle, picked), *before.changes()]:
                self._give_up(reasons[0])
            return False
        state, broken = self._engine.random_state(), ""
        try:
            self._captured[key] = self._capture(cycle, picked)
        except RuntimeError as error:
            broken = _cause(error)
        # Not in the handler: there the error still holds the activations of the broken capture.
        if broken:
            # It may have left its mark on the random streams, too: they start from copies.
            self._engine.renew_random(state)
            self._give_up(broken)
            cycle(picked)
        elif len(self._captured) == 1:
            self._told("captured")
        return not broken

    def _capture(self, cycle: Cycle, picked: Sequence[Picked]) -> tuple[torch.cuda.CUDAGraph, list[Tensor]]:
        inputs = [{name: value.clone() for name, value in item.items()} for item in picked]
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._engine.random)
        # One pool for all: they never run at the same time, and of what is in it only gradients outlive
        # a cycle, which the next one drops before it does anything else.
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=torch.cuda.current_stream()):
                cycle(inputs)
        except BaseException:
            _close_pool(self._pool)
            raise
        return graph, _tensors(inputs)

    def _give_up(self, reason: str) -> None:
        self._eager = True
        self._captured.clear()  # their noise would come from a stream of its own
        self._told(f"eager: {reason}")


def _close_pool(pool: _POOL_HANDLE) -> None:
    """End what a broken capture began: torch does it only for one that ended well.

    Left open, the pool keeps its memory, and the allocator asks a graph that is gone whether to use it.
    """
    device = torch.cuda.current_device()
    with suppress(RuntimeError):  # the capture had ended, so the graph gives back its share of the pool
        torch._C._cuda_endAllocateToPool(device, pool)
        torch._C._cuda_releasePool(device, pool)


def _watched(cycle: Cycle, picked: Sequence[Picked]) -> list[str]:
    """Do `cycle(picked)`; returns where it waited for the device, which a capture would not survive."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            cycle(picked)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = []
    for item in caught:
        if "called a synchronizing" in str(item.message):
            waits.append(f"the host waits for the device in {item.filename}, line {item.lineno}")
        elif "Synchronization debug mode" not in str(item.message):  # torch's word on the watching itself
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return waits


def _cause(error: BaseException) -> str:
    """The first line of the first error: leaving a broken capture raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tensors(picked: Sequence[Picked]) -> list[Tensor]:
    return [value for item in picked for value in item.values()]
