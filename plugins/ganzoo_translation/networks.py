"""Generators from image to image and patch discriminators, for images from 8x8.

Options make them the networks of Isola et al. 2017 (pix2pix, arXiv:1611.07004, appendix 6.1) or of Zhu et al.
2017 (CycleGAN, arXiv:1703.10593, appendix 7.2). If `a` and `b` have different sizes, the network first
resizes `a` to the size of `b`; channels may differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

from ganzoo.api import (
    Bounded,
    Crop,
    DataError,
    DataInfo,
    Export,
    Field,
    Game,
    Net,
    Networks,
    Step,
    halvings,
    initialise,
    map_sizes,
)
from ganzoo_translation.config import (
    ContrastiveConfig,
    Norm,
    OneWayConfig,
    PatchConfig,
    ResnetConfig,
    UNetConfig,
)

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


class Blurred(nn.Module):
    """Halves maps after the low-pass filter [1, 2, 1] / 4 in both directions, with reflection padding.

    Zhang 2019, Making Convolutional Networks Shift-Invariant Again, arXiv:1904.11486.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, ceil(h / 2), ceil(w / 2))."""
        kernel = self.kernel.to(maps.dtype).repeat(maps.shape[1], 1, 1, 1)
        return conv2d(pad(maps, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=maps.shape[1])


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
    """a (N, A, h, w) -> b (N, B, H, W): halvings, residual blocks, doublings.

    `taps`: the layers whose maps describe places of the image, each with their shape (C, h', w'): the
    convolution of each halving, the first block and the middle one.
    """

    def __init__(self, config: ResnetConfig, a: Field, b: Field) -> None:
        super().__init__()
        channels, height, width = b.shape
        count = min(config.halvings, halvings(height, width))
        sizes = map_sizes(height, width, count)
        widths = [config.generator_width * 2**k for k in range(count + 1)]
        layers = [resized(a, b), *convolution(config, a.shape[0], widths[0], 7), nn.ReLU()]
        self.taps: dict[int, tuple[int, int, int]] = {}
        for k in range(count):
            norm = normed(config.norm, widths[k + 1], config.affine)
            self.taps[len(layers)] = (widths[k + 1], *sizes[k if config.antialias else k + 1])
            stride = 1 if config.antialias else 2
            layers += [nn.Conv2d(widths[k], widths[k + 1], 3, stride, 1, bias=not norm), *norm, nn.ReLU()]
            layers += [Blurred()] if config.antialias else []
        for k in sorted({0, (config.blocks - 1) // 2} if config.blocks else ()):
            self.taps[len(layers) + k] = (widths[-1], *sizes[-1])
        layers += [Block(config, widths[-1]) for _ in range(config.blocks)]
        for k in reversed(range(count)):
            norm = normed(config.norm, widths[k], config.affine)
            even = 1 - sizes[k][0] % 2, 1 - sizes[k][1] % 2
            if config.antialias:  # bilinear: the filter [1, 3, 3, 1] / 8 of the doubled maps
                layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
                layers += [] if even == (1, 1) else [Crop(sizes[k])]
                layers.append(nn.Conv2d(widths[k + 1], widths[k], 3, 1, 1, bias=not norm))
            else:
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


class Described(Resnet):
    """A `Resnet` that also writes the maps of its `taps`."""

    def forward(self, a: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """(N, A, h, w) -> (N, B, H, W), then (N, C, h', w') of each tap."""
        maps = []
        hidden = a
        for at, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if at in self.taps:
                maps.append(hidden)
        return hidden, *maps


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
            halves = k < count
            stride = 2 if halves and not config.antialias else 1
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=not norm), *norm]
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            layers += [Blurred()] if halves and config.antialias else []
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, h, w)."""
        score: Tensor = self.layers(image)
        return score

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The score, and the maps after each LeakyReLU."""
        found = []
        for layer in self.layers:
            image = layer(image)
            if isinstance(layer, nn.LeakyReLU):
                found.append(image)
        return image, found


class Scales(nn.Module):
    """`Patches` of the image, and of the image at half, a quarter ... of its size; (N, C, H, W).

    Wang et al. 2018 (pix2pixHD, arXiv:1711.11585), section 3.2. The score (N, scales, h, w) repeats values of
    coarser scales, so that its mean is the mean over scales. `features` (N, F), if `config.features`: the
    maps of all layers, each value divided by the size of its map and the number of scales, so that a sum of
    distances is the mean over scales of the sum over layers of their mean distances.
    """

    def __init__(self, config: PatchConfig, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        sizes = [size]
        for _ in range(config.scales - 1):
            height, width = sizes[-1]
            sizes.append(((height + 1) // 2, (width + 1) // 2))
        self.parts = nn.ModuleList(Patches(config, channels, size) for size in sizes)
        self.halved = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.features = config.features

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, scales, h, w), and with `features` (N, F)."""
        scores: list[Tensor] = []
        features: list[Tensor] = []
        for part in self.parts:
            score, maps = part.maps(image)  # type: ignore[operator]
            scores.append(interpolate(score, scores[0].shape[2:]) if scores else score)
            features += [layer.flatten(1) / (layer[0].numel() * len(self.parts)) for layer in maps]
            image = self.halved(image)
        joined = torch.cat(scores, dim=1)
        return (joined, torch.cat(features, dim=1)) if self.features else joined


def judge(config: PatchConfig, channels: int, size: tuple[int, int]) -> nn.Module:
    """The discriminator of images with so many channels."""
    kind = Scales if config.scales > 1 or config.features else Patches
    return kind(config, channels, size)


