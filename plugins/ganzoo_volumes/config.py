"""Options of volumes. Importing this imports neither numpy nor torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LARGEST = 512  # voxels of a side


@dataclass(frozen=True, kw_only=True)
class VolumesConfig:
    """How volumes of any size become samples of one shape.

    `size`: voxels as DEPTHxHEIGHTxWIDTH, or one number for a cube; empty: that of the files if all have one
    of at most 32 a side, else 32x32x32. `fit`: `resample` stretches each axis, `pad` keeps the proportions in
    millimetres and adds a border of the lowest value, `crop` keeps the voxels: it cuts away what is too much
    around the centre and adds such a border where there is too little.
    `range`: the values that become -1..1: `auto`, the lowest to the highest of all volumes; `LOW,HIGH`;
    `1%,99%`, percentiles of all volumes; `window`, that of the DICOM headers.
    `frame`: of 4-D NIfTI files, the number of the volume to use, or `all`: each is a sample.
    `labels`: sub-folders become a `label` field if every volume is in one.
    """

    size: int | str = ""
    fit: Literal["resample", "pad", "crop"] = "resample"
    range: str = "auto"
    frame: int | str = ""
    labels: bool = True

    def __post_init__(self) -> None:
        _ = self.sides
        if self.frame not in ("", "all") and not str(self.frame).isdecimal():
            raise ValueError("frame must be the number of a volume from 0, or 'all'")

    @property
    def sides(self) -> tuple[int, int, int] | None:
        """`size` as numbers, None if it is chosen from the files; ValueError for any other text."""
        if not self.size:
            return None
        text = f"{self.size}x{self.size}x{self.size}" if isinstance(self.size, int) else self.size.lower()
        match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", text)
        if match is None or not all(1 <= int(side) <= LARGEST for side in match.groups()):
            raise ValueError(f"size must be DEPTHxHEIGHTxWIDTH, 1..{LARGEST} voxels each, such as 32x32x32")
        depth, height, width = map(int, match.groups())
        return depth, height, width


@dataclass(frozen=True, kw_only=True)
class PhantomsConfig:
    """`count` volumes of `side` voxels in each direction, drawn with `seed`."""

    count: int = 1_000
    side: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 8 <= self.side <= 64:
            raise ValueError("count must be 1 or more, side between 8 and 64")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class Conv3dConfig:
    """Options of `conv-3d`.

    Channels double at each halving of the volume, up to 8 times the `*_width` of the largest maps; volumes
    are halved while their shortest side stays at 4 voxels or more.
    """

    latent: int = 100
    generator_width: int = 32
    discriminator_width: int = 32
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["batch", "spectral", "none"] = "batch"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
