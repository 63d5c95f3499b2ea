"""Which data suits `enlarge`. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits(data: DataInfo) -> float:
    """Images `b` that are 2, 3 or 4 times as large as images `a`: 1."""
    if "a" not in data or "b" not in data:
        return 0.0
    low, high = data.field("a"), data.field("b")
    if not low.kind == high.kind == "image":
        return 0.0
    (_, height, width), larger = low.shape, high.shape[1:]
    fits = any(larger == (scale * height, scale * width) for scale in (2, 3, 4))
    return float(fits and not any(side % 8 for side in larger))
