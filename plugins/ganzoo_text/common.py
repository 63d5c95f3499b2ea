"""What all networks for texts share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganzoo.api import DataError, DataInfo, Field


class OneHot(nn.Module):
    """The largest of V values as a vector of 0 and 1, which an exported graph computes by ArgMax."""

    numbers: Tensor

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.arange(symbols), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., V) -> (..., V)."""
        return (values.argmax(-1, keepdim=True) == self.numbers).to(values.dtype)


def texts_of(data: DataInfo) -> Field:
    """The field of texts; DataError when the data has none."""
    text = data.field("text")
    if len(text.shape) != 2 or text.range != (0.0, 1.0):
        raise DataError(
            "These networks need texts: places x symbols in 0..1.",
            where=f"the field 'text' has the shape {text.shape}",
            fix="--data text:PATH",
        )
    return text
