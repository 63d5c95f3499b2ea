"""Moving and colouring images by arithmetic that is exact where nothing changes, and differentiable twice.

All of it is linear in the images: gathered pixels times weights that do not depend on them. torch's
grid_sample has no second derivative, and its products may be rounded to TF32; these are neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def pixels(images: Tensor, index: Tensor) -> Tensor:
    """(N, C, H, W) and places y * W + x (N, K) -> the pixels there, (N, C, K)."""
    return images.flatten(2).gather(2, index[:, None].expand(-1, images.shape[1], -1))


def shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """(N, C, H, W) moved by whole pixels (N,), with zeros where nothing was."""
    height, width = images.shape[2:]
    y = torch.arange(height, device=down.device) - down[:, None]
    x = torch.arange(width, device=right.device) - right[:, None]
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    index = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]
    moved = pixels(images, index.flatten(1)).reshape(images.shape)
    return moved.masked_fill(~inside[:, None], 0.0)


@dataclass(frozen=True)
class Affine:
    """x -> linear x + shift for each sample: (N, D, D) and (N, D), rows 1 to D of a homogeneous matrix."""

    linear: Tensor
    shift: Tensor

    def after(self, first: Affine) -> Affine:
        """The map that applies `first`, then this one."""
        moved = (self.linear * first.shift[:, None, :]).sum(2) + self.shift
        return Affine(product(self.linear, first.linear), moved)


def product(left: Tensor, right: Tensor) -> Tensor:
    """(N, D, D) times (N, D, D), in full precision: a matrix product on CUDA may have that of TF32."""
    return (left[:, :, :, None] * right[:, None, :, :]).sum(2)


@dataclass(frozen=True)
class Grid:
    """Where each pixel of a moved image comes from: 4 places (N, 4 H W) and their weights (N, 4, H W)."""

    index: Tensor
    weights: Tensor

    @classmethod
    def of(cls, height: int, width: int, source: Affine) -> Grid:
        """`source` maps places in the moved image to places (x, y) in the given one, from its middle."""
        x = torch.arange(width, device=source.shift.device) - (width - 1) / 2
        y = torch.arange(height, device=source.shift.device)[:, None] - (height - 1) / 2
        place = source.linear[:, :, 0, None, None] * x + source.linear[:, :, 1, None, None] * y
        place = place + source.shift[:, :, None, None]
        left, right, across = _neighbours(place[:, 0] + (width - 1) / 2, width)
        above, below, down = _neighbours(place[:, 1] + (height - 1) / 2, height)
        corners = [(above, left), (above, right), (below, left), (below, right)]
        shares = [(1 - down, 1 - across), (1 - down, across), (down, 1 - across), (down, across)]
        index = torch.stack([row * width + column for row, column in corners], 1).flatten(1)
        return cls(index, torch.stack([a * b for a, b in shares], 1).flatten(2))

    def of_images(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the moved images, bilinear."""
        corners = pixels(images, self.index).reshape(*images.shape[:2], 4, -1)
        return (corners * self.weights[:, None]).sum(2).reshape(images.shape)


def _neighbours(place: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels before and after a place, reflected at the middle of border pixels, and the latter's share."""
    span = max(size - 1, 1)
    place = (span - (place.remainder(2 * span) - span).abs()).clamp(0, size - 1)
    before = place.floor()
    first = before.long()
    return first, (first + 1).clamp(max=size - 1), place - before


def colours(images: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that have colour, the first 3 or else the first 1, and the others (alpha)."""
    count = 3 if images.shape[1] >= 3 else 1
    return images[:, :count], images[:, count:]


def recoloured(images: Tensor, change: Affine) -> Tensor:
    """(N, C, H, W) with a change (D = 3) of its colours; gray is the diagonal of the RGB cube."""
    seen, rest = colours(images)
    linear, shift = change.linear, change.shift
    if seen.shape[1] == 1:
        linear, shift = linear.sum((1, 2))[:, None, None] / 3, shift.mean(1, keepdim=True)
    changed = (linear[..., None, None] * seen[:, None]).sum(2) + shift[..., None, None]
    return torch.cat([changed, rest], 1) if rest.shape[1] else changed
