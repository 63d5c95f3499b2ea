"""The architecture `tiny-upsample`: two small convolutional nets for images of any size from 8x8."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from ganzoo.api import DataError, DataInfo, Field, Net, Networks, halvings

from .config import TinyConfig


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: TinyConfig, image: Field) -> None:
        super().__init__()
        channels, height, width = image.shape
        stages = halvings(height, width)
        sizes = [(-(-height // 2**k), -(-width // 2**k)) for k in range(stages + 1)]
        inputs = config.generator_width * 2**stages
        self.base = (inputs, *sizes[-1])
        self.project = nn.Linear(config.latent, prod(self.base))
        layers: list[nn.Module] = []
        for size in reversed(sizes[:-1]):
            layers += [nn.Upsample(size), nn.Conv2d(inputs, inputs // 2, 3, padding=1)]
            inputs //= 2
            if config.generator_norm == "batch":
                layers.append(nn.BatchNorm2d(inputs))
            layers.append(nn.ReLU())
        layers.append(nn.Conv2d(inputs, channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)
        self.range = image.range

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W), within the range of the field where it has one."""
        image: Tensor = self.layers(self.project(z).unflatten(1, self.base))
        if self.range is None:
            return image
        low, high = self.range
        return low + (high - low) * (image.tanh() + 1) / 2


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,)."""

    def __init__(self, config: TinyConfig, image: Field) -> None:
        super().__init__()
        inputs, height, width = image.shape
        layers: list[nn.Module] = []
        for k in range(halvings(height, width)):
            outputs = config.discriminator_width * 2**k
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.2)]
            layers.append(nn.AvgPool2d(2, ceil_mode=True))
            inputs, height, width = outputs, -(-height // 2), -(-width // 2)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten()


def build(config: TinyConfig, data: DataInfo) -> Networks:
    """Factory of `tiny-upsample`; DataError unless the data holds images from 8x8 pixels."""
    image = data.field("image")
    if len(image.shape) != 3 or min(image.shape[1:]) < 8:
        raise DataError(
            "The architecture 'tiny-upsample' needs images of at least 8x8 pixels.",
            where=f"the field 'image' has the shape {image.shape}",
            fix="enlarge the images, or choose another architecture",
        )
    return Networks(
        generators={
            "generator": Net(module=Generator(config, image), reads=("z",), writes=("image",)),
        },
        discriminators={
            "discriminator": Net(module=Discriminator(config, image), reads=("image",)),
        },
        fields=(Field(name="z", shape=(config.latent,), source="normal"),),
    )
