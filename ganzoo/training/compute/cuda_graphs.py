"""How a cycle runs: called each time, or captured once as a CUDA graph and replayed.

Small networks spend most of a step on launching kernels; a replayed graph launches them all at once. The
operations and the results are the same: this is not a second loop.
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

# Cycles that run eagerly before one is captured: they create the optimisers' state, and let cuDNN and the
# allocator choose. The last of them is checked for synchronisation with the host.
WARM_UP = 3

# Each combination of lazy terms that are due together needs its own graph; a plan may have very many.
MOST_GRAPHS = 32


class Repeater(Protocol):
    """Runs cycles."""

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Run `cycle(picked)`. Cycles with the same `key` do the same work on batches of the same shapes."""


class Eager:
    """Calls the cycle: on a CPU, and where CUDA graphs cannot be used."""

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Run `cycle(picked)`."""
        cycle(picked)


class Graphs:
    """Captures each kind of cycle as a CUDA graph and replays it.

    The inputs of a cycle must be in `picked` or keep their place in memory. If a cycle waits for the device,
    changes state of `parts` on the host, or cannot be captured for another reason, all cycles run eagerly
    from then on. `on_result` is called with "captured" or "eager: REASON".
    """

    def __init__(
        self, engine: Engine, on_result: Callable[[str], None], parts: Mapping[str, object] | None = None
    ) -> None:
        """`parts`: the code of plugins that cycles run, by the names that a reason uses."""
        self._engine = engine
        self._on_result = on_result
        self._parts = parts or {}
        self._runs: Counter[Hashable] = Counter()
        self._captured: dict[Hashable, tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}
        self._pool: _POOL_HANDLE | None = None
        self._eager = False

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        """Run `cycle(picked)`, by replay once it is captured."""
        if key not in self._captured and not self._prepared(key, cycle, picked):
            return
        graph, inputs = self._captured[key]
        values = _tensors(picked)
        if values:
            torch._foreach_copy_(inputs, values)
        graph.replay()

    def _prepared(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> bool:
        """Whether the cycle is captured now. If not, it has run eagerly."""
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
        # Not in the handler: there the error still holds the activations of the failed capture.
        if broken:
            # A failed capture may change the random streams: they start from copies.
            self._engine.renew_random(state)
            self._give_up(broken)
            cycle(picked)
        elif len(self._captured) == 1:
            self._on_result("captured")
        return not broken

    def _capture(self, cycle: Cycle, picked: Sequence[Picked]) -> tuple[torch.cuda.CUDAGraph, list[Tensor]]:
        inputs = [{name: value.clone() for name, value in item.items()} for item in picked]
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._engine.random)
        # One memory pool for all graphs: they never run at the same time. Only gradients in it outlive a
        # cycle, and the next cycle drops them first.
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
        self._captured.clear()  # captured graphs would draw noise from another stream
        self._on_result(f"eager: {reason}")


def _close_pool(pool: _POOL_HANDLE) -> None:
    """Close the pool of a failed capture: torch does that only for captures that succeed.

    An open pool keeps its memory, and the allocator asks a graph that no longer exists whether to use it.
    """
    device = torch.cuda.current_device()
    with suppress(RuntimeError):  # the capture had ended: the graph frees its share of the pool
        torch._C._cuda_endAllocateToPool(device, pool)
        torch._C._cuda_releasePool(device, pool)


def _watched(cycle: Cycle, picked: Sequence[Picked]) -> list[str]:
    """Run `cycle(picked)`; returns where it waited for the device: a capture would fail there."""
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
        elif "Synchronization debug mode" not in str(item.message):  # torch warns that this mode is on
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return waits


def _cause(error: BaseException) -> str:
    """The first line of the first error: leaving a failed capture raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tensors(picked: Sequence[Picked]) -> list[Tensor]:
    return [value for item in picked for value in item.values()]
