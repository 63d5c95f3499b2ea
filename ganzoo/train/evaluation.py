"""A generator's scores while it trains. What is computed comes from outside: see `Judging`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ganzoo.api import Field
from ganzoo.networks import apply
from ganzoo.train.samples import averaged, evaluating
from ganzoo.train.state import Training

Array = np.ndarray[Any, Any]

Make = Callable[[Mapping[str, Array]], Array]
"""Inputs (n, *shape) by field name -> samples (n, *shape)."""

Judging = Callable[[Sequence[Field], Field], Callable[[Make], Mapping[str, float]]]
"""For the fields that a generator reads and the one that it writes: a function that scores its samples."""

_BATCH = 250


class Evaluation:
    """Scores of the first generator, averaged as it is exported.

    `seconds` were spent on it so far, `last` of them the last time.
    """

    def __init__(self, training: Training, fields: Mapping[str, Field], judging: Judging) -> None:
        net = next(iter(training.networks.generators.values()))
        self._training = training
        self._field = net.writes[0]
        self._score = judging([fields[name] for name in net.reads], fields[self._field])
        self.seconds = self.last = 0.0

    def __call__(self) -> dict[str, float]:
        """The scores of this moment."""
        begun = time.perf_counter()
        with evaluating(self._training), torch.no_grad(), self._training.engine.autocast():
            scores = dict(self._score(self._make))
        self.last = time.perf_counter() - begun
        self.seconds += self.last
        return scores

    def _make(self, inputs: Mapping[str, Array]) -> Array:
        net = next(averaged(self._training))
        device, parts = self._training.engine.device, []
        for start in range(0, len(next(iter(inputs.values()))), _BATCH):
            batch = {
                name: torch.from_numpy(np.ascontiguousarray(values[start : start + _BATCH])).to(device)
                for name, values in inputs.items()
            }
            parts.append(apply(net, batch)[self._field].float().cpu().numpy())
        return np.concatenate(parts)
