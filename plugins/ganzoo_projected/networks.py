"""Architecture `projected`, after Sauer et al. 2021 (arXiv:2111.01007).

G is FastGAN's. D sees images only through the features of a network that was trained on ImageNet, mixed by
random convolutions; it is four small discriminators, one for each scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import DataError, DataInfo, Field, Net, Networks, initialise
from ganzoo_fastgan.config import FastConfig
from ganzoo_fastgan.networks import Generator
from ganzoo_projected.config import ProjectedConfig
from ganzoo_projected.features import Projector

SMALLEST = 4  # pixels of a map with scores


class Head(nn.Module):
    """The discriminator of one scale: features -> a score for each of about 4x4 places.

    Maps are halved until their shorter side would be less than 4; smaller maps get one layer that keeps
    their size. The authors' layers: convolution, norm, leaky ReLU.
    """

    def __init__(self, inputs: int, width: int, side: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []

        def add(outputs: int, kernel: int, stride: int) -> None:
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=norm == "none"))
            layers.extend([nn.BatchNorm2d(outputs)] if norm == "batch" else [])
            layers.append(nn.LeakyReLU(0.2))

        if side < 2 * SMALLEST:
            add(width, 3, 1)
            inputs = width
        while side >= 2 * SMALLEST:
            add(width, 4, 2)
            inputs, width, side = width, 2 * width, side // 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, places)."""
        scores: Tensor = self.layers(features)
        return scores.flatten(1)


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N, places of all scales), logits."""

    def __init__(self, config: ProjectedConfig, image: Field) -> None:
        super().__init__()
        _, *sides = image.shape
        self.projector = Projector(config.mix_width, config.enlarge, image.range or (-1.0, 1.0))
        side = max(min(sides), config.enlarge)
        width, norm = config.discriminator_width, config.discriminator_norm
        self.heads = nn.ModuleList(
            Head(inputs, width, -(-side // 2 ** (scale + 2)), norm)
            for scale, inputs in enumerate(self.projector.widths)
        )
        for layer in [item for item in self.heads.modules() if isinstance(item, nn.Conv2d)]:
            spectral_norm(layer)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, places)."""
        features = self.projector(image)
        return torch.cat([head(maps) for head, maps in zip(self.heads, features, strict=True)], dim=1)


def build(config: ProjectedConfig, data: DataInfo) -> Networks:
    """Factory of `projected`; DataError unless the images have 1 or 3 channels and 16x16 pixels or more."""
    image = data.image(smallest=16, otherwise="mlp")
    if image.shape[0] not in (1, 3):
        raise DataError(
            "The architecture 'projected' needs gray or RGB images: its features are those of photographs.",
            where=f"the field 'image' has {image.shape[0]} channels",
            fix="--set data.channels=3, or another recipe",
        )
    fast = FastConfig(latent=config.latent, generator_width=config.generator_width)
    generator, discriminator = Generator(fast, image), Discriminator(config, image)
    initialise(generator, "normal")
    fields = (
        Field(name="z", shape=(config.latent,), source="normal"),
        Field(name="noise", shape=(generator.noise_size,), source="normal"),
    )
    return Networks(
        generators={"generator": Net(module=generator, reads=("z", "noise"), writes=("image",))},
        discriminators={"discriminator": Net(module=discriminator, reads=("image",), writes=("score",))},
        fields=fields,
    )
