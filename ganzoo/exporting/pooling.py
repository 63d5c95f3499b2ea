"""Adaptive average pooling as two products with constant matrices, which every runtime has.

Torch's own translation (2.13) has 12 Gather and a GatherND where the sizes do not divide.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["use_products"]


def use_products(part: nn.Module) -> None:
    """If `part` is torch's adaptive average pooling of images, let it trace as products."""
    if type(part) is nn.AdaptiveAvgPool2d:
        part.__class__ = _Products


class _Products(nn.AdaptiveAvgPool2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        sizes = input.shape[-2:]
        wanted = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        pairs = [(size, size if to is None else to) for size, to in zip(sizes, wanted, strict=True)]
        # A free axis has no number yet, and an average over equal parts is an operator.
        if any(not isinstance(size, int) for size in sizes) or all(size % to == 0 for size, to in pairs):
            return super().forward(input)
        rows, columns = (_averages(*pair) for pair in pairs)
        return rows @ input @ columns.T


def _averages(size: int, parts: int) -> Tensor:
    """(parts, size): row i averages from floor(i * size / parts) to ceil((i + 1) * size / parts)."""
    weights = torch.zeros(parts, size)
    for i in range(parts):
        start, end = i * size // parts, -(-(i + 1) * size // parts)
        weights[i, start:end] = 1 / (end - start)
    return weights
