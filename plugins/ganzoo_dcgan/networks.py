"""The networks of Radford et al. 2015 (arXiv:1511.06434, section 3 and figure 1), for any image size.

A map of stage k has sides of ceil(side / 2**k) pixels; a pixel too many after doubling is cropped.
"""

from __future__ import annotations

from itertools import chain
from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import (
    Bounded,
    DataInfo,
    Field,
    Networks,
    SettingsError,
    as_maps,
    doubling,
    halvings,
    initialise,
    map_sizes,
)
from ganzoo_dcgan.config import DcganConfig
from ganzoo_dcgan.layers import Skips, double_bilinearly, halve_by_means


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: DcganConfig, image: Field, stages: int) -> None:
        super().__init__()
        channels, *sides = image.shape
        sizes = map_sizes(sides[0], sides[1], stages)
        smooth = config.head != "strided"
        norm = config.generator_norm == "batch"
        # Widths by stage. Stage 0 (full size) is a hidden map with a smooth head, else the image.
        widths = [
            config.generator_width * min(8, 2 ** (k if smooth else k - 1)) for k in range(1, stages + 1)
        ]
        widths.insert(0, config.generator_width if smooth else channels)
        self.base = (widths[stages], *sizes[stages])
        plain = not config.bottom_activation
        self.project = nn.Linear(config.latent, prod(self.base), bias=plain or not norm)

        def activated(width: int) -> list[nn.Module]:
            layers: list[nn.Module] = [nn.BatchNorm2d(width, eps=config.norm_eps)] if norm else []
            return [*layers, nn.ReLU(inplace=True)]

        def doubled(k: int) -> list[nn.Module]:
            bias = config.bias if k == 1 and not smooth else not norm
            return doubling(widths[k], widths[k - 1], config.kernel, sizes[k], sizes[k - 1], bias=bias)

        def block(k: int) -> list[nn.Module]:
            return [*doubled(k), *(activated(widths[k - 1]) if k > 1 or smooth else [])]

        blocks = [[] if plain else activated(widths[stages]), *map(block, range(stages, 0, -1))]
        layers: list[nn.Module]
        if config.head == "skips":
            layers = [Skips(blocks, widths[::-1], sizes[::-1], channels, bias=config.bias)]
        else:
            layers = list(chain.from_iterable(blocks))
        if config.head == "smooth":
            layers.append(nn.Conv2d(widths[0], channels, 3, padding=1, bias=config.bias))
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        pixels: Tensor = self.layers(as_maps(self.project(z), self.base))
        return pixels


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,), a logit."""

    def __init__(self, config: DcganConfig, image: Field, stages: int) -> None:
        super().__init__()
        inputs, height, width = image.shape
        extra = config.discriminator_extra
        kernels = [config.kernel] * stages + [3] * (config.head != "strided" if extra is None else extra)
        layers: list[nn.Module] = []
        for k, kernel in enumerate(kernels):
            outputs = config.discriminator_width * min(8, 2**k)
            norm = config.discriminator_norm if k else "none"
            bias = norm in ("none", "spectral") and config.bias
            padding = (kernel - 1) // 2
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=padding, bias=bias))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(outputs, eps=config.norm_eps))
            elif norm == "layer":
                layers.append(nn.GroupNorm(1, outputs))
            layers.append(nn.LeakyReLU(config.slope, inplace=True))
            inputs = outputs
            height, width = ((side + 2 * padding - kernel) // 2 + 1 for side in (height, width))
        layers += [nn.Flatten(), nn.Linear(inputs * height * width, 1, bias=config.bias)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten()


def stage_count(image: Field, wanted: int) -> int:
    """How often to halve this image; SettingsError when it has too few pixels for `wanted` times."""
    _, height, width = image.shape
    if min(height, width) >> wanted == 0:
        raise SettingsError(
            f"An image of {height}x{width} pixels cannot be halved {wanted} times.",
            where="architecture.stages",
            fix="architecture.stages=0 chooses from the size",
        )
    return wanted or halvings(height, width)


def build(config: DcganConfig, data: DataInfo) -> Networks:
    """Factory of the architecture `dcgan`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    stages = stage_count(image, config.stages)
    generator = Generator(config, image, stages)
    discriminator = Discriminator(config, image, stages)
    initialise(generator, config.init)
    initialise(discriminator, config.init)
    if config.upsampling == "bilinear":
        for doubling_layer in [item for item in generator.modules() if isinstance(item, nn.ConvTranspose2d)]:
            double_bilinearly(doubling_layer)
    if config.downsampling == "mean":
        for halving in [item for item in discriminator.modules() if isinstance(item, nn.Conv2d)][:stages]:
            halve_by_means(halving)
    if config.discriminator_norm == "spectral":
        kinds = (nn.Conv2d, nn.Linear) if config.spectral_score else (nn.Conv2d,)  # the score's is linear
        for layer in [item for item in discriminator.modules() if isinstance(item, kinds)]:
            spectral_norm(layer)
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(generator, discriminator, latent=latent, writes="image", finest_first=("layers",))
