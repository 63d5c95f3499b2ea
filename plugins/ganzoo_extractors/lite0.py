"""EfficientNet-Lite0 as a torch module, through which gradients flow: maps of four scales.

Its weights are buffers, not parameters: no optimiser changes them. They come from their package each time, so
that checkpoints do not hold them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_extractors.efficientnet import EPSILON, SIDE, STAGES
from ganzoo_extractors.weights import Weights, read_weights

# As the weights were trained: (value - 127) / 128 for values of 0 to 255. ImageNet's usual mean and deviation
# more than double the contrast; the scores of ganzoo_extractors keep them. On photographs of scikit-image
# the right class got 0.94 instead of 0.82 (coffee), 0.72 instead of 0.58 (motorcycle), 0.39 instead of 0.36
# (cat).
MEAN, STD = 127 / 255, 128 / 255  # of values in 0..1

# The last blocks of maps with strides 4, 8, 16 and 32, and their channels.
SCALES = {2: 24, 4: 40, 10: 112, 15: 320}


class Fixed(nn.Module):
    """A convolution that does not learn; `same` padding, with the odd row and column at the end."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, saved: bool) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=saved)
        self.register_buffer("bias", bias, persistent=saved)
        outputs, inputs, kernel, _ = weight.shape
        self.stride = stride
        self.groups = outputs if inputs == 1 and kernel > 1 else 1
        before = (kernel - stride) // 2
        self.uneven = kernel - stride - 2 * before
        self.padding = before

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, ceil(h / stride), ceil(w / stride))."""
        padding = self.padding
        if self.uneven:
            edges = (padding, padding + self.uneven) * 2
            maps, padding = functional.pad(maps, edges), 0
        return functional.conv2d(maps, self.weight, self.bias, self.stride, padding, 1, self.groups)


def folded(weights: Weights, name: str, norm: str, stride: int = 1) -> Fixed:
    """A convolution of Lite0 with the batch norm after it folded in."""
    values = {key: torch.from_numpy(weights[f"{norm}.{key}"].copy()) for key in ("weight", "bias")}
    mean, variance = (torch.from_numpy(weights[f"{norm}.running_{key}"].copy()) for key in ("mean", "var"))
    factor = values["weight"] / (variance + EPSILON).sqrt()
    weight = torch.from_numpy(weights[f"{name}.weight"].copy()) * factor[:, None, None, None]
    return Fixed(weight, values["bias"] - mean * factor, stride=stride, saved=False)


class Block(nn.Module):
    """An inverted residual of Lite0: widen, filter each channel, narrow (Sandler et al. 2018, figure 3)."""

    def __init__(self, weights: Weights, name: str, stride: int, expansion: int, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.widen = folded(weights, f"{name}._expand_conv", f"{name}._bn0") if expansion > 1 else None
        self.filter = folded(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.narrow = folded(weights, f"{name}._project_conv", f"{name}._bn2")

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
        hidden = maps if self.widen is None else functional.relu6(self.widen(maps))
        narrow: Tensor = self.narrow(functional.relu6(self.filter(hidden)))
        return maps + narrow if self.skip else narrow


class Lite0(nn.Module):
    """Images (N, 3, h, w), normalised -> maps of the four scales, the finest first."""

    def __init__(self) -> None:
        super().__init__()
        weights = read_weights()
        self.stem = folded(weights, "_conv_stem", "_bn0", 2)
        blocks: list[nn.Module] = []
        for count, _, stride, expansion, _ in STAGES:
            for turn in range(count):
                name, first = f"_blocks.{len(blocks)}", turn == 0
                blocks.append(Block(weights, name, stride if first else 1, expansion, skip=not first))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 3, h, w) -> (N, 24, h/4, w/4), (N, 40, h/8, ...), (N, 112, h/16, ...), (N, 320, h/32, ...)."""
        maps, found = functional.relu6(self.stem(image)), []
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in SCALES:
                found.append(maps)
        return found


class Maps(nn.Module):
    """Images (N, 1, 3 or 4, h, w) in 0..1 -> the maps of `Lite0`; small ones are enlarged to `SIDE`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Lite0()

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, h, w) -> the maps of four scales."""
        image = image[:, :3].expand(-1, 3, -1, -1)
        smaller = min(image.shape[2:])
        if smaller < SIDE:
            size = [round(side * SIDE / smaller) for side in image.shape[2:]]
            image = functional.interpolate(image, size, mode="bilinear", align_corners=False)
        maps: list[Tensor] = self.net((image - MEAN) / STD)
        return maps


def maps() -> nn.Module:
    """What `efficientnet-lite0` names as `maps`. SettingsError when the weights are not installed."""
    return Maps()
