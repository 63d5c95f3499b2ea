"""Floating-point work as it is counted, against what the formulas of the papers' layers say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ganzoo.training.flops import FlopCounter


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True)])
def test_each_gradient_of_a_convolution_is_as_much_work_as_the_convolution(
    groups: int, transposed: bool, wanted: tuple[bool, bool]
) -> None:
    """Each output value is a sum over the channels of its own group, and so in both gradients."""
    maps = torch.randn(3, 8, 6, 6, requires_grad=wanted[0])
    weight = torch.randn(8, 8 // groups, 3, 3, requires_grad=wanted[1])
    convolve = functional.conv_transpose2d if transposed else functional.conv2d
    with FlopCounter() as counter:
        result: Tensor = convolve(maps, weight, padding=1, groups=groups)
    assert counter.operations == 2 * 3 * (8 * 8 // groups) * 6 * 6 * 9
    with FlopCounter() as backward:
        result.sum().backward()
    assert backward.operations == sum(wanted) * counter.operations
