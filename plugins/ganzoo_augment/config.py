"""Options of `diffaugment` and `ada`. Importing this must not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DiffAugmentConfig:
    """What is done, always in the paper's order. Data whose channels are no colours want no `color`."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation", "cutout")


@dataclass(frozen=True, kw_only=True)
class AdaConfig:
    """The paper's pipe and controller (section 3, appendix B).

    `blit`: flips, quarter turns and shifts by whole pixels; `x_flip=false` leaves out the flips, for images
    that all look one way. `geometry`: scales, turns and shifts by fractions. `color`: brightness, contrast,
    luma flip, hue and saturation. `p` is the chance of each of them; None lets it adapt, from 0 on: towards
    a mean sign of real scores of `target`, in every `interval`-th step of the discriminator, and from 0 to
    1 in `kimg` thousand real images at the least.
    """

    blit: bool = True
    x_flip: bool = True
    geometry: bool = True
    color: bool = True
    p: float | None = None
    target: float = 0.6
    interval: int = 4
    kimg: float = 500.0

    def __post_init__(self) -> None:
        if self.p is not None and not 0 <= self.p <= 1:
            raise ValueError("p must be from 0 to 1")
        if not -1 <= self.target <= 1:
            raise ValueError("target must be from -1 to 1: it is the mean of signs")
        if self.interval < 1:
            raise ValueError("interval must be 1 or more")
        if self.kimg <= 0:
            raise ValueError("kimg must be more than 0")

    @property
    def rejects(self) -> Mapping[str, str]:
        """Losses whose scores have no sign to adapt p by; a fixed p asks for none."""
        if self.p is not None:
            return {}
        return {
            "no-sign": "p follows the sign of real scores: fix it, augment.p=0.2, or --augment diffaugment"
        }
