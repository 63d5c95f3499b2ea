"""Gaussian mixtures of number columns, with the number of modes chosen by the data.

CTGAN (Xu et al. 2019, section 4.2) fits ten modes by variational inference and drops those with little
weight. On skewed columns that keeps nearly all ten, several at the same position, unless it runs for
thousands of iterations. Here mixtures with 1, 2, ... modes are fitted by expectation maximisation (Bishop
2006, Pattern Recognition and Machine Learning, section 9.2), and the BIC (Schwarz 1978) chooses one.
scikit-learn's GaussianMixture took 1.6 times as long on skewed columns, chose more modes there, and took 2.7
s to import.

A Gaussian cannot write one value exactly. A value that is far more frequent than others (the zeros of costs,
40 hours a week) is therefore a mode of its own, of width 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ganzoo.api import report_progress

Floats = NDArray[np.float64]

LEAST = 1e-4  # least variance of a mode, relative to that of all values: a repeated value would have 0
ROUNDS, GAIN = 200, 1e-5  # most iterations, and the gain of mean log likelihood at which they stop
VALUES = 3_000  # most values that a fit uses
PATIENCE = 3  # how many more modes than the best number are tried
SHARE, TIMES = 0.05, 5  # of a value with a mode of its own: least share; how many times as frequent as others
AT_ONCE = 1 << 15  # different values that are fitted at once: 1,200 columns of 240 take a tenth of one by one


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Modes of a number, all (k,): `weights` with sum 1, rising `centres`, `widths` (standard deviations).

    A mode of the width 0 is one exact value, and the only mode of that value.
    """

    weights: Floats
    centres: Floats
    widths: Floats

    def probabilities(self, values: Floats) -> Floats:
        """The probability that each of values (n,) comes from each mode, (n, k).

        If all modes are exact values, other values come from the nearest.
        """
        exact = self.widths == 0
        distances = values[:, None] - self.centres
        if exact.all():
            nearest: Floats = np.eye(len(exact))[np.abs(distances).argmin(1)]
            return nearest
        widths = np.where(exact, 1, self.widths)
        logs = np.where(exact, -np.inf, np.log(self.weights / widths) - 0.5 * (distances / widths) ** 2)
        result: Floats = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        same = (distances == 0) & exact
        return np.where(same.any(1, keepdims=True), same, result)

    def within(self, values: Floats, mode: NDArray[np.int64]) -> Floats:
        """The distance of values (n,) from the centres of their modes, in 4 standard deviations."""
        widths = self.widths[mode]
        result: Floats = (values - self.centres[mode]) / np.where(widths, 4 * widths, np.inf)
        return result


class _Values(NamedTuple):
    """The values that a fit sees, scaled to mean 0 and variance 1: different ones, and their counts."""

    different: Floats
    counts: NDArray[np.int64]


class _Best(NamedTuple):
    """The best Gaussians of a column up to now, by their criterion (BIC)."""

    weights: Floats
    centres: Floats
    widths: Floats
    criterion: float


def fit(columns: Sequence[Floats], modes: int, randoms: Sequence[np.random.Generator]) -> list[Mixture]:
    """For values (n,) of each column that are not all the same, the best mixture of at most `modes` modes.

    Of more than 3,000 values a random subset is used. If all its values are the same, there is one mode.
    """
    spikes = [_spikes(values, modes) for values in columns]
    rest = [values[~np.isin(values, found)] for values, found in zip(columns, spikes, strict=True)]
    seen = [_scaled(values, random) for values, random in zip(rest, randoms, strict=True)]
    most = [min(modes - len(found), len(part.counts)) for found, part in zip(spikes, seen, strict=True)]
    gaussians = _gaussians(seen, most)
    return [_joined(*parts) for parts in zip(columns, spikes, rest, gaussians, strict=True)]


def _joined(values: Floats, spikes: Floats, others: Floats, gaussians: _Best | None) -> Mixture:
    """All modes of a column: one for each of its spikes, and Gaussians of its other values."""
    weights = np.array([(values == spike).mean() for spike in spikes])
    centres, widths = spikes, np.zeros(len(spikes))
    if gaussians is not None:
        mean, spread = others.mean(), others.std()
        weights = np.append(weights, gaussians.weights * len(others) / len(values))
        centres = np.append(centres, gaussians.centres * spread + mean)
        widths = np.append(widths, gaussians.widths * spread)
    order = np.argsort(centres, kind="stable")
    return Mixture(weights=weights[order], centres=centres[order], widths=widths[order])


