"""Distances between two sets of features: the Frechet distance, and the kernel distance KID."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Comparison

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | Floats

_ROWS = 500  # rows of the kernel matrix that are computed at once
_CHUNK = 10_000  # samples at once in float64: 164 MB of Inception features


class Moments(NamedTuple):
    """The mean (d,) of features, the symmetric root (d, d) of their covariance, and its trace."""

    mean: Floats
    root: Floats
    trace: float


def frechet_distance(first: Features, second: Features, known: Moments | None = None) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of (n, d) and (m, d).

    Equation 6 of Heusel et al. 2017. The trace of the root is the sum of the roots of the eigenvalues of
    R C1 R with R R = C2. That matrix is symmetric, so no root of a matrix is needed that could be complex.
    `known` is `moments(second)`, if the caller has it.
    """
    mean, root, trace = moments(second) if known is None else known
    own_mean, covariance = _mean_and_covariance(first)
    gap = own_mean - mean
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(0)).sum()
    return float(gap @ gap + np.trace(covariance) + trace - 2 * shared)


def in_their_span(first: Features, second: Features) -> tuple[Features, Features]:
    """The same samples (n, d) and (m, d) in an orthonormal basis of their span, if d > n + m.

    Means, covariances and the distance depend on scalar products only, so they do not change, but cost
    O((n + m)^3) instead of O(d^3): 8,192 values of 1,000 samples take less than a second.
    """
    n, dimensions = len(first), first.shape[1]
    if dimensions <= n + len(second):
        return first, second
    every = np.concatenate([first, second]).astype(np.float64)
    every -= every.mean(0)  # the distance does not depend on the origin
    placed = np.asarray(np.linalg.qr(every.T, mode="r")).T
    return placed[:n], placed[n:]


def moments(x: Features) -> Moments:
    """The moments of features (n, d) that one side of a Frechet distance needs."""
    mean, covariance = _mean_and_covariance(x)
    values, vectors = np.linalg.eigh(covariance)
    return Moments(mean, (vectors * np.sqrt(values.clip(0))) @ vectors.T, float(np.trace(covariance)))


def _mean_and_covariance(x: Features) -> tuple[Floats, Floats]:
    """The mean (d,) and the covariance (d, d), without a second copy of all features in float64."""
    mean = x.mean(0, dtype=np.float64)
    scatter = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _CHUNK):
        centred = x[start : start + _CHUNK] - mean
        scatter += centred.T @ centred
    return mean, scatter / (len(x) - 1)


def kernel_distance(first: Features, second: Features, within_second: float | None = None) -> float:
    """The unbiased squared MMD with the kernel (x y / d + 1)^3 of (n, d) and (m, d); may be negative.

    Equation 4 of Binkowski et al. 2018, over all pairs. The mean over random subsets, which is often
    reported, has the same expectation and a larger error. `within_second` is `kernel_within(second)`,
    if the caller has it.
    """
    if within_second is None:
        within_second = kernel_within(second)
    between = sum(_kernel_sum(chunk, second) for chunk in _chunks(first)) / (len(first) * len(second))
    return kernel_within(first) + within_second - 2 * between


def kernel_within(x: Features) -> float:
    """The mean of the kernel over all pairs of different samples."""
    total = 0.0
    for start, chunk in zip(range(0, len(x), _ROWS), _chunks(x), strict=True):
        # The kernel is symmetric: values right of the diagonal count twice.
        total += _kernel_sum(chunk, chunk) + 2 * _kernel_sum(chunk, x[start + len(chunk) :])
    own = np.square(x).sum(1, dtype=np.float64) / x.shape[1] + 1
    return (total - float((own**3).sum())) / (len(x) * (len(x) - 1))


def _chunks(x: Features) -> Iterator[Features]:
    return (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))


def _kernel_sum(x: Features, y: Features) -> float:
    """The sum of the kernel over all pairs."""
    values = x @ y.T
    values /= x.shape[1]
    values += 1
    return float(np.einsum("ij,ij,ij->", values, values, values, dtype=np.float64))


def frechet(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `frechet`; the name of the score depends on the extractor (`fed`, `fid` ...)."""
    real_moments = lru_cache(maxsize=1)(lambda real: moments(real.features))

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = comparison.fake.features, comparison.real.features
        if real.shape[1] > len(fake) + len(real):
            return {comparison.distance: frechet_distance(*in_their_span(fake, real))}
        return {comparison.distance: frechet_distance(fake, real, real_moments(comparison.real))}

    return score


def kid(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `kid`."""
    within = lru_cache(maxsize=1)(lambda real: kernel_within(real.features))

    def score(comparison: Comparison) -> dict[str, float]:
        known = within(comparison.real)
        return {"kid": kernel_distance(comparison.fake.features, comparison.real.features, known)}

    return score
