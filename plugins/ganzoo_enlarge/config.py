"""Options of the data, networks and terms for enlarging. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class CropsConfig:
    """Random squares `b` of `size` pixels from pictures at full size, and `a`, made from each.

    `count` parts of twice that side are cut once; each epoch takes another square of each. `a` is `factor`
    times smaller. `degradation`: "bicubic" shrinks with an antialiased bicubic filter; "real" is that of
    Real-ESRGAN, drawn anew each time: blur, resize, noise and JPEG, twice. `shrink`: each part is cut from
    1 to `shrink` times its size and shrunk, because photographs are often soft at full size; Real-ESRGAN
    goes to 3, ESRGAN takes 1. `channels`: 3 or 1. `range`: the values that become black and white, as for
    `folder`. Part i depends on `seed`, i and the pictures alone.
    Without a folder `test`, every tenth picture is held out.
    """

    count: int = 2_000
    size: int = 128
    factor: Literal[2, 3, 4] = 4
    degradation: Literal["bicubic", "real"] = "bicubic"
    shrink: float = 3.0
    channels: Literal[1, 3] = 3
    seed: int = 0
    range: str = "auto"

    def __post_init__(self) -> None:
        if self.count < 1 or not 16 <= self.size <= 1024:
            raise ValueError("count must be 1 or more, size between 16 and 1024")
        if self.size % self.factor:
            raise ValueError(f"size must be a multiple of factor, {self.factor}")
        if not 1 <= self.shrink <= 16:
            raise ValueError("shrink must be between 1 and 16")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class DrawnConfig:
    """`count` drawn squares `b` of `size` pixels, and `a`, `factor` times smaller by that degradation."""

    count: int = 400
    size: int = 64
    factor: Literal[2, 3, 4] = 4
    degradation: Literal["bicubic", "real"] = "bicubic"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 16 <= self.size <= 256 or self.size % self.factor:
            raise ValueError("count must be 1 or more, size between 16 and 256 and a multiple of factor")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Options of the discriminator.

    `discriminator`: "unet" gives each pixel a score (Real-ESRGAN); "patch" halves three times and scores
    patches, at a twentieth of the cost. `discriminator_width`: channels of the first maps.
    """

    discriminator: Literal["unet", "patch"] = "unet"
    discriminator_width: int = 64

    def __post_init__(self) -> None:
        if self.discriminator_width < 1:
            raise ValueError("discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class RRDBConfig(JudgeConfig):
    """Options of `rrdb`: `blocks` of three dense blocks each, `width` channels, `growth` in dense blocks.

    `unshuffle`: first turn squares of so many pixels into channels, and enlarge by as much more (2 in
    Real-ESRGAN's network for x2).
    """

    blocks: int = 23
    width: int = 64
    growth: int = 32
    unshuffle: Literal[1, 2, 4] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.blocks, self.width, self.growth) < 1:
            raise ValueError("blocks, width and growth must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class CompactConfig(JudgeConfig):
    """Options of `srvgg`: `layers` convolutions of `width` channels between the first and the last one."""

    layers: int = 16
    width: int = 64
    activation: Literal["prelu", "relu", "leaky"] = "prelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 0 or self.width < 1:
            raise ValueError("layers must be 0 or more, width 1 or more")


@dataclass(frozen=True, kw_only=True)
class PixelsConfig:
    """Options of `pixels`. `sharpen`: the target is sharpened by an unsharp mask, as in Real-ESRGAN."""

    weight: float = 1.0
    sharpen: bool = False

    def __post_init__(self) -> None:
        _check_weight(self.weight)


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """Options of `perceptual`.

    `vgg`: a file of torchvision's VGG19 weights (a state dict); without it, the features are those of the
    installed EfficientNet-Lite0. `sharpen` as for `pixels`.
    """

    weight: float = 1.0
    vgg: str = ""
    sharpen: bool = False

    def __post_init__(self) -> None:
        _check_weight(self.weight)


def _check_weight(weight: float) -> None:
    if weight < 0:
        raise ValueError("weight must be 0 or more")
