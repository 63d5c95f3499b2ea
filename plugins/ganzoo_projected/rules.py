"""Which data suits `projected`. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import PIXELS, DataInfo

SMALLEST = 32  # pixels; below, the features of an ImageNet network see little


def suits(data: DataInfo) -> float:
    """Gray or RGB pictures from 32x32 pixels: 0.4, less than `dcgan`.

    After two CPU minutes at 64x64, `dcgan` showed faces and flags, this recipe shapes in three colours
    (docs/results/own-pictures.md).
    """
    image = data.field("image") if "image" in data else None
    pictures = image is not None and image.axes == PIXELS and image.shape[0] in (1, 3)
    return 0.4 if pictures and image is not None and min(image.shape[1:]) >= SMALLEST else 0.0
