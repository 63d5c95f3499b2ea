"""Layers of penalised discriminators: the same gradients as torch's of every order, for less work."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from ganzoo.config.plan import Plan
from ganzoo.training.compute.conv_as_matmul import use_matmul_convolutions
from ganzoo.training.compute.double_backward import Geometry, convolution, use_lean_gradients
from ganzoo.training.flops import FlopCounter
from ganzoo.training.setup import prepare

Tiny = Callable[..., Plan]

GEOMETRIES = [
    Geometry((1, 1), (0, 0), (1, 1), 1),
    Geometry((2, 2), (1, 1), (1, 1), 1),
    Geometry((2, 1), (1, 0), (1, 2), 1),
    Geometry((1, 1), (1, 1), (1, 1), 2),
]


def penalty(module: nn.Module, maps: Tensor) -> Tensor:
    """As a gradient penalty and a loss together: first and second derivatives of every weight."""
    score = module(maps)
    (slope,) = torch.autograd.grad(score.sum(), maps, create_graph=True)
    return (slope.flatten(1).square().sum(1).add(1e-12).sqrt() - 1).square().mean() + score.square().mean()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_gradients_and_their_gradients_agree_with_differences(geometry: Geometry, with_bias: bool) -> None:
    torch.manual_seed(0)
    kinds = {"dtype": torch.float64, "requires_grad": True}
    maps = torch.randn(2, 4, 5, 6, **kinds)  # type: ignore[call-overload]
    weight = torch.randn(2, 4 // geometry.groups, 2, 3, **kinds)  # type: ignore[call-overload]
    bias = torch.randn(2, **kinds) if with_bias else None  # type: ignore[call-overload]

    def run(*values: Tensor) -> Tensor:
        return convolution(values[0], values[1], values[2] if with_bias else None, geometry)

    inputs = (maps, weight, bias) if bias is not None else (maps, weight)
    wanted = torch.convolution(maps, weight, bias, *geometry[:3], False, (0, 0), geometry.groups)
    torch.testing.assert_close(run(*inputs), wanted)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("bend", [nn.LeakyReLU(0.2), nn.ReLU()], ids=["leaky", "relu"])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_a_penalty_gives_every_weight_the_same_gradient(
    inplace: bool, bend: nn.Module, memory: torch.memory_format
) -> None:
    torch.manual_seed(0)
    bend.inplace = inplace  # type: ignore[assignment]
    plain = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), deepcopy(bend), nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False),
        nn.GroupNorm(1, 8), deepcopy(bend), nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"),
        deepcopy(bend), nn.Conv2d(4, 5, 4), deepcopy(bend), nn.Flatten(), nn.Linear(5, 1),
    ).double().to(memory_format=memory)  # type: ignore[call-overload]  # fmt: skip
    lean = deepcopy(plain)
    use_lean_gradients(lean)
    use_matmul_convolutions(lean)
    maps = torch.randn(3, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    gradients = [torch.autograd.grad(penalty(net, maps), list(net.parameters())) for net in (plain, lean)]
    assert any(type(one) is not type(other) for one, other in zip(plain, lean, strict=True))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_only_penalised_discriminators_change_and_state_stays(tiny: Tiny) -> None:
    kinds = {}
    for family in ("wgan-gp", "wgan"):
        module = prepare(tiny(family)).training.networks.discriminators["discriminator"].module
        kinds[family] = {type(part).__module__ for part in module.modules()}
        names = list(module.state_dict())
        assert names == [name for name, _ in module.named_parameters()]
    assert "ganzoo.training.compute.double_backward" in kinds["wgan-gp"]
    assert "ganzoo.training.compute.double_backward" not in kinds["wgan"]


def test_a_penalty_costs_four_passes() -> None:
    """Forward, gradient of the maps; then their change forward, and its gradient of the weights."""
    module = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3, padding=1))
    use_lean_gradients(module)
    maps = torch.randn(2, 4, 8, 8, requires_grad=True)
    with FlopCounter() as counter:
        (slope,) = torch.autograd.grad(module(maps).sum(), maps, create_graph=True)
        torch.autograd.backward((slope.square().sum() - 1).square(), inputs=list(module.parameters()))
    first, last = 2 * 2 * 64 * 4 * 4 * 9, 2 * 2 * 64 * 4 * 9
    assert counter.operations == 4 * first + 3 * last  # after the last layer nothing changes


def test_maps_that_change_in_place_are_noticed() -> None:
    module = nn.Conv2d(2, 2, 3)
    use_lean_gradients(module)
    maps = torch.randn(1, 2, 5, 5)
    score = module(maps).sum()
    maps.add_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        torch.autograd.backward(score)
