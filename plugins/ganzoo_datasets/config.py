"""Options of the data sets. Importing this must import neither numpy nor Pillow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

HELD_OUT_KEY = (1,)
"""Spawn key of held-out data. NumPy puts it after 128 bits of seed: no seed below 2**64 gives its stream."""


def _from_images() -> Any:
    return field(default=0, metadata={"description": "chosen from the images"})


@dataclass(frozen=True, kw_only=True)
class IdxConfig:
    """`split` selects the files of a folder; `all` concatenates train and test, in this order."""

    split: Literal["train", "test", "all"] = "train"


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """How images of any size and mode become samples of one shape.

    `height`, `width`: pixels; 0: chosen from the images (if only one is given, images are square).
    `channels`: 1, 3, 4 (with alpha), or as many as the files have; 0: chosen from the images.
    `fit`: crop the centre, pad with white (transparent with 4 channels), or stretch.
    `range`: the values that become -1..1, of images with more than 8 bits: `auto`, the lowest to the highest
    of all images; `full`, all values of the type; `LOW,HIGH`, a window; `1%,99%`, percentiles of all images;
    `window`, that of the DICOM headers.
    `pages`: of files with several pages, frames or slices: `first`; `samples`, one of each; `channels`;
    `auto`, all slices of volumes (DICOM, NIfTI), otherwise the first.
    `labels`: sub-folders become a `label` field if at most a tenth of the images is beside them.
    """

    height: int = _from_images()
    width: int = _from_images()
    channels: int = _from_images()
    fit: Literal["crop", "pad", "stretch"] = "crop"
    range: str = "auto"
    pages: Literal["auto", "first", "samples", "channels"] = "auto"
    labels: bool = True


@dataclass(frozen=True, kw_only=True)
class NpzConfig:
    """The keys to read; empty: the first of the common keys that the file has."""

    images_key: str = ""
    labels_key: str = ""


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """`count` points, at least 1, are drawn with `seed`, 0..2**64-1."""

    count: int = 10_000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class StackedConfig:
    """`count` stacks of three digits, drawn from the files of `split` with `seed`.

    128,000 is the number in the published code of PacGAN (Lin et al. 2018, table 2); they take 301 MB.
    `size`: pixels of a side; 32 adds a black border of two pixels to the 28.
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
    """Two folders of images below PATH, and how the images of each become samples of one shape.

    `a`, `b`: the folders; `test_a`, `test_b`: the held-out ones, used if both exist. `height`, `width`,
    `channels`, `fit`, `range`: for both, as for `folder`; 0 and auto: chosen for `a` and `b` separately.
    """

    a: str = "a"
    b: str = "b"
    test_a: str = "test/a"
    test_b: str = "test/b"
    height: int = _from_images()
    width: int = _from_images()
    channels: int = _from_images()
    fit: Literal["crop", "pad", "stretch"] = "crop"
    range: str = "auto"


@dataclass(frozen=True, kw_only=True)
class PairsConfig(SidesConfig):
    """The same; or with a `transform` the images of PATH as `b`, and the transformed images as `a`.

    `downscale` makes `a` smaller by `factor`, `gray` removes the colour, `edges` keeps steps in brightness of
    at least `threshold` (of 255).
    """

    transform: Literal["none", "downscale", "gray", "edges"] = "none"
    factor: int = 2
    threshold: int = 96

    def __post_init__(self) -> None:
        _check_transform(self.factor, self.threshold)


@dataclass(frozen=True, kw_only=True)
class FashionPairsConfig:
    """`transform` computes `a` from the image `b`; `factor` and `threshold` as for `pairs`."""

    transform: Literal["downscale", "edges"] = "edges"
    factor: int = 2
    threshold: int = 96

    def __post_init__(self) -> None:
        _check_transform(self.factor, self.threshold)


@dataclass(frozen=True, kw_only=True)
class FashionUnpairedConfig:
    """The classes of the images `a` and `b`, by their names."""

    a: str = "T-shirt/top"
    b: str = "Dress"


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """`count` images of `size` pixels a side, drawn with `seed`."""

    count: int = 5_000
    size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 16 <= self.size <= 256:
            raise ValueError("count must be 1 or more, size between 16 and 256")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


def _check_transform(factor: int, threshold: int) -> None:
    if not 2 <= factor <= 64:
        raise ValueError("factor must be between 2 and 64")
    if not 1 <= threshold <= 255:
        raise ValueError("threshold must be between 1 and 255")
