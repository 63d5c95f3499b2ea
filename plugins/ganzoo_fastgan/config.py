"""Options of `fastgan` and `reconstruct`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FastConfig:
    """Options of `fastgan`.

    The widths are ngf, ndf and the decoders' 32 of the authors' code: G has 16 ngf channels on its smallest
    maps, then 8, 4, 2, 2, 1, 1/2, 1/4 and 1/8 ngf; D has 8 ndf on its smallest maps, then half each time.
    `spectral_generator`: spectral norm on the convolutions of G as well, as in the authors' code. It has an
    effect where BatchNorm does not follow directly: excitation, blocks with noise, the last layer. `output`:
    tanh, as in the authors' code for 1024x1024, or unbounded in training and clipped in evaluation, as there
    for smaller images.
    """

    latent: int = 64
    generator_width: int = 8
    discriminator_width: int = 8
    decoder_width: int = 8
    spectral_generator: bool = False
    output: Literal["tanh", "clip"] = "tanh"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width, self.decoder_width) < 1:
            raise ValueError("latent and the widths must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class ReconstructConfig:
    """Options of `reconstruct`."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
