"""Corrupted real samples (noisy, repeated ...), whose scores are shown beside those of a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganzoo.evaluation.real_data import _ORDER, FEWEST, Array, RealData
from ganzoo.evaluation.samples import Sampled

REPEATED, SHARE = 100, 10  # at most 100 different samples, and at most one tenth of all


def corrupted(other: Sampled, real_data: RealData) -> Mapping[str, Callable[[], Sampled]]:
    """Real samples by the name of their reference row; all rows but the first are corrupted in a known way.

    `few_classes` is missing if fewer than ten samples, or all of them, have a class of the first half.
    """
    random = np.random.Generator(np.random.PCG64(_ORDER + 2))
    classes = len(real_data.label.classes) if real_data.label is not None else 0

    def changed(make: Callable[[], Array]) -> Callable[[], Sampled]:
        return lambda: other.changed(make())

    def repeated() -> Sampled:
        few = min(REPEATED, -(-len(other) // SHARE))
        return other.subset(np.arange(len(other)) % few)

    rows: dict[str, Callable[[], Sampled]] = {"real": lambda: other}
    for name, make in real_data.media.corruptions(real_data.field, other.values, random).items():
        rows[name] = changed(make)
    if other.labels is not None:
        some = np.flatnonzero(other.labels[:, 0] < classes // 2)
        if FEWEST <= len(some) < len(other):
            rows["few_classes"] = lambda: other.subset(some)
    rows["repeated"] = repeated
    return rows
