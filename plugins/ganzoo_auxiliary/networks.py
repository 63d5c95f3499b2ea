"""Architectures `acgan-conv` and `infogan-conv`: G reads a class or codes, and D predicts them.

Options make them the networks of Odena et al. 2017 (arXiv:1610.09585, appendix A) or of Chen et al. 2016
(arXiv:1606.03657, appendix C.1), for images from 8x8. Score and predictions share the body of D.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import (
    Bounded,
    DataError,
    DataInfo,
    Field,
    Net,
    Networks,
    as_maps,
    doubling,
    halvings,
    initialise,
    map_sizes,
)
from ganzoo_auxiliary.config import CodeConvConfig, LabelConvConfig

# Standard deviation of the class vectors with init="default". At 0.3 the class is a fifth of the input of G's
# first layer beside 32 latents: G uses it from the start, and z still matters.
SPREAD = 0.3
WIDEST = 512


class Upward(nn.Module):
    """Numbers (N, inputs) and a class (N,) int64 -> image (N, C, H, W)."""

    def __init__(self, config: LabelConvConfig, image: Field, inputs: int, classes: int) -> None:
        super().__init__()
        channels, height, width = image.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)
        widths = [channels, *(config.generator_width * min(8, 2**k) for k in range(stages))]
        normed = config.generator_norm == "batch"
        self.base = (widths[-1], *sizes[-1])
        first = config.generator_hidden or prod(self.base)
        # The sum of both is a linear layer on the numbers and a one-hot class, as in both papers.
        self.from_numbers = nn.Linear(inputs, first)
        self.from_class = nn.Embedding(classes, first)
        hidden: list[nn.Module] = []
        if config.generator_hidden:
            hidden += [nn.BatchNorm1d(first)] if normed else []
            hidden += [nn.ReLU(inplace=True), nn.Linear(first, prod(self.base))]
        self.hidden = nn.Sequential(*hidden)
        layers: list[nn.Module] = []
        for k in range(stages, 0, -1):
            norm = normed and (k < stages or config.bottom_norm)
            layers += [nn.BatchNorm2d(widths[k]), nn.ReLU(inplace=True)] if norm else [nn.ReLU(inplace=True)]
            layers += doubling(
                widths[k], widths[k - 1], config.generator_kernel, sizes[k], sizes[k - 1], bias=True
            )
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, numbers: Tensor, chosen: Tensor) -> Tensor:
        """(N, inputs), (N,) -> (N, C, H, W)."""
        hidden = self.hidden(self.from_numbers(numbers) + self.from_class(chosen))
        pixels: Tensor = self.layers(as_maps(hidden, self.base))
        return pixels


class LabelGenerator(nn.Module):
    """z (N, latent) and label (N,) int64 -> image (N, C, H, W)."""

    def __init__(self, config: LabelConvConfig, image: Field, classes: int) -> None:
        super().__init__()
        self.upward = Upward(config, image, config.latent, classes)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """(N, latent), (N,) -> (N, C, H, W)."""
        pixels: Tensor = self.upward(z, label)
        return pixels


class CodeGenerator(nn.Module):
    """z (N, latent), code (N,) int64 and style (N, styles) -> image (N, C, H, W)."""

    def __init__(self, config: CodeConvConfig, image: Field) -> None:
        super().__init__()
        self.upward = Upward(config, image, config.latent + config.styles, config.categories)

    def forward(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        """(N, latent), (N,), (N, styles) -> (N, C, H, W)."""
        pixels: Tensor = self.upward(torch.cat([z, style], dim=1), code)
        return pixels


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,), and a prediction (N, k) for each k of `predictions`."""

    def __init__(self, config: LabelConvConfig, image: Field, predictions: Sequence[int]) -> None:
        super().__init__()
        self.config, self.predictions = config, list(predictions)
        inputs, height, width = image.shape
        stages = halvings(height, width) + config.discriminator_extra
        kernel, padding = config.discriminator_kernel, (config.discriminator_kernel - 1) // 2
        layers: list[nn.Module] = []
        for k in range(stages * config.discriminator_layers):
            outputs = min(config.discriminator_width * 2**k, max(WIDEST, config.discriminator_width))
            stride = 1 if k % config.discriminator_layers else 2
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding))
            layers += self._activated(outputs, flat=False, norm=k > 0)
            inputs = outputs
            height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        layers.append(nn.Flatten())
        inputs *= height * width
        if config.discriminator_hidden:
            layers.append(nn.Linear(inputs, config.discriminator_hidden))
            layers += self._activated(config.discriminator_hidden, flat=True)
            inputs = config.discriminator_hidden
        self.body = nn.Sequential(*layers)
        self.score = nn.Linear(inputs, 1)
        guess: list[nn.Module] = []
        if config.guess_hidden:
            guess.append(nn.Linear(inputs, config.guess_hidden))
            guess += self._activated(config.guess_hidden, flat=True)
            inputs = config.guess_hidden
        self.guess = nn.Sequential(*guess, nn.Linear(inputs, sum(predictions)))

    def _activated(self, width: int, *, flat: bool, norm: bool = True) -> list[nn.Module]:
        """The layers after a convolution or linear layer: norm, leaky ReLU, dropout."""
        layers: list[nn.Module] = []
        if norm and self.config.discriminator_norm == "batch":
            layers.append(nn.BatchNorm1d(width) if flat else nn.BatchNorm2d(width))
        elif norm and self.config.discriminator_norm == "layer":
            layers.append(nn.GroupNorm(1, width))
        layers.append(nn.LeakyReLU(self.config.slope, inplace=True))
        return [*layers, nn.Dropout(self.config.dropout)] if self.config.dropout else layers

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, C, H, W) -> (N,), (N, k), ..."""
        features = self.body(image)
        return (self.score(features).flatten(), *self.guess(features).split_with_sizes(self.predictions, 1))


def assemble(
    config: LabelConvConfig,
    generator: nn.Module,
    discriminator: Discriminator,
    *,
    reads: tuple[str, ...],
    predicted: tuple[str, ...],
    codes: tuple[Field, ...] = (),
) -> Networks:
    """Initialise the weights, add spectral norm, and declare the pair with its z."""
    for module in (generator, discriminator):
        initialise(module, config.init)
    for table in [item for item in generator.modules() if isinstance(item, nn.Embedding)]:
        if config.init == "default":  # torch's default for an embedding is N(0, 1)
            nn.init.normal_(table.weight, 0, SPREAD)
    if config.discriminator_norm == "spectral":
        for part in (discriminator.body, discriminator.score):
            for layer in [item for item in part.modules() if isinstance(item, nn.Conv2d | nn.Linear)]:
                spectral_norm(layer)
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks(
        generators={"generator": Net(module=generator, reads=("z", *reads), writes=("image",))},
        discriminators={
            "discriminator": Net(
                module=discriminator,
                reads=("image",),
                writes=("score", *predicted),
                finest_first=("body",),
            )
        },
        fields=(latent, *codes),
    )


def build_label(config: LabelConvConfig, data: DataInfo) -> Networks:
    """Factory of `acgan-conv`: D writes `label_logits` (N, classes) beside the score.

    DataError unless the data has images from 8x8 with one class label.
    """
    image, label = data.image(smallest=8, otherwise="conditional-mlp"), data.field("label")
    classes = len(label.classes)
    if label.dtype != "int64" or label.shape != () or not classes:
        raise DataError(
            "The architecture 'acgan-conv' needs one class label per sample.",
            where=f"label: {label.dtype}{list(label.shape)} with {classes} classes",
            fix="put the images into one sub-folder for each class, or choose a recipe without labels",
        )
    generator = LabelGenerator(config, image, classes)
    discriminator = Discriminator(config, image, (classes,))
    return assemble(config, generator, discriminator, reads=("label",), predicted=("label_logits",))


def build_code(config: CodeConvConfig, data: DataInfo) -> Networks:
    """Factory of `infogan-conv`: D also writes `code_logits` (N, categories) and `style_mean` (N, styles).

    DataError unless the images have 8x8 pixels or more.
    """
    image = data.image(smallest=8, otherwise="mlp")
    names = tuple(str(k) for k in range(config.categories))
    return assemble(
        config,
        CodeGenerator(config, image),
        Discriminator(config, image, (config.categories, config.styles)),
        reads=("code", "style"),
        predicted=("code_logits", "style_mean"),
        codes=(
            Field(name="code", dtype="int64", source="uniform", classes=names),
            Field(name="style", shape=(config.styles,), source="uniform"),
        ),
    )
