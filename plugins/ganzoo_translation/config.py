"""Options of the networks and terms. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["instance", "batch", "none"]


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """Options of all nets here.

    `generator_width`: channels of G's first maps, doubled at each halving. D has `patch_layers` halvings or
    as many as leave 4 pixels, from `discriminator_width` channels; channels grow eightfold at most. `norm`
    and `discriminator_norm` are over each image's maps (with gains and shifts where `affine`) or over the
    batch.
    """

    generator_width: int = 64
    discriminator_width: int = 64
    patch_layers: int = 3
    norm: Norm = "instance"
    discriminator_norm: Norm = "instance"
    affine: bool = False
    dropout: float = 0.0
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["normal", "default"] = "normal"

    def __post_init__(self) -> None:
        if min(self.generator_width, self.discriminator_width, self.patch_layers) < 1:
            raise ValueError("the widths and patch_layers must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class UNetConfig(PatchConfig):
    """Options of `unet-patch`: G halves `levels` times, less often where the shorter side has 1 pixel left.

    `dropout` is after each of the `dropout_layers` innermost transposed convolutions.
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

    There are fewer halvings where they would leave less than 4 pixels: of few values a norm leaves chance.
    """

    halvings: int = 2
    blocks: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.halvings <= 2 or self.blocks < 0:
            raise ValueError("halvings must be 0, 1 or 2, blocks 0 or more")


@dataclass(frozen=True, kw_only=True)
class L1Config:
    """Options of `l1`: lambda of the paper."""

    weight: float = 100.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


@dataclass(frozen=True, kw_only=True)
class CycleConfig:
    """Options of `cycle`: lambda of the paper, for both ways."""

    weight: float = 10.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Options of `identity`: half of lambda, in section 5.2 of the paper."""

    weight: float = 5.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)


def _check_weight(weight: float) -> None:
    if weight < 0:
        raise ValueError("weight must be 0 or more")
