"""Scores of series by formulas: autocorrelation, leverage, tails, cross-correlation, lengths.

Statistics are pooled: means over all time steps of all samples, and over all pairs of steps at a lag within
the same sample. Steps after the end of a sample do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ganzoo.api import Comparison, Samples
from ganzoo_series.fields import Layout

Floats = NDArray[np.float64]
Metric = Callable[[Comparison], dict[str, float]]

MOST_LAGS = 250
SUMS = (1, 5, 20)
TINY = 1e-12


class Series(NamedTuple):
    """Values (N, T, C), and whether they are before the end of their sample (N, T)."""

    values: Floats
    inside: NDArray[np.bool_]

    def pooled(self) -> Floats:
        """All values of all samples, (n, C)."""
        return self.values[self.inside]

    def standard(self) -> Floats:
        """Values with mean 0 and deviation 1 in each column, 0 after the end."""
        rows = self.pooled()
        scaled: Floats = (self.values - rows.mean(0)) / (rows.std(0) + TINY)
        return scaled * self.inside[..., None]


def _series(samples: Samples, layout: Layout) -> Series:
    """The samples as numbers, without the channel of their end."""
    values = np.asarray(samples.values, np.float64)
    inside = np.arange(values.shape[1]) < layout.lengths(values)[:, None]
    return Series(values[..., : len(layout.columns)], inside)


def _both(comparison: Comparison) -> tuple[Series, Series]:
    layout = Layout.of(comparison.field)
    return _series(comparison.fake, layout), _series(comparison.real, layout)


def lagged(first: Floats, second: Floats, inside: NDArray[np.bool_], lags: int) -> Floats:
    """Means of first_t * second_(t+k) for k = 1..lags over pairs (N, T, C) in the same sample: (lags, C)."""
    found = []
    for lag in range(1, lags + 1):
        pairs = inside[:, :-lag] & inside[:, lag:]
        products = first[:, :-lag] * second[:, lag:] * pairs[..., None]
        found.append(products.sum((0, 1)) / max(int(pairs.sum()), 1))
    return np.stack(found)


def autocorrelation(series: Series, lags: int) -> Floats:
    """Pooled autocorrelation at lags 1..lags, (lags, C)."""
    scaled = series.standard()
    return lagged(scaled, scaled, series.inside, lags)


def leverage_effect(series: Series, lags: int) -> Floats:
    """Correlation of r_t with r_(t+k)^2 at k = 1..lags, (lags, C) (Wiese et al. 2020, section 6.1)."""
    squares = series._replace(values=series.values**2)
    return lagged(series.standard(), squares.standard(), series.inside, lags)


def _lags(series: Series) -> int:
    """Half the time steps, so that each lag has many pairs, and at most 250 as in the paper."""
    return min(MOST_LAGS, len(series.values[0]) // 2)


def _distance(first: Floats, second: Floats) -> float:
    """L2 over lags, averaged over columns."""
    return float(np.linalg.norm(first - second, axis=0).mean())


def correlations(config: None) -> Metric:
    """Factory: L2 distances over lags of the autocorrelations of x, |x| and x^2 (x without its mean).

    For log returns also that of the leverage effects; for several columns `cross_correlation_error`, the mean
    absolute error of the correlations between columns at the same time.
    """
    changes: dict[str, Callable[[Floats], Floats]] = {
        "acf_distance": lambda x: x,
        "acf_abs_distance": np.abs,
        "acf_square_distance": np.square,
    }

    def score(comparison: Comparison) -> dict[str, float]:
        both = _both(comparison)
        layout, lags = Layout.of(comparison.field), _lags(both[1])
        scores = {}
        for name, change in changes.items():
            changed = [item._replace(values=change(item.values - item.pooled().mean(0))) for item in both]
            scores[name] = _distance(*(autocorrelation(item, lags) for item in changed))
        if layout.start:
            scores["leverage_distance"] = _distance(*(leverage_effect(item, lags) for item in both))
        if len(layout.columns) > 1:
            fake, real = map(_between_columns, both)
            scores["cross_correlation_error"] = float(np.abs(fake - real).mean())
        return scores

    return score


def _between_columns(series: Series) -> Floats:
    """Correlations of all pairs of columns; 0 for a column that is constant."""
    rows = series.standard()[series.inside]
    above = np.triu_indices(rows.shape[1], 1)
    found: Floats = (rows.T @ rows / len(rows))[above]
    return found


def sums(series: Series, steps: int) -> Floats:
    """Sums over each `steps` consecutive time steps within a sample, (n, C)."""
    total = np.cumsum(np.pad(series.values, ((0, 0), (1, 0), (0, 0))), axis=1)
    return (total[:, steps:] - total[:, :-steps])[series.inside[:, steps - 1 :]]


def distributions(config: None) -> Metric:
    """Factory: earth mover's distances of values (of returns also summed), errors of skewness and kurtosis.

    Distances are divided by the real standard deviation. All are means over columns. For samples that end,
    `length_distance` is the earth mover's distance of their lengths in time steps.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = _both(comparison)
        layout, scores = Layout.of(comparison.field), {}
        for steps in SUMS if layout.start else SUMS[:1]:
            if steps <= real.values.shape[1]:
                scores[f"emd_{steps}"] = earth_mover(sums(fake, steps), sums(real, steps))
        for name, power in (("skew_error", 3), ("kurtosis_error", 4)):
            found = [(item.standard()[item.inside] ** power).mean(0) for item in (fake, real)]
            scores[name] = float(np.abs(found[0] - found[1]).mean())
        if layout.ends:
            scores["length_distance"] = float(
                stats.wasserstein_distance(fake.inside.sum(1), real.inside.sum(1))
            )
        return scores

    return score


def earth_mover(fake: Floats, real: Floats) -> float:
    """Mean over columns of Wasserstein-1 distances in real standard deviations. Both are (n, columns)."""
    columns = range(real.shape[1])
    found = [
        stats.wasserstein_distance(fake[:, at], real[:, at]) / (real[:, at].std() + TINY) for at in columns
    ]
    return float(np.mean(found))