def judged(config: PatchConfig) -> tuple[str, ...]:
    """What a discriminator writes."""
    return ("score", "features") if config.features else ("score",)


class PatchesOfPairs(nn.Module):
    """a (N, A, h, w) and b (N, B, H, W) -> score (N, 1, h', w') of patches of both together."""

    def __init__(self, config: PatchConfig, a: Field, b: Field) -> None:
        super().__init__()
        self.resized = resized(a, b)
        self.patches = judge(config, a.shape[0] + b.shape[0], (b.shape[1], b.shape[2]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(N, A, h, w), (N, B, H, W) -> what `Patches` or `Scales` write."""
        written: Tensor | tuple[Tensor, Tensor] = self.patches(torch.cat([self.resized(a), b], dim=1))
        return written


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
    if init != "default":
        initialise(module, "normal")
        for layer in module.modules():
            if isinstance(layer, nn.InstanceNorm2d) and layer.affine:
                nn.init.normal_(layer.weight, 1, 0.02)
            elif init == "xavier" and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.xavier_normal_(layer.weight, 0.02)
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
    *,
    pairs: bool = True,
) -> Networks:
    single = judge(config, b.shape[0], (b.shape[1], b.shape[2]))
    discriminator = initialised(PatchesOfPairs(config, a, b) if pairs else single, config.init)
    reads = ("a", "b") if pairs else ("b",)
    return Networks(
        generators={
            "generator": Net(module=initialised(generator, config.init), reads=("a",), writes=("b",))
        },
        discriminators={"discriminator": Net(module=discriminator, reads=reads, writes=judged(config))},
        free=free,
    )


def build_unet(config: UNetConfig, data: DataInfo) -> Networks:
    """Factory of `unet-patch`. DataError unless `a` and `b` are images, `b` from 8x8."""
    a, b = image(data, "a", 1), image(data, "b", SMALLEST)
    net = UNet(config, a, b)
    return _paired(config, net, a, b, free_sides(len(net.down), a, b))


def build_resnet(config: OneWayConfig, data: DataInfo) -> Networks:
    """Factory of `resnet-patch`. DataError unless `a` and `b` are images, `b` from 8x8."""
    a, b = image(data, "a", 1), image(data, "b", SMALLEST)
    free = free_sides(_halved(config, b), a, b)
    return _paired(config, Resnet(config, a, b), a, b, free, pairs=config.pairs)


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
        patches = initialised(judge(config, after.shape[0], (after.shape[1], after.shape[2])), config.init)
        generators[f"to_{target}"] = Net(module=generator, reads=(source,), writes=(target,))
        discriminators[f"of_{target}"] = Net(module=patches, reads=(target,), writes=judged(config))
    games = tuple(Game(generator=f"to_{side}", discriminator=f"of_{side}") for side in ("b", "a"))
    return Networks(
        generators=generators,
        discriminators=discriminators,
        games=games,
        free=free_sides(_halved(config, sides["b"]), sides["a"], sides["b"])
        if sides["a"].shape[1:] == sides["b"].shape[1:]
        else {},
    )


def build_contrastive(config: ContrastiveConfig, data: DataInfo) -> Networks:
    """Factory of `resnet-contrastive`: one generator, one D, and a projection for each described layer.

    The generator writes its maps `maps_1`, `maps_2` ... beside `b`. `projection_0` reads values of one place
    of an image, `projection_K` those of one place of `maps_K`; the term `patch-nce` gives them many places as
    samples. DataError unless `a` and `b` are images of one shape from 8x8: the encoder reads both.
    """
    a, b = image(data, "a", SMALLEST), image(data, "b", SMALLEST)
    if a.shape != b.shape:
        raise DataError(
            "Contrastive translation needs images a and b of one shape: its encoder reads both.",
            where=f"a {a.shape}, b {b.shape}",
            fix="--set data.channels=3 --set data.height=N --set data.width=N for data from files",
        )
    generator = Described(config, a, b)
    free = free_sides(_halved(config, b), a, b)
    fields, projections = [], {}
    shapes = [a.shape, *generator.taps.values()]
    for k, shape in enumerate(shapes):
        fields.append(Field(name=f"place_{k}", shape=shape[:1], source="constant"))
        fields.append(Field(name=f"projected_{k}", shape=(config.projection,)))
        layers = nn.Linear(shape[0], config.projection), nn.Linear(config.projection, config.projection)
        module = initialised(nn.Sequential(layers[0], nn.ReLU(), layers[1]), config.init)
        projections[f"projection_{k}"] = Net(module=module, reads=(f"place_{k}",), writes=(f"projected_{k}",))
        if k:
            axes = {
                axis: multiple * shape[at + 1] // a.shape[at + 1]
                for at, (axis, multiple) in enumerate(free.get("a", {}).items())
            }
            fields.append(Field(name=f"maps_{k}", shape=shape, axes=a.axes if axes else (), free=axes))
    writes = ("b", *(f"maps_{k}" for k in range(1, len(shapes))))
    patches = judge(config, b.shape[0], (b.shape[1], b.shape[2]))
    return Networks(
        generators={
            "generator": Net(module=initialised(generator, config.init), reads=("a",), writes=writes),
            **projections,
        },
        discriminators={
            "discriminator": Net(
                module=initialised(patches, config.init), reads=("b",), writes=judged(config)
            )
        },
        fields=tuple(fields),
        free=free,
        exports=(Export(name="generator", steps=(Step(net="generator"),), outputs=("b",)),),
    )
