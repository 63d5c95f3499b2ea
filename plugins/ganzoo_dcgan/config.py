"""Options of the DCGAN networks. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DcganConfig:
    """Options of `dcgan`.

    Channels double at each halving of the image, up to 8 times the `*_width` of the largest maps.
    `stages` is how often the image is halved. 0: as often as its shorter side stays at 4 pixels or more.
    `head="strided"`: G ends in a strided transposed convolution (Radford). `"smooth"`: G has a hidden map
    at full size before a last 3x3 convolution. `"skips"`: G has that, and writes pixels at each size; they
    are enlarged and added to those of the next (Karras et al. 2020, StyleGAN2, figure 7b). D has
    `discriminator_extra` more halvings than G, with 3x3 kernels; the default is 0 with a strided head, else
    1. `upsampling="bilinear"`: G doubles maps bilinearly, then convolves with a kernel smaller by 2.
    `downsampling="mean"`: D convolves with a kernel smaller by 1, then takes means of 2x2, but for the
    `discriminator_extra` layers. `discriminator_norm="layer"` normalises each sample by itself (one group).
    `bias` is for the layers that no norm follows. `init="normal"`: weights N(0, 0.02), norm gains N(1,
    0.02), biases 0. `bottom_activation=False`: neither norm nor ReLU on the first maps of G. `slope` is
    that of the leaky ReLU in D. `spectral_score=False`: no spectral norm in the last layer of D. `norm_eps`
    is what BatchNorm adds to the variance.
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    stages: int = 0
    discriminator_extra: int | None = None
    head: Literal["strided", "smooth", "skips"] = "strided"
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    downsampling: Literal["strided", "mean"] = "strided"
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["batch", "layer", "spectral", "none"] = "batch"
    output: Literal["tanh", "sigmoid"] = "tanh"
    bias: bool = True
    init: Literal["normal", "default"] = "normal"
    bottom_activation: bool = True
    slope: float = 0.2
    spectral_score: bool = True
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
        if not 2 <= self.kernel <= 11:
            raise ValueError("kernel must be between 2 and 11")
        if self.upsampling == "bilinear" and self.kernel < 3:
            raise ValueError("kernel must be 3 or more with upsampling bilinear")
        if self.stages < 0:
            raise ValueError("stages must be 0 (chosen from the image's size) or more")
        if not 0 <= (self.discriminator_extra or 0) <= 3:
            raise ValueError("discriminator_extra must be between 0 and 3")
        if self.slope < 0 or self.norm_eps <= 0:
            raise ValueError("slope must be 0 or more, norm_eps more than 0")
