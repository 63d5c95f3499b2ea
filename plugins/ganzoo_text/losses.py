"""The relativistic loss with a weight for the generator, and the likelihood term of pre-training."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import log_softmax

from ganzoo.api import View
from ganzoo_losses.losses import Relativistic
from ganzoo_text.config import WeightConfig


class WeightedRelativistic(Relativistic):
    """D: E sp(-(D(x) - D(x'))). G: weight * E sp(-(D(x') - D(x))), where sp is softplus."""

    def __init__(self, config: WeightConfig) -> None:
        self.weight = config.weight

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The loss of D with real and generated scores exchanged, times the weight."""
        return self.weight * super().generator(fake, real)


def relativistic(config: WeightConfig) -> WeightedRelativistic:
    """Factory of the loss `relgan`."""
    return WeightedRelativistic(config)


def likelihood(config: WeightConfig) -> Callable[[View], Tensor]:
    """Factory of `likelihood`: weight * E -ln p(symbol | symbols before it), over real texts.

    The mean is over the places of a text up to and including its first end. The generator reads the real
    text as `given`, and writes the `logits` of each place.
    """

    def penalty(view: View) -> Tensor:
        text = view.real["text"]
        logits = view.generate({**view.real, "given": text})["logits"]
        lost = -(text * log_softmax(logits.float(), dim=-1)).sum(2)
        ended = text[:, :, 0].cumsum(1) - text[:, :, 0]  # how many ends stand before a place
        counted = (ended == 0).to(lost.dtype)
        return config.weight * ((lost * counted).sum(1) / counted.sum(1)).mean()

    return penalty
