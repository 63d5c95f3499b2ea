"""Architecture `pggan` (Karras et al. 2018, arXiv:1710.10196): the networks at their full size.

G normalises each pixel after each convolution, doubles maps by repeating pixels, and ends without a bound.
The paper grows both networks during training; here they are built whole.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, Crop, DataInfo, Field, Networks, as_maps, halvings, map_sizes
from ganzoo_stylegan2.config import ProgressiveConfig
from ganzoo_stylegan2.layers import Scaled, ScaledConv, activated, pixel_norm, with_minibatch_deviation


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: ProgressiveConfig, image: Field) -> None:
        super().__init__()
        colours, height, width = image.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)[::-1]
        widths = [min(config.generator_width * 2**k, config.widest) for k in range(stages + 1)][::-1]
        self.base = (widths[0], *sizes[0])
        self.project = Scaled(config.latent, prod(self.base))
        self.first = ScaledConv(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [ScaledConv(widths[k], widths[k + 1], 3), ScaledConv(widths[k + 1], widths[k + 1], 3)]
            )
            for k in range(stages)
        )
        self.crops = nn.ModuleList(Crop(size) for size in sizes[1:])
        self.to_image = ScaledConv(widths[-1], colours, 1)
        self.bounded = nn.Identity() if image.range is None else Bounded(image.range, config.output)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        maps = pixel_norm(as_maps(activated(self.project(pixel_norm(z))), self.base))
        maps = pixel_norm(activated(self.first(maps)))
        for block, crop in zip(self.blocks, self.crops, strict=True):
            maps = crop(functional.interpolate(maps, scale_factor=2.0, mode="nearest"))
            for layer in block:  # type: ignore[attr-defined]
                maps = pixel_norm(activated(layer(maps)))
        image: Tensor = self.bounded(self.to_image(maps))
        return image


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,)."""

    def __init__(self, config: ProgressiveConfig, image: Field) -> None:
        super().__init__()
        colours, height, width = image.shape
        stages = halvings(height, width)
        widths = [min(config.discriminator_width * 2**k, config.widest) for k in range(stages + 1)]
        self.group = config.group
        self.from_image = ScaledConv(colours, widths[0], 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([ScaledConv(widths[k], widths[k], 3), ScaledConv(widths[k], widths[k + 1], 3)])
            for k in range(stages)
        )
        self.last = ScaledConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = Scaled(widths[-1] * prod(map_sizes(height, width, stages)[-1]), widths[-1])
        self.score = Scaled(widths[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        maps = activated(self.from_image(image))
        for block in self.blocks:
            for layer in block:  # type: ignore[attr-defined]
                maps = activated(layer(maps))
            maps = functional.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)
        maps = activated(self.last(with_minibatch_deviation(maps, self.group)))
        score: Tensor = self.score(activated(self.hidden(maps.flatten(1))))
        return score.flatten()


def build(config: ProgressiveConfig, data: DataInfo) -> Networks:
    """Factory of `pggan`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    latent = Field(name="z", shape=(config.latent,), source="normal")
    generator, discriminator = Generator(config, image), Discriminator(config, image)
    return Networks.pair(generator, discriminator, latent=latent, writes="image", finest_first=("blocks",))