def _spikes(values: Floats, modes: int) -> Floats:
    """The values with a mode of their own, fewer than `modes` of them.

    One has a 20th of all values or more, and is 5 times as frequent as those that are less frequent are on
    average; the search ends at the first value that is no such one. So counts from a Poisson distribution
    have none, and zeros beside continuous costs are one.
    """
    different, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    left, found = len(values), list[float]()
    for place, at in enumerate(order[: modes - 1]):
        left -= counts[at]
        mean = left / max(len(order) - place - 1, 1)
        if counts[at] < SHARE * len(values) or not 0 < TIMES * mean <= counts[at]:
            break
        found.append(float(different[at]))
    rest = different[~np.isin(different, found)]
    if len(rest) == 1 and found:  # a Gaussian needs two values
        found.append(float(rest[0]))
    result: Floats = np.array(found, np.float64)
    return result


def _scaled(values: Floats, random: np.random.Generator) -> _Values:
    if len(values):
        values = (values - values.mean()) / values.std()
    if len(values) > VALUES:
        values = random.choice(values, VALUES, replace=False)
    return _Values(*np.unique(values, return_counts=True))


def _gaussians(columns: Sequence[_Values], most: Sequence[int]) -> list[_Best | None]:
    """The best Gaussians of each column, at most `most` of them; None for a column without values."""
    best: list[_Best | None] = [None] * len(columns)
    order = sorted(range(len(columns)), key=lambda at: len(columns[at].counts))
    done = 0
    while done < len(order):
        report_progress("columns fitted", done, len(order))
        longest = len(columns[order[min(done + 63, len(order) - 1)]].counts)
        group = order[done : done + min(64, max(1, AT_ONCE // max(longest, 1)))]
        done += len(group)
        for modes in range(1, max(most[at] for at in group) + 1):
            tried = [at for at in group if modes <= most[at] and _goes_on(best[at], modes)]
            if not tried:
                break
            for at, found in zip(tried, _fitted([columns[at] for at in tried], modes), strict=True):
                before = best[at]
                if before is None or found.criterion < before.criterion:
                    best[at] = found
    return best


def _goes_on(best: _Best | None, modes: int) -> bool:
    return best is None or modes <= len(best.weights) + PATIENCE


def _fitted(columns: Sequence[_Values], modes: int) -> list[_Best]:
    """Mixtures of `modes` modes for columns, started from equal parts of their sorted values.

    The columns are padded to the same length by values of the share 0.
    """
    longest = max(len(column.counts) for column in columns)
    powers = np.zeros((len(columns), 3, longest))  # 1, x, x squared
    shares = np.zeros((len(columns), 1, longest))
    for at, (x, counts) in enumerate(columns):
        powers[at, :, : len(x)] = np.ones(len(x)), x, x * x
        shares[at, 0, : len(x)] = counts / counts.sum()
    after = shares.cumsum(2)
    ends = np.arange(modes + 1)[:, None] / modes
    parts = np.minimum(after, ends[1:]) - np.maximum(after - shares, ends[:-1])
    resp = parts.clip(0) / np.maximum(shares, 1e-300)  # responsibilities (columns, modes, values)
    found: list[_Best | None] = [None] * len(columns)
    active, before = np.arange(len(columns)), np.full(len(columns), -np.inf)
    for step in range(ROUNDS):
        moments = (resp * shares) @ powers.transpose(0, 2, 1)
        weights = moments[:, :, 0] + 1e-12
        centres = moments[:, :, 1] / weights
        variances = (moments[:, :, 2] / weights - centres**2).clip(0) + LEAST
        factors = np.stack(
            [
                np.log(weights) - 0.5 * np.log(2 * np.pi * variances) - 0.5 * centres**2 / variances,
                centres / variances,
                -0.5 / variances,
            ],
            axis=2,
        )
        logs = factors @ powers
        top = logs.max(1, keepdims=True)
        resp = np.exp(logs - top)
        summed = resp.sum(1, keepdims=True)
        resp /= summed
        likelihood = ((np.log(summed) + top) * shares).sum((1, 2))
        ended = (likelihood - before < GAIN) | (step == ROUNDS - 1)
        for at in np.flatnonzero(ended).tolist():
            size = columns[active[at]].counts.sum()
            order = np.argsort(centres[at])
            found[active[at]] = _Best(
                weights=weights[at, order] / weights[at].sum(),
                centres=centres[at, order],
                widths=np.sqrt(variances[at, order]),
                criterion=float((3 * modes - 1) * np.log(size) - 2 * size * likelihood[at]),
            )
        if ended.all():
            break
        if ended.any():
            active, before, resp = active[~ended], likelihood[~ended], resp[~ended]
            powers, shares = powers[~ended], shares[~ended]
        else:
            before = likelihood
    return [best for best in found if best is not None]
