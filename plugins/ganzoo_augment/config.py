"""Options of `diffaugment` and `ada`. Importing this must not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DiffAugmentConfig:
    """`policy`: the transforms, applied in the paper's order. No `color` where channels are not colours."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation", "cutout")


@dataclass(frozen=True, kw_only=True)
class AdaConfig:
    """The paper's transforms and controller (section 3, appendix B).

    `blit`: flips, quarter turns and shifts by whole pixels; `x_flip=false`: no flips, for images in which
    left and right differ. `geometry`: scales, rotations and shifts by fractions of a pixel. `color`:
    brightness, contrast, luma flip, hue and saturation. `p` is the probability of each transform. None: p
    adapts, starting at 0. It changes at every `interval`-th discriminator step so that the mean sign of real
    scores approaches `target`, and needs at least `kimg` thousand real images to go from 0 to 1.
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
            raise ValueError("target must be from -1 to 1: it is a mean of signs")
        if self.interval < 1:
            raise ValueError("interval must be 1 or more")
        if self.kimg <= 0:
            raise ValueError("kimg must be more than 0")

    @property
    def rejects(self) -> Mapping[str, str]:
        """Without a fixed p: losses whose scores have no meaningful sign."""
        if self.p is not None:
            return {}
        return {
            "no-sign": "p depends on the sign of real scores: set augment.p=0.2, or --augment diffaugment"
        }
