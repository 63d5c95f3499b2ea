"""Distances between two sets of features: Frechet's, and the kernel distance KID."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Comparison

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | Floats

_ROWS = 500  # of a matrix of kernel values at once
_SCATTERED = 10_000  # features at once in float64: 164 MB of Inception's


class Rooted(NamedTuple):
    """The mean (d,) of features, and the symmetric root (d, d) of their covariance with its trace."""

    mean: Floats
    root: Floats
    trace: float


def frechet_distance(first: Features, second: Features, known: Rooted | None = None) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of (n, d) and (m, d).

    Equation 6 of Heusel et al. 2017. The trace of the root is the sum of the roots of the eigenvalues of
    R C1 R with R R = C2, which is symmetric: two eigenvalue problems, and no root of a matrix that may
    turn out complex. `known` is `rooted(second)`, where it is known.
    """
    mean, root, trace = rooted(second) if known is None else known
    own_mean, covariance = _moments(first)
    gap = own_mean - mean
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(0)).sum()
    return float(gap @ gap + np.trace(covariance) + trace - 2 * shared)


def rooted(x: Features) -> Rooted:
    """What one side of a Frechet distance needs of features (n, d)."""
    mean, covariance = _moments(x)
    values, vectors = np.linalg.eigh(covariance)
    return Rooted(mean, (vectors * np.sqrt(values.clip(0))) @ vectors.T, float(np.trace(covariance)))


def _moments(x: Features) -> tuple[Floats, Floats]:
    """The mean (d,) and the covariance (d, d), without a second copy of all features in float64."""
    mean = x.mean(0, dtype=np.float64)
    scatter = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _SCATTERED):
        centred = x[start : start + _SCATTERED] - mean
        scatter += centred.T @ centred
    return mean, scatter / (len(x) - 1)


def kernel_distance(first: Features, second: Features, within_second: float | None = None) -> float:
    """The unbiased squared MMD with the kernel (x y / d + 1)^3 of (n, d) and (m, d); may be negative.

    Equation 4 of Binkowski et al. 2018, over all pairs. The mean over random subsets that is often
    reported has the same expectation and a larger error. `within_second` is `kernel_within(second)`,
    where it is known.
    """
    if within_second is None:
        within_second = kernel_within(second)
    between = sum(_cubes(part, second) for part in _parts(first)) / (len(first) * len(second))
    return kernel_within(first) + within_second - 2 * between


def kernel_within(x: Features) -> float:
    """The mean of the kernel over all pairs of different samples."""
    total = 0.0
    for start, part in zip(range(0, len(x), _ROWS), _parts(x), strict=True):
        # The kernel is symmetric: what is right of the diagonal counts twice.
        total += _cubes(part, part) + 2 * _cubes(part, x[start + len(part) :])
    own = np.square(x).sum(1, dtype=np.float64) / x.shape[1] + 1
    return (total - float((own**3).sum())) / (len(x) * (len(x) - 1))


def _parts(x: Features) -> Iterator[Features]:
    return (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))


def _cubes(x: Features, y: Features) -> float:
    """The sum of the kernel over all pairs."""
    values = x @ y.T
    values /= x.shape[1]
    values += 1
    return float(np.einsum("ij,ij,ij->", values, values, values, dtype=np.float64))


def frechet(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `frechet`: the score is named after the extractor (`fed`, `fid` ...)."""
    real_side = lru_cache(maxsize=1)(lambda real: rooted(real.features))

    def score(comparison: Comparison) -> dict[str, float]:
        known = real_side(comparison.real)
        return {
            comparison.distance: frechet_distance(comparison.fake.features, comparison.real.features, known)
        }

    return score


def kid(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `kid`."""
    within = lru_cache(maxsize=1)(lambda real: kernel_within(real.features))

    def score(comparison: Comparison) -> dict[str, float]:
        known = within(comparison.real)
        return {"kid": kernel_distance(comparison.fake.features, comparison.real.features, known)}

    return score
