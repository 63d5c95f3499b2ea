"""Options of the networks and terms. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["instance", "batch", "none"]


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """Options of all networks here.

    `generator_width`: channels of G's first maps, doubled at each halving. D has `patch_layers` halvings,
    fewer if less than 4 pixels would remain, and starts with `discriminator_width` channels; channels grow
    eightfold at most. `norm` and `discriminator_norm`: "instance" normalises each map of each image
    (`affine`: with gains and shifts), "batch" is BatchNorm. With `scales` of 2 or more, other discriminators
    see the image at half, a quarter ... of its size. With `features`, D also writes the maps of its layers,
    which the term `matched-features` compares. `antialias`: maps are halved and doubled by low-pass filters
    (those of residual generators and of D).
    """

    generator_width: int = 64
    discriminator_width: int = 64
    patch_layers: int = 3
    norm: Norm = "instance"
    discriminator_norm: Norm = "instance"
    affine: bool = False
    dropout: float = 0.0
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["normal", "xavier", "default"] = "normal"
    scales: int = 1
    features: bool = False
    antialias: bool = False

    def __post_init__(self) -> None:
        if min(self.generator_width, self.discriminator_width, self.patch_layers, self.scales) < 1:
            raise ValueError("the widths, patch_layers and scales must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class UNetConfig(PatchConfig):
    """Options of `unet-patch`: G halves `levels` times, or until the shorter side has 1 pixel.

    `dropout` follows each of the `dropout_layers` innermost transposed convolutions.
    """

    levels: int = 8
    dropout_layers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2 or self.dropout_layers < 0:
            raise ValueError("levels must be 2 or more, dropout_layers 0 or more")


@dataclass(frozen=True, kw_only=True)
class ResnetConfig(PatchConfig):
    """Options of `resnet-patch` and `resnet-cycle`: `halvings`, then `blocks`, with `dropout` inside them.

    There are fewer halvings if less than 4 pixels would remain: norms over few values are mostly noise.
    """

    halvings: int = 2
    blocks: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.halvings <= 2 or self.blocks < 0:
            raise ValueError("halvings must be 0, 1 or 2, blocks 0 or more")


@dataclass(frozen=True, kw_only=True)
class OneWayConfig(ResnetConfig):
    """Options of `resnet-patch`. `pairs`: D sees `a` beside `b`; otherwise `b` alone, as in CycleGAN."""

    pairs: bool = True


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(ResnetConfig):
    """Options of `resnet-contrastive`: `projection` numbers describe a place, for the term `patch-nce`."""

    projection: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.projection < 1:
            raise ValueError("projection must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class PatchNceConfig:
    """Options of `patch-nce`: lambda, tau and the number of places of the paper.

    `identity`: half of the term is the same of images of the target side and what G makes of them. `flip`:
    half of the images are compared with what the encoder says of their mirror image (FastCUT).
    """

    weight: float = 1.0
    temperature: float = 0.07
    patches: int = 256
    identity: bool = False
    flip: bool = False

    def __post_init__(self) -> None:
        _check_weight(self.weight)
        if self.temperature <= 0 or self.patches < 2:
            raise ValueError("temperature must be above 0, patches 2 or more")


@dataclass(frozen=True, kw_only=True)
class L1Config:
    """Options of `l1`: lambda of the paper."""

    weight: float = 100.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


@dataclass(frozen=True, kw_only=True)
class CycleConfig:
    """Options of `cycle`: lambda of the paper, for both directions."""

    weight: float = 10.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Options of `identity`: lambda / 2 in section 5.2 of the paper."""

    weight: float = 5.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


def _check_weight(weight: float) -> None:
    if weight < 0:
        raise ValueError("weight must be 0 or more")
