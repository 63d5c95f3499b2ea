"""The two losses of Goodfellow et al. 2014, on logits.

With D the logit, log sigmoid(D) = -softplus(-D) and log(1 - sigmoid(D)) = -softplus(D); softplus
neither overflows nor loses digits where sigmoid is 0 or 1.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ganzoo_vanilla.config import NonSaturatingConfig


class NonSaturating:
    """D: E sp(-D(x)) + E sp(D(x')). G: E sp(-D(x')), the form that the paper recommends (section 3).

    One-sided label smoothing s (Salimans et al. 2016, 3.4) replaces E sp(-D(x)) by the cross entropy
    with target 1 - s, which is E [sp(-D(x)) + s D(x)]. Scores may have any shape.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross entropy of real and generated scores, summed over the two halves."""
        return softplus(-real).mean() + self.smoothing * real.mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Cross entropy of generated scores against the target 1."""
        return softplus(-fake).mean()


class Minimax(NonSaturating):
    """D as in `NonSaturating`. G: -E sp(D(x')), which is E log(1 - D(x')): equation 1 of the paper.

    Its gradient fades where the discriminator is sure, so it is slow at the start of a run.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What is left of the value function when only the generator changes."""
        return -softplus(fake).mean()


def non_saturating(config: NonSaturatingConfig) -> NonSaturating:
    """Factory of the loss `non-saturating`."""
    return NonSaturating(config.smoothing)


def minimax(config: None = None) -> Minimax:
    """Factory of the loss `minimax`; it has no options."""
    return Minimax()
