"""DiffAugment (Zhao et al. 2020, section 3 and appendix A): every image is changed, with fixed strength."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.api import Batch
from ganzoo_augment.config import DiffAugmentConfig
from ganzoo_augment.pixels import colours, shifted

REACH = 1 / 8  # of a side: the longest translation
HOLE = 1 / 2  # of a side: the side of the hole that cutout makes


class DiffAugment:
    """The augmentation `diffaugment`: colour, translation and cutout, drawn for each sample.

    Pixels are expected in -1..1, so the zeros at borders and in the hole are mid gray. All fields of a sample
    use the same random numbers, so fields of one size move together.
    """

    def __init__(self, config: DiffAugmentConfig) -> None:
        self._policy = config.policy

    def __call__(self, images: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Images (N, C, H, W) by name -> the same fields, augmented."""
        numbers = uniform(len(next(iter(images.values()))), 7)
        return {name: self._changed(value, numbers) for name, value in images.items()}

    def observe(self, real_scores: Tensor) -> None:
        """Does nothing: this augmentation does not adapt."""

    def _changed(self, images: Tensor, numbers: Tensor) -> Tensor:
        if "color" in self._policy:
            images = coloured(images, numbers[:, :3])
        if "translation" in self._policy:
            images = translated(images, numbers[:, 3:5])
        if "cutout" in self._policy:
            images = cut(images, numbers[:, 5:7])
        return images


def coloured(images: Tensor, numbers: Tensor) -> Tensor:
    """Brightness + U(-0.5, 0.5), saturation * U(0, 2), contrast * U(0.5, 1.5); `numbers` (N, 3) are U(0, 1).

    Saturation scales the distance from the pixel's mean over its colours (a gray image has none), contrast
    the distance from the mean of the whole image. Channels after the third (alpha) do not change.
    """
    colour, rest = colours(images)
    brightness, saturation, contrast = (u[:, None, None, None] for u in numbers.unbind(1))
    colour = colour + (brightness - 0.5)
    if colour.shape[1] > 1:
        gray = colour.mean(1, keepdim=True)
        colour = gray + 2 * saturation * (colour - gray)
    level = colour.mean((1, 2, 3), keepdim=True)
    colour = level + (contrast + 0.5) * (colour - level)
    return torch.cat([colour, rest], 1) if rest.shape[1] else colour


def translated(images: Tensor, numbers: Tensor) -> Tensor:
    """Shifted by whole pixels, up to an eighth of each side, padded with 0; `numbers` (N, 2) are U(0, 1)."""
    reach = [int(REACH * size + 0.5) for size in images.shape[2:]]
    down, right = (((2 * r + 1) * u).floor() - r for r, u in zip(reach, numbers.unbind(1), strict=True))
    return shifted(images, down.long(), right.long())


def cut(images: Tensor, numbers: Tensor) -> Tensor:
    """A hole of half of each side is set to 0; `numbers` (N, 2), U(0, 1), decide where its centre is.

    The centre is anywhere in the image, as in the authors' code, so borders may cut the hole.
    """
    within = []
    for size, number in zip(images.shape[2:], numbers.unbind(1), strict=True):
        length = int(HOLE * size + 0.5)
        middles = size + 1 - length % 2  # even length: between pixels or at a border; odd: on a pixel
        start = (middles * number[:, None]).floor() - length // 2
        place = torch.arange(size, device=numbers.device)
        within.append((place >= start) & (place < start + length))
    return images.masked_fill((within[0][:, :, None] & within[1][:, None, :])[:, None], 0.0)
