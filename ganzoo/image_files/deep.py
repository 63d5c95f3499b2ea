"""Values of any depth -> one shape and range, with the same crop, resize and padding as pixels of 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.image_files.frames import ImageFrame
from ganzoo.image_files.pillow_files import fitted

LEVELS = tuple(np.round(np.concatenate([
    [0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03], np.arange(0.05, 0.96, 0.05),
    [0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 1],
]), 4).tolist())  # fmt: skip
"""The shares of a file's values that are kept to find the range of all files; close together at the ends."""

_SAMPLED = 1 << 16  # values of a file that are sorted
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow uses it


def quantiles(pages: Sequence[NDArray[Any]]) -> tuple[float, ...]:
    """The values at the shares `LEVELS` over all pages; those at 0 and 1 are exact."""
    finite = [page[np.isfinite(page)] if page.dtype.kind == "f" else page.ravel() for page in pages]
    flat = np.concatenate(finite)
    if not flat.size:
        raise ValueError("it has no finite values")
    drawn = np.quantile(flat[:: max(1, flat.size // _SAMPLED)].astype(np.float64), LEVELS)
    drawn[0], drawn[-1] = flat.min(), flat.max()
    return tuple(drawn.tolist())


def deep_image(values: NDArray[Any], frame: ImageFrame) -> NDArray[Any]:
    """Values (channels, height, width) in the shape, type and range of the frame.

    Integers are rounded; float32 is mapped to -1..1. Values that are not numbers become the lowest.
    """
    if frame.values is None:
        raise ValueError("the frame has no range of values")
    low, high, dtype = frame.values.low, frame.values.high, np.dtype(frame.values.dtype)
    kept = _with_channels(values, frame.channels)
    if kept.shape[1:] != (frame.height, frame.width):
        kept = np.stack([np.asarray(fitted(_plane(plane, low), frame, low)) for plane in kept])
    if kept.dtype.kind == "f":
        kept = np.nan_to_num(kept, nan=low)
    if dtype.kind != "f":
        return (np.rint(kept) if kept.dtype.kind == "f" else kept).clip(low, high).astype(dtype)
    scaled = (kept.astype(np.float64) - low) * (2 / (high - low)) - 1
    return scaled.clip(-1, 1).astype(np.float32)


def _plane(values: NDArray[Any], low: float) -> Image.Image:
    return Image.fromarray(np.nan_to_num(values.astype(np.float32), nan=low))


def _with_channels(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """The values with that many channels: gray is repeated, alpha is left out, colours become gray."""
    found = len(values)
    if found == channels:
        return values
    if found == 1 and channels == 3:
        return values.repeat(3, axis=0)
    if found == 4 and channels == 3:
        return values[:3]
    if found in (3, 4) and channels == 1:
        return np.tensordot(np.array([_LUMA], np.float32), values[:3].astype(np.float32), 1)
    raise ValueError(f"it has {found} channels instead of {channels}")
