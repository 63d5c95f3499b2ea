"""Scores of points and rows that need no network: modes, marginals, pairs of columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ganzoo.api import Comparison
from ganzoo_metrics.classes import reverse_kl
from ganzoo_metrics.config import ModesConfig


def modes(config: ModesConfig) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `modes`, for points whose label is the number of their Gaussian (a ring, a grid).

    Centres and the standard deviation are those of the real points. `quality`: share of points within
    `reach` standard deviations of a centre; `modes`: number of centres with at least one such point
    (Srivastava et al. 2017, VEEGAN, section 4.1); `reverse_kl`: of the shares of those points per centre.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        labels = comparison.real.labels
        if labels is None:
            return {}
        points, names = comparison.real.values, labels[:, 0]
        known = np.unique(names)
        centres = np.stack([points[names == name].mean(0) for name in known])
        spread = float(np.sqrt(np.mean([points[names == name].var(0).mean() for name in known])))
        distances = np.linalg.norm(comparison.fake.values[:, None] - centres, axis=2)
        good = distances.min(1) <= config.reach * spread
        numbers = distances.argmin(1)[good].astype(np.int64)
        expected = np.array([(names == name).mean() for name in known])
        scores = {"quality": float(good.mean()), "modes": float(len(np.unique(numbers)))}
        if len(numbers):
            scores["reverse_kl"] = reverse_kl(numbers, expected)
        return scores

    return score


def marginals(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `marginals`: each column by itself, and each pair of columns.

    `column_distance`: the mean over columns of the earth mover's distance, in standard deviations of the
    real column (not divided where it is constant). `column_ks`: the largest Kolmogorov-Smirnov statistic.
    `pair_correlation`: the mean absolute difference of the correlations of two columns.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = (_rows(part.values) for part in (comparison.fake, comparison.real))
        columns = list(zip(fake.T, real.T, strict=True))
        scale = [float(column.std()) if np.ptp(column) else 1.0 for column in real.T]
        distances = [stats.wasserstein_distance(a, b) / s for (a, b), s in zip(columns, scale, strict=True)]
        scores = {
            "column_distance": float(np.mean(distances)),
            "column_ks": max(float(stats.ks_2samp(a, b, method="asymp").statistic) for a, b in columns),
        }
        if len(columns) > 1:
            gap = np.abs(_correlations(fake) - _correlations(real))
            scores["pair_correlation"] = float(gap[np.triu_indices(len(gap), 1)].mean())
        return scores

    return score


def _rows(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).astype(np.float64)


def _correlations(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correlations of the columns; 0 where a column is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.nan_to_num(np.corrcoef(rows, rowvar=False)))
