"""The discriminative and the predictive score (Yoon, Jarrett, van der Schaar 2019, section 5): small GRUs.

Both train a network anew for each score, so the networks' sizes and the number of steps matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Comparison
from ganzoo_series.config import TrainedScoreConfig
from ganzoo_series.fields import Layout

Metric = Callable[[Comparison], dict[str, float]]
Array = NDArray[np.float32]

TEST = 0.2
WIDE = 50.0  # real standard deviations at which values are cut, so that none overflows


class Reader(nn.Module):
    """A GRU with one layer and a linear layer: (N, T, C) -> (N, T, 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.memory = nn.GRU(channels, hidden or max(channels // 2, 8), batch_first=True)
        self.output = nn.Linear(self.memory.hidden_size, 1)

    def forward(self, series: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, 1)."""
        written: Tensor = self.output(self.memory(series)[0])
        return written


def discriminative(config: TrainedScoreConfig) -> Metric:
    """Factory: |accuracy - 0.5| of a GRU that tells generated from real samples, on 20 % of both.

    Values are divided by the real standard deviations.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = _scaled(comparison, standard=True)
        random = comparison.random
        seed = int(random.integers(2**63))  # one order for both: equal sets have exactly the score 0
        (train_fake, test_fake), (train_real, test_real) = (_split(item, seed) for item in (fake, real))
        with _seeded(random):
            reader = Reader(real.shape[2], config.hidden)
            half = config.batch_size
            aims = torch.cat([torch.ones(half), torch.zeros(half)])
            for optimiser in _steps(reader, config, len(train_real)):
                batch = torch.cat([_draw(part, half, random) for part in (train_real, train_fake)])
                logits = reader(batch)[:, -1, 0]
                _step(optimiser, functional.binary_cross_entropy_with_logits(logits, aims))
            with torch.no_grad():
                right = [
                    float(((reader(torch.from_numpy(part))[:, -1, 0] > 0) == real_side).float().mean())
                    for part, real_side in ((test_real, True), (test_fake, False))
                ]
        return {"discriminative_score": abs(sum(right) / 2 - 0.5)}

    return score


def predictive(config: TrainedScoreConfig) -> Metric:
    """Factory: mean absolute error on real samples of a GRU that was trained on generated ones.

    It predicts the last column one step ahead from the other columns so far, or a single column from itself.
    Values are scaled by the real minimum and maximum to 0..1.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = _scaled(comparison, standard=False)
        inputs = slice(0, max(len(Layout.of(comparison.field).columns) - 1, 1))
        random, target = comparison.random, inputs.stop if real.shape[2] > 1 else 0
        with _seeded(random):
            reader = Reader(inputs.stop, config.hidden)

            def errors(batch: Tensor) -> Tensor:
                predicted = reader(batch[:, :-1, inputs]).sigmoid()[..., 0]
                error: Tensor = (predicted - batch[:, 1:, target]).abs().mean()
                return error

            for optimiser in _steps(reader, config, len(fake)):
                _step(optimiser, errors(_draw(fake, config.batch_size, random)))
            with torch.no_grad():
                return {"predictive_score": float(errors(torch.from_numpy(real)))}

    return score


def _scaled(comparison: Comparison, *, standard: bool) -> tuple[Array, Array]:
    """Generated and real samples (N, T, C) on the scale of the real ones."""
    real = np.asarray(comparison.real.values, np.float64)
    fake = np.asarray(comparison.fake.values, np.float64)
    low, high = real.min((0, 1)), real.max((0, 1))
    centre, width = (real.mean((0, 1)), real.std((0, 1))) if standard else (low, high - low)
    first, second = (
        np.clip((item - centre) / (width + 1e-12), -WIDE, WIDE).astype(np.float32) for item in (fake, real)
    )
    return first, second


def _split(samples: Array, seed: int) -> tuple[Array, Array]:
    order = np.random.default_rng(seed).permutation(len(samples))
    count = max(round(TEST * len(samples)), 1)
    return samples[order[count:]], samples[order[:count]]


def _draw(samples: Array, count: int, random: np.random.Generator) -> Tensor:
    return torch.from_numpy(samples[random.integers(0, len(samples), count)])


@contextmanager
def _seeded(random: np.random.Generator) -> Iterator[None]:
    """Weights that are drawn within follow from `random`, and the run's own numbers do not change."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(int(random.integers(2**63)))
        yield


def _steps(reader: Reader, config: TrainedScoreConfig, count: int) -> Iterator[torch.optim.Optimizer]:
    """The optimiser, once for each step with this many training samples."""
    optimiser = torch.optim.Adam(reader.parameters(), config.lr)
    for _ in range(min(config.steps, -(-config.epochs * count // config.batch_size))):
        yield optimiser


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
