"""Which data suits `projected`. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import PIXELS, DataInfo

SMALLEST = 32  # pixels; below, the features of an ImageNet network see little, and small networks are quick


def suits(data: DataInfo) -> float:
    """Gray or RGB pictures from 32x32 pixels: 1. On a CPU, an image of 64x64 costs less than with `dcgan`."""
    image = data.field("image") if "image" in data else None
    pictures = image is not None and image.axes == PIXELS and image.shape[0] in (1, 3)
    return 1.0 if pictures and image is not None and min(image.shape[1:]) >= SMALLEST else 0.0
