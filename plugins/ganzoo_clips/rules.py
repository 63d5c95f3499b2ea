"""Which data suits `tgan`, whose clips have any length. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits(data: DataInfo) -> float:
    """Clips: 1."""
    return 1.0 if "clip" in data and data.field("clip").kind == "clip" else 0.0
