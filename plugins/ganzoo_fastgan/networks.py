"""Architecture `fastgan`, after Liu et al. 2021 (arXiv:2101.04775): for few images and short training.

G: gated convolutions; small maps scale the channels of large ones. D: residual blocks with the same, scores
for patches of the image and of a small copy of it, and decoders that reconstruct the image from the features.
D writes the reconstruction error beside the score, because only D has its (augmented) input.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import (
    Bounded,
    Crop,
    DataInfo,
    Field,
    Net,
    Networks,
    as_maps,
    halvings,
    initialise,
    map_sizes,
    put_spectral_norm,
)
from ganzoo_fastgan.config import FastConfig

Size = tuple[int, int]

# Channels in multiples of the width, from the smallest maps up: the tables in models.py.
GENERATOR = (16, 8, 4, 2, 2, 1, 1 / 2, 1 / 4, 1 / 8)
DISCRIMINATOR = (8, 4, 2, 1, 1 / 2, 1 / 4, 1 / 8)
SMALL = (4, 2, 1, 1 / 2)
DECODER = (4, 2, 2, 1)

SLOPE = 0.2


def channels(width: int, table: tuple[float, ...], level: int) -> int:
    """The channels of maps that were doubled `level` times; after the end of the table its last value."""
    return max(1, int(width * table[min(level, len(table) - 1)]))


class Excite(nn.Module):
    """Skip-layer excitation: small maps give a factor for each channel of larger ones (equation 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.squeeze = nn.Conv2d(inputs, outputs, 4, bias=False)
        self.gate = nn.Conv2d(outputs, outputs, 1, bias=False)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """(N, inputs, ...), (N, outputs, h, w) -> (N, outputs, h, w)."""
        excited: Tensor = large * self.gate(functional.silu(self.squeeze(self.pool(small)))).sigmoid()
        return excited


class Grow(nn.Module):
    """Upsampling, convolution, norm, gate; if `heavy` the last three twice, with noise before both norms."""

    def __init__(self, inputs: int, outputs: int, size: Size, *, heavy: bool) -> None:
        super().__init__()
        self.size, self.crop = size, Crop(size)
        widths = [(inputs, 2 * outputs), (outputs, 2 * outputs)][: 2 if heavy else 1]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in widths)
        self.strength = nn.Parameter(torch.zeros(2)) if heavy else None
        self.noise = 2 * prod(size) if heavy else 0

    def forward(self, maps: Tensor, noise: Tensor | None = None) -> Tensor:
        """(N, inputs, h, w), (N, noise) -> (N, outputs, height, width)."""
        maps = self.crop(functional.interpolate(maps, scale_factor=2.0, mode="nearest"))
        for k, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            maps = convolution(maps)
            if noise is not None and self.strength is not None:
                added = noise.reshape(-1, 2, *self.size)[:, k : k + 1] * self.strength[k]
                maps = maps + added.to(maps.dtype)
            maps = functional.glu(norm(maps), 1)
        return maps


class Generator(nn.Module):
    """z (N, latent) and noise (N, pixels of all heavy blocks) -> image (N, C, H, W)."""

    def __init__(self, config: FastConfig, image: Field) -> None:
        super().__init__()
        colours, height, width = image.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)[::-1]
        widths = [channels(config.generator_width, GENERATOR, level) for level in range(stages + 1)]
        self.base = (2 * widths[0], *sizes[0])
        self.project = nn.Linear(config.latent, prod(self.base), bias=False)
        self.norm = nn.BatchNorm2d(2 * widths[0])
        blocks = [Grow(widths[k], widths[k + 1], sizes[k + 1], heavy=k % 2 == 0) for k in range(stages)]
        self.blocks = nn.ModuleList(blocks)
        # In the paper maps excite those of 16 times their size; smaller images have fewer stages.
        self.reach = min(4, stages)
        pairs = [(widths[k], widths[k + self.reach]) for k in range(min(4, stages + 1 - self.reach))]
        self.excite = nn.ModuleList(Excite(small, large) for small, large in pairs)
        self.to_image = nn.Conv2d(widths[-1], colours, 3, padding=1, bias=False)
        self.bounded = nn.Identity() if image.range is None else Bounded(image.range, config.output)
        edges = list(accumulate((block.noise for block in blocks), initial=0))
        self.noise_slices = [slice(a, b) for a, b in pairwise(edges)]
        self.noise_size = edges[-1]

    def forward(self, z: Tensor, noise: Tensor) -> Tensor:
        """(N, latent), (N, noise size) -> (N, C, H, W)."""
        maps = [functional.glu(self.norm(as_maps(self.project(z), self.base)), 1)]
        for k, block in enumerate(self.blocks):
            grown = block(maps[-1], noise[:, self.noise_slices[k]] if block.noise else None)
            place = k + 1 - self.reach
            if 0 <= place < len(self.excite):
                grown = self.excite[place](maps[place], grown)
            maps.append(grown)
        image: Tensor = self.bounded(self.to_image(maps[-1]))
        return image


