"""The loss `least-squares` of Mao et al. 2017."""

from __future__ import annotations

from torch import Tensor

from .config import LeastSquaresConfig


class LeastSquares:
    """D: E (D(x) - b)^2 / 2 + E (D(x') - a)^2 / 2. G: E (D(x') - c)^2 / 2 (equation 2).

    x is real, x' generated. The defaults a = 0, b = c = 1 are equation 9. Scores may have any shape.
    """

    def __init__(self, config: LeastSquaresConfig) -> None:
        self.a, self.b, self.c = config.a, config.b, config.c

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half the mean squared distances from `b` and from `a`."""
        return ((real - self.b).square().mean() + (fake - self.a).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Half the mean squared distance of generated samples' scores from `c`."""
        return (fake - self.c).square().mean() / 2


def build(config: LeastSquaresConfig) -> LeastSquares:
    """Factory of `least-squares`."""
    return LeastSquares(config)
