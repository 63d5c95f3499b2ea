"""DiffAugment (Zhao et al. 2020, section 3 and appendix A): every image changed, by fixed amounts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.api import Batch
from ganzoo_augment.config import DiffAugmentConfig
from ganzoo_augment.pixels import colours, shifted

REACH = 1 / 8  # of a side: the longest translation
HOLE = 1 / 2  # of a side: that of what is cut out


class DiffAugment:
    """The augmentation `diffaugment`: colour, translation and cutout, for each sample its own.

    Images are taken to be within -1..1, so that the zeros which come in at borders and fill the hole are
    mid gray. All fields of a sample get the same numbers; those of one size are moved alike.
    """

    def __init__(self, config: DiffAugmentConfig) -> None:
        self._policy = config.policy

    def __call__(self, images: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Images (N, C, H, W) by name -> the same fields, changed."""
        numbers = uniform(len(next(iter(images.values()))), 7)
        return {name: self._changed(value, numbers) for name, value in images.items()}

    def observe(self, real_scores: Tensor) -> None:
        """Scores change nothing."""

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

    Saturation is the distance from a pixel's mean over its colours, nothing in a gray image; contrast
    that from the whole image's mean. Channels beyond the third (alpha) stay as they are.
    """
    seen, rest = colours(images)
    brightness, saturation, contrast = (u[:, None, None, None] for u in numbers.unbind(1))
    seen = seen + (brightness - 0.5)
    if seen.shape[1] > 1:
        gray = seen.mean(1, keepdim=True)
        seen = gray + 2 * saturation * (seen - gray)
    level = seen.mean((1, 2, 3), keepdim=True)
    seen = level + (contrast + 0.5) * (seen - level)
    return torch.cat([seen, rest], 1) if rest.shape[1] else seen


def translated(images: Tensor, numbers: Tensor) -> Tensor:
    """Moved by whole pixels, up to an eighth of each side, zeros following; `numbers` (N, 2) are U(0, 1)."""
    reach = [int(REACH * size + 0.5) for size in images.shape[2:]]
    down, right = (((2 * r + 1) * u).floor() - r for r, u in zip(reach, numbers.unbind(1), strict=True))
    return shifted(images, down.long(), right.long())


def cut(images: Tensor, numbers: Tensor) -> Tensor:
    """A hole of half of each side is set to 0; `numbers` (N, 2), U(0, 1), say where its middle is.

    That is anywhere in the image, as in the authors' code, so that the hole may be cut off by borders.
    """
    within = []
    for size, number in zip(images.shape[2:], numbers.unbind(1), strict=True):
        length = int(HOLE * size + 0.5)
        middles = size + 1 - length % 2  # between pixels, borders included, or on one of them
        start = (middles * number[:, None]).floor() - length // 2
        place = torch.arange(size, device=numbers.device)
        within.append((place >= start) & (place < start + length))
    return images.masked_fill((within[0][:, :, None] & within[1][:, None, :])[:, None], 0.0)
