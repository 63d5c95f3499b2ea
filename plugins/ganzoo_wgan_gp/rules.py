"""Which data suits `wgan-gp-mlp`. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits(data: DataInfo) -> float:
    """Any data with one float field, where no other recipe suits better: 0.1."""
    return 0.1 if sum(field.dtype == "float32" for field in data.fields) == 1 else 0.0
