"""Options of the WGAN networks and terms. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """Options of `wgan-conv`.

    Channels double at each halving of the image, up to 8 times the `*_width` of the largest maps.
    `stages` is how often the image is halved. 0: as often as its shorter side stays at 4 pixels or more.
    `head="strided"`: G ends in a strided transposed convolution. `"smooth"`: G has a hidden map at full
    size before a last 3x3 convolution. The critic has `discriminator_extra` more halvings than G, with 3x3
    kernels; the default is 1 with a smooth head, else 0. `discriminator_norm="layer"` normalises each
    sample by itself. `init="he"` is that of the authors' tflib: uniform with variance
    4 / (fan in + fan out), half of it in linear layers, biases 0.
    """

    latent: int = 128
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 64
    discriminator_width: int = 64
    kernel: int = 5
    stages: int = 0
    discriminator_extra: int | None = None
    head: Literal["strided", "smooth"] = "strided"
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["none", "layer"] = "none"
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["default", "normal", "he"] = "default"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
        if not 2 <= self.kernel <= 11:
            raise ValueError("kernel must be between 2 and 11")
        if self.stages < 0:
            raise ValueError("stages must be 0 (chosen from the image's size) or more")
        if not 0 <= (self.discriminator_extra or 0) <= 3:
            raise ValueError("discriminator_extra must be between 0 and 3")


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """Options of `wgan-resnet`. `init` as in `ConvConfig`; shortcuts and the last layer count as linear."""

    latent: int = 128
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 128
    discriminator_width: int = 128
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["none", "layer"] = "none"
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["default", "normal", "he"] = "he"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class GradientPenaltyConfig:
    """Options of `gradient-penalty`. `one_sided` does not penalise gradient norms below `target`."""

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False

    def __post_init__(self) -> None:
        if self.weight < 0 or self.target < 0:
            raise ValueError("weight and target must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class WeightClipConfig:
    """Options of `weight-clip`: every parameter stays within -limit..limit."""

    limit: float = 0.01

    def __post_init__(self) -> None:
        if self.limit <= 0:
            raise ValueError("limit must be more than 0")


@dataclass(frozen=True, kw_only=True)
class DriftConfig:
    """Options of `drift`."""

    weight: float = 1e-3

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
