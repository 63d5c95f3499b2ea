"""Convolutions computed as products give the same values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ganzoo.training.compute.conv_as_matmul import use_matmul_convolutions


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda bias: nn.Conv2d(3, 5, 4, bias=bias), (2, 3, 4, 4)),
        (lambda bias: nn.Conv2d(3, 5, (2, 3), stride=2, bias=bias), (2, 3, 2, 3)),
        (lambda bias: nn.Conv2d(3, 5, 4, padding=1, bias=bias), (2, 3, 4, 4)),
        (lambda bias: nn.Conv2d(4, 6, 4, groups=2, bias=bias), (2, 4, 4, 4)),
        (lambda bias: nn.Conv2d(3, 5, 3, bias=bias), (2, 3, 8, 8)),
        (lambda bias: nn.Conv2d(3, 5, 4, bias=bias), (3, 4, 4)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, (2, 4), stride=3, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, output_padding=1, bias=bias), (2, 3, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(4, 6, 4, groups=2, bias=bias), (2, 4, 1, 1)),
        (lambda bias: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=bias), (2, 3, 4, 4)),
    ],
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_products_are_the_convolutions(
    layer: Callable[[bool], nn.Module], shape: tuple[int, ...], bias: bool, memory: torch.memory_format
) -> None:
    """Values, gradients and the gradient of a gradient (a penalty's), in double precision."""
    torch.manual_seed(0)
    plain = layer(bias).double().to(memory_format=memory)  # type: ignore[call-overload]
    fast = layer(bias).double().to(memory_format=memory)  # type: ignore[call-overload]
    fast.load_state_dict(plain.state_dict())
    use_matmul_convolutions(fast)
    maps = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found = []
    for module in (plain, fast):
        out = module(maps).tanh()
        slope = torch.autograd.grad(out.sum(), maps, create_graph=True)[0]
        grads = torch.autograd.grad(slope.square().sum(), [maps, *module.parameters()])
        found.append([out, slope, *grads])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_products_leave_parametrised_layers_alone() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 5, 4))
    kind = type(layer)
    use_matmul_convolutions(layer)
    assert type(layer) is kind