def convolved(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, norm and leaky ReLU; a kernel of 4 is for a stride of 2."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE)]


class Even(nn.Module):
    """Repeats the last row or column where their number is odd."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h or h + 1, w or w + 1)."""
        height, width = maps.shape[2:]
        return functional.pad(maps, (0, width % 2, 0, height % 2), mode="replicate")


class Halve(nn.Module):
    """The mean of two ways to halve: convolutions, and an average with a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.even = Even()
        self.main = nn.Sequential(*convolved(inputs, outputs, 4, 2), *convolved(outputs, outputs, 3))
        self.direct = nn.Sequential(nn.AvgPool2d(2), *convolved(inputs, outputs, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, ceil(h / 2), ceil(w / 2))."""
        maps = self.even(maps)
        halved: Tensor = (self.main(maps) + self.direct(maps)) / 2
        return halved


class Decoder(nn.Module):
    """Features (N, inputs, h, w) -> an image (N, C, h * 2^doublings, ...) in -1..1."""

    def __init__(self, inputs: int, colours: int, width: int, size: Size, doublings: int) -> None:
        super().__init__()
        widths = [inputs, *(channels(width, DECODER, level) for level in range(doublings))]
        sizes = [(size[0] * 2**k, size[1] * 2**k) for k in range(doublings + 1)]
        self.layers = nn.Sequential(
            *(Grow(widths[k], widths[k + 1], sizes[k + 1], heavy=False) for k in range(doublings)),
            nn.Conv2d(widths[-1], colours, 3, padding=1, bias=False),
            nn.Tanh(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, h, w) -> an image."""
        pixels: Tensor = self.layers(features)
        return pixels


def small_branch(colours: int, width: int, size: Size) -> tuple[nn.Sequential, int]:
    """Layers from a small copy of the image to maps with a shorter side of 7 to 13; number of halvings."""
    halved = min(4, halvings(*size, smallest=7))
    widths = [channels(width, SMALL, level) for level in reversed(range(max(1, halved)))]
    kernel, stride = (4, 2) if halved else (3, 1)
    layers: list[nn.Module] = [Even(), nn.Conv2d(colours, widths[0], kernel, stride, 1, bias=False)]
    layers.append(nn.LeakyReLU(SLOPE))
    for inputs, outputs in pairwise(widths):
        layers += [Even(), *convolved(inputs, outputs, 4, 2)]
    return nn.Sequential(*layers), halved


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N, patches), and mismatch (N,), the error of the decoders."""

    def __init__(self, config: FastConfig, image: Field) -> None:
        super().__init__()
        colours, height, width = image.shape
        low, high = image.range or (-1.0, 1.0)
        self.centre, self.radius = (high + low) / 2, (high - low) / 2
        ndf, halved = config.discriminator_width, halvings(height, width, smallest=7)
        sizes = map_sizes(height, width, halved)
        widths = [channels(ndf, DISCRIMINATOR, halved - k) for k in range(halved + 1)]
        plain = max(0, halved - 5)  # in large images: halvings without a second branch
        stem: list[nn.Module] = [nn.Conv2d(colours, widths[0], 3, padding=1, bias=False), nn.LeakyReLU(SLOPE)]
        if plain:
            stem = [Even(), nn.Conv2d(colours, widths[1], 4, 2, 1, bias=False), nn.LeakyReLU(SLOPE)]
        for k in range(2, plain + 1):
            stem += [Even(), *convolved(widths[k - 1], widths[k], 4, 2)]
        self.stem = nn.Sequential(*stem)
        widths, sizes = widths[plain:], sizes[plain:]
        self.blocks = nn.ModuleList(Halve(a, b) for a, b in pairwise(widths))
        self.reach = min(3, len(self.blocks))
        self.excite = nn.ModuleList(Excite(a, b) for a, b in zip(widths, widths[self.reach :], strict=False))
        head = [*convolved(widths[-1], 2 * widths[-1], 1), nn.Conv2d(2 * widths[-1], 1, 4, bias=False)]
        self.patches = nn.Sequential(*head)

        self.factor = 2
        while max(height, width) > 128 * self.factor:
            self.factor *= 2
        small = map_sizes(height, width, self.factor.bit_length() - 1)[-1]
        self.small, small_halved = small_branch(colours, ndf, small)
        self.small_patches = nn.Conv2d(channels(ndf, SMALL, 0), 1, 4, bias=False)

        doublings = max(1, min(4, len(self.blocks) - 1))
        # Decoders of the last maps, and of those before them unless they have the size of the image.
        places = [-1, -2] if len(self.blocks) > 1 else [-1]
        decoded = [(widths[k], sizes[k], doublings) for k in places]
        last = map_sizes(*small, small_halved)[-1]
        decoded.append((channels(ndf, SMALL, 0), last, max(1, small_halved)))
        self.decoders = nn.ModuleList(
            Decoder(inputs, colours, config.decoder_width, size, times) for inputs, size, times in decoded
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, patches), (N,)."""
        maps = [self.stem(image)]
        for k, block in enumerate(self.blocks):
            place, halved = k + 1 - self.reach, block(maps[-1])
            maps.append(self.excite[place](maps[place], halved) if place >= 0 else halved)
        small = self.small(functional.avg_pool2d(image, self.factor, ceil_mode=True, count_include_pad=False))
        score = torch.cat([self.patches(maps[-1]).flatten(1), self.small_patches(small).flatten(1)], dim=1)
        features = [maps[-1], maps[-2], small] if len(self.decoders) > 2 else [maps[-1], small]
        normalised = (image.float() - self.centre) / self.radius
        errors = [self.error(k, normalised, features[k]) for k in range(len(features))]
        return score, torch.stack(errors).sum(0)

    def error(self, decoder: int, normalised: Tensor, features: Tensor) -> Tensor:
        """(N, C, H, W), (N, inputs, h, w) -> mean absolute error (N,) at the size of the decoder's image."""
        decoded = self.decoders[decoder](features).float()
        target = functional.adaptive_avg_pool2d(normalised, decoded.shape[2:])
        error: Tensor = (decoded - target).abs().mean((1, 2, 3))
        return error


def build(config: FastConfig, data: DataInfo) -> Networks:
    """Factory of `fastgan`; DataError unless the images have 16x16 pixels or more."""
    image = data.image(smallest=16, otherwise="mlp")
    generator, discriminator = Generator(config, image), Discriminator(config, image)
    for module in (generator, discriminator):
        initialise(module, "normal")
    for layer in [item for item in discriminator.modules() if isinstance(item, nn.Conv2d)]:
        spectral_norm(layer)
    if config.spectral_generator:  # not torch's: the EMA of G would break it
        put_spectral_norm(generator, (nn.Conv2d,))
    fields = (
        Field(name="z", shape=(config.latent,), source="normal"),
        Field(name="noise", shape=(generator.noise_size,), source="normal"),
    )
    scoring = Net(
        module=discriminator,
        reads=("image",),
        writes=("score", "mismatch"),
        finest_first=("blocks", "excite"),
    )
    return Networks(
        generators={"generator": Net(module=generator, reads=("z", "noise"), writes=("image",))},
        discriminators={"discriminator": scoring},
        fields=fields,
    )
