"""Values of any depth -> one shape and range, with the same crop, resize and padding as pixels of 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.image_files.deep_files import Values
from ganzoo.image_files.frames import ImageFrame
from ganzoo.image_files.pillow_files import fitted

LEVELS = tuple(np.round(np.concatenate([
    [0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03], np.arange(0.05, 0.96, 0.05),
    [0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 1],
]), 4).tolist())  # fmt: skip
"""The shares of a file's values that are kept to find the range of all files; close together at the ends."""

_SAMPLED = 1 << 16  # values of a file that are sorted
_BEYOND = 1e6  # times the range: infinite values must not spoil the sums of resizing
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow uses it


def quantiles(pages: Sequence[Values]) -> tuple[float, ...]:
    """The values at the shares `LEVELS` over what can be seen of all pages; those at 0 and 1 are exact.

    ValueError if nothing is finite.
    """
    flat = np.concatenate([_seen(page) for page in pages])
    if not flat.size:
        raise ValueError("it has no finite values")
    drawn = np.quantile(flat[:: max(1, flat.size // _SAMPLED)].astype(np.float64), LEVELS)
    drawn[0], drawn[-1] = flat.min(), flat.max()
    return tuple(drawn.tolist())


def _seen(page: Values) -> NDArray[Any]:
    """The finite values of a page that are not wholly transparent."""
    planes, opacity = page
    if opacity is not None:
        planes = planes[:, opacity > 0]
    return planes[np.isfinite(planes)] if planes.dtype.kind == "f" else planes.ravel()


def deep_image(page: Values, frame: ImageFrame, *, white_border: bool = False) -> NDArray[Any]:
    """Values (channels, height, width) in the shape, type and range of the frame.

    Integers are rounded; float32 is mapped to -1..1. Values that are not numbers become the lowest; without
    any number there is ValueError. Transparent pixels are put on the highest value, which is white; with 4
    channels the fourth is the opacity, from the lowest value to the highest. `pad` adds the lowest value, or
    the highest if `white_border`.
    """
    if frame.values is None:
        raise ValueError("the frame has no range of values")
    low, high, dtype = frame.values.low, frame.values.high, np.dtype(frame.values.dtype)
    if page.planes.dtype.kind == "f" and not np.isfinite(page.planes).any():
        raise ValueError("it has no finite values")
    kept = _with_channels(_composed(page, frame.channels, low, high), frame.channels)
    if kept.shape[1:] != (frame.height, frame.width):
        # The fourth of four channels is transparent at the border.
        borders = [float(white_border and at < 3) for at in range(len(kept))]
        kept = np.stack(
            [_fitted(plane, frame, low, high, at) for plane, at in zip(kept, borders, strict=True)]
        )
    if kept.dtype.kind == "f":
        kept = np.nan_to_num(kept, nan=low)
    if dtype.kind != "f":
        whole = np.rint(kept) if kept.dtype.kind == "f" else kept
        return whole.astype(np.float64).clip(low, high).astype(dtype)
    scaled = (kept.astype(np.float64) - low) * (2 / (high - low)) - 1
    return scaled.clip(-1, 1).astype(np.float32)


def _composed(page: Values, channels: int, low: float, high: float) -> NDArray[Any]:
    """The planes with the opacity as the fourth of four channels, else put on the highest value."""
    planes, opacity = page
    if channels == 4 and len(planes) in (1, 3):
        share = np.ones(planes.shape[1:]) if opacity is None else opacity.astype(np.float64)
        return np.concatenate([_with_channels(planes, 3), (low + share * (high - low))[None]])
    if opacity is None:
        return planes
    finite = np.nan_to_num(planes.astype(np.float64), nan=low, posinf=high, neginf=low)
    composed: NDArray[Any] = high + (finite - high) * opacity
    return composed


def _fitted(
    values: NDArray[Any], frame: ImageFrame, low: float, high: float, border: float
) -> NDArray[np.float64]:
    """One plane in the size of the frame; `border` is a share of the range.

    Pillow resizes float32. So that large integers keep their last digits, it gets shares of the range.
    """
    exact: Any = np.float32 if values.dtype.itemsize <= 2 else np.float64
    shares: NDArray[np.floating[Any]] = np.subtract(values, low, dtype=exact)
    shares /= high - low
    if values.dtype.kind == "f":
        np.nan_to_num(shares, copy=False, nan=0)
    shares.clip(-_BEYOND, _BEYOND, out=shares)
    made = np.asarray(fitted(Image.fromarray(shares.astype(np.float32, copy=False)), frame, border))
    return low + made.astype(np.float64) * (high - low)


def _with_channels(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """The values with that many channels: gray is repeated, a fourth is left out, colours become gray."""
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
