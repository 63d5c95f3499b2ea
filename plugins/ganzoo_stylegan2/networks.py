"""Architecture `stylegan2` (Karras et al. 2020, arXiv:1912.04958): skip generator, residual discriminator.

The noise that the paper draws inside the network is an input field here, so an exported graph is
deterministic: `noise` holds the noise of all layers in one row. `psi` (truncation) and `shift` (added to each
layer's style, for directions in style space and for the term `path-length`) are inputs with a default.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, Crop, DataError, DataInfo, Field, Fir, Net, Networks, halvings, map_sizes
from ganzoo_stylegan2.config import AliasFreeConfig, StyleConfig
from ganzoo_stylegan2.layers import (
    Mapping,
    Modulated,
    Scaled,
    ScaledConv,
    Styled,
    activated,
    clamped,
    with_minibatch_deviation,
)


class Generator(nn.Module):
    """z, noise, shift, psi, and the class if there are classes -> image (N, C, H, W).

    In training psi has no effect, and some images have a second style from a random layer on (style mixing).
    Its z is drawn here from torch's random state, as dropout is. In evaluation nothing is random.
    """

    average: Tensor

    def __init__(self, config: StyleConfig, image: Field, classes: int = 0) -> None:
        super().__init__()
        channels, height, width = image.shape
        self.mixing, self.keep, self.clamp = config.style_mixing, config.average, config.clamp
        self.mapping = Mapping(
            config.latent, config.style, config.mapping_layers, config.mapping_rate, classes
        )
        self.register_buffer("average", torch.zeros(config.style))
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)
        widths = [min(config.generator_width * 2**k, config.widest) for k in range(stages + 1)]
        self.start = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        styled = partial(Styled, style=config.style, noise=config.noise, clamp=config.clamp)
        layers = [styled(widths[-1], widths[-1], size=sizes[-1], up=False)]
        for k in reversed(range(stages)):
            layers.append(styled(widths[k + 1], widths[k], size=sizes[k], up=True))
            layers.append(styled(widths[k], widths[k], size=sizes[k], up=False))
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(
            Modulated(width, channels, 1, config.style, demodulate=False) for width in reversed(widths)
        )
        self.biases = nn.Parameter(torch.zeros(stages + 1, channels, 1, 1))
        self.doubles = nn.ModuleList(nn.Sequential(Fir(up=True), Crop(size)) for size in sizes[-2::-1])
        self.bounded = nn.Identity() if image.range is None else Bounded(image.range, config.output)
        self.noise_sizes = [prod(layer.size) for layer in layers]
        self.count = len(layers) + 1  # one more style, for the last layer to pixels

    def styles(self, z: Tensor, psi: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent), (N,), (N,) int64 -> (N, layers, style)."""
        style: Tensor = self.mapping(z, label)
        if not self.training:
            style = self.average + psi[:, None] * (style - self.average)
            return style[:, None].expand(-1, self.count, -1)
        self.average.lerp_(style.detach().float().mean(0), 1 - self.keep)
        if not self.mixing:
            return style[:, None].expand(-1, self.count, -1)
        chance, cut = torch.rand(2, len(z), 1, 1, device=z.device)
        # At least 1: the first layer keeps its style, so that the image has two.
        first = 1 + (cut * (self.count - 1)).floor()
        layers = torch.arange(self.count, device=z.device)[:, None]
        other: Tensor = self.mapping(torch.randn_like(z), label)
        two = (chance < self.mixing) & (layers >= first)
        mixed: Tensor = torch.where(two, other[:, None], style[:, None])
        return mixed

    def forward(
        self, z: Tensor, noise: Tensor, shift: Tensor, psi: Tensor, label: Tensor | None = None
    ) -> Tensor:
        """(N, latent), (N or 1, pixels of all layers), (N, layers, style), (N,), (N,) -> (N, C, H, W)."""
        styles = (self.styles(z, psi, label) + shift).unbind(1)
        noises = noise.split_with_sizes(self.noise_sizes, 1)
        maps = self.layers[0](self.start[None], styles[0], noises[0])
        image: Tensor = clamped(self.to_image[0](maps, styles[1]) + self.biases[0], self.clamp)
        for k, double in enumerate(self.doubles):
            for place in (2 * k + 1, 2 * k + 2):
                maps = self.layers[place](maps, styles[place], noises[place])
            doubled, added = double(image), self.to_image[k + 1](maps, styles[2 * k + 3])
            if self.clamp:
                image = doubled + clamped(added + self.biases[k + 1], self.clamp)
            else:
                image = doubled + added + self.biases[k + 1]
        bounded: Tensor = self.bounded(image)
        return bounded


