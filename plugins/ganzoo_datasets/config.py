"""Options of the data sets, as plain frozen dataclasses.

Kept apart from the loaders so that settings can be read and listed without numpy or Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    """`count` points are drawn from the generator seeded with `seed`; both are at least 0."""

    count: int = 10_000
    seed: int = 0
