"""Distances between all pairs of two sets of vectors, a few rows at a time; numpy only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_ROWS = 500  # rows of the distance matrix that are computed at once: 500 x 10,000 float32 are 20 MB


def squared_distances(first: Vectors, second: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """Squared Euclidean distances (rows, m) between (n, d) and (m, d), for slices of the rows of `first`.

    The caller may change the arrays.
    """
    # Subtracting a common mean makes the squares small, so their differences lose little precision.
    mean = first.mean(0)
    a, b = first - mean, second - mean
    squares_a, squares_b = np.square(a).sum(1), np.square(b).sum(1)
    for start in range(0, len(a), _ROWS):
        rows = slice(start, min(start + _ROWS, len(a)))
        products = a[rows] @ b.T
        products *= -2
        products += squares_a[rows, None]
        products += squares_b
        yield rows, products.clip(0, out=products)


def nearest(queries: Vectors, among: Vectors) -> tuple[NDArray[np.intp], Vectors]:
    """For each query (n, d), the index of its nearest neighbour in `among` (m, d), and their distance."""
    indices = np.empty(len(queries), np.intp)
    lengths = np.empty(len(queries), np.float32)
    for rows, distances in squared_distances(queries, among):
        indices[rows] = distances.argmin(1)
        # squared_distances has rounding errors: the distance to an exact copy would not be 0.
        lengths[rows] = np.linalg.norm(queries[rows] - among[indices[rows]], axis=1)
    return indices, lengths
