"""The loss of Arjovsky et al. 2017 (WGAN, Algorithm 1); the constraint on the critic is a term."""

from __future__ import annotations

from torch import Tensor


class Wasserstein:
    """D: E D(x') - E D(x), G: -E D(x'). Scores may have any shape; they are not logits."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the critic's estimate of the distance between the two distributions."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Minus the mean score of generated samples."""
        return -fake.mean()


def build(config: None = None) -> Wasserstein:
    """Factory of the losses `wgan` and `wgan-gp`; they have no options."""
    return Wasserstein()
