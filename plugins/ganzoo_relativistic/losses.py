"""The relativistic pairing loss (RSGAN of Jolicoeur-Martineau 2018; RpGAN in Huang et al. 2024, R3GAN)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


class Relativistic:
    """D: E sp(-(D(x) - D(x'))). G: E sp(-(D(x') - D(x))). Pairs are the equal places of a batch.

    Scores may have any shape; only differences count, so a constant may be added to all of them.
    Equation 2 of R3GAN is one value for both players, with D and its sign turned round: G would
    minimise -E sp(-(D(x) - D(x'))), whose gradient fades where D is sure. R3GAN's Trainer.py and
    Jolicoeur-Martineau let each player minimise its own loss instead, as here.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the mean log probability that the real one of a pair is taken for the real one."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The same with the two exchanged: generated samples shall look more real than real ones."""
        if real is None:
            raise TypeError("the relativistic loss of a generator needs the scores of real samples")
        return softplus(real - fake).mean()


def build(config: None = None) -> Relativistic:
    """Factory of the loss `relativistic`; it has no options."""
    return Relativistic()
