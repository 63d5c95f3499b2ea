"""Architecture `stylegan3` (Karras et al. 2021, arXiv:2106.12423): a generator without aliasing.

Maps are samples of continuous signals. Each layer raises the sampling rate before its nonlinearity and lowers
it afterwards, with filters that remove what the lower rate cannot hold; so details move with the image. The
discriminator is that of `stylegan2`. `rotate` and `translate` are inputs that move the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2, pi, sqrt

import numpy as np
import torch
from scipy.signal import firwin, kaiser_atten, kaiser_beta
from scipy.special import j1
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, Crop, DataInfo, Field, Net, Networks
from ganzoo_stylegan2.config import AliasFreeConfig
from ganzoo_stylegan2.layers import Mapping, Modulated, Scaled, clamped
from ganzoo_stylegan2.networks import Discriminator, classes_of, paired


@dataclass(frozen=True)
class Signal:
    """What a layer returns: channels, pixels per side, and frequencies in periods over the image.

    `rate` is the sampling rate, `cutoff` the cutoff frequency, `half_width` that of the transition band.
    """

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float


def signals(config: AliasFreeConfig, side: int, colours: int) -> list[Signal]:
    """The signals after each layer, the last one the image (appendix C.1 and D, equations of section 3.2).

    `side` is a power of two.
    """
    last = side / 2
    found = []
    for k in range(config.layers + 1):
        share = min(k / (config.layers - config.critical), 1)
        cutoff = config.first_cutoff * (last / config.first_cutoff) ** share
        stopband = config.first_stopband * (last * config.last_stopband / config.first_stopband) ** share
        rate = 2 ** ceil(log2(min(2 * stopband, side)))
        inside = k >= config.layers - 1
        channels = colours if k == config.layers else round(config.generator_width * last / cutoff)
        found.append(
            Signal(
                channels=channels if k == config.layers else min(channels, config.widest),
                size=side if inside else rate + 2 * config.margin,
                rate=rate,
                cutoff=cutoff,
                half_width=max(stopband, rate / 2) - cutoff,
            )
        )
    return found


def lowpass(taps: int, signal: Signal, rate: int, *, radial: bool = False) -> Tensor:
    """A Kaiser-windowed low-pass filter at the sampling rate `rate`, of sum 1: (taps,), radial (taps, taps).

    The radial one samples jinc, the ideal radially symmetric filter (appendix C.2).
    """
    width = 2 * signal.half_width
    if not radial:
        row = firwin(taps, signal.cutoff, width=width, fs=rate)
        return torch.as_tensor(row, dtype=torch.float32)
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(*np.meshgrid(places, places))
    window = np.kaiser(taps, kaiser_beta(kaiser_atten(taps, width / (rate / 2))))
    kernel = j1(2 * pi * signal.cutoff * radius) / (pi * radius) * np.outer(window, window)
    return torch.as_tensor(kernel / kernel.sum(), dtype=torch.float32)


class Nonlinearity(nn.Module):
    """Upsampling, leaky ReLU, downsampling: from maps of a convolution to maps of the layer's size.

    A separable filter is two convolutions of one channel each, a radial one is one.
    """

    up: Tensor
    down: Tensor

    def __init__(self, config: AliasFreeConfig, before: Signal, after: Signal, *, critical: bool) -> None:
        super().__init__()
        rate = max(before.rate, after.rate) * config.oversampling
        self.factor, self.stride, self.clamp = rate // before.rate, rate // after.rate, config.clamp
        up, down = config.taps * self.factor, config.taps * self.stride
        radial = config.radial and not critical
        kernel = lowpass(up, before, rate) * self.factor
        self.register_buffer("up", kernel[None, None, :, None], persistent=False)
        kernel = lowpass(down, after, rate, radial=radial)
        kernel = kernel[None, None] if radial else kernel[None, None, :, None]
        self.register_buffer("down", kernel, persistent=False)
        # Pixels that the downsampling needs, and the margin around the raised maps that gives as many
        # (appendix C.3). In full the raised maps have `up - 1` more pixels on each side; `cut` goes.
        needed = (after.size - 1) * self.stride + down
        margin = needed - (before.size + config.kernel - 1) * self.factor + up - 1
        self.cut = up - 1 - (margin + self.factor) // 2
        self.crop = Crop((needed, needed))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, h), as a convolution with full padding returns -> (N, C, size, size)."""
        groups = maps.shape[1]
        rows = self.up.to(maps.dtype).repeat(groups, 1, 1, 1)
        for kernel, stride, cut in (
            (rows, (self.factor, 1), (self.cut, 0)),
            (rows.mT, (1, self.factor), (0, self.cut)),
        ):
            maps = functional.conv_transpose2d(maps, kernel, None, stride, cut, groups=groups)
        maps = functional.leaky_relu(self.crop(maps), 0.2) * sqrt(2)
        maps = clamped(maps, self.clamp)
        down = self.down.to(maps.dtype).repeat(groups, 1, 1, 1)
        if down.shape[3] > 1:
            return functional.conv2d(maps, down, None, self.stride, groups=groups)
        maps = functional.conv2d(maps, down, None, (self.stride, 1), groups=groups)
        return functional.conv2d(maps, down.mT, None, (1, self.stride), groups=groups)


