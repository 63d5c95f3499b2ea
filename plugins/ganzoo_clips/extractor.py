"""Features of clips: those of single frames, from the network that compares images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Extractor
from ganzoo_extractors.efficientnet import last_block

PAIRS = 2
"""Pairs of neighbouring frames of a clip, in the middle of each half; more would take as much longer."""


class FramePairs:
    """(n, time, height, width, channels) -> (n, 4 * d): features of frames t and t + 1, twice."""

    def __init__(self, of_images: Extractor) -> None:
        self._of_images = of_images
        self.identity = f"frames: {of_images.identity}"
        self.protocol = f"{PAIRS} pairs of neighbouring frames; {of_images.protocol}"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Clips -> features; `by_frame` takes them apart."""
        frames = pixels[:, times_of(pixels.shape[1])]
        features = self._of_images(frames.reshape(-1, *frames.shape[2:]))
        return features.reshape(len(pixels), -1)


def build(config: None = None) -> Extractor:
    """Factory of `frames`."""
    return FramePairs(last_block())


def times_of(frames: int) -> NDArray[np.intp]:
    """Times t and t + 1 in the middle of each part."""
    starts = np.rint((frames - 2) * (np.arange(PAIRS) + 0.5) / PAIRS).astype(np.intp)
    return np.stack([starts, starts + 1], 1).ravel()


def by_frame(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 4 * d) -> (n * 2, 2, d)."""
    return features.reshape(len(features) * PAIRS, 2, -1)
