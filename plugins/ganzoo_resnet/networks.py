"""Architectures `sn-resnet` and `sn-resnet-conditional`: the residual networks of SNGAN and its successors.

SNGAN (Miyato et al. 2018, arXiv:1802.05957, tables 4 to 6); conditional BatchNorm in G and projection in D
(Miyato and Koyama 2018, arXiv:1802.05637); attention of SAGAN (arXiv:1805.08318); one embedding for all norms
and a part of z for each block as in BigGAN (arXiv:1809.11096). For images from 8x8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import (
    Bounded,
    DataError,
    DataInfo,
    Field,
    Networks,
    SettingsError,
    as_maps,
    halvings,
    map_sizes,
    put_spectral_norm,
)
from ganzoo_resnet.blocks import (
    Attention,
    Condition,
    ConditionalNorm,
    Down,
    GainAndShift,
    MakeNorm,
    Up,
    set_weights,
)
from ganzoo_resnet.config import ConditionalResnetConfig, ResnetConfig

Size = tuple[int, int]


def attended(sizes: Sequence[Size], side: int) -> int:
    """The index of the largest of these maps with at most side x side pixels; -1 without attention.

    SettingsError if all maps are larger.
    """
    fitting = [place for place, size in enumerate(sizes) if prod(size) <= side * side]
    if side and not fitting:
        raise SettingsError(
            f"No block has a map of {side}x{side} pixels or less.",
            where="architecture.attention",
            fix=f"architecture.attention={ceil(sqrt(min(map(prod, sizes))))}",
        )
    return max(fitting, key=lambda place: prod(sizes[place]), default=-1)


def attention(config: ResnetConfig, channels: int, wanted: bool) -> nn.Module:
    """Self-attention on maps of so many channels, or nothing."""
    return Attention(channels, pooled=config.attention_pooling) if wanted else nn.Identity()


class Upward(nn.Module):
    """From a vector to an image. `norms(k)` creates the norms of block k, conditional or not."""

    def __init__(
        self, config: ResnetConfig, image: Field, inputs: int, norms: Callable[[int], MakeNorm]
    ) -> None:
        super().__init__()
        channels, height, width = image.shape
        *sizes, base = map_sizes(height, width, halvings(height, width))
        widths = list(reversed(config.widths)) or [
            config.generator_width * min(config.widening, 2**k) for k in range(len(sizes) + 1)
        ]
        if len(widths) != len(sizes) + 1:
            raise SettingsError(
                f"G has {len(sizes) + 1} maps for images of {height}x{width}, but {len(widths)} widths.",
                where=f"architecture.widths = {list(config.widths)}",
            )
        chosen = attended(sizes, config.attention)
        self.base = (widths[-1], *base)
        self.project = nn.Linear(inputs, prod(self.base), bias=config.first_bias)
        self.blocks = nn.ModuleList(
            Up(
                widths[k + 1],
                widths[k],
                sizes[k],
                norms(len(sizes) - 1 - k),
                attention=attention(config, widths[k], k == chosen),
                upsampling=config.upsampling,
            )
            for k in reversed(range(len(sizes)))
        )
        self.norm = nn.BatchNorm2d(widths[0], eps=config.norm_eps)
        self.to_image = nn.Conv2d(widths[0], channels, 3, padding=1)
        self.bounded = nn.Identity() if image.range is None else Bounded(image.range, config.output)

    def forward(self, vector: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """(N, inputs) and the condition of each block -> (N, C, H, W)."""
        maps = as_maps(self.project(vector), self.base)
        for block, condition in zip(self.blocks, conditions, strict=True):
            maps = block(maps, condition)
        pixels: Tensor = self.bounded(self.to_image(functional.relu(self.norm(maps))))
        return pixels


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: ResnetConfig, image: Field) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=config.norm_eps)
        self.upward = Upward(config, image, config.latent, lambda block: norm)
        self.conditions: tuple[Condition, ...] = ((),) * len(self.upward.blocks)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        pixels: Tensor = self.upward(z, self.conditions)
        return pixels


class ConditionalGenerator(nn.Module):
    """z (N, latent) and label (N,) int64 -> image (N, C, H, W)."""

    def __init__(self, config: ConditionalResnetConfig, image: Field, classes: int) -> None:
        super().__init__()
        blocks = halvings(*image.shape[1:])
        width, split = config.shared_embedding, config.split_latent
        if split and config.latent <= blocks:
            raise SettingsError(
                f"{config.latent} latents cannot be split into {blocks + 1} parts.",
                where="architecture.latent",
                fix="architecture.split_latent=false",
            )
        parts = blocks + 1 if split else 1
        self.parts = [config.latent // parts + (k < config.latent % parts) for k in range(parts)]
        self.blocks = blocks
        self.embed = nn.Embedding(classes, width) if width else nn.Identity()

        def table(block: int, channels: int) -> nn.Module:
            if not width:
                return nn.Embedding(classes, 2 * channels)
            inputs = width + (self.parts[block + 1] if split else 0)
            if config.separate_tables:
                return GainAndShift(inputs, channels)
            return nn.Linear(inputs, 2 * channels, bias=False)

        def norms(block: int) -> MakeNorm:
            return lambda channels: ConditionalNorm(channels, table(block, channels), config.norm_eps)

        self.upward = Upward(config, image, self.parts[0], norms)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """(N, latent), (N,) -> (N, C, H, W)."""
        embedded: Tensor = self.embed(label)
        bottom, *rest = z.split_with_sizes(self.parts, 1)
        conditions = [torch.cat([embedded, part], dim=1) for part in rest] or [embedded] * self.blocks
        pixels: Tensor = self.upward(bottom, [(condition,) for condition in conditions])
        return pixels


class Downward(nn.Module):
    """image (N, C, H, W) -> features (N, width): blocks, ReLU, sum over the map."""

    def __init__(self, config: ResnetConfig, image: Field) -> None:
        super().__init__()
        inputs, height, width = image.shape
        stages = max(1, halvings(height, width, smallest=config.discriminator_base))
        sizes = map_sizes(height, width, stages)[1:]
        chosen = attended(sizes, config.attention)
        blocks, count = [], stages + config.discriminator_tail
        widths = config.discriminator_widths or [
            config.discriminator_width * min(config.widening, 2**k) for k in range(count)
        ]
        if len(widths) != count:
            raise SettingsError(
                f"D has {count} blocks for images of {height}x{width}, but {len(widths)} widths.",
                where=f"architecture.discriminator_widths = {list(widths)}",
            )
        for k, outputs in enumerate(widths):
            hidden = inputs if k and config.discriminator_hidden == "inputs" else outputs
            block = attention(config, outputs, k == chosen)
            blocks.append(
                Down(
                    inputs,
                    hidden,
                    outputs,
                    down=k < stages,
                    first=k == 0,
                    attention=block,
                    activated_shortcut=config.activated_shortcut,
                )
            )
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.width = inputs

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width)."""
        features: Tensor = functional.relu(self.blocks(image)).sum((2, 3))
        return features


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,)."""

    def __init__(self, config: ResnetConfig, image: Field) -> None:
        super().__init__()
        self.downward = Downward(config, image)
        self.score = nn.Linear(self.downward.width, 1, bias=config.score_bias)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.score(self.downward(image))
        return score.flatten()


class ProjectionDiscriminator(nn.Module):
    """image (N, C, H, W) and label (N,) int64 -> score (N,): a linear layer plus <embed(label), features>."""

    def __init__(self, config: ResnetConfig, image: Field, classes: int) -> None:
        super().__init__()
        self.downward = Downward(config, image)
        self.score = nn.Linear(self.downward.width, 1, bias=config.score_bias)
        self.embed = nn.Embedding(classes, self.downward.width)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """(N, C, H, W), (N,) -> (N,)."""
        features = self.downward(image)
        score: Tensor = self.score(features).flatten() + (self.embed(label) * features).sum(1)
        return score


def assemble(
    config: ResnetConfig, generator: nn.Module, discriminator: nn.Module, conditions: tuple[str, ...] = ()
) -> Networks:
    """Initialise the weights, add spectral norm, and declare the pair."""
    for module in (generator, discriminator):
        set_weights(module, config.init, config.block_gain)
    if config.spectral_generator:  # not in embeddings, as in the code of SAGAN and of BigGAN
        put_spectral_norm(generator, (nn.Linear, nn.Conv2d), config.spectral_eps)
    if config.discriminator_norm == "spectral":
        kinds = (nn.Linear, nn.Conv2d, nn.Embedding)
        put_spectral_norm(discriminator, kinds, config.spectral_eps)
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(
        generator,
        discriminator,
        latent=latent,
        writes="image",
        conditions=conditions,
        finest_first=("downward.blocks",),
    )


def build(config: ResnetConfig, data: DataInfo) -> Networks:
    """Factory of `sn-resnet`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    return assemble(config, Generator(config, image), Discriminator(config, image))


def build_conditional(config: ConditionalResnetConfig, data: DataInfo) -> Networks:
    """Factory of `sn-resnet-conditional`; DataError unless the data has images from 8x8 with one label."""
    image, label = data.image(smallest=8, otherwise="conditional-mlp"), data.field("label")
    classes = len(label.classes)
    if label.dtype != "int64" or label.shape != () or not classes:
        raise DataError(
            "The architecture 'sn-resnet-conditional' needs one class label per sample.",
            where=f"label: {label.dtype}{list(label.shape)} with {classes} classes",
            fix="put the images into one sub-folder for each class, or choose the architecture 'sn-resnet'",
        )
    generator = ConditionalGenerator(config, image, classes)
    return assemble(config, generator, ProjectionDiscriminator(config, image, classes), ("label",))
