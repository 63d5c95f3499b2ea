"""Architecture `r3gan` (Huang et al. 2024, arXiv:2501.05441, section 4): residual networks without norms.

D is G in reverse order. A stage has inverted bottlenecks with grouped convolutions, as in ResNeXt, and a
transition that resamples. Fix-up initialisation replaces norms: the last layer of each block starts at 0,
and the other weights are smaller the more blocks there are.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, Crop, DataError, DataInfo, Field, Fir, Networks, halvings, map_sizes
from ganzoo_r3gan.config import R3Config

SLOPE = 0.2


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """The layer, initialised with weights N(0, gain^2 / fan in) and biases 0."""
    nn.init.normal_(layer.weight, 0, gain / sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def mixing(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1x1 convolution where the number of channels changes."""
    return [] if inputs == outputs else [scaled(nn.Conv2d(inputs, outputs, 1, bias=False))]


class Residual(nn.Module):
    """x + conv1x1(act(grouped conv3x3(act(conv1x1(x))))), with more channels inside; at first just x."""

    def __init__(self, config: R3Config, channels: int, total: int) -> None:
        """`total`: number of blocks of the network. The first two layers have a gain of total^(-1/4)."""
        super().__init__()
        inner = channels * config.expansion
        gain = sqrt(2 / (1 + SLOPE**2)) * total**-0.25
        grouped = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // config.group)
        self.layers = nn.Sequential(
            scaled(nn.Conv2d(channels, inner, 1), gain),
            nn.LeakyReLU(SLOPE),
            scaled(grouped, gain),
            nn.LeakyReLU(SLOPE),
            scaled(nn.Conv2d(inner, channels, 1, bias=False), 0.0),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        result: Tensor = maps + self.layers(maps)
        return result


class Basis(nn.Module):
    """z (N, latent) -> (N, channels, h, w): learned maps, each multiplied by a linear function of z."""

    def __init__(self, latent: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, *size))
        self.linear = scaled(nn.Linear(latent, channels, bias=False))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, channels, h, w), channels last in memory."""
        strength: Tensor = self.linear(z)
        result: Tensor = self.maps.to(strength.dtype) * strength[:, :, None, None]
        return result.contiguous(memory_format=torch.channels_last)


class Even(nn.Module):
    """Adds a row or column of zeros where their number is odd."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h or h + 1, w or w + 1)."""
        height, width = maps.shape[2:]
        return functional.pad(maps, (0, width % 2, 0, height % 2))


class Plan:
    """Sizes and channels of the maps of a network, from the largest to the smallest."""

    def __init__(self, config: R3Config, image: Field, width: int) -> None:
        self.colours, height, across = image.shape
        self.stages = halvings(height, across)
        self.sizes = map_sizes(height, across, self.stages)
        self.widths = [min(width * 2**k, config.widest) for k in range(self.stages + 1)]
        self.config = config

    def blocks(self, stage: int) -> list[nn.Module]:
        """The residual blocks of a stage."""
        config, total = self.config, self.config.blocks * len(self.widths)
        return [Residual(config, self.widths[stage], total) for _ in range(config.blocks)]


def embedding(classes: int, width: int, gain: float = 1.0) -> nn.Embedding:
    """A vector for each class: a linear layer of one-hot vectors, initialised as the others."""
    table = nn.Embedding(classes, width)
    nn.init.normal_(table.weight, 0, gain / sqrt(classes))
    return table


class Generator(nn.Module):
    """z (N, latent), and the class if there are classes -> image (N, C, H, W)."""

    def __init__(self, config: R3Config, image: Field, classes: int = 0) -> None:
        super().__init__()
        plan = Plan(config, image, config.generator_width)
        inputs = config.latent + (config.class_width if classes else 0)
        layers: list[nn.Module] = [Basis(inputs, plan.widths[-1], plan.sizes[-1])]
        layers += plan.blocks(plan.stages)
        for k in reversed(range(plan.stages)):
            # A 1x1 convolution commutes with the filter: on the small map it costs a quarter.
            layers += [*mixing(plan.widths[k + 1], plan.widths[k]), Fir(up=True), Crop(plan.sizes[k])]
            layers += plan.blocks(k)
        layers.append(scaled(nn.Conv2d(plan.widths[0], plan.colours, 1, bias=False)))
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)
        self.embed = embedding(classes, config.class_width) if classes else None

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent), (N,) int64 -> (N, C, H, W)."""
        inputs = z if self.embed is None else torch.cat([z, self.embed(label)], 1)
        image: Tensor = self.layers(inputs)
        return image


class Discriminator(nn.Module):
    """image (N, C, H, W), and the class if there are classes -> score (N,)."""

    def __init__(self, config: R3Config, image: Field, classes: int = 0) -> None:
        super().__init__()
        plan = Plan(config, image, config.discriminator_width)
        last = plan.widths[-1]
        layers = [scaled(nn.Conv2d(plan.colours, plan.widths[0], 1, bias=False))]
        for k in range(plan.stages):
            layers += [*plan.blocks(k), Even(), Fir(stride=2), *mixing(plan.widths[k], plan.widths[k + 1])]
        layers += plan.blocks(plan.stages)
        # The reverse of the basis: one number for each channel, a weighted sum over the whole map.
        layers += [scaled(nn.Conv2d(last, last, plan.sizes[-1], groups=last, bias=False)), nn.Flatten()]
        layers.append(scaled(nn.Linear(last, last if classes else 1, bias=False)))
        self.layers = nn.Sequential(*layers)
        self.embed = embedding(classes, last, 1 / sqrt(last)) if classes else None

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, C, H, W), (N,) int64 -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten() if self.embed is None else (score * self.embed(label)).sum(1)


def build(config: R3Config, data: DataInfo) -> Networks:
    """Factory of `r3gan`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    classes = len(labels_of(data).classes) if config.conditional else 0
    latent = Field(name="z", shape=(config.latent,), source="normal")
    generator, discriminator = Generator(config, image, classes), Discriminator(config, image, classes)
    conditions = ("label",) if classes else ()
    return Networks.pair(
        generator,
        discriminator,
        latent=latent,
        writes="image",
        conditions=conditions,
        finest_first=("layers",),
    )


def labels_of(data: DataInfo) -> Field:
    """The field of class labels; DataError where the data has none."""
    label = data.field("label") if "label" in data else None
    if label is None or label.dtype != "int64" or label.shape != () or not label.classes:
        raise DataError(
            "architecture.conditional needs data with one class label per sample.",
            where=f"the fields are: {', '.join(field.name for field in data.fields)}",
            fix="use data with labels, or architecture.conditional=false",
        )
    return label
