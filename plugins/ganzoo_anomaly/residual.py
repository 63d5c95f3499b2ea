"""The residual networks of f-AnoGAN: those of WGAN-GP for 64x64 (Gulrajani et al. 2017, gan_64x64.py).

The authors' wgangp_64x64.py and z_encoding_izif.py. Widths double at each halving, up to 8 times the first.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Literal

from torch import Tensor, nn

from ganzoo.api import Field, halvings, map_sizes
from ganzoo_anomaly.config import FanoganConfig
from ganzoo_resnet.blocks import Up
from ganzoo_resnet.config import ResnetConfig
from ganzoo_resnet.networks import Generator
from ganzoo_wgan_gp.common import set_weights
from ganzoo_wgan_gp.resnet import halve

MOST = 8  # the largest width over the first


class Halving(nn.Module):
    """(N, C, h, w) -> (N, D, h / 2, w / 2): norm-ReLU-conv-norm-ReLU-conv-mean plus a shortcut."""

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(norm(inputs), nn.ReLU(), nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)),
            *(norm(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 3, padding=1)),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, D, ceil(h / 2), ceil(w / 2))."""
        halved: Tensor = halve(self.layers(maps)) + self.shortcut(halve(maps))
        return halved


def downward(
    config: FanoganConfig, image: Field, outputs: int, norm: Literal["batch", "layer"]
) -> nn.Sequential:
    """Layers image (N, C, H, W) -> (N, outputs). The last layer is linear, and reads the features."""
    channels, height, width = image.shape
    stages = halvings(height, width)
    widths = [config.discriminator_width * min(MOST, 2**k) for k in range(stages + 1)]

    def normed(wide: int) -> nn.Module:
        return nn.BatchNorm2d(wide) if norm == "batch" else nn.GroupNorm(1, wide)

    first = nn.Conv2d(channels, widths[0], 3, padding=1)
    blocks = [Halving(*pair, normed) for pair in pairwise(widths)]
    features = widths[-1] * prod(map_sizes(height, width, stages)[-1])
    layers = nn.Sequential(first, *blocks, nn.Flatten(), nn.Linear(features, outputs))
    set_weights(layers, "he", (first, *(block.shortcut for block in blocks)))
    return layers


def upward(config: FanoganConfig, image: Field) -> nn.Module:
    """From z (N, latent) to image (N, C, H, W): SNGAN's generator has the same blocks.

    Without BatchNorm: codes of the encoder would be normalised by other statistics than noise.
    """
    options = ResnetConfig(latent=config.latent, generator_width=config.generator_width, widening=MOST)
    generator = Generator(options, image)
    generator.upward.norm = nn.Identity()  # type: ignore[assignment]
    shortcuts = []
    for block in generator.upward.blocks:
        assert isinstance(block, Up)  # noqa: S101
        block.norm1 = block.norm2 = nn.Identity()
        shortcuts.append(block.shortcut)
    set_weights(generator, "he", tuple(shortcuts))
    return generator
