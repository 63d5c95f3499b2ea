"""Options with their defaults. They are settings of a run and are checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetworksConfig:
    """Options of the architecture. The widths are the channels of the largest feature maps."""

    latent: int = 32
    generator_width: int = 16
    discriminator_width: int = 16

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Options of the loss: the target scores of real and of generated samples."""

    real: float = 1.0
    generated: float = 0.0

    def __post_init__(self) -> None:
        if self.real <= self.generated:
            raise ValueError("real samples need a higher target than generated ones")
