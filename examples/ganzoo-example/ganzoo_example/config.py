"""The options of this plugin, with their defaults. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """Options of `tiny-upsample`.

    The widths are the channels of the largest maps; channels double each time a map is halved.
    """

    latent: int = 64
    generator_width: int = 16
    discriminator_width: int = 32
    generator_norm: Literal["batch", "none"] = "batch"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class LeastSquaresConfig:
    """Options of `least-squares`, by their letters in the paper.

    The discriminator draws scores of generated samples to `a` and those of real samples to `b`; the
    generator wants its samples to get the score `c`.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise ValueError("a and b must differ, else every sample gets the same score")
