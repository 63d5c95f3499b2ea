"""The generator and the discriminator."""

from __future__ import annotations

from math import prod

from ganzoo.api import Bounded, DataInfo, Field, Networks, halvings, map_sizes
from torch import Tensor, nn

from .config import NetworksConfig


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W) within its range."""

    def __init__(self, config: NetworksConfig, image: Field) -> None:
        super().__init__()
        channels, height, width = image.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)
        inputs = config.generator_width * 2**stages
        self.base = (inputs, *sizes[-1])
        self.project = nn.Linear(config.latent, prod(self.base))
        layers: list[nn.Module] = []
        for size in reversed(sizes[:-1]):
            layers += [nn.Upsample(size), nn.Conv2d(inputs, inputs // 2, 3, padding=1)]
            inputs //= 2
            layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, channels, 3, padding=1))
        self.bounded = Bounded(image.range or (-1.0, 1.0))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        image: Tensor = self.bounded(self.layers(self.project(z).unflatten(1, self.base)))
        return image


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,)."""

    def __init__(self, config: NetworksConfig, image: Field) -> None:
        super().__init__()
        inputs, height, width = image.shape
        sizes = map_sizes(height, width, halvings(height, width))
        layers: list[nn.Module] = []
        for k, _ in enumerate(sizes[1:]):
            outputs = config.discriminator_width * 2**k
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * prod(sizes[-1]), 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten()


def build(config: NetworksConfig, data: DataInfo) -> Networks:
    """Factory of the architecture; DataError unless the data holds images of at least 8x8 pixels."""
    image = data.image(smallest=8)
    return Networks.pair(
        Generator(config, image),
        Discriminator(config, image),
        latent=Field(name="z", shape=(config.latent,), source="normal"),
        writes="image",
    )
