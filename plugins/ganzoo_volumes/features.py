"""Features of volumes without a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCKS = 4  # along each axis


class VolumeBlocks:
    """Means and standard deviations of 4 x 4 x 4 blocks, 128 features; fewer if an axis is shorter."""

    identity = "means and standard deviations of 4x4x4 blocks, version 1"
    protocol = "volumes in the range of the field"

    def __init__(self, config: None = None) -> None:
        pass

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Volumes (n, 1, depth, height, width) -> (n, 128)."""
        parts = [pixels[:, 0]]
        for axis in (1, 2, 3):
            count = min(BLOCKS, pixels.shape[axis + 1])
            parts = [block for part in parts for block in np.array_split(part, count, axis=axis)]
        found = [[part.mean((1, 2, 3)), part.std((1, 2, 3))] for part in parts]
        return np.concatenate([np.stack(pair, 1) for pair in found], 1).astype(np.float32)
