"""Options with their defaults: they become settings, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetworksConfig:
    """Options of the architecture; widths are channels of the largest maps."""

    latent: int = 32
    generator_width: int = 16
    discriminator_width: int = 16

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Options of the loss: the score that the discriminator is to give to real and to generated samples."""

    real: float = 1.0
    generated: float = 0.0

    def __post_init__(self) -> None:
        if self.real <= self.generated:
            raise ValueError("real samples need a higher target than generated ones")
