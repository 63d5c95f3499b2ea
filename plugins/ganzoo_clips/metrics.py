"""Scores of clips: Frechet distances of frames, pairs and their differences; statistics of motion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ganzoo.api import Comparison
from ganzoo_clips.extractor import by_frame
from ganzoo_metrics.distances import frechet_distance, in_their_span

Floats = NDArray[np.float32]


def parts_of(features: Floats) -> dict[str, Floats]:
    """Features (n, 4 * d) as those of frames (4 n, d), of pairs (2 n, 2 d), of their differences (2 n, d)."""
    pairs = by_frame(features)
    return {
        "frames": pairs.reshape(-1, pairs.shape[2]),
        "pairs": pairs.reshape(len(pairs), -1),
        "differences": pairs[:, 1] - pairs[:, 0],
    }


def frechet(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `clip-frechet`: the Frechet distance of each part of the features."""

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = parts_of(comparison.fake.features), parts_of(comparison.real.features)
        return {f"fed_{name}": frechet_distance(*in_their_span(fake[name], real[name])) for name in real}

    return score


def motion(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `motion`, from pixels alone.

    `motion_ratio`: the mean squared difference of neighbouring frames, over that of real clips.
    `motion_distance`: the earth mover's distance between the distributions of its root over pairs of frames,
    in levels of 255. `roughness`: the mean squares of second differences in time over those of first ones:
    near 0 for slow smooth motion, 3 for frames in a random order.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        fake, real = comparison.fake.values, comparison.real.values
        steps, real_steps = changes(fake), changes(real)
        scores = {"motion_distance": float(stats.wasserstein_distance(np.sqrt(steps), np.sqrt(real_steps)))}
        if real_steps.any():
            scores["motion_ratio"] = float(steps.mean() / real_steps.mean())
        if fake.shape[1] > 2 and steps.any():
            scores["roughness"] = float(changes(fake, order=2).mean() / steps.mean())
        return scores

    return score


def changes(clips: NDArray[np.uint8], order: int = 1) -> NDArray[np.float64]:
    """Mean squares of differences in time of that order, (n * (time - order),), from clips (n, time, h, w,
    c).
    """
    found = [np.square(np.diff(clip.astype(np.float64), order, axis=0)).mean((1, 2, 3)) for clip in clips]
    return np.concatenate(found)
