"""Options of `projected`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ProjectedConfig:
    """Options of `projected`.

    `generator_width` is that of `fastgan`. `mix_width`: channels of the mixed features of the finest scale,
    twice as many at each coarser one. `discriminator_width`: channels of the first layer of each scale's
    discriminator, doubled at each halving. `enlarge`: smaller images are enlarged to this shorter side before
    their features are computed. `discriminator_norm="batch"` as in the authors' code.
    """

    latent: int = 256
    generator_width: int = 16
    discriminator_width: int = 64
    discriminator_norm: Literal["batch", "none"] = "batch"
    mix_width: int = 32
    enlarge: int = 64

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width, self.mix_width) < 1:
            raise ValueError("latent and the widths must be 1 or more")
        if not 32 <= self.enlarge <= 512:
            raise ValueError("enlarge must be between 32 and 512 pixels")
