"""Scores of enlarged images beside their targets, and of a plain bicubic enlargement of the same inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import Comparison

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo_enlarge.terms import Light

Pixels = NDArray[np.uint8]

SHAVED = 4
"""Pixels that are left out at each edge, as in most papers for x4."""

# ITU-R BT.601 in MATLAB's form, for values of 0..255: black is 16, white 235.
LUMA, BLACK = np.array([65.481, 128.553, 24.966]) / 255, 16.0

_BLOCK = 16  # images at once


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """Brightness (n, h, w) in 16..235 of images (n, h, w, 1, 3 or 4)."""
    if pixels.shape[3] < 3:
        gray: NDArray[np.float64] = BLACK + pixels[..., 0].astype(np.float64) * LUMA.sum()
        return gray
    bright: NDArray[np.float64] = BLACK + pixels[..., :3].astype(np.float64) @ LUMA
    return bright


def psnr_y(fake: Pixels, target: Pixels) -> float:
    """10 log10(255^2 / MSE) of the brightness in dB of each image without its edges, then the mean."""
    inner = slice(SHAVED, -SHAVED)
    error = np.square(luma(fake) - luma(target))[:, inner, inner].mean((1, 2))
    return float(10 * np.log10(255**2 / np.maximum(error, 1e-10)).mean())


def enlarged_by_bicubic(small: Pixels, size: tuple[int, int]) -> Pixels:
    """Images (n, h, w, c) enlarged to `size` (height, width) by Pillow's bicubic filter."""
    made = [
        np.stack(
            [
                np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC))
                for plane in image.transpose(2, 0, 1)
            ],
            axis=-1,
        )
        for image in small
    ]
    return np.stack(made)


def enlarging(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `enlarging`: `psnr_y` in dB and `perceptual`, each beside that of bicubic enlargement.

    Nothing for generators whose images are not larger than what they read.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        assert comparison.targets is not None  # noqa: S101
        fake, target = comparison.fake.values, comparison.real.values[comparison.targets]
        small = next((item for item in comparison.inputs.values() if item.dtype == np.uint8), None)
        if small is not None and small.shape[1] >= target.shape[1]:
            return {}
        from ganzoo_enlarge.terms import Light

        net = Light().eval()
        found = {"": fake}
        if small is not None and small.shape[3] == target.shape[3]:
            found["bicubic_"] = enlarged_by_bicubic(small, (target.shape[1], target.shape[2]))
        scores = {}
        for name, images in found.items():
            scores[f"{name}psnr_y"] = psnr_y(images, target)
            scores[f"{name}perceptual"] = perceptual_distance(net, images, target)
        return scores

    return score


def perceptual_distance(net: Light, fake: Pixels, target: Pixels) -> float:
    """The mean absolute difference of EfficientNet-Lite0's features, as in the term `perceptual`.

    Both are uint8 (n, height, width, channels) of one size.
    """
    import torch

    total = 0.0
    with torch.no_grad():
        for start in range(0, len(fake), _BLOCK):
            block = slice(start, start + _BLOCK)
            made, wanted = (net(_tensor(images[block])) for images in (fake, target))
            parts = [float((a - b).abs().mean()) for (_, a), (_, b) in zip(made, wanted, strict=True)]
            total += sum(parts) * len(fake[block])
    return total / len(fake)


def _tensor(pixels: Pixels) -> Tensor:
    import torch

    values = torch.from_numpy(pixels[..., :3].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return values.expand(-1, 3, -1, -1)
