"""Zero-centred gradient penalties of Mescheder et al. 2018: R1 on real samples, R2 on generated ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.api import SettingsError
from ganzoo.api.training import Batch, View
from ganzoo_relativistic.config import ZeroCentredConfig


def mean_square_slope(view: View, batch: Batch) -> Tensor:
    """E ||grad_x D(x)||^2 over the samples of `batch`: per sample, over all written float fields together.

    The written fields are new leaves, so that nothing before them is kept or gets a gradient. Fields that
    the generator does not write (a label) go to D as they are. Scores of any shape are summed per sample.
    """
    points = {
        name: batch[name].detach().requires_grad_()
        for name in view.written
        if batch[name].is_floating_point()
    }
    if not points:
        raise SettingsError(
            "R1 and R2 need a generator that writes a float field.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix="terms.r1=false terms.r2=false",
        )
    score = view.discriminate({**batch, **points})["score"]
    slopes = torch.autograd.grad(score.sum(), list(points.values()), create_graph=True, allow_unused=True)
    squares = [slope.reshape(score.shape[0], -1).square().sum(1) for slope in slopes if slope is not None]
    if not squares:
        raise SettingsError("The discriminator reads nothing that the generator writes.")
    return torch.stack(squares).sum(0).mean()


def r1(config: ZeroCentredConfig) -> Callable[[View], Tensor]:
    """Factory of `r1`: gamma/2 * E ||grad D(x)||^2 on real samples (equation 9)."""

    def penalty(view: View) -> Tensor:
        return config.gamma / 2 * mean_square_slope(view, view.real)

    return penalty


def r2(config: ZeroCentredConfig) -> Callable[[View], Tensor]:
    """Factory of `r2`: gamma/2 * E ||grad D(x')||^2 on generated samples (equation 10)."""

    def penalty(view: View) -> Tensor:
        return config.gamma / 2 * mean_square_slope(view, view.fake)

    return penalty
