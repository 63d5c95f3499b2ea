"""The random mixing of EfficientNet-Lite0's features: fixed networks through which gradients flow.

They are buffers, not parameters: no optimiser changes them. The random ones are saved, for they are nowhere
else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_extractors.lite0 import MEAN, SCALES, STD, Fixed, Lite0

__all__ = ["MEAN", "SCALES", "STD", "Fixed", "Lite0", "Projector", "random_convolution"]


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
