"""Convolutional generator and discriminator of volumes: those of DCGAN with a third dimension.

A map of stage k has sides of ceil(side / 2**k) voxels; a voxel too many after doubling is cropped.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import Bounded, Crop, DataError, DataInfo, Field, Networks
from ganzoo_volumes.config import Conv3dConfig

SMALLEST = 4  # voxels of the shortest side of the smallest maps


class Generator(nn.Module):
    """z (N, latent) -> volume (N, 1, D, H, W)."""

    def __init__(self, config: Conv3dConfig, volume: Field, stages: int) -> None:
        super().__init__()
        channels, *sides = volume.shape
        sizes = [tuple(-(-side // 2**k) for side in sides) for k in range(stages + 1)]
        widths = [channels, *(config.generator_width * min(8, 2**k) for k in range(stages))]
        self.base = (widths[stages], *sizes[stages])
        normed = config.generator_norm == "batch"
        self.project = nn.Linear(config.latent, prod(self.base), bias=not normed)
        layers: list[nn.Module] = []
        for k in range(stages, 0, -1):
            layers += [nn.BatchNorm3d(widths[k])] if normed else []
            bias = not normed or k == 1
            layers += [
                nn.ReLU(inplace=True),
                nn.ConvTranspose3d(widths[k], widths[k - 1], 4, 2, 1, bias=bias),
            ]
            if sizes[k - 1] != tuple(2 * side for side in sizes[k]):
                layers.append(Crop(sizes[k - 1]))
        self.layers = nn.Sequential(*layers, Bounded(volume.range or (-1.0, 1.0), "tanh"))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, 1, D, H, W)."""
        voxels: Tensor = self.layers(self.project(z).unflatten(1, self.base))
        return voxels


class Discriminator(nn.Module):
    """volume (N, 1, D, H, W) -> score (N,)."""

    def __init__(self, config: Conv3dConfig, volume: Field, stages: int) -> None:
        super().__init__()
        inputs, *sides = volume.shape
        layers: list[nn.Module] = []
        for k in range(stages):
            outputs = config.discriminator_width * min(8, 2**k)
            normed = config.discriminator_norm == "batch" and k > 0
            layers.append(nn.Conv3d(inputs, outputs, 4, 2, 1, bias=not normed))
            layers += [nn.BatchNorm3d(outputs)] if normed else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs, sides = outputs, [side // 2 for side in sides]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * prod(sides), 1))

    def forward(self, volume: Tensor) -> Tensor:
        """(N, 1, D, H, W) -> (N,)."""
        score: Tensor = self.layers(volume)
        return score.flatten()


def build(config: Conv3dConfig, data: DataInfo) -> Networks:
    """Factory of `conv-3d`; DataError unless the field `volume` is one of 8x8x8 voxels or more."""
    volume = data.field("volume")
    if volume.dtype != "float32" or len(volume.shape) != 4 or min(volume.shape[1:]) < 2 * SMALLEST:
        raise DataError(
            "This architecture needs volumes of at least 8x8x8 voxels: channel x depth x height x width.",
            where=f"the field 'volume' is {volume.dtype} of the shape {volume.shape}",
            fix="--data volumes:PATH, with data.size=32x32x32 or another size",
        )
    stages = 0
    while min(volume.shape[1:]) >> (stages + 1) >= SMALLEST:
        stages += 1
    generator, discriminator = Generator(config, volume, stages), Discriminator(config, volume, stages)
    if config.discriminator_norm == "spectral":
        for layer in [item for item in discriminator.modules() if isinstance(item, nn.Conv3d | nn.Linear)]:
            spectral_norm(layer)
    latent = Field(name="z", shape=(config.latent,), source="normal")
    return Networks.pair(generator, discriminator, latent=latent, writes="volume", finest_first=("layers",))