class Layer(nn.Module):
    """A modulated convolution of inputs of unit size, a bias, and the nonlinearity unless it is the last.

    `magnitude` is a moving average of the inputs' mean square, kept in training (appendix B).
    """

    magnitude: Tensor

    def __init__(
        self, config: AliasFreeConfig, before: Signal, after: Signal, *, last: bool, critical: bool
    ) -> None:
        super().__init__()
        kernel = 1 if last else config.kernel
        self.conv = Modulated(
            before.channels, after.channels, kernel, config.style, demodulate=not last, padding=kernel - 1
        )
        self.bias = nn.Parameter(torch.zeros(after.channels, 1, 1))
        self.register_buffer("magnitude", torch.ones(()))
        self.keep, self.clamp = config.magnitude, config.clamp
        self.nonlinearity = None if last else Nonlinearity(config, before, after, critical=critical)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, h, h), (N, style) -> (N, outputs, size, size)."""
        if self.training:
            self.magnitude.lerp_(maps.detach().float().square().mean(), 1 - self.keep)
        convolved = self.conv(maps, style) * self.magnitude.rsqrt() + self.bias
        if self.nonlinearity is None:
            return clamped(convolved, self.clamp)
        shaped: Tensor = self.nonlinearity(convolved)
        return shaped


class Fourier(nn.Module):
    """The first maps: sines of random frequencies up to the cutoff, moved by the style and by the caller."""

    frequencies: Tensor
    phases: Tensor
    places: Tensor

    def __init__(self, config: AliasFreeConfig, signal: Signal) -> None:
        super().__init__()
        drawn = torch.randn(signal.channels, 2)
        squares = drawn.square().sum(1, keepdim=True)
        # Lengths exp(-r^2 / 4), r the length of a normal vector: uniform in a disc.
        self.register_buffer("frequencies", drawn / squares.sqrt() * (-squares / 4).exp() * signal.cutoff)
        self.register_buffer("phases", torch.rand(signal.channels) - 0.5)
        self.affine = Scaled(config.style, 4)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias[0] = 1
        self.weight = nn.Parameter(torch.randn(signal.channels, signal.channels))
        places = (torch.arange(signal.size) + 0.5 - signal.size / 2) / signal.rate
        self.register_buffer("places", places, persistent=False)

    def forward(self, style: Tensor, rotate: Tensor, translate: Tensor) -> Tensor:
        """(N, style), (N,) in degrees, (N, 2) in widths of the image -> (N, C, size, size)."""
        cosine, sine, x, y = self.affine(style).unbind(1)
        length = (cosine.square() + sine.square()).sqrt()
        cosine, sine, x, y = cosine / length, sine / length, x / length, y / length
        user_cosine, user_sine = (rotate * (pi / 180)).cos(), (rotate * (pi / 180)).sin()
        right, down = translate.unbind(1)
        # A point p of the image shows A (B (p - t) - s): rotations A of the style and B of the caller.
        x, y = user_cosine * right - user_sine * down + x, user_sine * right + user_cosine * down + y
        shift_x, shift_y = cosine * x - sine * y, sine * x + cosine * y
        whole_cosine = cosine * user_cosine - sine * user_sine
        whole_sine = sine * user_cosine + cosine * user_sine
        across, along = self.frequencies[:, 0], self.frequencies[:, 1]
        phases = self.phases - shift_x[:, None] * across - shift_y[:, None] * along
        horizontal = whole_cosine[:, None] * across + whole_sine[:, None] * along
        vertical = whole_cosine[:, None] * along - whole_sine[:, None] * across
        waves = phases[:, :, None, None] + vertical[:, :, None, None] * self.places[:, None]
        waves = (2 * pi * (waves + horizontal[:, :, None, None] * self.places)).sin()
        weight = self.weight[:, :, None, None] / sqrt(len(self.weight))
        return functional.conv2d(waves, weight)


class Generator(nn.Module):
    """z, shift, psi, rotate, translate, and the class if there are classes -> image (N, C, H, W).

    The image is the middle of a square whose side is a power of two.
    """

    average: Tensor

    def __init__(self, config: AliasFreeConfig, image: Field, classes: int = 0) -> None:
        super().__init__()
        colours, height, width = image.shape
        side = 2 ** ceil(log2(max(height, width)))
        self.keep, self.scale = config.average, config.scale
        self.mapping = Mapping(
            config.latent, config.style, config.mapping_layers, config.mapping_rate, classes
        )
        self.register_buffer("average", torch.zeros(config.style))
        plan = signals(config, side, colours)
        self.input = Fourier(config, plan[0])
        self.layers = nn.ModuleList(
            Layer(
                config,
                plan[max(k - 1, 0)],
                plan[k],
                last=k == config.layers,
                critical=k >= config.layers - config.critical,
            )
            for k in range(config.layers + 1)
        )
        top, left = (side - height) // 2, (side - width) // 2
        self.middle = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
        self.bounded = nn.Identity() if image.range is None else Bounded(image.range, config.output)
        self.count = config.layers + 2

    def forward(
        self,
        z: Tensor,
        shift: Tensor,
        psi: Tensor,
        rotate: Tensor,
        translate: Tensor,
        label: Tensor | None = None,
    ) -> Tensor:
        """(N, latent), (N, layers + 2, style), (N,), (N,), (N, 2), (N,) -> (N, C, H, W)."""
        style: Tensor = self.mapping(z, label)
        if self.training:
            self.average.lerp_(style.detach().float().mean(0), 1 - self.keep)
        else:
            style = self.average + psi[:, None] * (style - self.average)
        styles = (style[:, None] + shift).unbind(1)
        maps = self.input(styles[0], rotate, translate)
        for layer, one in zip(self.layers, styles[1:], strict=True):
            maps = layer(maps, one)
        image: Tensor = self.bounded(maps[self.middle] * self.scale)
        return image


def build(config: AliasFreeConfig, data: DataInfo) -> Networks:
    """Factory of `stylegan3`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    classes = classes_of(config, data)
    generator = Generator(config, image, classes)
    fields = (
        Field(name="z", shape=(config.latent,), source="normal"),
        Field(name="shift", shape=(generator.count, config.style), source="constant"),
        Field(name="psi", source="constant", default=1.0),
        Field(name="rotate", source="constant"),
        Field(name="translate", shape=(2,), source="constant"),
    )
    reads = tuple(field.name for field in fields)
    styled = {"shift": ("layers.*.to_scale",)}
    net = Net(module=generator, reads=reads, writes=("image",), directions=styled)
    return paired(net, Discriminator(config, image, classes), fields, classes)
