"""Which data suits the recipes of clips. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits_tgan(data: DataInfo) -> float:
    """Clips: 0.5."""
    return 0.5 if "clip" in data and data.field("clip").kind == "clip" else 0.0


def suits_layered(data: DataInfo) -> float:
    """Clips: 1, more than those of `tgan`; measured on two sets, see docs/kinds/clips.md."""
    return 2 * suits_tgan(data)
