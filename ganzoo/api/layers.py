"""Layers that plugins may use, exported through ganzoo.api."""

# mypy: disable-error-code="no-untyped-call"
# (torch does not annotate Function.apply)

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.utils.parametrize import register_parametrization

__all__ = [
    "Bounded",
    "Crop",
    "Fir",
    "Maxout",
    "SpectralNorm",
    "as_maps",
    "doubling",
    "initialise",
    "put_spectral_norm",
]


class _Clip(nn.Module):
    """Clips to -1..1 in evaluation only: in training, clipping would leave no gradient."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return hidden if self.training else hidden.clamp(-1, 1)


_LEAK = 0.02  # slope of leaky-tanh far from 0, as of leaky ReLU; 0.01 to 0.2 are usual there


class _LeakyTanh(_Clip):
    """tanh(x) + 0.02 x: its slope is never below 0.02, so networks come back from black or white images.

    Values outside of -1..1 are clipped in evaluation only, as `_Clip` does.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return super().forward(hidden.tanh() + _LEAK * hidden)


class Bounded(nn.Module):
    """Maps values into the closed interval `bounds`, by tanh or by the logistic function.

    `clip` is for networks whose paper has no such function: -1..1 is mapped onto the bounds, and values
    outside are clipped in evaluation only. `leaky-tanh` is for data where many values lie at a bound, as the
    background of MNIST: where a network draws only that, tanh has no gradient left.
    """

    def __init__(
        self,
        bounds: tuple[float, float],
        curve: Literal["tanh", "leaky-tanh", "sigmoid", "clip"] = "tanh",
    ) -> None:
        super().__init__()
        low, high = bounds
        curves = {"tanh": nn.Tanh, "leaky-tanh": _LeakyTanh, "sigmoid": nn.Sigmoid, "clip": _Clip}
        self.curve: nn.Module = curves[curve]()
        self.scale = high - low if curve == "sigmoid" else (high - low) / 2
        self.shift = low if curve == "sigmoid" else (high + low) / 2

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        squashed: Tensor = self.curve(hidden)
        if (self.scale, self.shift) == (1, 0):  # tanh onto -1..1: saves two kernels
            return squashed
        return squashed * self.scale + self.shift


class Crop(nn.Module):
    """Keeps the first `size` (height, width) rows and columns of a map, or those of more axes."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, >= height, >= width) -> (N, C, height, width)."""
        return maps[:, :, *(slice(side) for side in self.size)]


class Fir(nn.Module):
    """The low-pass filter [1, 3, 3, 1] / 8, vertically and horizontally, on each channel with zero padding.

    `up` doubles the size of the maps (zeros between the pixels, four times the gain); `stride` 2 halves it.
    `padding` is the number of zeros on each side; 1 keeps doubled and halved sizes exact. A fixed
    convolution, after Karras et al. 2020 (StyleGAN2), appendix B, and Huang et al. 2024 (R3GAN).
    """

    kernel: Tensor

    def __init__(self, *, up: bool = False, stride: int = 1, padding: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.up, self.stride, self.padding = up, stride, padding
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = torch.outer(row, row) * (4 * gain if up else gain)
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w) with `up`; else h becomes (h + 2 * padding - 4) / stride + 1."""
        if maps.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # A forward and backward pass took 34 ms in bf16, 2 ms in float32 (64x32x28x28, one Zen core).
            with torch.autocast("cpu", enabled=False):
                return self._filtered(maps.float()).to(maps.dtype)
        return self._filtered(maps)

    def _filtered(self, maps: Tensor) -> Tensor:
        kernel = self.kernel.to(maps.dtype).repeat(maps.shape[1], 1, 1, 1)
        walk = _Walk(self.up, 2 if self.up else self.stride, self.padding)
        # Penalties of second order, which pay for torch's way, are computed outside autocast.
        # torch knows no autocast on the device `meta`.
        plain = maps.is_meta or torch.is_autocast_enabled(maps.device.type)
        if maps.requires_grad and torch.is_grad_enabled() and not plain:
            filtered: Tensor = _Filtered.apply(maps, kernel, walk)
            return filtered
        return _filtered(maps, kernel, walk)


class _Walk(NamedTuple):
    """How a filter walks over maps; `up`: over zeros between the pixels, too."""

    up: bool
    stride: int
    padding: int


class _Filtered(Function):
    """Each channel filtered by a kernel that does not learn.

    It is linear in the maps: its gradient is `_Unfiltered`, whose gradient is the filter again. The double
    backward of torch's grouped convolution does not know that, and runs a convolution for each channel.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: Tensor, walk: _Walk) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.walk, ctx.shape = walk, maps.shape
        last = maps.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if last else torch.contiguous_format
        return _filtered(maps, kernel, walk)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (kernel,) = ctx.saved_tensors
        return _Unfiltered.apply(grad, kernel, ctx.walk, ctx.shape, ctx.layout), None, None


