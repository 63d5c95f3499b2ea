"""The area under the ROC curve of anomaly scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ganzoo.api import Comparison


def area(normal: NDArray[np.floating], abnormal: NDArray[np.floating]) -> float:
    """The share of pairs in which the abnormal score is the larger one; ties count half (Mann-Whitney U)."""
    ranks = rankdata(np.concatenate([abnormal, normal]))[: len(abnormal)]
    wins = ranks.sum() - len(abnormal) * (len(abnormal) + 1) / 2
    return float(wins / (len(abnormal) * len(normal)))


def auc(config: None) -> Callable[[Comparison], Mapping[str, float]]:
    """Factory of `auc`, and for each threshold in the facts of the score the share of samples above it.

    `detected_95`: of abnormal samples, those above the 95 % quantile of normal ones; `false_alarms_95`: of
    normal samples.
    """

    def score(comparison: Comparison) -> Mapping[str, float]:
        known, labels = comparison.known, comparison.fake.labels
        if known is None or labels is None:
            return {}
        scores, is_normal = comparison.fake.values, known[labels[:, 0]]
        normal, abnormal = scores[is_normal], scores[~is_normal]
        found = {"auc": area(normal, abnormal)}
        for name, threshold in comparison.field.facts.items():
            if name.startswith("threshold_"):
                level = name.removeprefix("threshold_")
                found[f"detected_{level}"] = float((abnormal > threshold).mean())
                found[f"false_alarms_{level}"] = float((normal > threshold).mean())
        return found

    return score
