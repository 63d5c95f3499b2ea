"""Scores of series by formulas: autocorrelation, leverage, tails, cross-correlation, lengths.

Statistics are pooled: means over all time steps of all samples, and over all pairs of steps at a lag within
the same sample. Steps after the end of a sample do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
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


def series_of(samples: Samples, layout: Layout) -> Series:
    """The samples as numbers, without the channel of their end."""
    values = np.asarray(samples.values, np.float64)
    inside = np.arange(values.shape[1]) < layout.lengths(values)[:, None]
    return Series(values[..., : len(layout.columns)], inside)


def _both(comparison: Comparison) -> tuple[Series, Series, Layout]:
    layout = Layout.of(comparison.field)
    return series_of(comparison.fake, layout), series_of(comparison.real, layout), layout


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


def acf(config: None) -> Metric:
    """Factory: L2 distance of the autocorrelations of x, and of |x| and x^2 (x without its mean)."""
    changes: dict[str, Callable[[Floats], Floats]] = {
        "acf_distance": lambda x: x,
        "acf_abs_distance": np.abs,
        "acf_square_distance": np.square,
    }

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real, _ = _both(comparison)
        lags = _lags(real)
        return {
            name: _distance(
                *(
                    autocorrelation(item._replace(values=change(item.values - item.pooled().mean(0))), lags)
                    for item in (fake, real)
                )
            )
            for name, change in changes.items()
        }

    return score


def leverage(config: None) -> Metric:
    """Factory: L2 distance of the leverage effects; only for log returns."""

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real, layout = _both(comparison)
        if not layout.start:
            return {}
        lags = _lags(real)
        return {"leverage_distance": _distance(leverage_effect(fake, lags), leverage_effect(real, lags))}

    return score


def sums(series: Series, steps: int) -> Floats:
    """Sums over each `steps` consecutive time steps within a sample, (n, C)."""
    total = np.cumsum(np.pad(series.values, ((0, 0), (1, 0), (0, 0))), axis=1)
    return (total[:, steps:] - total[:, :-steps])[series.inside[:, steps - 1 :]]


def tails(config: None) -> Metric:
    """Factory: earth mover's distances of values (of returns also summed), errors of skewness and kurtosis.

    Distances are divided by the real standard deviation. All are means over columns.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real, layout = _both(comparison)
        scores = {}
        for steps in SUMS if layout.start else SUMS[:1]:
            if steps <= real.values.shape[1]:
                scores[f"emd_{steps}"] = earth_mover(sums(fake, steps), sums(real, steps))
        for name, moment in (("skew_error", stats.skew), ("kurtosis_error", stats.kurtosis)):
            found = [moment(item.pooled() + 0.0, axis=0) for item in (fake, real)]
            scores[name] = float(np.abs(np.nan_to_num(found[0]) - np.nan_to_num(found[1])).mean())
        return scores

    return score


def earth_mover(fake: Floats, real: Floats) -> float:
    """Mean over columns of Wasserstein-1 distances in real standard deviations."""
    columns = range(real.shape[1])
    found = [
        stats.wasserstein_distance(fake[:, at], real[:, at]) / (real[:, at].std() + TINY) for at in columns
    ]
    return float(np.mean(found))


def cross_correlation(config: None) -> Metric:
    """Factory: mean absolute error of the correlations between columns at the same time."""

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real, layout = _both(comparison)
        pairs = list(combinations(range(len(layout.columns)), 2))
        if not pairs:
            return {}
        found = []
        for item in (fake, real):
            scaled = item.standard()[item.inside]
            found.append([float((scaled[:, a] * scaled[:, b]).mean()) for a, b in pairs])
        return {"cross_correlation_error": float(np.abs(np.subtract(found[0], found[1])).mean())}

    return score


def lengths(config: None) -> Metric:
    """Factory: earth mover's distance of the lengths of samples, in time steps; only where they differ."""

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real, layout = _both(comparison)
        if not layout.ends:
            return {}
        counts = [item.inside.sum(1) for item in (fake, real)]
        return {"length_distance": float(stats.wasserstein_distance(*counts))}

    return score
