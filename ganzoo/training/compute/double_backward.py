"""Layers for discriminators whose penalty differentiates a gradient: the same values with less work.

A convolution and its two gradients are derivatives of one trilinear form, so gradients of gradients are
again convolutions and their gradients. Here each of them uses the kernel made for it. torch's double backward
swaps batch and channels instead, which costs slow kernels and copies. A piecewise linear activation has no
second derivative; torch still propagates zeros for it through the whole network.
"""

# mypy: disable-error-code="no-untyped-call"
# (torch does not annotate Function.apply)

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function

from ganzoo.training.compute import conv_as_matmul


def use_lean_gradients(module: nn.Module) -> None:
    """Make the double backward of plain convolutions, ReLU and leaky ReLU of a network cheaper.

    Parameters and their names stay. Layers of other classes do not change; this includes parametrised ones
    (spectral norm).
    """
    for part in module.modules():
        if type(part) in (nn.Conv2d, conv_as_matmul.Conv2d):
            part.__class__ = Conv2d
        elif type(part) is nn.ReLU:
            part.__class__ = ReLU
        elif type(part) is nn.LeakyReLU and part.negative_slope > 0:
            part.__class__ = LeakyReLU


class Conv2d(conv_as_matmul.Conv2d):
    """A convolution; a matrix product if it covers the whole map.

    Under autocast it is torch's: second-order penalties are computed without autocast.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        autocast = torch.is_autocast_enabled(input.device.type)
        if autocast or self.padding_mode != "zeros" or isinstance(self.padding, str) or input.ndim != 4:
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        return convolution(
            input, weight, bias, Geometry(self.stride, self.padding, self.dilation, self.groups)
        )


class ReLU(nn.ReLU):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Any shape to the same shape."""
        result: Tensor = _Activation.apply(input, 0.0, self.inplace)
        return result


class LeakyReLU(nn.LeakyReLU):
    """x, times a slope where it is negative."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Any shape to the same shape."""
        result: Tensor = _Activation.apply(input, self.negative_slope, self.inplace)
        return result


class Geometry(NamedTuple):
    """Stride, padding, dilation and groups of a convolution."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def convolution(maps: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """(N, C, H, W) with (O, C / groups, h, w) and (O,) -> (N, O, H', W'); gradients of any order."""
    # The weight's gradient has its own autograd node, and the maps are hidden from autograd there. So
    # autograd skips it when only the gradient of the maps is needed, as in a penalty.
    weights = _ThroughWeight.apply((maps,), weight, bias, geometry)
    result: Tensor = _ThroughMaps.apply(maps, weight, bias, weights, geometry)
    return result


class _ThroughMaps(Function):
    """The convolution as a function of its maps; `weights` passes the gradient on to `_ThroughWeight`."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, weights: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight)
        ctx.shape, ctx.geometry = maps.shape, geometry
        return _convolved(maps, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None, None, None
        (weight,) = ctx.saved_tensors
        to_maps = ctx.needs_input_grad[0]
        maps_grad = _MapsGradient.apply(grad, weight, ctx.shape, ctx.geometry) if to_maps else None
        return maps_grad, None, None, grad, None


class _ThroughWeight(Function):
    """The convolution as a function of weight and bias. Its value is not used: zeros that need no memory."""

    @staticmethod
    def forward(
        ctx: Any, hidden: tuple[Tensor], weight: Tensor, bias: Tensor | None, geometry: Geometry
    ) -> Tensor:
        (maps,) = hidden
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(maps)
        ctx.shape, ctx.geometry = weight.shape, geometry
        dimensions = zip(maps.shape[2:], weight.shape[2:], *geometry[:3], strict=True)
        sizes = [
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, padding, dilation in dimensions
        ]
        return maps.new_zeros(()).expand(maps.shape[0], weight.shape[0], *sizes)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None, None
        (maps,) = ctx.saved_tensors
        weight_grad = _WeightGradient.apply(grad, maps, ctx.shape, ctx.geometry)
        return None, weight_grad, grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None


class _MapsGradient(Function):
    """The gradient of a convolution with respect to its maps, of the given shape."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.geometry = geometry
        maps = _uninitialised(grad, shape)
        return _gradients(grad, maps, weight, geometry, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Any:
        grad, weight = ctx.saved_tensors
        to_grad, to_weight, *_ = ctx.needs_input_grad
        return (
            convolution(change, weight, None, ctx.geometry) if to_grad else None,
            _WeightGradient.apply(grad, change, weight.shape, ctx.geometry) if to_weight else None,
            None,
            None,
        )


class _WeightGradient(Function):
    """The gradient of a convolution with respect to its weight, of the given shape."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, maps: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(grad, maps)
        ctx.geometry = geometry
        weight = _uninitialised(grad, shape)
        return _gradients(grad, maps, weight, geometry, (False, True, False))[1]

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Any:
        grad, maps = ctx.saved_tensors
        to_grad, to_maps, *_ = ctx.needs_input_grad
        return (
            convolution(maps, change, None, ctx.geometry) if to_grad else None,
            _MapsGradient.apply(grad, change, maps.shape, ctx.geometry) if to_maps else None,
            None,
            None,
        )


class _Activation(Function):
    """x, times a slope where it is negative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, inplace: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        ctx.set_materialize_grads(False)
        relu = nn.functional.relu
        result = nn.functional.leaky_relu(x, slope, inplace) if slope else relu(x, inplace)
        ctx.save_for_backward(result.detach())  # without detach, graph and result would hold each other
        ctx.slope = slope
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None
        (result,) = ctx.saved_tensors
        return _ActivationGradient.apply(grad, result, ctx.slope), None, None


class _ActivationGradient(Function):
    """The backward pass of `_Activation`. It is linear in the gradient, so it is its own backward pass."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, result: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(result)
        ctx.slope = slope
        through: Tensor = torch.ops.aten.leaky_relu_backward(grad, result, slope, True)
        return through

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Any:
        (result,) = ctx.saved_tensors
        return _ActivationGradient.apply(change, result, ctx.slope), None, None


def _convolved(maps: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    stride, padding, dilation, groups = geometry
    return torch.convolution(maps, weight, bias, stride, padding, dilation, False, (0, 0), groups)


def _uninitialised(like: Tensor, shape: torch.Size) -> Tensor:
    """An uninitialised tensor: `aten.convolution_backward` uses its shape, not its values."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _gradients(
    grad: Tensor, maps: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    stride, padding, dilation, groups = geometry
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad, maps, weight, None, stride, padding, dilation, False, (0, 0), groups, wanted
    )
    return found
