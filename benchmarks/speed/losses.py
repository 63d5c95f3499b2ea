"""Losses that peers use and ganzoo has no plugin for: on sigmoid scores, and least squares."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.speed.plugin import HalvedConfig


class SigmoidCrossEntropy:
    """Binary cross entropy of scores in 0..1 against 1 (real) and 0 (generated); G against 1."""

    def __init__(self, config: HalvedConfig) -> None:
        self.weight = 0.5 if config.halved else 1.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Both parts."""
        return self.weight * (self.distance(real, 1) + self.distance(fake, 0))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Generated samples against the target of real ones."""
        return self.distance(fake, 1)

    @staticmethod
    def distance(score: Tensor, target: float) -> Tensor:
        """How far the scores are from a target."""
        # torch refuses this function in bf16 on CUDA.
        with torch.autocast(score.device.type, enabled=False):
            return functional.binary_cross_entropy(score.float(), torch.full_like(score, target))


class LeastSquares(SigmoidCrossEntropy):
    """The same with mean squares in place of the cross entropy."""

    @staticmethod
    def distance(score: Tensor, target: float) -> Tensor:
        """How far the scores are from a target."""
        return functional.mse_loss(score, torch.full_like(score, target))
