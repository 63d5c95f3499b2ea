"""Layers that plugins may use, exported through ganzoo.api."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Bounded", "Crop", "Maxout", "as_maps", "doubling", "initialise"]


class Bounded(nn.Module):
    """Squashes into the closed interval `bounds`, by tanh or by the logistic function."""

    def __init__(self, bounds: tuple[float, float], curve: Literal["tanh", "sigmoid"] = "tanh") -> None:
        super().__init__()
        low, high = bounds
        self.curve: nn.Module = nn.Tanh() if curve == "tanh" else nn.Sigmoid()
        self.scale = (high - low) / 2 if curve == "tanh" else high - low
        self.shift = (high + low) / 2 if curve == "tanh" else low

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same shape."""
        squashed: Tensor = self.curve(hidden)
        if (self.scale, self.shift) == (1, 0):  # tanh onto -1..1: two kernels less
            return squashed
        return squashed * self.scale + self.shift


class Crop(nn.Module):
    """Keeps the first `size` (height, width) rows and columns of a map."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.height, self.width = size

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, >= height, >= width) -> (N, C, height, width)."""
        return maps[:, :, : self.height, : self.width]


class Maxout(nn.Module):
    """The largest of `pieces` linear maps, unit by unit (Goodfellow et al. 2013, equation 1)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, inputs) -> (N, units)."""
        pieces: Tensor = self.linear(hidden).unflatten(1, (self.units, self.pieces))
        return pieces.amax(2)


def as_maps(hidden: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, channels * height * width) -> (N, *shape), with the channels last in memory.

    Convolutions give maps that lie so; a first layer that does not makes every elementwise step
    between the two orders several times slower.
    """
    return hidden.reshape(-1, *shape).contiguous(memory_format=torch.channels_last)


def doubling(
    inputs: int, outputs: int, kernel: int, before: tuple[int, int], after: tuple[int, int], *, bias: bool
) -> list[nn.Module]:
    """A transposed convolution that doubles maps of the size `before`, and a crop where `after` is less.

    `kernel` is 2 or more, even or odd. The sizes are neighbours in `map_sizes`.
    """
    convolution = nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )
    doubled = (2 * before[0], 2 * before[1])
    return [convolution] if doubled == after else [convolution, Crop(after)]


def initialise(module: nn.Module, init: Literal["default", "normal"]) -> None:
    """`normal`: weights N(0, 0.02), norm gains N(1, 0.02), biases 0. `default`: torch's, as they are.

    `normal` is that of the DCGAN paper. Spectral norm, if any, is put on afterwards.
    """
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
            if layer.weight is not None:
                nn.init.normal_(layer.weight, 1, 0.02)
        else:
            continue
        bias = getattr(layer, "bias", None)  # an embedding has none
        if bias is not None:
            nn.init.zeros_(bias)
