"""Volumes of any size -> one shape, and the size of their voxels afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

Array = NDArray[Any]
Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]


def fitted(values: Array, spacing: Spacing, shape: Shape, fit: str, lowest: float) -> tuple[Array, Spacing]:
    """The volume (depth, height, width) in another shape, with the new distances of voxels.

    `resample`: each axis is stretched. `pad`: proportions in millimetres are kept. `crop`: voxels are kept.
    What is missing is filled with the lowest value.
    """
    if fit == "crop":
        return _centred(values, shape, lowest), spacing
    extent = [size * step for size, step in zip(values.shape, spacing, strict=True)]
    if fit == "resample":
        steps = [length / size for length, size in zip(extent, shape, strict=True)]
        return resampled(values, shape), (steps[0], steps[1], steps[2])
    step = max(length / size for length, size in zip(extent, shape, strict=True))
    inner = [min(size, max(1, round(length / step))) for length, size in zip(extent, shape, strict=True)]
    return _centred(resampled(values, (inner[0], inner[1], inner[2])), shape, lowest), (step, step, step)


def resampled(values: Array, shape: Shape) -> Array:
    """Linear interpolation between voxel centres; before an axis gets shorter, it is smoothed.

    The smoothing has a standard deviation of (factor - 1) / 2 voxels, where an axis gets shorter by a factor.
    """
    if values.shape == shape:
        return values
    factors = [old / new for old, new in zip(values.shape, shape, strict=True)]
    smooth = gaussian_filter(values.astype(np.float32), [max(0.0, (factor - 1) / 2) for factor in factors])
    result: Array = zoom(smooth, [1 / factor for factor in factors], order=1, mode="nearest", grid_mode=True)
    return result


def _centred(values: Array, shape: Shape, lowest: float) -> Array:
    """The centre of the volume, with a border where it is too small."""
    for axis, (old, new) in enumerate(zip(values.shape, shape, strict=True)):
        if old > new:
            values = values.take(range((old - new) // 2, (old - new) // 2 + new), axis)
    border = [
        ((new - old) // 2, new - old - (new - old) // 2) for old, new in zip(values.shape, shape, strict=True)
    ]
    return np.pad(values, border, constant_values=np.asarray(lowest).astype(values.dtype))
