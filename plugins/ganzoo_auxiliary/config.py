"""Options of the networks and terms. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LabelConvConfig:
    """Options of `acgan-conv`.

    The channels of G halve at each doubling of the map, down to `generator_width` before the image.
    `generator_hidden` adds a linear layer before the first maps; `bottom_norm`: these maps have a norm.
    D has as many halvings as G has doublings, and `discriminator_extra` more. Each halving is
    `discriminator_layers` convolutions, the first with stride 2; channels double at each convolution, up to
    512. `discriminator_hidden` is the size of a linear layer after them. `guess_hidden` is the size of a
    layer before the predictions only; score and predictions share all layers before it. Spectral norm, if
    chosen, is on all layers except those of the predictions. A size of 0 leaves the layer out.
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 64
    generator_hidden: int = 0
    generator_kernel: int = 4
    generator_norm: Literal["batch", "none"] = "batch"
    bottom_norm: bool = True
    discriminator_width: int = 64
    discriminator_hidden: int = 0
    discriminator_kernel: int = 4
    discriminator_layers: int = 1
    discriminator_extra: int = 0
    discriminator_norm: Literal["batch", "layer", "spectral", "none"] = "spectral"
    guess_hidden: int = 0
    slope: float = 0.2
    dropout: float = 0.0
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["normal", "default"] = "normal"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width, self.discriminator_layers) < 1:
            raise ValueError("latent, the widths and discriminator_layers must be 1 or more")
        if min(self.generator_hidden, self.discriminator_hidden, self.guess_hidden) < 0:
            raise ValueError("a hidden layer has 0 units (none) or more")
        if not (2 <= self.generator_kernel <= 11 and 3 <= self.discriminator_kernel <= 11):
            raise ValueError("kernels must be between 2 (D: 3) and 11")
        if self.discriminator_layers > 1 and self.discriminator_kernel % 2 == 0:
            raise ValueError("more than one of discriminator_layers needs an odd discriminator_kernel")
        if not 0 <= self.discriminator_extra <= 1:
            raise ValueError("discriminator_extra must be 0 or 1")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class CodeConvConfig(LabelConvConfig):
    """Options of `infogan-conv`: `categories` of the code, number of `styles`; others as `acgan-conv`."""

    categories: int = 10
    styles: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories < 2 or self.styles < 1:
            raise ValueError("categories must be 2 or more, styles 1 or more")


@dataclass(frozen=True, kw_only=True)
class GuessLabelConfig:
    """Options of `guess-label`: the weights of real and of generated samples."""

    real_weight: float = 1.0
    fake_weight: float = 1.0

    def __post_init__(self) -> None:
        if min(self.real_weight, self.fake_weight) < 0:
            raise ValueError("weights must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class ShowLabelConfig:
    """Options of `show-label`."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class CodesConfig:
    """Options of `guess-codes` and `show-codes`: the paper's lambda for the code and for the styles."""

    categorical_weight: float = 1.0
    continuous_weight: float = 1.0

    def __post_init__(self) -> None:
        if min(self.categorical_weight, self.continuous_weight) < 0:
            raise ValueError("weights must be 0 or more")
