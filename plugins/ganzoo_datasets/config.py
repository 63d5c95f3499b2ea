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
    """How pictures of any size and mode become samples of one shape.

    `height`, `width`: pixels; 0 lets the loader decide (one of them alone makes a square).
    `channels`: 1, 3 or 4 (with alpha); 0 lets the loader decide between 1 and 3.
    `fit`: cut the centre out, pad with white (transparent with 4 channels), or stretch.
    `labels`: turn sub-folders into a `label` field when every picture lies in one.
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
