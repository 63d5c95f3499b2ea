"""Scores from nearest neighbours: fidelity, diversity, and copies of training samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Comparison, squared_distances
from ganzoo_metrics.config import NeighboursConfig

Features = NDArray[np.float32]


def fidelity_and_diversity(
    fake: Features,
    real: Features,
    k_precision: int = 3,
    k_density: int = 5,
    real_radii: Features | None = None,
) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019, equation 1), density and coverage (Naeem et al. 2020).

    The ball of a real sample reaches to its k-th nearest real neighbour. `precision`: share of fakes in any
    real ball; `recall`: the same with the roles exchanged. `density`: mean number of real balls around a
    fake, over k; `coverage`: share of real balls that contain a fake. `real_radii` is
    `radii(real, k_precision, k_density)`, if the caller has it.
    """
    near, far = radii(real, k_precision, k_density) if real_radii is None else real_radii
    (fake_balls,) = radii(fake, k_precision)
    inside = np.zeros(len(fake), bool)
    recalled = covered = balls = 0
    for rows, distances in squared_distances(real, fake):
        inside |= (distances <= near[rows, None]).any(0)
        recalled += int((distances <= fake_balls).any(1).sum())
        within = distances <= far[rows, None]
        balls += int(within.sum())
        covered += int(within.any(1).sum())
    return {
        "precision": float(inside.mean()),
        "recall": recalled / len(real),
        "density": balls / (k_density * len(fake)),
        "coverage": covered / len(real),
    }


def radii(features: Features, *neighbours: int) -> Features:
    """The squared distance of each sample (n, d) to its k-th nearest other one, for each k; shape (ks, n)."""
    places = [min(k, len(features) - 1) - 1 for k in neighbours]
    result = np.empty((len(places), len(features)), np.float32)
    for rows, distances in squared_distances(features, features):
        distances[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.inf
        result[:, rows] = np.partition(distances, places, axis=1)[:, places].T
    return result


def prdc(config: NeighboursConfig) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `prdc`."""
    ks = (config.k_precision, config.k_density)
    real_radii = lru_cache(maxsize=1)(lambda real: radii(real.features, *ks))

    def score(comparison: Comparison) -> dict[str, float]:
        known = real_radii(comparison.real)
        return fidelity_and_diversity(comparison.fake.features, comparison.real.features, *ks, known)

    return score


def memorisation(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `memorisation`: whether fakes are nearer to training samples than to held-out ones.

    The ratio of a fake is its distance to the nearest training sample over that to the nearest of equally
    many held-out samples. `memorisation` is the median ratio: about 1 without copying, near 0 for copies.
    `copied` is the share of fakes with a ratio of 0.5 or less, minus the share with 2 or more: in few
    dimensions both shares are large by chance.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        if comparison.neighbours is None:
            return {}
        _, _, ratio = comparison.neighbours
        return {
            "memorisation": float(np.median(ratio)),
            "copied": max(0.0, float((ratio <= 0.5).mean() - (ratio >= 2).mean())),
        }

    return score
