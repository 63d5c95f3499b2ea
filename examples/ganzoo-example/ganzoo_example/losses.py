"""The loss: two formulas for scores of any shape."""

from __future__ import annotations

from torch import Tensor

from .config import LossConfig


class Loss:
    """D: (E (D(x) - r)^2 + E (D(x') - g)^2) / 2. G: E (D(x') - r)^2 / 2."""

    def __init__(self, config: LossConfig) -> None:
        self.real, self.generated = config.real, config.generated

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Scores of real and of generated samples -> a scalar that the discriminator minimises."""
        return ((real - self.real).square().mean() + (fake - self.generated).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Scores of generated samples -> a scalar that the generator minimises."""
        return (fake - self.real).square().mean() / 2


def build(config: LossConfig) -> Loss:
    """Factory of the loss."""
    return Loss(config)
