"""Adaptive discriminator augmentation (Karras et al. 2020): its transforms, and how p adapts."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import pi

import torch
from torch import Tensor, distributed, nn

from ganzoo.api import Batch
from ganzoo_augment.config import AdaConfig
from ganzoo_augment.pixels import Affine, Grid, product, recoloured

MOVES, COLOURS = 18, 10  # random numbers of each kind, for each sample


class Ada(nn.Module):
    """The augmentation `ada`: each transform is applied to each sample with probability p (appendix B).

    All transforms that move pixels are one affine map, all transforms of colours another. Images are
    resampled once, bilinearly, and reflected at borders. The authors' code resamples at twice the size
    between wavelet filters, against aliasing. An image that is not square gets half turns instead of quarter
    turns. Pixels are expected in -1..1. All fields of a sample use the same random numbers, so fields of one
    size move together.

    `p` and its statistics are float buffers, which are averaged over all processes after each cycle.
    Therefore p changes with the first scores after `interval` steps. If a cycle has one discriminator step,
    all processes then have the same means, and p stays equal in all of them. A step in micro-batches, or with
    several games, counts as several steps: p changes more often, but by the same amount per real sample.
    """

    p: Tensor
    signs: Tensor
    count: Tensor
    steps: Tensor

    def __init__(self, config: AdaConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("p", torch.tensor(config.p or 0.0))
        for name in ("signs", "count", "steps"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, images: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Images (N, C, H, W) by name -> the same fields, augmented."""
        numbers = uniform(len(next(iter(images.values()))), MOVES + COLOURS)
        if self.config.blit or self.config.geometry:
            grids = {}
            for height, width in {(value.shape[2], value.shape[3]) for value in images.values()}:
                source = inverse_map(RandomAmounts(numbers[:, :MOVES], self.p), height, width, self.config)
                grids[height, width] = Grid.of(height, width, source)
            images = {name: grids[x.shape[2], x.shape[3]].of_images(x) for name, x in images.items()}
        if self.config.color:
            change = colour_map(RandomAmounts(numbers[:, MOVES:], self.p))
            images = {name: recoloured(value, change) for name, value in images.items()}
        return images

    @torch.no_grad()
    def observe(self, real_scores: Tensor) -> None:
        """Scores (N, ...) of real samples: r = E sign D(x), and p changes by sign(r - target) (equation 1).

        The size of the change is the share of `kimg` that all processes have scored since the last change.
        """
        if self.config.p is not None:
            return
        parallel = distributed.is_available() and distributed.is_initialized()
        seen = self.count * (distributed.get_world_size() if parallel else 1)
        due = self.steps >= self.config.interval
        excess = self.signs / self.count.clamp(min=1) - self.config.target
        moved = self.p + excess.sign() * seen / (1000 * self.config.kimg)
        self.p.copy_(torch.where(due, moved.clamp(0, 1), self.p))
        batch = len(real_scores)
        self.signs.copy_(torch.where(due, 0.0, self.signs) + real_scores.sign().mean() * batch)
        self.count.copy_(torch.where(due, 0.0, self.count) + batch)
        self.steps.copy_(torch.where(due, 0.0, self.steps) + 1)


class RandomAmounts:
    """Random amounts (N, count), not 0 with probability p, from numbers (N, K) taken from left to right."""

    def __init__(self, numbers: Tensor, p: Tensor) -> None:
        self._numbers = numbers
        self._next = 0
        self.p = p

    def _take(self, count: int) -> Tensor:
        self._next += count
        return self._numbers[:, self._next - count : self._next]

    def _perhaps(self, amount: Tensor, p: Tensor | None = None) -> Tensor:
        return torch.where(self._take(1) < (self.p if p is None else p), amount, 0.0)

    def zeros(self, count: int) -> Tensor:
        """The amounts where nothing is applied."""
        return self._numbers.new_zeros(len(self._numbers), count)

    def choice(self, count: int) -> Tensor:
        """One of 0 .. count - 1."""
        return self._perhaps((count * self._take(1)).floor())

    def within(self, bound: float, count: int = 1, p: Tensor | None = None) -> Tensor:
        """U(-bound, bound)."""
        return self._perhaps(bound * (2 * self._take(count) - 1), p)

    def normal(self, deviation: float, count: int = 1) -> Tensor:
        """N(0, deviation^2), within 4.7 deviations."""
        return self._perhaps(deviation * torch.special.ndtri(self._take(count).clamp(1e-6, 1 - 1e-6)))


def inverse_map(amounts: RandomAmounts, height: int, width: int, config: AdaConfig) -> Affine:
    """The map (D = 2) from positions in the transformed image to positions in the given one.

    It is the product of the inverse transforms; the inverse of the first transform is applied last.
    Rotations, shifts and logarithms of scales have distributions symmetric about 0, so the inverses are
    drawn directly.
    """
    zero = amounts.zeros(2)
    size = torch.stack([zero[:, 0] + width, zero[:, 0] + height], 1)
    inverses = []
    if config.blit:
        if config.x_flip:
            sign = 1 - 2 * amounts.choice(2)
            inverses.append(Affine(torch.diag_embed(torch.cat([sign, torch.ones_like(sign)], 1)), zero))
        turns = amounts.choice(4) if height == width else 2 * amounts.choice(2)
        odd = turns.remainder(2)  # of 0 .. 3 the cosines are 1, 0, -1, 0 and the sines 0, 1, 0, -1
        inverses.append(Affine(_turn((1 - turns) * (1 - odd), (2 - turns) * odd), zero))
        inverses.append(Affine(_scale(zero), (size * amounts.within(1 / 8, 2)).round()))
    if config.geometry:
        # Each of two rotations has this probability, so that at least one is applied with probability p.
        rare = 1 - (1 - amounts.p).sqrt()
        for other in (1, -1):  # first both sides by the same factor, then one by the inverse of the other
            doublings = amounts.normal(0.2)
            inverses.append(Affine(_scale(torch.cat([doublings, other * doublings], 1)), zero))
            angle = amounts.within(pi, p=rare)
            inverses.append(Affine(_turn(angle.cos(), angle.sin()), zero))
        inverses.append(Affine(_scale(zero), size * amounts.normal(1 / 8, 2)))
    return reduce(Affine.after, inverses)


def _turn(cosine: Tensor, sine: Tensor) -> Tensor:
    return torch.cat([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)


def _scale(doublings: Tensor) -> Tensor:
    return torch.diag_embed(doublings.exp2())


def colour_map(amounts: RandomAmounts) -> Affine:
    """Brightness, contrast, luma flip, hue and saturation, in this order, as one map of RGB (D = 3).

    The last three act along or around the gray axis: `gray` projects onto it.
    """
    brightness = amounts.normal(0.2)
    contrast = amounts.normal(0.5).exp2()[:, :, None]
    flip = amounts.choice(2)[:, :, None]
    hue = amounts.within(pi)[:, :, None]
    saturation = amounts.normal(1.0).exp2()[:, :, None]
    one = torch.eye(3, device=hue.device)
    gray = torch.full_like(one, 1 / 3)
    quarter = (one.roll(-1, 1) - one.roll(1, 1)) / 3**0.5
    turned = hue.cos() * one + hue.sin() * quarter + (1 - hue.cos()) * gray
    vivid = saturation * one + (1 - saturation) * gray
    linear = contrast * product(product(vivid, turned), one - 2 * flip * gray)
    return Affine(linear, linear.sum(2) * brightness)
