"""Images of any size as input of a network: RGB, square, 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Images (n, height, width, 1, 3 or 4) -> (n, side, side, 3), by Pillow's bicubic filter.

    Pillow widens the filter when it shrinks, against aliasing (Parmar et al. 2022, arXiv:2104.11222).
    Gray is repeated to RGB; transparent images are put on white.
    """
    result = np.empty((len(pixels), side, side, 3), np.uint8)
    for target, array in zip(result, opaque(pixels), strict=True):
        gray = array.shape[2] == 1
        image = Image.fromarray(array[..., 0] if gray else array)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        target[:] = np.asarray(image)[..., None] if gray else np.asarray(image)
    return result


def opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images without transparency: those of four channels are put on white."""
    if pixels.shape[3] != 4:
        return pixels
    share = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(pixels[..., :3] * share + 255 * (1 - share)).astype(np.uint8)
