"""Layers of the StyleGANs: weights scaled at run time (equalised learning rate), modulated convolutions."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Crop, Fir

# Added under square roots, as in the authors' code.
TINY = 1e-8


def activated(hidden: Tensor, clamp: float = 0.0) -> Tensor:
    """Leaky ReLU of slope 0.2, times sqrt(2) to keep the scale of its input; within +-`clamp` unless 0."""
    return clamped(functional.leaky_relu(hidden, 0.2) * sqrt(2), clamp)


def clamped(hidden: Tensor, clamp: float) -> Tensor:
    """Within +-`clamp`, unless that is 0."""
    return hidden.clamp(-clamp, clamp) if clamp else hidden


def pixel_norm(hidden: Tensor) -> Tensor:
    """Divided by the root of the mean square over dimension 1 (Karras et al. 2018, section 4.2)."""
    return hidden * (hidden.square().mean(1, keepdim=True) + TINY).rsqrt()


class Scaled(nn.Module):
    """A linear layer with weights N(0, 1) / `rate`, scaled by `rate` / sqrt(inputs) at run time.

    Steps of Adam do not depend on the size of the gradient. With this scale all layers learn equally fast,
    and `rate` multiplies the learning rate of a layer (Karras et al. 2018, section 4.1).
    """

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.rate, self.gain = rate, rate / sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, vector: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        return functional.linear(vector, self.weight * self.gain, self.bias * self.rate)


class ScaledConv(nn.Module):
    """The same for a convolution. `down`: low-pass filter, then halving; sizes must be even for that."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, down: bool = False, bias: bool = True):
        super().__init__()
        self.gain, self.kernel = 1 / sqrt(inputs * kernel**2), kernel
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.blur: nn.Module = nn.Identity()
        if down:  # a kernel of 1 may follow the halving, for a quarter of the work
            self.blur = Fir(stride=2) if kernel == 1 else Fir(padding=2)
        self.stride = 2 if down and kernel > 1 else 1
        self.padding = 0 if down else kernel // 2

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w), with even h and w for `down` -> (N, outputs, h or h / 2, ...)."""
        weight = self.weight * self.gain
        return functional.conv2d(self.blur(maps), weight, self.bias, self.stride, self.padding)


class Modulated(nn.Module):
    """A convolution with inputs scaled by a style, and outputs scaled back (demodulation).

    y_j = d_j sum_ik s_i w_jik x_i, d_j = (sum_ik (s_i w_jik)^2)^-1/2 (Karras et al. 2020, equations 1 to 3).
    The maps are scaled before and after one ordinary convolution, instead of the weights for each sample, so
    that an exported graph takes any batch size. `up` doubles the maps by a transposed convolution and the
    filter.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style: int,
        *,
        up: bool = False,
        demodulate: bool = True,
        padding: int | None = None,
    ) -> None:
        """`padding`: zeros on each side; by default as many as keep the size."""
        super().__init__()
        self.to_scale = Scaled(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.up, self.demodulate = up, demodulate
        self.padding = kernel // 2 if padding is None else padding
        # With demodulation the scale of the weights has no effect.
        self.gain = 1.0 if demodulate else 1 / sqrt(inputs * kernel**2)
        self.blur = Fir(gain=4.0) if up else nn.Identity()

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """(N or 1, inputs, h, w), (N, style) -> (N, outputs, h, w), twice as large with `up`."""
        scale: Tensor = self.to_scale(style) * self.gain
        # The constant start has no batch dimension; this gives it one, in the memory layout of all maps.
        scaled = (maps * scale[:, :, None, None]).contiguous(memory_format=torch.channels_last)
        if self.up:
            convolved = functional.conv_transpose2d(scaled, self.weight.transpose(0, 1), stride=2)
        else:
            convolved = functional.conv2d(scaled, self.weight, padding=self.padding)
        filtered: Tensor = self.blur(convolved)
        if not self.demodulate:
            return filtered
        squares = scale.square() @ self.weight.square().sum((2, 3)).T
        demodulated: Tensor = filtered * (squares + TINY).rsqrt()[:, :, None, None]
        return demodulated


class Styled(nn.Module):
    """A modulated 3x3 convolution, noise of a learned strength, bias, leaky ReLU; cropped to `size`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: int,
        size: tuple[int, int],
        *,
        up: bool,
        noise: float = 1.0,
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, style, up=up)
        self.rate, self.clamp = noise, clamp
        self.size, self.crop = size, Crop(size)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, maps: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """(N or 1, inputs, ...), (N, style), (N, height * width) -> (N, outputs, height, width)."""
        convolved = self.crop(self.conv(maps, style))
        noise_map = noise.reshape(-1, 1, *self.size)
        added = noise_map * (self.strength * self.rate) + self.bias
        return activated(convolved + added.to(convolved.dtype), self.clamp)


def with_minibatch_deviation(maps: Tensor, group: int) -> Tensor:
    """(N, C, h, w) -> (N, C + 1, h, w): one more channel, the minibatch standard deviation.

    It is the standard deviation of each value over a group of samples, averaged over all values (Karras et
    al. 2018, section 3). The size of the groups is the largest divisor of N up to `group`.
    """
    count, _, height, width = maps.shape
    size = max(k for k in range(1, min(group, count) + 1) if count % k == 0)
    groups = maps.float().reshape(size, count // size, *maps.shape[1:])
    # torch.var over the first dimension took a tenth of D's time.
    variance = (groups - groups.mean(0)).square().mean(0)
    deviation = (variance + TINY).sqrt().mean((1, 2, 3))
    channel = deviation.repeat(size)[:, None, None, None].expand(count, 1, height, width)
    return torch.cat([maps, channel.to(maps.dtype)], dim=1)


class Mapping(nn.Module):
    """z (N, latent), and the class (N,) if there are classes -> w (N, style).

    z and the embedding of the class are normalised each, joined, and go through linear layers. `latent=0`: of
    the class only.
    """

    def __init__(self, latent: int, style: int, layers: int, rate: float, classes: int = 0) -> None:
        super().__init__()
        sizes = [latent + (style if classes else 0), *[style] * layers]
        self.layers = nn.ModuleList(Scaled(a, b, rate=rate) for a, b in pairwise(sizes))
        self.embed = Scaled(classes, style) if classes else None

    def forward(self, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """(N, latent), (N,) int64 -> (N, style)."""
        inputs = [] if z is None else [pixel_norm(z)]
        if self.embed is not None and label is not None:
            # The linear layer of a one-hot vector is a column of its weights.
            columns = functional.embedding(label, self.embed.weight.T) * self.embed.gain
            inputs.append(pixel_norm(columns + self.embed.bias))
        hidden = inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1)
        for layer in self.layers:
            hidden = activated(layer(hidden))
        return hidden
