"""The term that trains the encoder of f-AnoGAN."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.api import View
from ganzoo_anomaly.config import IziConfig


def izi(config: IziConfig) -> Callable[[View], Tensor]:
    """Factory of `izi`: weight * (mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2), equation 5.

    f are the features of the critic. Only the encoder gets a gradient, as if G and the critic were frozen:
    the gradient with respect to z = E(x) is computed first, and then passed to E alone.
    """

    def term(view: View) -> Tensor:
        code = view.generate(view.real, "encoder")["z"]
        leaf = code.detach().requires_grad_()
        again = view.generate({**view.real, "z": leaf}, "generator")
        with torch.no_grad():
            wanted = view.apply("discriminator", view.real)["features"]
        found = view.apply("discriminator", again)["features"]
        loss = (again["image"] - view.real["image"]).square().mean()
        loss = loss + config.kappa * (found - wanted).square().mean()
        (slope,) = torch.autograd.grad(loss, leaf)
        return config.weight * (loss.detach() + ((code - leaf.detach()) * slope).sum())

    return term
