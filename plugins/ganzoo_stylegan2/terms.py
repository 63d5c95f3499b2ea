"""Path length regularisation (Karras et al. 2020, section 3.2)."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from ganzoo.api import SettingsError, View
from ganzoo_stylegan2.config import PathLengthConfig

# Added under the square root: at a gradient of 0 its derivative is 0 instead of 0/0.
TINY = 1e-12


class PathLength(nn.Module):
    """weight * E (||J^T y|| - a)^2: a step in style space should change the image equally everywhere.

    J is the Jacobian of the image with respect to the styles of the layers. y is N(0, 1) / sqrt(height *
    width) for each value of the image. a is the moving average of the lengths, including this step (equation
    4). A length is sqrt(mean over layers of the sum of squares), as in the authors' code. Gradients are
    taken with respect to `shift`, a constant 0 that is added to the styles. Several games, and micro-batches,
    update the average one after the other; over processes it is averaged.
    """

    mean: Tensor

    def __init__(self, config: PathLengthConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, view: View) -> Tensor:
        """The penalty for one game, whose generator reads the shift and writes an image.

        The result is a scalar. SettingsError for other generators.
        """
        shift = view.noise.get(self.config.field)
        images = [name for name in view.written if view.real[name].ndim == 4]
        if shift is None or shift.ndim != 3 or not images:
            raise SettingsError(
                f"'path-length' needs a generator of images that reads '{self.config.field}' of shape "
                "(layers, style) and adds it to its styles.",
                where=f"the noise fields are: {', '.join(view.noise)}",
                fix="use the architecture stylegan2, or terms.path-length=false",
            )
        count = max(1, len(shift) // self.config.shrink)
        moved = shift[:count].detach().requires_grad_()
        rows = {name: value[:count] for name, value in {**view.noise, **view.fake}.items()}
        image = view.generate({**rows, self.config.field: moved})[images[0]]
        directions = view.normal(*view.real[images[0]].shape, per_sample=True)
        direction = directions[:count] / sqrt(image[0, 0].numel())
        (gradient,) = torch.autograd.grad((image * direction).sum(), moved, create_graph=True)
        lengths = (gradient.square().sum(2).mean(1) + TINY).sqrt()
        mean = self.mean.lerp(lengths.mean(), self.config.decay)
        self.mean.copy_(mean.detach())
        return self.config.weight * (lengths - mean).square().mean()


def path_length(config: PathLengthConfig) -> PathLength:
    """Factory of `path-length`."""
    return PathLength(config)
