"""Which data suits `ctgan`. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits(data: DataInfo) -> float:
    """Rows of a table: 1."""
    return 1.0 if any(field.columns for field in data.fields) else 0.0
