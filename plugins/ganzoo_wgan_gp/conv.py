"""Architecture `wgan-conv`: the networks of gan_mnist.py (Gulrajani et al. 2017) for any image size.

The critic has no BatchNorm: a penalty on each sample's gradient needs scores that do not depend on
the other samples of the batch.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from ganzoo.api import (
    Bounded,
    DataInfo,
    Field,
    Networks,
    SettingsError,
    as_maps,
    doubling,
    halvings,
    map_sizes,
)
from ganzoo_wgan_gp.common import set_weights
from ganzoo_wgan_gp.config import ConvConfig


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: ConvConfig, image: Field, stages: int) -> None:
        super().__init__()
        channels, height, width = image.shape
        sizes = map_sizes(height, width, stages)
        hidden = stages + (config.head == "smooth")
        widths = [config.generator_width * min(8, 2**k) for k in reversed(range(hidden))]
        self.base = (widths[0], *sizes[stages])
        normed = config.generator_norm == "batch"
        self.project = nn.Linear(config.latent, prod(self.base), bias=not normed)
        layers: list[nn.Module] = []
        for k, inputs in enumerate(widths):
            if normed:
                layers.append(nn.BatchNorm2d(inputs))
            layers.append(nn.ReLU(inplace=True))
            outputs = (*widths, channels)[k + 1]
            if k < stages:
                before, after = sizes[stages - k], sizes[stages - k - 1]
                bias = not normed or k + 1 == len(widths)
                layers += doubling(inputs, outputs, config.kernel, before, after, bias=bias)
            else:
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        image: Tensor = self.layers(as_maps(self.project(z), self.base))
        return image


class Critic(nn.Module):
    """image (N, C, H, W) -> score (N,), unbounded."""

    def __init__(self, config: ConvConfig, image: Field, stages: int) -> None:
        super().__init__()
        inputs, height, width = image.shape
        layers: list[nn.Module] = []
        extra = config.discriminator_extra
        kernels = [config.kernel] * stages + [3] * (config.head == "smooth" if extra is None else extra)
        for k, kernel in enumerate(kernels):
            outputs, padding = config.discriminator_width * min(8, 2**k), (kernel - 1) // 2
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=padding))
            if config.discriminator_norm == "layer" and k:
                layers.append(nn.GroupNorm(1, outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
            height, width = ((side + 2 * padding - kernel) // 2 + 1 for side in (height, width))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten()


def build(config: ConvConfig, data: DataInfo) -> Networks:
    """Factory of `wgan-conv`; DataError unless the images have 8x8 pixels or more.

    SettingsError for more halvings than the size allows.
    """
    image = data.image(smallest=8, otherwise="mlp")
    _, height, width = image.shape
    if min(height, width) >> config.stages == 0:
        raise SettingsError(
            f"An image of {height}x{width} pixels cannot be halved {config.stages} times.",
            where="architecture.stages",
            fix="architecture.stages=0 chooses from the size",
        )
    stages = config.stages or halvings(height, width)
    generator, critic = Generator(config, image, stages), Critic(config, image, stages)
    set_weights(generator, config.init)
    set_weights(critic, config.init)
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(generator, critic, latent=latent, writes="image", finest_first=("layers",))