class FixedNoise(Generator):
    """The same with noise that is stored with the weights."""

    noise: Tensor

    def __init__(self, config: StyleConfig, image: Field, classes: int = 0) -> None:
        super().__init__(config, image, classes)
        self.register_buffer("noise", torch.randn(sum(self.noise_sizes)))

    def forward(  # type: ignore[override]
        self, z: Tensor, shift: Tensor, psi: Tensor, label: Tensor | None = None
    ) -> Tensor:
        """(N, latent), (N, layers, style), (N,), (N,) -> (N, C, H, W)."""
        return super().forward(z, self.noise[None], shift, psi, label)


class Down(nn.Module):
    """A residual block of D that halves the map: (two 3x3 convolutions + a 1x1 shortcut) / sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, clamp: float = 0.0) -> None:
        super().__init__()
        self.clamp = clamp
        self.conv1 = ScaledConv(inputs, inputs, 3)
        self.conv2 = ScaledConv(inputs, outputs, 3, down=True)
        self.shortcut = ScaledConv(inputs, outputs, 1, down=True, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, ceil(h / 2), ceil(w / 2))."""
        height, width = maps.shape[2:]
        maps = functional.pad(maps, (0, width % 2, 0, height % 2))
        hidden = activated(self.conv2(activated(self.conv1(maps), self.clamp)), self.clamp)
        halved: Tensor = (hidden + self.shortcut(maps)) / sqrt(2)
        return halved


class Discriminator(nn.Module):
    """image (N, C, H, W), and the class if there are classes -> score (N,)."""

    def __init__(self, config: StyleConfig | AliasFreeConfig, image: Field, classes: int = 0) -> None:
        super().__init__()
        channels, height, width = image.shape
        stages = halvings(height, width)
        widest = config.discriminator_widest or config.widest
        widths = [min(config.discriminator_width * 2**k, widest) for k in range(stages + 1)]
        self.group, self.clamp = config.group, config.clamp
        self.from_image = ScaledConv(channels, widths[0], 1)
        self.blocks = nn.Sequential(*(Down(widths[k], widths[k + 1], self.clamp) for k in range(stages)))
        self.conv = ScaledConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = Scaled(widths[-1] * prod(map_sizes(height, width, stages)[-1]), widths[-1])
        self.score = Scaled(widths[-1], widths[-1] if classes else 1)
        rate = config.mapping_rate
        self.mapping = Mapping(0, widths[-1], config.label_layers, rate, classes) if classes else None

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, C, H, W), (N,) int64 -> (N,)."""
        maps = self.blocks(activated(self.from_image(image), self.clamp))
        maps = with_minibatch_deviation(maps, self.group)
        features = activated(self.hidden(activated(self.conv(maps), self.clamp).flatten(1)))
        score: Tensor = self.score(features)
        if self.mapping is not None:
            directions: Tensor = self.mapping(None, label)
            return (score * directions).sum(1) / sqrt(directions.shape[1])
        return score.flatten()


def classes_of(config: StyleConfig | AliasFreeConfig, data: DataInfo) -> int:
    """The number of classes that the networks read; DataError where the data has no labels for it."""
    if not config.conditional:
        return 0
    label = data.field("label") if "label" in data else None
    if label is None or label.dtype != "int64" or label.shape != () or not label.classes:
        raise DataError(
            "architecture.conditional needs data with one class label per sample.",
            where=f"the fields are: {', '.join(field.name for field in data.fields)}",
            fix="use data with labels, or architecture.conditional=false",
        )
    return len(label.classes)


def paired(generator: Net, discriminator: nn.Module, fields: tuple[Field, ...], classes: int) -> Networks:
    """G and D as a pair; with classes both read the label, too."""
    labels = ("label",) if classes else ()
    judge = Net(module=discriminator, reads=("image", *labels), finest_first=("blocks",))
    return Networks(
        generators={"generator": replace(generator, reads=(*generator.reads, *labels))},
        discriminators={"discriminator": judge},
        fields=fields,
    )


def build(config: StyleConfig, data: DataInfo) -> Networks:
    """Factory of `stylegan2`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    classes = classes_of(config, data)
    generator = (Generator if config.noise_input else FixedNoise)(config, image, classes)
    noise = Field(name="noise", shape=(sum(generator.noise_sizes),), source="normal")
    fields = (
        Field(name="z", shape=(config.latent,), source="normal"),
        *((noise,) if config.noise_input else ()),
        Field(name="shift", shape=(generator.count, config.style), source="constant"),
        Field(name="psi", source="constant", default=1.0),
    )
    reads = tuple(field.name for field in fields)
    styled = {"shift": ("layers.*.to_scale", "to_image.*.to_scale")}
    net = Net(module=generator, reads=reads, writes=("image",), directions=styled)
    return paired(net, Discriminator(config, image, classes), fields, classes)
