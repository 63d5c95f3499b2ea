"""The synthetic networks and loss, with which the kit tests losses and terms that have no recipe."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api.layers import Bounded
from ganzoo.api.networks import Net, Networks
from ganzoo.fields import DataInfo, Field

WIDTH = 8


class Generator(nn.Module):
    """z (N, 8) -> image (N, C, H, W) within its range."""

    def __init__(self, image: Field) -> None:
        super().__init__()
        self.shape = image.shape
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, prod(image.shape))
        )
        self.bounded = Bounded(image.range or (-1.0, 1.0))

    def forward(self, z: Tensor) -> Tensor:
        """(N, 8) -> (N, C, H, W)."""
        image: Tensor = self.bounded(self.layers(z).unflatten(1, self.shape))
        return image


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,), (N, 1) or (N, 1, H', W'), and features (N, 8, H', W')."""

    def __init__(self, image: Field, score: str) -> None:
        super().__init__()
        self.score = score
        self.features = nn.Sequential(nn.Conv2d(image.shape[0], WIDTH, 3, 2, 1), nn.LeakyReLU(0.2))
        self.maps = nn.Conv2d(WIDTH, 1, 3, 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> scores of the configured shape, and the features they are computed from."""
        features: Tensor = self.features(image)
        maps: Tensor = self.maps(features)
        column = maps.flatten(1).mean(1, keepdim=True)
        return {"map": maps, "column": column, "flat": column.flatten()}[self.score], features


class Logistic:
    """E softplus(-D(x)) + E softplus(D(x')); the generator minimises E softplus(-D(x'))."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss for scores of any shape."""
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The loss for scores of any shape."""
        return functional.softplus(-fake).mean()


def build(score: str, data: DataInfo) -> Networks:
    """A generator and a discriminator for the field `image`."""
    image = data.image()
    discriminator = Net(module=Discriminator(image, score), reads=("image",), writes=("score", "features"))
    return Networks(
        generators={"generator": Net(module=Generator(image), reads=("z",), writes=("image",))},
        discriminators={"discriminator": discriminator},
        fields=(Field(name="z", shape=(WIDTH,), source="normal"),),
    )


def scores(shape: tuple[int, ...], level: float) -> Tensor:
    """Different scores around that level, which require gradients."""
    spread = torch.linspace(-0.2, 0.2, prod(shape)).reshape(shape)
    return (level + spread).requires_grad_()
