"""Generators from image to image and patch discriminators, for images from 8x8.

Options make them the networks of Isola et al. 2017 (pix2pix, arXiv:1611.07004, appendix 6.1) or of Zhu et al.
2017 (CycleGAN, arXiv:1703.10593, appendix 7.2). If `a` and `b` have different sizes, the network first
resizes `a` to the size of `b`; channels may differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganzoo.api import (
    Bounded,
    DataError,
    DataInfo,
    Field,
    Game,
    Net,
    Networks,
    halvings,
    initialise,
    map_sizes,
)
from ganzoo_translation.config import Norm, PatchConfig, ResnetConfig, UNetConfig

SLOPE = 0.2
SMALLEST = 8


class Resized(nn.Module):
    """Bilinear interpolation to `size`, antialiased if it shrinks the image.

    Where every side becomes the same whole number of times larger, images of any size do.
    """

    def __init__(self, before: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.factor = enlarged(before, size)
        self.antialias = before[0] > size[0] or before[1] > size[1]

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, any, any) -> (N, C, *size), or `factor` times as large."""
        if self.factor:
            return interpolate(image, scale_factor=self.factor, mode="bilinear", align_corners=False)
        return interpolate(image, self.size, mode="bilinear", align_corners=False, antialias=self.antialias)


def enlarged(before: tuple[int, int], after: tuple[int, int]) -> int:
    """How many times larger the sides are, if that is a whole number and the same for both; else 0."""
    factor = after[0] // before[0]
    return factor if after == (factor * before[0], factor * before[1]) else 0


def resized(before: Field, after: Field) -> nn.Module:
    """A module that resizes images from the size of `before` to that of `after`."""
    sizes = [(field.shape[1], field.shape[2]) for field in (before, after)]
    return nn.Identity() if sizes[0] == sizes[1] else Resized(sizes[0], sizes[1])


def normed(norm: Norm, channels: int, affine: bool) -> list[nn.Module]:
    """The norm of maps with `channels` channels; empty for `none`."""
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels, affine=affine)] if norm == "instance" else []


class UNet(nn.Module):
    """a (N, A, h, w) -> b (N, B, H, W): halved down to one pixel, and back, with skip connections."""

    def __init__(self, config: UNetConfig, a: Field, b: Field) -> None:
        super().__init__()
        channels, height, width = b.shape
        levels = min(config.levels, min(height, width).bit_length() - 1)
        sizes = [(height >> k, width >> k) for k in range(levels + 1)]
        widths = [config.generator_width * min(8, 2**k) for k in range(levels)]
        self.resized = resized(a, b)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for k, outputs in enumerate(widths):
            # One pixel has no variance: the authors' norm sets the innermost maps to a constant.
            norm = normed(config.norm, outputs, config.affine) if 0 < k < levels - 1 else []
            layers: list[nn.Module] = [nn.LeakyReLU(SLOPE)] if k else []
            inputs = widths[k - 1] if k else a.shape[0]
            self.down.append(
                nn.Sequential(*layers, nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), *norm)
            )
        for k in reversed(range(levels)):
            outputs = widths[k - 1] if k else channels
            norm = normed(config.norm, outputs, config.affine) if k else []
            odd = sizes[k][0] % 2, sizes[k][1] % 2
            inputs = widths[k] * (1 if k == levels - 1 else 2)
            layers = [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, output_padding=odd, bias=not norm), *norm]
            if k and config.dropout and levels - k <= config.dropout_layers:
                layers.append(nn.Dropout(config.dropout))
            self.up.append(nn.Sequential(nn.ReLU(), *layers))
        self.bounded = Bounded(b.range, config.output) if b.range is not None else nn.Identity()

    def forward(self, a: Tensor) -> Tensor:
        """(N, A, h, w) -> (N, B, H, W)."""
        hidden, skips = self.resized(a), []
        for layer in self.down:
            hidden = layer(hidden)
            skips.append(hidden)
        skips.pop()
        for layer in self.up:
            hidden = layer(hidden)
            if skips:
                hidden = torch.cat([hidden, skips.pop()], dim=1)
        image: Tensor = self.bounded(hidden)
        return image


