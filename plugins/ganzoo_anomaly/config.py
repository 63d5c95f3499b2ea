"""Options of f-AnoGAN. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FanoganConfig:
    """Options of `f-anogan`.

    Channels double at each halving of the image, up to 8 times the `*_width` of the largest maps; the encoder
    is as wide as the critic. With `latent_distribution="uniform"` the encoder ends in tanh, so that it cannot
    leave the values from which the generator has learned. `networks="residual"`: the published networks,
    without BatchNorm in the generator; `kernel` is for the others. `encoder_rate` is the encoder's learning
    rate over that of the generator. `kappa` weighs the distance of features in the score r. `nearest`, 0..1:
    the score is r^(1 - nearest) d^nearest, d the squared distance of the critic's features to those of the
    nearest of the normal images that calibrate the export (0, as in the paper: r). `level`: an image is an
    anomaly if its score is above that share of the scores of normal images.
    """

    latent: int = 64
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    networks: Literal["plain", "residual"] = "plain"
    encoder_rate: float = 1.0
    kappa: float = 1.0
    nearest: float = 0.0
    level: float = 0.95

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
        if not 2 <= self.kernel <= 11:
            raise ValueError("kernel must be between 2 and 11")
        if self.encoder_rate <= 0:
            raise ValueError("encoder_rate must be more than 0")
        if self.kappa < 0 or not 0 < self.level < 1:
            raise ValueError("kappa must be 0 or more, level between 0 and 1")
        if not 0 <= self.nearest <= 1:
            raise ValueError("nearest must be in 0..1")


@dataclass(frozen=True, kw_only=True)
class IziConfig:
    """Options of `izi`; `kappa` weighs the distance of the critic's features (equation 5)."""

    weight: float = 1.0
    kappa: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.kappa < 0:
            raise ValueError("weight and kappa must be 0 or more")
