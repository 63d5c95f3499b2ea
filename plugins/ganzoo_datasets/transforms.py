"""Transforms that compute the image `a` of a pair from the image `b`: downscale, gray, edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError

Pixels = NDArray[np.uint8]

SMALLEST = 4
"""Smallest side in pixels after shrinking."""

# Weights of red, green and blue in brightness: ITU-R BT.601, as in Pillow's mode L.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Transform:
    """A transform of images (..., channels, height, width)."""

    kind: Literal["downscale", "gray", "edges"]
    factor: int = 2
    threshold: int = 96

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The output shape for images of this shape. DataError for images that it cannot transform."""
        channels, height, width = shape
        if self.kind != "downscale":
            if self.kind == "gray" and channels < 3:
                raise DataError(
                    "The images are gray already: there is no colour to learn.",
                    fix="choose a folder of colour images, or another data.transform",
                )
            return 1, height, width
        small = -(-height // self.factor), -(-width // self.factor)
        if min(small) < SMALLEST:
            raise DataError(
                f"Images of {height}x{width}, {self.factor} times smaller, would be {small[0]}x{small[1]}.",
                where=f"data.factor is {self.factor}",
                fix=f"a smaller data.factor, or larger images: the result needs {SMALLEST} pixels a side",
            )
        return channels, *small

    def __call__(self, pixels: Pixels) -> Pixels:
        """Transformed images, in new memory.

        `downscale`: the means of blocks of `factor` x `factor` pixels; incomplete blocks are padded with edge
        pixels. `gray`: brightness. `edges`: 255 where the gradient of the brightness (Sobel operator divided
        by 8, so that a step of h gives h / 2) is at least `threshold` / 2, else 0.
        """
        if self.kind == "downscale":
            return _rounded(_means(pixels, self.factor))
        bright = _brightness(pixels)
        if self.kind == "gray":
            return _rounded(bright)
        return np.where(_gradients(bright) >= self.threshold / 2, 255, 0).astype(np.uint8)


def _rounded(values: NDArray[np.float32]) -> Pixels:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _brightness(pixels: Pixels) -> NDArray[np.float32]:
    """(..., channels, height, width) -> (..., 1, height, width); a fourth channel is ignored."""
    if pixels.shape[-3] < 3:
        return pixels[..., :1, :, :].astype(np.float32)
    summed: NDArray[np.float32] = np.einsum(
        "...chw,c->...hw", pixels[..., :3, :, :].astype(np.float32), _LUMA
    )
    return summed[..., None, :, :]


def _means(pixels: Pixels, factor: int) -> NDArray[np.float32]:
    height, width = pixels.shape[-2:]
    edges = [(0, 0)] * (pixels.ndim - 2) + [(0, -height % factor), (0, -width % factor)]
    padded = np.pad(pixels, edges, mode="edge").astype(np.float32)
    *outer, height, width = padded.shape
    blocks = padded.reshape(*outer, height // factor, factor, width // factor, factor)
    means: NDArray[np.float32] = blocks.mean((-3, -1))
    return means


def _gradients(bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """The norm of the gradient by the Sobel operator; edge pixels are repeated."""
    edges = [(0, 0)] * (bright.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(bright, edges, mode="edge")
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    across = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    length: NDArray[np.float32] = np.hypot(across, down) / 8
    return length
