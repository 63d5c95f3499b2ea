"""A generator's scores while it trains. What is computed comes from outside: see `ScoringFactory`."""

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
"""For the fields that a generator reads, the one that it writes, and the training data: a function that
scores its samples."""


class RunScores:
    """Scores of the first generator, averaged as it is exported.

    `seconds` were spent on it so far, `last` of them the last time.
    """

    def __init__(
        self, training: Training, fields: Mapping[str, Field], dataset: Dataset, scoring: ScoringFactory
    ) -> None:
        net = next(iter(training.networks.generators.values()))
        self._training = training
        self._score = scoring([fields[name] for name in net.reads], fields[net.writes[0]], dataset)
        self.seconds = self.last = 0.0

    def __call__(self) -> dict[str, float]:
        """The scores of this moment."""
        begun = time.perf_counter()
        scores = dict(self._score(self._make))
        self.last = time.perf_counter() - begun
        self.seconds += self.last
        return scores

    def _make(self, inputs: Mapping[str, Array]) -> Array:
        # In these modes for as long as samples are made: what scores them may have to learn something itself.
        with evaluating(self._training), self._training.engine.autocast():
            return sampled(next(averaged(self._training)), inputs, self._training.engine.device)
