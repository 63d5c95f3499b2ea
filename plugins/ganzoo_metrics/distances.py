"""Distances between two sets of features: Frechet's, and the kernel distance KID."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Evidence

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | Floats

_ROWS = 500  # of a matrix of kernel values at once


def frechet_distance(first: Features, second: Features) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of (n, d) and (m, d).

    Equation 6 of Heusel et al. 2017. The trace of the root is the sum of the roots of the eigenvalues of
    R C2 R with R R = C1, which is symmetric: two eigenvalue problems, and no root of a matrix that may
    turn out complex.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    gap = a.mean(0) - b.mean(0)
    one, two = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(0)).sum()
    return float(gap @ gap + np.trace(one) + np.trace(two) - 2 * shared)


def kernel_distance(first: Features, second: Features) -> float:
    """The unbiased squared MMD with the kernel (x y / d + 1)^3 of (n, d) and (m, d); may be negative.

    Equation 4 of Binkowski et al. 2018, over all pairs. The mean over random subsets that is often
    reported has the same expectation and a larger error.
    """
    within = [_mean_kernel(part, part, leave_out_itself=True) for part in (first, second)]
    return sum(within) - 2 * _mean_kernel(first, second)


def _mean_kernel(x: Features, y: Features, *, leave_out_itself: bool = False) -> float:
    """The mean of the kernel over all pairs; without those of a sample and itself, if so wanted."""
    total = 0.0
    for start in range(0, len(x), _ROWS):
        values = x[start : start + _ROWS] @ y.T
        values /= x.shape[1]
        values += 1
        total += float(np.einsum("ij,ij,ij->", values, values, values, dtype=np.float64))
    if not leave_out_itself:
        return total / (len(x) * len(y))
    own = np.square(x).sum(1, dtype=np.float64) / x.shape[1] + 1
    return (total - float((own**3).sum())) / (len(x) * (len(x) - 1))


def frechet(config: None = None) -> Callable[[Evidence], dict[str, float]]:
    """Factory of `frechet`: the score is named after the extractor (`fed`, `fid` ...)."""

    def score(evidence: Evidence) -> dict[str, float]:
        return {evidence.distance: frechet_distance(evidence.fake.features, evidence.real.features)}

    return score


def kid(config: None = None) -> Callable[[Evidence], dict[str, float]]:
    """Factory of `kid`."""

    def score(evidence: Evidence) -> dict[str, float]:
        return {"kid": kernel_distance(evidence.fake.features, evidence.real.features)}

    return score
