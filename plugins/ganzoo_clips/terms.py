"""Singular value clipping, TGAN's way to make D Lipschitz continuous."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganzoo_clips.config import SingularConfig

LEAST = 0.01  # of the standard deviation: the smallest gain of a batch norm


def clipped(weight: Tensor, limit: float) -> Tensor:
    """The weight (outputs, ...) as a matrix (outputs, rest), its singular values at most `limit`.

    W = U S V^T, so the result is U min(S, limit) V^T = U min(1, limit / S) U^T W. U and S^2 are those of W
    W^T, which is small where a layer has many inputs.
    """
    matrix = weight.flatten(1)
    squares, vectors = torch.linalg.eigh(matrix @ matrix.T)
    factors = limit * squares.clamp(min=limit**2).rsqrt()
    made: Tensor = ((vectors * factors) @ (vectors.T @ matrix)).reshape(weight.shape)
    return made


def singular_values(config: SingularConfig) -> Callable[[nn.Module], None]:
    """Factory of `singular-values` (Saito et al. 2017, section 3.4).

    Weights of linear layers and convolutions are clipped; gains of batch norms to 0.01 to 1 times `limit`
    times the running standard deviation, so that such a layer enlarges no more.
    """

    def constrain(module: nn.Module) -> None:
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                layer.weight.copy_(clipped(layer.weight, config.limit))
            elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_var is not None:
                deviation = config.limit * (layer.running_var + layer.eps).sqrt()
                layer.weight.copy_(torch.clamp(layer.weight, min=LEAST * deviation, max=deviation))

    return constrain
