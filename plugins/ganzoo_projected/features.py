"""EfficientNet-Lite0 and the random mixing of its features: fixed networks through which gradients flow.

They are buffers, not parameters: no optimiser changes them. The ImageNet weights come from their package each
time, so that checkpoints do not hold them; the random ones are saved, for they are nowhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_extractors.efficientnet import EPSILON, STAGES
from ganzoo_extractors.weights import Weights, read_weights

# As the weights were trained: (value - 127) / 128 for values of 0 to 255. ImageNet's usual mean and deviation,
# which the scores of ganzoo_extractors keep, more than double the contrast. On photographs of scikit-image the
# right class got 0.94 instead of 0.82 (coffee), 0.72 instead of 0.58 (motorcycle), 0.39 instead of 0.36 (cat).
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


def random_convolution(inputs: int, outputs: int, kernel: int) -> Fixed:
    """A fixed convolution with the weights of Kaiming (He et al. 2015, arXiv:1502.01852, equation 14)."""
    weight = torch.empty(outputs, inputs, kernel, kernel)
    nn.init.kaiming_normal_(weight, nonlinearity="linear")  # no activation follows
    return Fixed(weight, saved=True)


class Projector(nn.Module):
    """Images -> the projected features of four scales (Sauer et al. 2021, section 3.2 and figure 4).

    Cross-channel mixing: a random 1x1 convolution at each scale. Cross-scale mixing: from coarse to fine,
    random 3x3 convolutions of the sum of a scale's features and the enlarged result of the coarser one.
    `widths` are the channels of the results.
    """

    def __init__(self, width: int, enlarge: int, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.low, self.span = bounds[0], bounds[1] - bounds[0]
        self.net = Lite0()
        mixed = [width * 2**scale for scale in range(len(SCALES))]
        self.widths = [mixed[max(0, scale - 1)] for scale in range(len(SCALES))]
        self.channels = nn.ModuleList(
            random_convolution(inputs, outputs, 1)
            for inputs, outputs in zip(SCALES.values(), mixed, strict=True)
        )
        self.scales = nn.ModuleList(
            random_convolution(inputs, outputs, 3) for inputs, outputs in zip(mixed, self.widths, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 1 or 3, h, w) -> maps of widths `widths` with strides 4, 8, 16 and 32, the finest first.

        On a CPU in float32: there, the backward pass of depthwise convolutions took 5.3 ms for a 64x64 image
        in bf16, 3.2 ms in float32 (one Zen core).
        """
        if image.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):
                return self._projected(image.float())
        return self._projected(image)

    def _projected(self, image: Tensor) -> list[Tensor]:
        image = image.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        smaller = min(image.shape[2:])
        if smaller < self.enlarge:
            size = [round(side * self.enlarge / smaller) for side in image.shape[2:]]
            image = functional.interpolate(image, size, mode="bilinear", align_corners=False)
        features = self.net(((image - self.low) / self.span - MEAN) / STD)
        found: list[Tensor] = []
        for scale in reversed(range(len(SCALES))):
            mixed = self.channels[scale](features[scale])
            if found:
                mixed = mixed + functional.interpolate(found[-1], mixed.shape[2:], mode="bilinear")
            found.append(self.scales[scale](mixed))
        return found[::-1]
