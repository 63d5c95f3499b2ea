"""Moving and colouring images: exact where nothing changes, and differentiable twice.

All operations are linear in the images: gathered pixels times weights that do not depend on them. torch's
grid_sample has no second derivative, and may round its products to TF32; this code does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def pixels(images: Tensor, index: Tensor) -> Tensor:
    """(N, C, H, W) and positions y * W + x (N, K) -> the pixels there, (N, C, K)."""
    return images.flatten(2).gather(2, index[:, None].expand(-1, images.shape[1], -1))


def shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """(N, C, H, W) shifted by whole pixels (N,), padded with zeros."""
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
    """(N, D, D) times (N, D, D) in full precision; a matrix product on CUDA may use TF32."""
    return (left[:, :, :, None] * right[:, None, :, :]).sum(2)


@dataclass(frozen=True)
class Grid:
    """The source of each pixel of a moved image: 4 positions (N, 4 H W) and their weights (N, 4, H W)."""

    index: Tensor
    weights: Tensor

    @classmethod
    def of(cls, height: int, width: int, source: Affine) -> Grid:
        """`source` maps positions (x, y), measured from the centre, in the moved image to the given one."""
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
    """The pixels before and after a position, and the weight of the latter; reflected at border pixels."""
    span = max(size - 1, 1)
    place = (span - (place.remainder(2 * span) - span).abs()).clamp(0, size - 1)
    before = place.floor()
    first = before.long()
    return first, (first + 1).clamp(max=size - 1), place - before


def colours(images: Tensor) -> tuple[Tensor, Tensor]:
    """The colour channels (the first 3, or 1 of a gray image), and the others (alpha)."""
    count = 3 if images.shape[1] >= 3 else 1
    return images[:, :count], images[:, count:]


def recoloured(images: Tensor, change: Affine) -> Tensor:
    """(N, C, H, W) after a map (D = 3) of its colours; gray is the diagonal of the RGB cube."""
    colour, rest = colours(images)
    linear, shift = change.linear, change.shift
    if colour.shape[1] == 1:
        linear, shift = linear.sum((1, 2))[:, None, None] / 3, shift.mean(1, keepdim=True)
    changed = (linear[..., None, None] * colour[:, None]).sum(2) + shift[..., None, None]
    return torch.cat([changed, rest], 1) if rest.shape[1] else changed
