"""Scores of a generator while it trains. The caller says how to compute them: see `ScoringFactory`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ganzoo.data.dataset import Dataset
from ganzoo.fields import Field
from ganzoo.networks.apply import sampled
from ganzoo.training.state import Training, averaged, evaluating

Array = np.ndarray[Any, Any]

Make = Callable[[Mapping[str, Array]], Array]
"""Inputs (n, *shape) by field name -> samples (n, *shape)."""

ScoringFactory = Callable[[Sequence[Field], Field, Dataset], Callable[[Make], Mapping[str, float]]]
"""Called with the fields that a generator reads, the field that it writes, and the training data. It returns
a function that scores samples."""


class RunScores:
    """Scores of the first generator, with averaged weights as in an export.

    `seconds` is the time of all scorings so far, `last` that of the last one.
    """

    def __init__(
        self, training: Training, fields: Mapping[str, Field], dataset: Dataset, scoring: ScoringFactory
    ) -> None:
        net = next(iter(training.networks.generators.values()))
        self._training = training
        self._score = scoring([fields[name] for name in net.reads], fields[net.writes[0]], dataset)
        self.seconds = self.last = 0.0

    def __call__(self) -> dict[str, float]:
        """Compute the scores now."""
        begun = time.perf_counter()
        scores = dict(self._score(self._make))
        self.last = time.perf_counter() - begun
        self.seconds += self.last
        return scores

    def _make(self, inputs: Mapping[str, Array]) -> Array:
        # Only while samples are generated: the scoring function may have to train a classifier.
        with evaluating(self._training), self._training.engine.autocast():
            return sampled(next(averaged(self._training)), inputs, self._training.engine.device)
