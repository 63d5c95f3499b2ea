"""Architecture `conditional-mlp`: networks of Mirza and Osindero 2014 (arXiv:1411.1784, section 4.1)."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ganzoo.api import Bounded, DataInfo, Field, Maxout, Networks
from ganzoo_conditional.common import conditions, finish, label_table
from ganzoo_conditional.config import MlpConfig


class Generator(nn.Module):
    """z (N, latent) and label (N,) int64 -> image (N, C, H, W)."""

    def __init__(self, config: MlpConfig, image: Field, classes: int) -> None:
        super().__init__()
        self.shape = image.shape
        low, high = config.latent_range
        self.scale, self.shift = (high - low) / 2, (high + low) / 2
        self.from_z = nn.Linear(config.latent, config.generator_latent_hidden)
        # A linear layer on a one-hot label, bias included, is a table with one row per class.
        self.from_label = label_table(classes, config.generator_label_hidden, classes**-0.5)
        both = config.generator_latent_hidden + config.generator_label_hidden
        layers: list[nn.Module] = [
            nn.Dropout(config.generator_dropout),
            nn.Linear(both, config.generator_hidden),
            nn.ReLU(),
            nn.Dropout(config.generator_dropout),
            nn.Linear(config.generator_hidden, prod(image.shape)),
        ]
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.joint = nn.Sequential(*layers)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """(N, latent), (N,) -> (N, C, H, W)."""
        if (self.scale, self.shift) != (1, 0):
            z = z * self.scale + self.shift
        hidden = torch.cat([relu(self.from_z(z)), relu(self.from_label(label))], dim=1)
        image: Tensor = self.joint(hidden)
        return image.reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """image (N, C, H, W) and label (N,) int64 -> score (N,), a logit."""

    def __init__(self, config: MlpConfig, image: Field, classes: int) -> None:
        super().__init__()
        units, pieces = config.discriminator_label_units, config.discriminator_label_pieces
        self.from_image = Maxout(
            prod(image.shape), config.discriminator_image_units, config.discriminator_image_pieces
        )
        self.from_label = label_table(classes, units * pieces, classes**-0.5)
        self.label_shape = (units, pieces)
        self.joint = nn.Sequential(
            nn.Dropout(config.dropout),
            Maxout(
                config.discriminator_image_units + units,
                config.discriminator_units,
                config.discriminator_pieces,
            ),
            nn.Dropout(config.dropout),
            nn.Linear(config.discriminator_units, 1),
        )

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """(N, C, H, W), (N,) -> (N,)."""
        embedded = self.from_label(label).unflatten(1, self.label_shape).amax(2)
        score: Tensor = self.joint(torch.cat([self.from_image(image.flatten(1)), embedded], dim=1))
        return score.flatten()


def build(config: MlpConfig, data: DataInfo) -> Networks:
    """Factory of `conditional-mlp`; DataError unless the data has an image and one class label."""
    image, classes = conditions(data, "conditional-mlp")
    generator, discriminator = Generator(config, image, classes), Discriminator(config, image, classes)
    finish(generator, config.init)
    finish(discriminator, config.init, spectral=config.discriminator_norm == "spectral")
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(generator, discriminator, latent=latent, writes="image", conditions=("label",))
