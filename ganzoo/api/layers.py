"""Layers that plugins may use, exported through ganzoo.api."""

# mypy: disable-error-code="no-untyped-call"
# (torch does not annotate Function.apply)

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

__all__ = ["Bounded", "Crop", "Fir", "Maxout", "as_maps", "doubling", "initialise"]


class _Clip(nn.Module):
    """Into -1..1 in evaluation; as it is in training, where a cut would leave no gradient."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return hidden if self.training else hidden.clamp(-1, 1)


class Bounded(nn.Module):
    """Squashes into the closed interval `bounds`, by tanh or by the logistic function.

    `clip` is for nets whose paper has no such function: -1..1 is mapped onto the bounds, and what lies
    outside is cut off in evaluation only.
    """

    def __init__(
        self, bounds: tuple[float, float], curve: Literal["tanh", "sigmoid", "clip"] = "tanh"
    ) -> None:
        super().__init__()
        low, high = bounds
        self.curve: nn.Module = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "clip": _Clip}[curve]()
        self.scale = high - low if curve == "sigmoid" else (high - low) / 2
        self.shift = low if curve == "sigmoid" else (high + low) / 2

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same shape."""
        squashed: Tensor = self.curve(hidden)
        if (self.scale, self.shift) == (1, 0):  # tanh onto -1..1: two kernels less
            return squashed
        return squashed * self.scale + self.shift


class Crop(nn.Module):
    """Keeps the first `size` (height, width) rows and columns of a map."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.height, self.width = size

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, >= height, >= width) -> (N, C, height, width)."""
        return maps[:, :, : self.height, : self.width]


class Fir(nn.Module):
    """The low-pass filter [1, 3, 3, 1] / 8 down and across, each channel for itself, zeros around the maps.

    With `up` maps are doubled (zeros between the pixels, four times the gain); `stride` 2 halves them.
    `padding` are the zeros on each side; 1 keeps doubled and halved sizes exact. A fixed convolution, after
    Karras et al. 2020 (StyleGAN2), appendix B, and Huang et al. 2024 (R3GAN).
    """

    kernel: Tensor

    def __init__(self, *, up: bool = False, stride: int = 1, padding: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.up, self.stride, self.padding = up, stride, padding
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = torch.outer(row, row) * (4 * gain if up else gain)
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w) with `up`; else (h + 2 padding - 4) / stride + 1 rows, and so on."""
        if maps.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # In bf16 a step there and back took 34 ms, in float32 2 ms (64x32x28x28, one Zen core).
            with torch.autocast("cpu", enabled=False):
                return self._filtered(maps.float()).to(maps.dtype)
        return self._filtered(maps)

    def _filtered(self, maps: Tensor) -> Tensor:
        kernel = self.kernel.to(maps.dtype).repeat(maps.shape[1], 1, 1, 1)
        walk = _Walk(self.up, 2 if self.up else self.stride, self.padding)
        # Penalties of second order, which pay for torch's way, are computed outside autocast.
        if maps.requires_grad and torch.is_grad_enabled() and not torch.is_autocast_enabled(maps.device.type):
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
    """The largest of `pieces` linear maps, unit by unit (Goodfellow et al. 2013, equation 1)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, inputs) -> (N, units)."""
        pieces: Tensor = self.linear(hidden).unflatten(1, (self.units, self.pieces))
        return pieces.amax(2)


def as_maps(hidden: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, channels * height * width) -> (N, *shape), with the channels last in memory.

    Convolutions give maps that lie so; a first layer that does not makes every elementwise step
    between the two orders several times slower.
    """
    return hidden.reshape(-1, *shape).contiguous(memory_format=torch.channels_last)


def doubling(
    inputs: int, outputs: int, kernel: int, before: tuple[int, int], after: tuple[int, int], *, bias: bool
) -> list[nn.Module]:
    """A transposed convolution that doubles maps of the size `before`, and a crop where `after` is less.

    `kernel` is 2 or more, even or odd. The sizes are neighbours in `map_sizes`.
    """
    convolution = nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )
    doubled = (2 * before[0], 2 * before[1])
    return [convolution] if doubled == after else [convolution, Crop(after)]


def initialise(module: nn.Module, init: Literal["default", "normal"]) -> None:
    """`normal`: weights N(0, 0.02), norm gains N(1, 0.02), biases 0. `default`: torch's, as they are.

    `normal` is that of the DCGAN paper. Spectral norm, if any, is put on afterwards.
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