class _Unfiltered(Function):
    """What the filter hands back to maps of a shape and layout, by torch's kernel for it."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, kernel: Tensor, walk: _Walk, shape: torch.Size, layout: torch.memory_format
    ) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.walk = walk
        maps = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=layout)  # not read
        sizes = ((walk.stride,) * 2, (walk.padding,) * 2, (1, 1), walk.up, (0, 0), shape[1])
        found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
            grad, maps, kernel, None, *sizes, (True, False, False)
        )
        return found[0]

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Any:
        (kernel,) = ctx.saved_tensors
        return _Filtered.apply(change, kernel, ctx.walk), None, None, None, None


def _filtered(maps: Tensor, kernel: Tensor, walk: _Walk) -> Tensor:
    convolve = functional.conv_transpose2d if walk.up else functional.conv2d
    return convolve(maps, kernel, stride=walk.stride, padding=walk.padding, groups=maps.shape[1])


class Maxout(nn.Module):
    """For each unit, the largest of `pieces` linear maps (Goodfellow et al. 2013, equation 1)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, inputs) -> (N, units)."""
        pieces: Tensor = self.linear(hidden).unflatten(1, (self.units, self.pieces))
        return pieces.amax(2)


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value, by one power iteration per step.

    Miyato et al. 2018, algorithm 1. In evaluation, torch's own version uses its stored vectors unchanged.
    An EMA of G averages these vectors too, and a mean of unit vectors is shorter than 1: weights became nine
    times too large. So this version uses only their direction and iterates further in evaluation. `eps` is
    the smallest length that a vector is divided by.
    """

    def __init__(self, weight: Tensor, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps
        self.u: Tensor
        self.register_buffer("u", torch.randn(weight.shape[0], device=weight.device))
        self.u.copy_(self.vectors(weight.flatten(1), 15)[0])

    @torch.no_grad()
    def vectors(self, matrix: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """(rows, columns) -> its leading singular vectors, (rows,) and (columns,), starting from `u`."""
        u = self.u
        for _ in range(iterations):
            v = functional.normalize(matrix.T @ u, dim=0, eps=self.eps)
            u = functional.normalize(matrix @ v, dim=0, eps=self.eps)
        return u, v

    def forward(self, weight: Tensor) -> Tensor:
        """Any shape -> the same shape; the first dimension is that of the outputs."""
        matrix = weight.flatten(1)
        u, v = self.vectors(matrix, 1 if self.training else 10)
        if self.training:
            self.u.copy_(u)
        return weight / (u @ (matrix @ v))


def put_spectral_norm(
    module: nn.Module,
    kinds: tuple[type[nn.Linear] | type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Embedding], ...],
    eps: float = 1e-12,
) -> None:
    """Put `SpectralNorm` on every layer of these kinds."""
    for layer in [item for item in module.modules() if isinstance(item, kinds)]:
        register_parametrization(layer, "weight", SpectralNorm(layer.weight.detach(), eps))


def as_maps(hidden: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, channels * height * width) -> (N, *shape), with the channels last in memory.

    Convolutions return maps in this memory layout. A first layer with another layout makes every
    elementwise operation on both several times slower.
    """
    return hidden.reshape(-1, *shape).contiguous(memory_format=torch.channels_last)


def doubling(
    inputs: int, outputs: int, kernel: int, before: tuple[int, int], after: tuple[int, int], *, bias: bool
) -> list[nn.Module]:
    """A transposed convolution that doubles maps of size `before`, and a crop where `after` is smaller.

    `kernel` is 2 or more, even or odd. The sizes are neighbours in `map_sizes`.
    """
    convolution = nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )
    doubled = (2 * before[0], 2 * before[1])
    return [convolution] if doubled == after else [convolution, Crop(after)]


def initialise(module: nn.Module, init: Literal["default", "normal"]) -> None:
    """`normal`: weights N(0, 0.02), norm gains N(1, 0.02), biases 0. `default`: torch's initialisation.

    `normal` is that of the DCGAN paper. Put on spectral norm, if any, afterwards.
    """
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
            if layer.weight is not None:
                nn.init.normal_(layer.weight, 1, 0.02)
        else:
            continue
        bias = getattr(layer, "bias", None)  # an embedding has none
        if bias is not None:
            nn.init.zeros_(bias)
