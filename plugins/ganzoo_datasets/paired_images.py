"""Two folders of images, `a` and `b`: pairs of images, or two kinds of images without pairs.

Listing, shapes and decoding are those of `folder`; this module decides which images form a sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from ganzoo.api import (
    PIXELS,
    DataError,
    Field,
    ImageFrame,
    ItemSource,
    decode_image,
    read_image_header,
    silence_pillow,
)
from ganzoo_datasets.config import FolderConfig, PairsConfig, SidesConfig
from ganzoo_datasets.folder import DECODER_VERSION, Listing, as_text, check_options, frame_for, list_images
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.transforms import Transform

VERSION = 1
"""Raised with each change after which the same files give other samples."""

EXPECTS = "a folder with two sub-folders of images, a and b"
SIDES = ("a", "b")
_NAMED = 5  # most file names in a message
_REPEATS = 20_170_330  # seed of the order in which the smaller folder is repeated


@dataclass(frozen=True)
class Side:
    """The images of `a` or of `b`: sample i is image `rows[i]` of the listing, in the shape of the frame."""

    listing: Listing
    frame: ImageFrame
    rows: tuple[int, ...]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Pixels (channels, height, width)."""
        return decode_image(self.listing.root / self.listing.names[self.rows[index]], self.frame)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a sample."""
        return self.frame.channels, self.frame.height, self.frame.width


@dataclass(frozen=True)
class _Both:
    """`ItemSource.read`: both images of sample i."""

    a: Side
    b: Side

    def __call__(self, index: int) -> dict[str, NDArray[np.generic]]:
        return {"a": self.a.read(index), "b": self.b.read(index)}


@dataclass(frozen=True)
class _Transformed:
    """`ItemSource.read`: an image as `b`, and its transform as `a`."""

    b: Side
    transform: Transform

    def __call__(self, index: int) -> dict[str, NDArray[np.generic]]:
        pixels = self.b.read(index)
        return {"a": self.transform(pixels), "b": pixels}


def open_pairs(argument: str, config: PairsConfig | None = None) -> ItemSource:
    """`a` and `b`, both (channels, height, width) in -1..1: images of equal names, or one and its transform.

    DataError for a folder that is missing or empty, images without a partner, partners of another aspect
    ratio (crops would then differ), and images that cannot be transformed.
    """
    config = config or PairsConfig()
    root = _root("pairs", argument, config)
    if config.transform == "none":
        return _two(root, config, (config.a, config.b))
    listing = list_images(root)
    silence_pillow()
    channels = config.channels or (3 if config.transform == "gray" and _coloured(listing) else 0)
    frame, notes = frame_for(listing, _folder_config(config, channels))
    side = Side(listing, frame, tuple(range(len(listing.names))))
    transform = Transform(config.transform, config.factor, config.threshold)
    try:
        shape = transform.shape(side.shape)
    except DataError as error:
        raise DataError(error.what, where=error.where or str(root), fix=error.fix) from error
    return ItemSource(
        fields=_fields(shape, side.shape),
        items=listing.names,
        read=_Transformed(side, transform),
        fingerprint=_fingerprint("changed", [side], astuple(transform)),
        identity=f"pairs {as_text(root.resolve().name)}: {len(listing.names):,} files, {config.transform}",
        notes=tuple(notes),
    )


def open_held_out_pairs(argument: str, config: PairsConfig | None = None) -> ItemSource | None:
    """The pairs of `test_a` and `test_b`, in the shapes of the training pairs; None without these folders."""
    config = config or PairsConfig()
    root = _root("pairs", argument, config)
    names = (config.test_a, config.test_b)
    if config.transform != "none" or not all((root / name).is_dir() for name in names):
        return None
    return _two(root, config, names)


def open_unpaired(argument: str, config: SidesConfig | None = None) -> ItemSource:
    """`a` and `b`, each (channels, height, width) in -1..1, that are not pairs.

    There are as many samples as the larger folder has images. The smaller one is repeated, in a different
    order each time. Which two images form a sample is arbitrary, but the same in each run. DataError for a
    folder that is missing or empty.
    """
    config = config or SidesConfig()
    return _unpaired(_root("unpaired", argument, config), config, (config.a, config.b))


def open_held_out_unpaired(argument: str, config: SidesConfig | None = None) -> ItemSource | None:
    """The images of `test_a` and `test_b` in the same way; None without these folders."""
    config = config or SidesConfig()
    root = _root("unpaired", argument, config)
    names = (config.test_a, config.test_b)
    return _unpaired(root, config, names) if all((root / name).is_dir() for name in names) else None


def repeated(count: int, wanted: int) -> tuple[int, ...]:
    """0..count-1 in order, then shuffled, until there are `wanted` numbers; the same on every machine."""
    numbers = list(range(count))
    raw = np.random.PCG64(_REPEATS)
    while len(numbers) < wanted:
        numbers += np.argsort(raw.random_raw(count), kind="stable").tolist()
    return tuple(numbers[:wanted])


def _root(dataset: str, argument: str, config: SidesConfig) -> Path:
    check_options(_folder_config(config))
    root = given_path(dataset, argument, EXPECTS)
    if not root.is_dir():
        raise DataError("The path is a file, not a folder.", where=str(root), fix=f"PATH is {EXPECTS}")
    return root


def _folder_config(config: SidesConfig, channels: int = 0) -> FolderConfig:
    return FolderConfig(
        height=config.height, width=config.width, channels=channels or config.channels, fit=config.fit
    )


def _coloured(listing: Listing) -> bool:
    headers = (read_image_header(listing.root / name) for name in listing.names)
    return any(header is not None and not header.gray for header in headers)


def _listed(root: Path, config: SidesConfig, name: str) -> Listing:
    folder = root / name
    if not name or not folder.is_dir():
        there = sorted(as_text(path.name) for path in root.iterdir() if path.is_dir())
        raise DataError(
            f"There is no folder '{name}' of images.",
            where=f"{root} has: {', '.join(there) or 'no folder at all'}",
            fix="set the names of both folders: --set data.a=NAME --set data.b=NAME"
            + (
                "; or make pairs from one folder: --set data.transform=edges"
                if isinstance(config, PairsConfig)
                else ""
            ),
        )
    return list_images(folder)


def _frames(
    root: Path, config: SidesConfig, listings: Sequence[Listing], names: Sequence[str]
) -> tuple[list[ImageFrame], list[str]]:
    """The shapes of `a` and `b`; held-out images have those of the training images."""
    silence_pillow()
    if tuple(names) != (config.a, config.b):
        listings = [_listed(root, config, name) for name in (config.a, config.b)]
    frames, notes = [], []
    for side, listing in zip(SIDES, listings, strict=True):
        frame, own_notes = frame_for(listing, _folder_config(config))
        frames.append(frame)
        notes += [f"{side}: {text}" for text in own_notes]
    return frames, notes


def _two(root: Path, config: PairsConfig, names: tuple[str, str]) -> ItemSource:
    listings = [_listed(root, config, name) for name in names]
    stems = [_by_stem(listing) for listing in listings]
    unpaired = [
        f"{name}/{as_text(stem)}"
        for name, own, other in zip(names, stems, reversed(stems), strict=True)
        for stem in sorted(own.keys() - other.keys())
    ]
    if unpaired:
        more = f" and {len(unpaired) - _NAMED:,} more" if len(unpaired) > _NAMED else ""
        count = "1 image has" if len(unpaired) == 1 else f"{len(unpaired):,} images have"
        raise DataError(
            f"{count} no partner of the same name: {', '.join(unpaired[:_NAMED])}{more}.",
            where=str(root),
            fix="give both images of a pair the same name, except for the ending, or move these away; "
            "for images without pairs use --data unpaired:PATH",
        )
    frames, notes = _frames(root, config, listings, names)
    items = sorted(stems[0])
    a, b = (
        Side(listing, frame, tuple(own[stem] for stem in items))
        for listing, frame, own in zip(listings, frames, stems, strict=True)
    )
    if config.fit == "crop":
        _check_aspects(a, b, items, root)
    return ItemSource(
        fields=_fields(a.shape, b.shape),
        items=items,
        read=_Both(a, b),
        fingerprint=_fingerprint("pairs", [a, b]),
        identity=f"pairs {as_text(root.resolve().name)}: {len(items):,} of {names[0]} and {names[1]}",
        notes=tuple(notes),
    )


def _unpaired(root: Path, config: SidesConfig, names: tuple[str, str]) -> ItemSource:
    listings = [_listed(root, config, name) for name in names]
    frames, notes = _frames(root, config, listings, names)
    counts = [len(listing.names) for listing in listings]
    a, b = (
        Side(listing, frame, repeated(len(listing.names), max(counts)))
        for listing, frame in zip(listings, frames, strict=True)
    )
    if counts[0] != counts[1]:
        smaller = SIDES[counts.index(min(counts))]
        notes.append(f"{counts[0]:,} images a and {counts[1]:,} images b: images {smaller} are repeated")
    shown = zip(a.rows, b.rows, strict=True)
    return ItemSource(
        fields=_fields(a.shape, b.shape),
        items=[f"{listings[0].names[i]} | {listings[1].names[j]}" for i, j in shown],
        read=_Both(a, b),
        fingerprint=_fingerprint("unpaired", [a, b]),
        identity=f"unpaired {as_text(root.resolve().name)}: {counts[0]:,} a and {counts[1]:,} b",
        notes=tuple(notes),
    )


def _by_stem(listing: Listing) -> dict[str, int]:
    """The row of each image by its path without the ending. DataError if two images have the same."""
    found: dict[str, int] = {}
    for row, name in enumerate(listing.names):
        stem = name.rpartition(".")[0]
        if stem in found:
            raise DataError(
                f"Two images in one folder have the same name: {as_text(listing.names[found[stem]])} "
                f"and {as_text(name)}.",
                where=str(listing.root),
                fix="remove one of them",
            )
        found[stem] = row
    return found


def _check_aspects(a: Side, b: Side, items: Sequence[str], root: Path) -> None:
    for index, stem in enumerate(items):
        headers = [
            read_image_header(side.listing.root / side.listing.names[side.rows[index]]) for side in (a, b)
        ]
        if headers[0] is None or headers[1] is None:
            continue  # an error when it is decoded
        (height, width), (other_height, other_width) = ((item.height, item.width) for item in headers if item)
        # Sizes are whole pixels: a side may be off by one pixel of the larger image.
        if abs(height * other_width - width * other_height) > max(height, width, other_height, other_width):
            raise DataError(
                f"The images of the pair '{as_text(stem)}' differ in shape: {height}x{width} and "
                f"{other_height}x{other_width}.",
                where=str(root),
                fix="give them the same aspect ratio, or --set data.fit=stretch",
            )


def _fields(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[Field, ...]:
    return tuple(
        Field(name=name, shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0))
        for name, shape in zip(SIDES, (a, b), strict=True)
    )


def _fingerprint(kind: str, sides: Sequence[Side], *more: object) -> str:
    parts = [VERSION, DECODER_VERSION, PIL.__version__, kind, *more]
    parts += [[astuple(side.frame), side.listing.names, side.listing.stats, side.rows] for side in sides]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
