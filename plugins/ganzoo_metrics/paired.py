"""Generated images against their target images, one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ganzoo.api import Comparison

Pixels = NDArray[np.uint8]

ROUNDED = 1 / 12
"""The mean squared error of rounding to whole numbers. It limits PSNR to 58.9 dB."""

_BLOCK = 64  # images at once


def psnr(fake: Pixels, target: Pixels) -> float:
    """10 log10(255^2 / MSE) in dB of each image (n, h, w, c), then the mean."""
    error = np.square(fake.astype(np.float64) - target).mean((1, 2, 3))
    return float(10 * np.log10(255**2 / np.maximum(error, ROUNDED)).mean())


def ssim(fake: Pixels, target: Pixels) -> float:
    """Mean structural similarity of images (n, h, w, c), 1 where they are equal.

    Wang et al. 2004, equation 13, with the constants and the Gaussian window of 1.5 pixels of section III.
    Images are mirrored at their edges. All channels have the same weight.
    """
    x, y = fake.astype(np.float64), target.astype(np.float64)

    def blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        smooth: NDArray[np.float64] = gaussian_filter(values, (0, 1.5, 1.5, 0), truncate=3.5)
        return smooth

    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    together = blurred(x * y) - mean_x * mean_y
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + small) * (2 * together + smaller)
    below = (mean_x**2 + mean_y**2 + small) * (var_x + var_y + smaller)
    return float((above / below).mean())


def paired(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `paired`: `l1` as a share of the range of values, 0..1, `psnr` in dB, `ssim`."""

    def score(comparison: Comparison) -> dict[str, float]:
        assert comparison.targets is not None  # noqa: S101
        fake, target = comparison.fake.values, comparison.real.values[comparison.targets]
        sums = np.zeros(3)
        for start in range(0, len(fake), _BLOCK):
            x, y = fake[start : start + _BLOCK], target[start : start + _BLOCK]
            distance = float(np.abs(x.astype(np.float64) - y).mean()) / 255
            sums += len(x) * np.array([distance, psnr(x, y), ssim(x, y)])
        return dict(zip(("l1", "psnr", "ssim"), (sums / len(fake)).tolist(), strict=True))

    return score