class Block(nn.Module):
    """x + f(x), where f is two convolutions with reflection padding; (N, C, H, W) to the same shape."""

    def __init__(self, config: ResnetConfig, channels: int) -> None:
        super().__init__()
        drop = [nn.Dropout(config.dropout)] if config.dropout else []
        self.layers = nn.Sequential(
            *convolution(config, channels, channels, 3),
            nn.ReLU(),
            *drop,
            *convolution(config, channels, channels, 3),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        result: Tensor = hidden + self.layers(hidden)
        return result


def convolution(config: ResnetConfig, inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Reflection padding, a convolution with an odd kernel, and the norm: maps keep their size."""
    norm = normed(config.norm, outputs, config.affine)
    padding = nn.ReflectionPad2d((kernel - 1) // 2)
    return [padding, nn.Conv2d(inputs, outputs, kernel, bias=not norm), *norm]


class Resnet(nn.Module):
    """a (N, A, h, w) -> b (N, B, H, W): halvings, residual blocks, doublings."""

    def __init__(self, config: ResnetConfig, a: Field, b: Field) -> None:
        super().__init__()
        channels, height, width = b.shape
        count = min(config.halvings, halvings(height, width))
        sizes = map_sizes(height, width, count)
        widths = [config.generator_width * 2**k for k in range(count + 1)]
        layers = [resized(a, b), *convolution(config, a.shape[0], widths[0], 7), nn.ReLU()]
        for k in range(count):
            norm = normed(config.norm, widths[k + 1], config.affine)
            layers += [nn.Conv2d(widths[k], widths[k + 1], 3, 2, 1, bias=not norm), *norm, nn.ReLU()]
        layers += [Block(config, widths[-1]) for _ in range(config.blocks)]
        for k in reversed(range(count)):
            norm = normed(config.norm, widths[k], config.affine)
            even = 1 - sizes[k][0] % 2, 1 - sizes[k][1] % 2
            layers.append(
                nn.ConvTranspose2d(widths[k + 1], widths[k], 3, 2, 1, output_padding=even, bias=not norm)
            )
            layers += [*norm, nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], channels, 7)]
        if b.range is not None:
            layers.append(Bounded(b.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, a: Tensor) -> Tensor:
        """(N, A, h, w) -> (N, B, H, W)."""
        image: Tensor = self.layers(a)
        return image


class Patches(nn.Module):
    """image (N, C, H, W) -> score (N, 1, h, w): one for each of many overlapping patches."""

    def __init__(self, config: PatchConfig, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        count = min(config.patch_layers, halvings(*size))
        inputs = channels
        layers: list[nn.Module] = []
        for k in range(count + 1):
            outputs = config.discriminator_width * min(8, 2**k)
            norm = normed(config.discriminator_norm, outputs, config.affine) if k else []
            stride = 2 if k < count else 1
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=not norm), *norm]
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, h, w)."""
        score: Tensor = self.layers(image)
        return score


class PatchesOfPairs(nn.Module):
    """a (N, A, h, w) and b (N, B, H, W) -> score (N, 1, h', w') of patches of both together."""

    def __init__(self, config: PatchConfig, a: Field, b: Field) -> None:
        super().__init__()
        self.resized = resized(a, b)
        self.patches = Patches(config, a.shape[0] + b.shape[0], (b.shape[1], b.shape[2]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, A, h, w), (N, B, H, W) -> (N, 1, h', w')."""
        score: Tensor = self.patches(torch.cat([self.resized(a), b], dim=1))
        return score


def image(data: DataInfo, name: str, smallest: int) -> Field:
    """The field `name` of the data. DataError unless it is an image of at least `smallest` pixels a side."""
    field = data.field(name)
    if field.dtype != "float32" or len(field.shape) != 3 or min(field.shape) < 1:
        raise DataError(
            f"The field '{name}' is not an image (channels x height x width).",
            where=f"it is {field.dtype} of shape {field.shape}",
            fix="use --data pairs:PATH or --data unpaired:PATH",
        )
    _, height, width = field.shape
    if min(height, width) < smallest:
        raise DataError(
            f"The images '{name}' have {height}x{width} pixels, fewer than {smallest}x{smallest}.",
            fix="make images larger: --set data.height=N --set data.width=N",
        )
    return field


def initialised(module: nn.Module, init: str) -> nn.Module:
    """The module with the initial weights of the authors, or of torch."""
    if init == "normal":
        initialise(module, "normal")
        for layer in module.modules():
            if isinstance(layer, nn.InstanceNorm2d) and layer.affine:
                nn.init.normal_(layer.weight, 1, 0.02)
    return module


def free_sides(halved: int, a: Field, b: Field) -> dict[str, dict[str, int]]:
    """Height and width of `a` and `b`, free where `b` is a whole number of times as large as `a`.

    `b` is halved so many times. Nothing is free if its sides are no multiples, or fields do not name their
    axes.
    """
    sizes = [(field.shape[1], field.shape[2]) for field in (a, b)]
    factor, multiple = enlarged(*sizes), 2**halved
    if not factor or any(side % multiple for side in sizes[1]) or not (a.axes and b.axes):
        return {}
    step = max(multiple, factor)
    if step % factor or step % multiple:
        return {}
    return {"a": dict.fromkeys(a.axes[1:], step // factor), "b": dict.fromkeys(b.axes[1:], step)}


def _paired(
    config: PatchConfig,
    generator: nn.Module,
    a: Field,
    b: Field,
    free: Mapping[str, Mapping[str, int]],
) -> Networks:
    discriminator = initialised(PatchesOfPairs(config, a, b), config.init)
    return Networks(
        generators={
            "generator": Net(module=initialised(generator, config.init), reads=("a",), writes=("b",))
        },
        discriminators={"discriminator": Net(module=discriminator, reads=("a", "b"))},
        free=free,
    )


def build_unet(config: UNetConfig, data: DataInfo) -> Networks:
    """Factory of `unet-patch`. DataError unless `a` and `b` are images, `b` from 8x8."""
    a, b = image(data, "a", 1), image(data, "b", SMALLEST)
    net = UNet(config, a, b)
    return _paired(config, net, a, b, free_sides(len(net.down), a, b))


def build_resnet(config: ResnetConfig, data: DataInfo) -> Networks:
    """Factory of `resnet-patch`. DataError unless `a` and `b` are images, `b` from 8x8."""
    a, b = image(data, "a", 1), image(data, "b", SMALLEST)
    return _paired(config, Resnet(config, a, b), a, b, free_sides(_halved(config, b), a, b))


def _halved(config: ResnetConfig, b: Field) -> int:
    """How often `Resnet` halves images of that size."""
    return min(config.halvings, halvings(b.shape[1], b.shape[2]))


def build_cycle(config: ResnetConfig, data: DataInfo) -> Networks:
    """Factory of `resnet-cycle`: generators `to_b` and `to_a`, each in its own game.

    DataError unless `a` and `b` are images from 8x8.
    """
    sides = {name: image(data, name, SMALLEST) for name in ("a", "b")}
    generators, discriminators = {}, {}
    for source, target in (("a", "b"), ("b", "a")):
        after = sides[target]
        generator = initialised(Resnet(config, sides[source], after), config.init)
        patches = initialised(Patches(config, after.shape[0], (after.shape[1], after.shape[2])), config.init)
        generators[f"to_{target}"] = Net(module=generator, reads=(source,), writes=(target,))
        discriminators[f"of_{target}"] = Net(module=patches, reads=(target,))
    games = tuple(Game(generator=f"to_{side}", discriminator=f"of_{side}") for side in ("b", "a"))
    return Networks(
        generators=generators,
        discriminators=discriminators,
        games=games,
        free=free_sides(_halved(config, sides["b"]), sides["a"], sides["b"])
        if sides["a"].shape[1:] == sides["b"].shape[1:]
        else {},
    )
