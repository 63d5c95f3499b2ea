"""Options of the DCGAN networks. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DcganConfig:
    """Options of `dcgan`.

    Channels double at each halving of the picture, up to 8 times the `*_width` of the largest maps.
    `stages` is how often the picture is halved; 0: as often as the shorter side stays at 4 or more.
    `head="strided"` ends G in a strided transposed convolution (Radford); `"smooth"` keeps a hidden map
    at full size before a last 3x3 convolution, and gives D one more halving. `discriminator_stages` is how
    often D halves, if that is not to follow; halvings beyond those of G have 3x3 kernels.
    `discriminator_norm="layer"` normalises each sample by itself (one group). `bias` is for the layers
    that no norm follows. `init="normal"`: weights N(0, 0.02), norm gains N(1, 0.02), biases 0.
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    stages: int = 0
    discriminator_stages: int = 0
    head: Literal["strided", "smooth"] = "strided"
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["batch", "layer", "spectral", "none"] = "batch"
    output: Literal["tanh", "sigmoid"] = "tanh"
    bias: bool = True
    init: Literal["normal", "default"] = "normal"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
        if not 2 <= self.kernel <= 11:
            raise ValueError("kernel must be between 2 and 11")
        if min(self.stages, self.discriminator_stages) < 0:
            raise ValueError("stages and discriminator_stages must be 0 (chosen by size) or more")
