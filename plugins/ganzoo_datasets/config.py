"""Options of the data sets, as plain frozen dataclasses.

Kept apart from the loaders so that settings can be read and listed without numpy or Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HELD_OUT_KEY = (1,)
"""The spawn key of held-out draws. NumPy puts it behind 128 bits of seed, where no seed below 2**64 gets."""


@dataclass(frozen=True, kw_only=True)
class IdxConfig:
    """`split` chooses among the files of a folder; `all` joins train and test, in this order."""

    split: Literal["train", "test", "all"] = "train"


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """How images of any size and mode become samples of one shape.

    `height`, `width`: pixels; 0 lets the loader decide (one of them alone makes a square).
    `channels`: 1, 3 or 4 (with alpha); 0 lets the loader decide between 1 and 3.
    `fit`: cut the centre out, pad with white (transparent with 4 channels), or stretch.
    `labels`: turn sub-folders into a `label` field when every image lies in one.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    fit: Literal["crop", "pad", "stretch"] = "crop"
    labels: bool = True


@dataclass(frozen=True, kw_only=True)
class NpzConfig:
    """The keys to read; empty means the first usual one that the file has."""

    images_key: str = ""
    labels_key: str = ""


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """`count` points, at least 1, are drawn from the generator seeded with `seed`, 0..2**64-1."""

    count: int = 10_000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class StackedConfig:
    """`count` stacks of three digits, drawn from the files of `split` by the generator seeded with `seed`.

    128,000 is the number in the published code of PacGAN (Lin et al. 2018, table 2); they take 301 MB.
    `size`: pixels of a side; 32 puts two black ones on each side of the 28.
    """

    count: int = 128_000
    seed: int = 0
    size: Literal[28, 32] = 28
    split: Literal["train", "test"] = "train"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("count must be 1 or more")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class SidesConfig:
    """Two folders of images below PATH, and how their images become samples of one shape each.

    `a`, `b`: the folders; `test_a`, `test_b`: those that are held out, where both exist. `height`,
    `width`, `channels`, `fit`: of both sides, as for `folder`; at 0 each side decides for itself.
    """

    a: str = "a"
    b: str = "b"
    test_a: str = "test/a"
    test_b: str = "test/b"
    height: int = 0
    width: int = 0
    channels: int = 0
    fit: Literal["crop", "pad", "stretch"] = "crop"


@dataclass(frozen=True, kw_only=True)
class PairsConfig(SidesConfig):
    """The same, or with a `transform` the images of PATH as `b`, and what it makes of them as `a`.

    `downscale` makes `a` smaller by `factor`, `gray` takes the colour away, `edges` leaves steps in
    brightness of `threshold` (of 255) or more.
    """

    transform: Literal["none", "downscale", "gray", "edges"] = "none"
    factor: int = 2
    threshold: int = 96

    def __post_init__(self) -> None:
        _check_change(self.factor, self.threshold)


@dataclass(frozen=True, kw_only=True)
class FashionPairsConfig:
    """`transform` makes `a` of the image `b`; `factor` and `threshold` as for `pairs`."""

    transform: Literal["downscale", "edges"] = "edges"
    factor: int = 2
    threshold: int = 96

    def __post_init__(self) -> None:
        _check_change(self.factor, self.threshold)


@dataclass(frozen=True, kw_only=True)
class FashionUnpairedConfig:
    """The classes of the images `a` and `b`, by their names."""

    a: str = "T-shirt/top"
    b: str = "Dress"


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """`count` images of `size` pixels a side, drawn from the generator seeded with `seed`."""

    count: int = 5_000
    size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 16 <= self.size <= 256:
            raise ValueError("count must be 1 or more, size between 16 and 256")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


def _check_change(factor: int, threshold: int) -> None:
    if not 2 <= factor <= 64:
        raise ValueError("factor must be between 2 and 64")
    if not 1 <= threshold <= 255:
        raise ValueError("threshold must be between 1 and 255")
