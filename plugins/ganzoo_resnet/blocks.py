"""What the residual networks are made of: norms that know a class, blocks, attention, initial weights."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import register_parametrization

from ganzoo.api import initialise

Condition = tuple[Tensor, ...]
"""What a block is told beside its maps: nothing, or one tensor."""

MakeNorm = Callable[[int], nn.Module]
"""From a number of channels to a norm, which is called with maps and what the condition holds."""


class ConditionalNorm(nn.Module):
    """BatchNorm whose gain and shift depend on a condition (Miyato and Koyama 2018, section 5).

    `table` makes (N, 2 * channels) of the condition: an embedding of a class, or a linear layer on a vector
    (Brock et al. 2019, section 3). Its first half is what the gain has above 1.
    """

    def __init__(self, channels: int, table: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.table = table

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """(N, channels, h, w), (N,) or (N, width) -> (N, channels, h, w)."""
        # Under autocast an embedding is float32, and would make all that follows float32.
        gain, shift = self.table(condition).to(maps.dtype)[:, :, None, None].chunk(2, 1)
        normed: Tensor = self.norm(maps) * (1 + gain) + shift
        return normed


class Attention(nn.Module):
    """y = gamma o + x: each pixel adds a mean over all pixels (Zhang et al. 2019, equations 1 to 3).

    Query, key and value have an eighth of the channels. gamma starts at 0, so that at first y = x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        query, key, value = (layer(maps).flatten(2) for layer in (self.query, self.key, self.value))
        # Written out: torch's fused attention cannot be differentiated twice, as gradient penalties must.
        share = (query.transpose(1, 2) @ key).softmax(2)
        mixed: Tensor = self.out((value @ share.transpose(1, 2)).unflatten(2, maps.shape[2:]))
        return maps + self.gamma * mixed


class Up(nn.Module):
    """A block of G: norm-ReLU-double-conv-norm-ReLU-conv plus a doubled shortcut; cropped to `size`."""

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], norm: MakeNorm, *, attention: bool
    ) -> None:
        super().__init__()
        self.height, self.width = size
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.attention = Attention(outputs) if attention else nn.Identity()

    def enlarge(self, maps: Tensor) -> Tensor:
        """Each pixel four times (nearest neighbour)."""
        doubled = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
        return doubled[:, :, : self.height, : self.width]

    def forward(self, maps: Tensor, condition: Condition) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, height, width)."""
        hidden = self.conv1(self.enlarge(functional.relu(self.norm1(maps, *condition))))
        hidden = self.conv2(functional.relu(self.norm2(hidden, *condition)))
        # A 1x1 convolution commutes with copying pixels: on the small map it is a quarter of the work.
        made: Tensor = self.attention(hidden + self.enlarge(self.shortcut(maps)))
        return made


class Down(nn.Module):
    """A block of D: ReLU-conv-ReLU-conv plus shortcut, both halved where `down`.

    The `first` block sees pixels, which it does not put through a ReLU. `hidden` are the channels between.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: int, *, down: bool, first: bool, attention: bool
    ) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()
        self.attention = Attention(outputs) if attention else nn.Identity()

    def halve(self, maps: Tensor) -> Tensor:
        """Mean of 2x2 pixels; at an odd edge, of those that there are."""
        if not self.down:
            return maps
        return functional.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, ceil(h / 2), ...), or as large where it does not halve."""
        hidden: Tensor = self.conv1(maps if self.first else functional.relu(maps))
        hidden = self.halve(self.conv2(functional.relu(hidden)))
        # Mean and 1x1 convolution commute as well, so every shortcut may halve first.
        made: Tensor = self.attention(hidden + self.shortcut(self.halve(maps)))
        return made


def set_weights(module: nn.Module, init: Literal["glorot", "orthogonal", "normal"]) -> None:
    """Initialise in place. The tables of norms start at 0: every class has the gain 1 and the shift 0.

    `glorot`: uniform with variance 2 / (fan in + fan out), twice that in the 3x3 convolutions of blocks, as
    in the authors' code of SNGAN; `orthogonal` as in BigGAN; `normal` as in `ganzoo.api.initialise`.
    """
    initialise(module, "normal")  # gains and biases, too
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
                nn.init.xavier_uniform_(layer.weight, sqrt(2))
        if isinstance(part, ConditionalNorm) and isinstance(part.table, nn.Embedding):
            nn.init.zeros_(part.table.weight)


class SpectralNorm(nn.Module):
    """A weight over its largest singular value: one power iteration a step (Miyato et al. 2018, algorithm 1).

    torch's own takes its vectors as they are in evaluation. A moving average of G averages them as well, and
    a mean of unit vectors is shorter: weights came out nine times too large. So only the direction is used
    here, and evaluation goes on from it.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.u: Tensor
        self.register_buffer("u", torch.randn(weight.shape[0], device=weight.device))
        self.u.copy_(self.vectors(weight.flatten(1), 15)[0])

    @torch.no_grad()
    def vectors(self, matrix: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """(rows, columns) -> its leading singular vectors, (rows,) and (columns,), starting from `u`."""
        u = self.u
        for _ in range(iterations):
            v = functional.normalize(matrix.T @ u, dim=0)
            u = functional.normalize(matrix @ v, dim=0)
        return u, v

    def forward(self, weight: Tensor) -> Tensor:
        """Any shape to the same shape; the first dimension has the outputs."""
        matrix = weight.flatten(1)
        u, v = self.vectors(matrix, 1 if self.training else 10)
        if self.training:
            self.u.copy_(u)
        return weight / (u @ (matrix @ v))


def put_spectral_norm(
    module: nn.Module, kinds: tuple[type[nn.Linear] | type[nn.Conv2d] | type[nn.Embedding], ...]
) -> None:
    """Spectral norm on every layer of these kinds."""
    for layer in [item for item in module.modules() if isinstance(item, kinds)]:
        register_parametrization(layer, "weight", SpectralNorm(layer.weight.detach()))
