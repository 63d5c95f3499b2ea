"""Corrupted real samples (blurred, noisy, repeated), whose scores are shown beside those of a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganzoo.evaluation.real_data import _ORDER, FEWEST, Array
from ganzoo.evaluation.samples import Sampled
from ganzoo.fields import Field

BLUR, NOISE = 1.0, 25.0  # pixels, of 255


REPEATED, SHARE = 100, 10  # at most 100 different samples, and at most one tenth of all


_BLOCK = 32  # samples that are corrupted at once: as floats they take many times the memory of images


def corrupted(other: Sampled, field: Field, classes: int) -> Mapping[str, Callable[[], Sampled]]:
    """Real samples by the name of their reference row; all rows but the first are corrupted in a known way.

    `few_classes` is missing if fewer than ten samples, or all of them, have a class of the first half.
    """
    random = np.random.Generator(np.random.PCG64(_ORDER + 2))

    def blurred() -> Sampled:
        from scipy.ndimage import gaussian_filter

        def blur(block: Array) -> Array:
            smooth = gaussian_filter(block.astype(np.float32), (0, BLUR, BLUR, 0))
            pixels: Array = np.rint(smooth).astype(np.uint8)
            return pixels

        return other.changed(_in_blocks(other.values, blur))

    def noisy() -> Sampled:
        spread = NOISE if field.is_image else 0.5 * other.values.std(0)

        def disturb(block: Array) -> Array:
            noise = spread * random.standard_normal(block.shape)
            changed: Array = (
                np.rint((block + noise).clip(0, 255)).astype(np.uint8)
                if field.is_image
                else (block + noise.astype(np.float32))
            )
            return changed

        return other.changed(_in_blocks(other.values, disturb))

    def repeated() -> Sampled:
        few = min(REPEATED, -(-len(other) // SHARE))
        return other.subset(np.arange(len(other)) % few)

    rows: dict[str, Callable[[], Sampled]] = {"real": lambda: other}
    if field.is_image:
        rows["blurred"] = blurred
    rows["noisy"] = noisy
    if other.labels is not None:
        some = np.flatnonzero(other.labels[:, 0] < classes // 2)
        if FEWEST <= len(some) < len(other):
            rows["few_classes"] = lambda: other.subset(some)
    rows["repeated"] = repeated
    return rows


def _in_blocks(values: Array, change: Callable[[Array], Array]) -> Array:
    return np.concatenate([change(values[start : start + _BLOCK]) for start in range(0, len(values), _BLOCK)])
