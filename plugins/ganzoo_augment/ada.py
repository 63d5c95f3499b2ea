"""Adaptive discriminator augmentation (Karras et al. 2020): its pipe, and how its chance p adapts."""

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
    """The augmentation `ada`: each transformation is applied to each sample with chance p (appendix B).

    Those that move pixels are one affine map, and colours another. Images are resampled once, bilinearly
    and reflected at borders; the authors' code does so at twice the size between wavelet filters, against
    aliasing. Quarter turns of an image that is not square are half turns. Images are taken to be
    within -1..1. All fields of a sample get the same numbers; those of one size are moved alike.

    `p` and what it is decided by are buffers of floating point, which get their mean over several
    processes after each cycle. So a decision comes with the first scores after its `interval` steps: on
    means that all processes share if a cycle has one step of the discriminator, and p stays the same in
    all of them. A step in micro-batches counts as several, as does one with several games: p is then
    decided more often, and moves as far for each real sample that was scored.
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
        """Images (N, C, H, W) by name -> the same fields, changed."""
        numbers = uniform(len(next(iter(images.values()))), MOVES + COLOURS)
        if self.config.blit or self.config.geometry:
            grids = {}
            for height, width in {(value.shape[2], value.shape[3]) for value in images.values()}:
                source = source_of(Chances(numbers[:, :MOVES], self.p), height, width, self.config)
                grids[height, width] = Grid.of(height, width, source)
            images = {name: grids[x.shape[2], x.shape[3]].of_images(x) for name, x in images.items()}
        if self.config.color:
            change = colour_change(Chances(numbers[:, MOVES:], self.p))
            images = {name: recoloured(value, change) for name, value in images.items()}
        return images

    @torch.no_grad()
    def observe(self, real_scores: Tensor) -> None:
        """Scores (N, ...) of real samples: r = E sign D(x), and p moves by sign(r - target) (equation 1).

        It moves by the share of `kimg` that was scored since it moved last, in all processes together.
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


class Chances:
    """Random numbers (N, K), taken from left to right: amounts (N, count) that are 0 but with chance p."""

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
        """As if nothing were applied."""
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


def source_of(chances: Chances, height: int, width: int, config: AdaConfig) -> Affine:
    """The transformations of pixels, as the map (D = 2) from places after them to places before.

    So it is the product of their inverses, the first one's outermost. Turns, shifts and logarithms of
    scales are distributed evenly about 0: what is drawn is the inverse's.
    """
    zero = chances.zeros(2)
    size = torch.stack([zero[:, 0] + width, zero[:, 0] + height], 1)
    inverses = []
    if config.blit:
        if config.x_flip:
            sign = 1 - 2 * chances.choice(2)
            inverses.append(Affine(torch.diag_embed(torch.cat([sign, torch.ones_like(sign)], 1)), zero))
        turns = chances.choice(4) if height == width else 2 * chances.choice(2)
        odd = turns.remainder(2)  # of 0 .. 3 the cosines are 1, 0, -1, 0 and the sines 0, 1, 0, -1
        inverses.append(Affine(_turn((1 - turns) * (1 - odd), (2 - turns) * odd), zero))
        inverses.append(Affine(_scale(zero), (size * chances.within(1 / 8, 2)).round()))
    if config.geometry:
        # Two turns of which each is applied with this chance: at least one of them with chance p.
        rare = 1 - (1 - chances.p).sqrt()
        for other in (1, -1):  # sides alike, then one longer as the other gets shorter
            doublings = chances.normal(0.2)
            inverses.append(Affine(_scale(torch.cat([doublings, other * doublings], 1)), zero))
            angle = chances.within(pi, p=rare)
            inverses.append(Affine(_turn(angle.cos(), angle.sin()), zero))
        inverses.append(Affine(_scale(zero), size * chances.normal(1 / 8, 2)))
    return reduce(Affine.after, inverses)


def _turn(cosine: Tensor, sine: Tensor) -> Tensor:
    return torch.cat([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)


def _scale(doublings: Tensor) -> Tensor:
    return torch.diag_embed(doublings.exp2())


def colour_change(chances: Chances) -> Affine:
    """Brightness, contrast, luma flip, hue and saturation, in this order, as one map of RGB (D = 3).

    The last three act along or around the gray axis: `gray` projects onto it.
    """
    brightness = chances.normal(0.2)
    contrast = chances.normal(0.5).exp2()[:, :, None]
    flip = chances.choice(2)[:, :, None]
    hue = chances.within(pi)[:, :, None]
    saturation = chances.normal(1.0).exp2()[:, :, None]
    one = torch.eye(3, device=hue.device)
    gray = torch.full_like(one, 1 / 3)
    quarter = (one.roll(-1, 1) - one.roll(1, 1)) / 3**0.5
    turned = hue.cos() * one + hue.sin() * quarter + (1 - hue.cos()) * gray
    vivid = saturation * one + (1 - saturation) * gray
    linear = contrast * product(product(vivid, turned), one - 2 * flip * gray)
    return Affine(linear, linear.sum(2) * brightness)
