"""n-grams of texts: their distribution, their share that differs, and a smoothed model of them.

Texts are indices (n, length); 0 is the end of a text, and stands at all places after it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Comparison
from ganzoo_text.symbols import Indices

ORDERS = (1, 2, 3, 4)
ORDER = 4  # symbols of the model: three before the one that is predicted
Scores = dict[str, float]
Codes = NDArray[np.int64]


def codes_of(rows: Indices, n: int, count: int) -> Codes:
    """A number for each n-gram of `count` symbols, (texts, length - n + 1)."""
    places = rows.shape[1] - n + 1
    codes = np.zeros((len(rows), places), np.int64)
    for at in range(n):
        codes = codes * count + rows[:, at : at + places]
    return codes


def divergence(ours: Codes, theirs: Codes) -> float:
    """The Jensen-Shannon divergence of two samples of codes in nats, 0..ln 2."""
    codes, places = np.unique(np.concatenate([ours.ravel(), theirs.ravel()]), return_inverse=True)
    p = np.bincount(places[: ours.size], minlength=len(codes)) / ours.size
    q = np.bincount(places[ours.size :], minlength=len(codes)) / theirs.size
    middle = (p + q) / 2

    def relative(share: NDArray[np.float64]) -> float:
        some = share > 0
        return float((share[some] * np.log(share[some] / middle[some])).sum())

    return (relative(p) + relative(q)) / 2


def jsd(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `ngram-jsd`: over all places, ends included, as in gan_language.py."""

    def score(comparison: Comparison) -> Scores:
        fake, real = comparison.fake.values, comparison.real.values
        count = comparison.field.shape[1]
        orders = [n for n in ORDERS if n <= fake.shape[1]]
        return {f"jsd_{n}": divergence(*(codes_of(rows, n, count) for rows in (fake, real))) for n in orders}

    return score


def diversity(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `text-diversity`.

    `distinct_n`: different n-grams over all n-grams of the symbols before the ends (Li et al. 2016,
    arXiv:1510.03055). `repeated`: texts that equal an earlier one. `most_repeated`: the share of the most
    frequent text.
    """

    def score(comparison: Comparison) -> Scores:
        rows, found = comparison.fake.values, {}
        for n in (2, 4):
            if n > rows.shape[1]:
                continue
            inside = np.logical_and.reduce([rows[:, at : rows.shape[1] - n + 1 + at] > 0 for at in range(n)])
            codes = codes_of(rows, n, comparison.field.shape[1])[inside]
            if codes.size:
                found[f"distinct_{n}"] = len(np.unique(codes)) / codes.size
        counts = np.unique(rows, axis=0, return_counts=True)[1]
        repeated = {"repeated": 1 - len(counts) / len(rows), "most_repeated": counts.max() / len(rows)}
        return {**found, **repeated}

    return score


class Model:
    """Probabilities of a symbol after the three before it, from texts, by Witten and Bell's interpolation.

    p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)): c counts, t(h) is the number of different symbols
    after h, and h' is h without its first symbol; below order 1 every symbol is equally likely (Chen and
    Goodman 1998, section 2.5). Texts begin after ends, and end with one.
    """

    def __init__(self, rows: Indices, count: int) -> None:
        self.count = count
        self._tables = []
        for n in range(1, ORDER + 1):
            grams = _grams(rows, count, n)
            seen, counts = np.unique(grams, return_counts=True)
            before, first, kinds = np.unique(seen // count, return_index=True, return_counts=True)
            self._tables.append((seen, counts, before, np.add.reduceat(counts, first), kinds))

    def probabilities(self, rows: Indices) -> NDArray[np.float64]:
        """The probability of each symbol of the texts up to their first end, one after the other."""
        found: NDArray[np.float64] = np.full(int(_counted(rows).sum()), 1 / self.count)
        for n, (seen, counts, before, totals, kinds) in enumerate(self._tables, 1):
            grams = _grams(rows, self.count, n)
            here = _looked_up(seen, counts, grams)
            total, different = (_looked_up(before, values, grams // self.count) for values in (totals, kinds))
            known = total > 0
            found[known] = (here + different * found)[known] / (total + different)[known]
        return found


def _counted(rows: Indices) -> NDArray[np.bool_]:
    """The places up to and including the first end of each text."""
    ends = (rows == 0).cumsum(1)
    return np.asarray(ends - (rows == 0) == 0)


def _grams(rows: Indices, count: int, n: int) -> Codes:
    """The codes of the n symbols that end at each place up to the first end."""
    padded = np.pad(rows, ((0, 0), (n - 1, 0)))
    return codes_of(padded, n, count)[_counted(rows)]


def _looked_up(keys: Codes, values: Codes, wanted: Codes) -> Codes:
    """The value of each wanted key; 0 where there is none."""
    places = keys.searchsorted(wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


def nll(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `ngram-nll`, in nats for a symbol.

    `nll_forward`: of generated texts under a model of the real ones: low for texts that are like the data,
    also if they are all alike. `nll_reverse`: of real texts under a model of the generated ones: high where
    these lack what the data has (Zhao et al. 2018, arXiv:1706.04223, section 5).
    """

    def score(comparison: Comparison) -> Scores:
        fake, real = comparison.fake.values, comparison.real.values
        count = comparison.field.shape[1]
        return {
            name: float(-np.log(Model(known, count).probabilities(other)).mean())
            for name, known, other in (("nll_forward", real, fake), ("nll_reverse", fake, real))
        }

    return score
