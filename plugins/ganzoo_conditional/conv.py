"""Architecture `conditional-conv`: convolutional networks, both conditioned on the class of the image.

The discriminator is conditioned by projection (Miyato and Koyama 2018, arXiv:1802.05637, equation 4)
or by concatenation. For any image size: maps have sides of ceil(side / 2**k) pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod

import torch
from torch import Tensor, nn

from ganzoo.api import Bounded, DataInfo, Field, Networks, as_maps, doubling, halvings, map_sizes
from ganzoo_conditional.common import conditions, finish, label_table
from ganzoo_conditional.config import ConvConfig


class Generator(nn.Module):
    """z (N, latent) and label (N,) int64 -> image (N, C, H, W)."""

    def __init__(self, config: ConvConfig, image: Field, classes: int) -> None:
        super().__init__()
        channels, height, width = image.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)[::-1]
        widths = [config.generator_width * min(8, 2**k) for k in reversed(range(stages + 1))]
        normed = config.generator_norm == "batch"
        self.base = (widths[0], *sizes[0])
        self.embed = label_table(classes, config.label_width, 1.0)
        self.project = nn.Linear(config.latent + config.label_width, prod(self.base), bias=not normed)
        layers: list[nn.Module] = []
        for k, hidden in enumerate(widths):
            if normed:
                layers.append(nn.BatchNorm2d(hidden))
            layers.append(nn.ReLU(inplace=True))
            if k < stages:
                double = doubling(
                    hidden, widths[k + 1], config.kernel, sizes[k], sizes[k + 1], bias=not normed
                )
                # Named, so that layers in the state dict have the same numbers with and without a crop.
                layers.append(nn.Sequential(OrderedDict(zip(("conv", "crop"), double, strict=False))))
        layers.append(nn.Conv2d(widths[-1], channels, 3, padding=1))
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """(N, latent), (N,) -> (N, C, H, W)."""
        hidden = self.project(torch.cat([z, self.embed(label)], dim=1))
        pixels: Tensor = self.layers(as_maps(hidden, self.base))
        return pixels


class Discriminator(nn.Module):
    """image (N, C, H, W) and label (N,) int64 -> score (N,)."""

    def __init__(self, config: ConvConfig, image: Field, classes: int) -> None:
        super().__init__()
        inputs, height, width = image.shape
        self.plane = (1, height, width)
        self.concat = config.conditioning == "concat"
        inputs += self.concat
        layers: list[nn.Module] = []
        for k, kernel in enumerate([config.kernel] * halvings(height, width) + [3]):
            outputs, padding = config.discriminator_width * min(8, 2**k), (kernel - 1) // 2
            norm = config.discriminator_norm if k else "none"
            layers.append(nn.Conv2d(inputs, outputs, kernel, 2, padding, bias=norm not in ("batch", "layer")))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(outputs))
            elif norm == "layer":
                layers.append(nn.GroupNorm(1, outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
            height, width = ((side + 2 * padding - kernel) // 2 + 1 for side in (height, width))
        self.layers = nn.Sequential(*layers)
        self.pool = config.pooling == "sum"
        features = inputs if self.pool else inputs * height * width
        self.score = nn.Linear(features, 1)
        # A plane has the scale of pixels, a projection that of the linear layer beside it.
        if self.concat:
            self.embed = label_table(classes, self.plane[1] * self.plane[2], 1.0)
        else:
            self.embed = label_table(classes, features, features**-0.5)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """(N, C, H, W), (N,) -> (N,)."""
        embedded = self.embed(label)
        if self.concat:
            image = torch.cat([image, embedded.unflatten(1, self.plane)], dim=1)
        maps = self.layers(image)
        features = maps.sum((2, 3)) if self.pool else maps.flatten(1)
        score: Tensor = self.score(features).flatten()
        return score if self.concat else score + (embedded * features).sum(1)


def build(config: ConvConfig, data: DataInfo) -> Networks:
    """Factory of `conditional-conv`; DataError unless the data has images from 8x8 with one class label."""
    image = data.image(smallest=8, otherwise="conditional-mlp")
    _, classes = conditions(data, "conditional-conv")
    generator, discriminator = Generator(config, image, classes), Discriminator(config, image, classes)
    finish(generator, config.init)
    finish(discriminator, config.init, spectral=config.discriminator_norm == "spectral")
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(
        generator,
        discriminator,
        latent=latent,
        writes="image",
        conditions=("label",),
        finest_first=("layers",),
    )
