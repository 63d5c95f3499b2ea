"""An extractor for texts that needs no network: counts of their n-grams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganzoo_text.ngrams import codes_of
from ganzoo_text.symbols import Indices

BINS, ORDERS, SYMBOLS = 64, (1, 2, 3), 65_536
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing, Knuth vol. 3, 6.4


class NgramCounts:
    """192 features: how often n-grams of 1 to 3 symbols fall into each of 64 bins."""

    identity = "counts of 1-, 2- and 3-grams of symbols in 64 bins each, version 1"
    protocol = "indices of symbols, ends included"

    def __call__(self, pixels: Indices) -> NDArray[np.float32]:
        """Texts (n, length) as indices -> features (n, 192)."""
        return np.concatenate([_counts(pixels, n) for n in ORDERS if n <= pixels.shape[1]], axis=1)


def _counts(rows: Indices, n: int) -> NDArray[np.float32]:
    hashed = codes_of(rows, n, SYMBOLS).astype(np.uint64) * MULTIPLIER
    bins = (hashed >> np.uint64(58)).astype(np.int64) + BINS * np.arange(len(rows))[:, None]
    return np.bincount(bins.ravel(), minlength=BINS * len(rows)).reshape(-1, BINS).astype(np.float32)


def build(config: None = None) -> NgramCounts:
    """Factory of the extractor `ngrams`."""
    return NgramCounts()
