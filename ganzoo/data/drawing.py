"""Samples that are drawn anew in each epoch, from decoded ones."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api.sources import Draw, ItemSource
from ganzoo.data.validation import Array
from ganzoo.errors import DataError
from ganzoo.util.parallel import THREADS

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Drawing:
    """Sample `row` of a dataset in any epoch; `rows` are places in `stored`, the decoded items."""

    stored: Mapping[str, Array]
    draw: Draw
    rows: Rows

    def __call__(self, row: int, *key: int) -> dict[str, Array]:
        """The sample as drawn for that key, for example a seed and an epoch."""
        place = int(self.rows[row])
        # Python's own integers may be negative, a seed sequence has none of them.
        random = np.random.default_rng([place, *(number % 2**64 for number in key)])
        item = {name: np.asarray(array[place]) for name, array in self.stored.items()}
        return {name: np.asarray(values) for name, values in self.draw(item, random).items()}

    def of(self, rows: NDArray[np.intp]) -> Drawing:
        """That of some samples."""
        return replace(self, rows=self.rows[rows])


def first_drawing(source: ItemSource, stored: Mapping[str, Array]) -> tuple[ItemSource, Drawing]:
    """The samples as evaluation sees them, as items for the cache; and how to draw others."""
    assert source.draw is not None  # noqa: S101
    count = len(next(iter(stored.values())))
    drawing = Drawing(stored, source.draw, np.arange(count))
    once = replace(
        source,
        items=[f"sample {row}" for row in range(count)],
        read=drawing,
        fingerprint=f"{source.fingerprint} drawn",
        keys=None,
        drawn_from=(),
        draw=None,
    )
    return once, drawing


class Ahead:
    """Drawn samples of batches, of which threads draw the next one while the current one is used."""

    def __init__(self, drawing: Drawing, seed: int, arrays: Mapping[str, Array]) -> None:
        self._drawing, self._seed = drawing, seed
        self._like = {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}
        self._pool = ThreadPoolExecutor(THREADS)
        self._waiting: dict[str, tuple[Any, list[Future[dict[str, Array]]]]] = {}

    def take(self, stream: str, key: Any, samples: list[tuple[int, int]]) -> dict[str, Array]:
        """The samples (row, epoch) of a batch, those begun as `key` if they are."""
        begun, futures = self._waiting.pop(stream, (None, []))
        if begun != key:
            for future in futures:
                future.cancel()
            futures = self._begin(samples)
        drawn = [future.result() for future in futures]
        return {name: np.stack([sample[name] for sample in drawn]) for name in self._like}

    def prepare(self, stream: str, key: Any, samples: list[tuple[int, int]]) -> None:
        """Begin with the samples that are probably next."""
        self._waiting[stream] = key, self._begin(samples)

    def _begin(self, samples: list[tuple[int, int]]) -> list[Future[dict[str, Array]]]:
        return [self._pool.submit(self._drawn, *sample) for sample in samples]

    def _drawn(self, row: int, epoch: int) -> dict[str, Array]:
        sample = self._drawing(row, self._seed, epoch)
        for name, like in self._like.items():
            found = (sample[name].dtype, sample[name].shape) if name in sample else None
            if found != like:
                raise DataError(f"A sample was drawn as {found}, the first time as {like}.", where=name)
        return sample
