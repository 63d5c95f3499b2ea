"""Modules of the residual networks: conditional norms, blocks, attention, initialisation."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import initialise

Condition = tuple[Tensor, ...]
"""The input of a block beside its maps: empty, or one tensor."""

MakeNorm = Callable[[int], nn.Module]
"""From a number of channels to a norm, which is called with the maps and the tensors of the condition."""


class ConditionalNorm(nn.Module):
    """BatchNorm whose gain and shift depend on a condition (Miyato and Koyama 2018, section 5).

    `table` maps the condition to (N, 2 * channels): an embedding of a class, or `GainAndShift` or a linear
    layer on a vector (Brock et al. 2019, section 3). The first half is the gain minus 1, the second the
    shift.
    """

    def __init__(self, channels: int, table: nn.Module, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.table = table

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """(N, channels, h, w), (N,) or (N, width) -> (N, channels, h, w)."""
        # Under autocast an embedding is float32, and would make all later maps float32.
        gain, shift = self.table(condition).to(maps.dtype)[:, :, None, None].chunk(2, 1)
        normed: Tensor = self.norm(maps) * (1 + gain) + shift
        return normed


class GainAndShift(nn.Module):
    """Two linear layers side by side, as in BigGAN's code: spectral norm then normalises each by itself."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.gain = nn.Linear(inputs, channels, bias=False)
        self.shift = nn.Linear(inputs, channels, bias=False)

    def forward(self, vector: Tensor) -> Tensor:
        """(N, inputs) -> (N, 2 * channels)."""
        return torch.cat([self.gain(vector), self.shift(vector)], dim=1)


class Attention(nn.Module):
    """y = gamma o + x: each pixel adds a mean over all pixels (Zhang et al. 2019, equations 1 to 3).

    Query, key and value have an eighth of the channels. gamma starts at 0, so that at first y = x. `pooled`
    is the authors' code: the value has half of the channels, key and value are the maxima of 2x2 pixels.
    """

    def __init__(self, channels: int, *, pooled: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        half = max(1, channels // 2) if pooled else inner
        self.query, self.key, self.value = (
            nn.Conv2d(channels, width, 1, bias=False) for width in (inner, inner, half)
        )
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        query = self.query(maps).flatten(2)
        key, value = (self.pool(layer(maps)).flatten(2) for layer in (self.key, self.value))
        # Not torch's fused attention: it cannot be differentiated twice, which gradient penalties need.
        share = (query.transpose(1, 2) @ key).softmax(2)
        mixed: Tensor = self.out((value @ share.transpose(1, 2)).unflatten(2, maps.shape[2:]))
        return maps + self.gamma * mixed


class Up(nn.Module):
    """A block of G: norm-ReLU-upsample-conv-norm-ReLU-conv plus an upsampled shortcut; cropped to `size`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        norm: MakeNorm,
        *,
        attention: nn.Module,
        upsampling: str = "nearest",
    ) -> None:
        super().__init__()
        self.height, self.width = size
        self.upsampling = upsampling
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.attention = attention

    def enlarge(self, maps: Tensor) -> Tensor:
        """Twice the size, by nearest neighbour or bilinear."""
        doubled = functional.interpolate(maps, scale_factor=2.0, mode=self.upsampling)
        return doubled[:, :, : self.height, : self.width]

    def forward(self, maps: Tensor, condition: Condition) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, height, width)."""
        hidden = self.conv1(self.enlarge(functional.relu(self.norm1(maps, *condition))))
        hidden = self.conv2(functional.relu(self.norm2(hidden, *condition)))
        # A 1x1 convolution commutes with copies and means of pixels: on the small map it costs a quarter.
        result: Tensor = self.attention(hidden + self.enlarge(self.shortcut(maps)))
        return result


class Down(nn.Module):
    """A block of D: ReLU-conv-ReLU-conv plus shortcut, both halved where `down`.

    The `first` block reads pixels and has no ReLU before its first convolution. `hidden` is the number of
    channels between the convolutions. `activated_shortcut`: the shortcut begins after the first ReLU.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        down: bool,
        first: bool,
        attention: nn.Module,
        activated_shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.down, self.first, self.activated_shortcut = down, first, activated_shortcut
        self.conv1 = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()
        self.attention = attention

    def halve(self, maps: Tensor) -> Tensor:
        """The mean of 2x2 pixels; at an odd edge, of the pixels that exist."""
        if not self.down:
            return maps
        return functional.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, ceil(h / 2), ...), or the same size without `down`."""
        activated = maps if self.first else functional.relu(maps)
        hidden: Tensor = self.halve(self.conv2(functional.relu(self.conv1(activated))))
        maps = activated if self.activated_shortcut else maps
        # Mean and 1x1 convolution commute as well, so every shortcut may halve first.
        result: Tensor = self.attention(hidden + self.shortcut(self.halve(maps)))
        return result


def set_weights(
    module: nn.Module, init: Literal["glorot", "orthogonal", "normal"], block_gain: float = sqrt(2)
) -> None:
    """Initialise in place. The tables of norms start at 0, so every class has gain 1 and shift 0.

    `glorot`: uniform with variance 2 / (fan in + fan out), in the 3x3 convolutions of blocks `block_gain`
    squared times that; `orthogonal` as in BigGAN; `normal` as in `ganzoo.api.initialise`.
    """
    initialise(module, "normal")  # also sets gains and biases
    if init != "normal":
        fill = nn.init.orthogonal_ if init == "orthogonal" else nn.init.xavier_uniform_
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
                fill(layer.weight)
            elif isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
                nn.init.ones_(layer.weight)
    for part in module.modules():
        if init == "glorot" and isinstance(part, Up | Down):
            for layer in (part.conv1, part.conv2):
                nn.init.xavier_uniform_(layer.weight, block_gain)
        if isinstance(part, ConditionalNorm) and isinstance(part.table, nn.Embedding):
            nn.init.zeros_(part.table.weight)
