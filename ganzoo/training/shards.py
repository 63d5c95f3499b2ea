"""Shards of a batch: the samples that a process computes at once, and their random numbers.

Every rank draws the same random numbers for the whole global batch, and each shard takes its rows. So a run
is the same, up to rounding, in one process or in eight, with or without micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from ganzoo.api.training import Batch
from ganzoo.training.compute.device import Engine


@dataclass(frozen=True)
class Shard:
    """Samples `start` to `stop` of a global batch of `whole` samples."""

    start: int
    stop: int
    whole: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def weight(self) -> float:
        """The weight of this shard's mean in the mean over the whole batch."""
        return len(self) / self.whole

    def rows(self, batch: Batch, first: int = 0) -> Batch:
        """The samples of this shard in `batch`, which begins with sample `first` of the global batch."""
        if len(self) == self.whole:
            return batch
        return {name: value[self.start - first : self.stop - first] for name, value in batch.items()}


def shards(share: range, whole: int, at_once: int | None, pack: int = 1) -> list[Shard]:
    """A rank's share of a global batch in shards of nearly equal size, of at most `at_once` samples.

    `pack` samples that are scored together stay in one shard: share and `at_once` are multiples of it.
    """
    count = 1 if at_once is None else -(-len(share) // at_once)
    edges = [share.start + number * (len(share) // pack) // count * pack for number in range(count + 1)]
    return [Shard(start, stop, whole) for start, stop in pairwise(edges)]


class StepRandom:
    """The random numbers that terms draw in one step, independent of how the batch is cut into shards."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._drawn: list[tuple[int, Tensor]] = []
        self._next = 0
        self._shard = Shard(0, 1, 1)

    def begin(self, shard: Shard) -> None:
        """The next numbers are for this shard. Each shard must draw in the same order as the first."""
        self._shard, self._next = shard, 0

    def has_rows(self, *shape: int) -> bool:
        """Whether the shape has a row for each sample of this shard, or two."""
        return shape[:1] in ((len(self._shard),), (2 * len(self._shard),))

    def normal(self, *shape: int, per_sample: bool = False) -> Tensor:
        """N(0, 1) on the device."""
        return self._rows(self._engine.normal, shape, per_sample)

    def uniform(self, *shape: int, per_sample: bool = False) -> Tensor:
        """U(0, 1) on the device."""
        return self._rows(self._engine.uniform, shape, per_sample)

    def _rows(self, draw: Callable[..., Tensor], shape: tuple[int, ...], per_sample: bool) -> Tensor:
        if per_sample and not self.has_rows(*shape):
            raise ValueError(
                f"random numbers of shape {shape} were asked for each sample: the first dimension must be "
                f"the number of samples, {len(self._shard)}, or twice that"
            )
        if self._next == len(self._drawn):
            size, whole = len(self._shard), self._shard.whole
            times = shape[0] // size if per_sample else 0
            self._drawn.append((times, draw(times, whole, *shape[1:]) if times else draw(*shape)))
        times, values = self._drawn[self._next]
        self._next += 1
        if times:
            values = values[:, self._shard.start : self._shard.stop].reshape(shape)
        return values.clone()  # a term may change it in place
