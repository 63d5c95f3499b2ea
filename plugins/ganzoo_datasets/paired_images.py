"""Two folders of images, `a` and `b`: pairs of images, or two kinds of images without pairs.

Listing, shapes and decoding are those of `folder`; this module decides which images form a sample.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataError, Field, ItemSource, decode_image, is_hidden
from ganzoo_datasets.config import FolderConfig, PairsConfig, SidesConfig
from ganzoo_datasets.folder import as_text
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import DECODER_VERSION, Facts, Listing, facts_of, list_images
from ganzoo_datasets.picture_folders import has_parts, part_name, unpaired_options
from ganzoo_datasets.picture_frames import Framed, check_options, default_size, frame_for
from ganzoo_datasets.picture_ranges import Row
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
    framed: Framed
    rows: tuple[int, ...]

    def read(self, index: int) -> NDArray[Any]:
        """Values (channels, height, width)."""
        return decode_image(self.listing.root / self.listing.names[self.rows[index]], self.framed.frame)

    def key(self, index: int) -> str:
        """Says which file and frame make a sample."""
        row = self.rows[index]
        return f"{astuple(self.framed.frame)} {self.listing.names[row]!a} {self.listing.stats[row]}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a sample."""
        frame = self.framed.frame
        return frame.channels, frame.height, frame.width


@dataclass(frozen=True)
class _Both:
    """`ItemSource.read`: both images of sample i."""

    a: Side
    b: Side

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
        return {"a": self.a.read(index), "b": self.b.read(index)}


@dataclass(frozen=True)
class _Transformed:
    """`ItemSource.read`: an image as `b`, and its transform as `a`."""

    b: Side
    transform: Transform

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
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
    facts = facts_of(listing, all_pages=False, pixels="%" in config.range)
    coloured = any(found.header is not None and not found.header.gray for found in facts)
    channels = config.channels or (3 if config.transform == "gray" and coloured else 0)
    framed = frame_for(listing, facts, _folder_config(config, channels), as_pixels=True)
    side = Side(listing, framed, tuple(range(len(listing.names))))
    notes = list(framed.notes)
    if config.transform == "downscale" and not framed.kept:
        size = f"{framed.frame.height}x{framed.frame.width}"
        notes.append(
            f"pictures are first reduced to {size}; to learn from parts of them at full size: "
            "--data crops:PATH, or the recipe enlarge"
        )
    transform = Transform(config.transform, config.factor, config.threshold)
    try:
        shape = transform.shape(side.shape)
    except DataError as error:
        raise DataError(error.what, where=error.where or str(root), fix=error.fix) from error
    return ItemSource(
        fields=(
            # Edges are no values of the images: those that a user gives are lines of any file.
            Field(name="a", shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0))
            if config.transform == "edges"
            else replace(framed.image("a"), shape=shape),
            framed.image("b"),
        ),
        items=listing.names,
        read=_Transformed(side, transform),
        fingerprint=_fingerprint("changed", [side], astuple(transform)),
        identity=f"pairs {as_text(root.resolve().name)}: {len(listing.names):,} files, {config.transform}",
        notes=tuple(notes),
        card=tuple(framed.rows),
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
        height=config.height,
        width=config.width,
        channels=channels or config.channels,
        fit=config.fit,
        range=config.range,
    )


def _listed(root: Path, config: SidesConfig, name: str) -> Listing:
    folder = root / name
    if not name or not folder.is_dir():
        there = sorted(
            as_text(path.name) for path in root.iterdir() if path.is_dir() and not is_hidden(path.name)
        )
        raise DataError(
            f"There is no folder '{name}' of images.",
            where=f"{root} has: {', '.join(there) or 'no folder at all'}",
            fix="set the names of both folders: "
            + (unpaired_options(there) or _options(root, there, config))
            + (
                "; or make pairs from one folder: --set data.transform=edges"
                if isinstance(config, PairsConfig)
                else ""
            ),
        )
    listing = list_images(folder)
    if has_parts(listing.names):
        sides = (("a", config.a), ("b", config.b))
        options = " ".join(f"--set {shlex.quote(f'data.{key}={side}/train')}" for key, side in sides)
        raise DataError(
            "Images to train on and held-out ones are in the same folder.",
            where=f"{folder} has train and other parts",
            fix=f"{options}, and data.test_a, data.test_b for the held-out ones",
        )
    return listing


def _options(root: Path, there: Sequence[str], config: SidesConfig) -> str:
    """The options for these folders: parts with both sides inside, or the names of two folders."""
    sides, keys = (config.a, config.b), ("a", "b", "test_a", "test_b")
    parts = [name for name in there if all((root / name / side).is_dir() for side in sides)]
    parts = [name for part in ("train", "test", "val") for name in parts if part_name(name) == part]
    if parts and part_name(parts[0]) == "train":
        names = [f"{part}/{side}" for part in parts[:2] for side in sides]
    else:
        pair = len(there) == 2 and not any(map(part_name, there))
        names = list(there) if pair else ["NAME", "NAME"]
    return " ".join(
        f"--set {shlex.quote(f'data.{key}={name}')}" for key, name in zip(keys, names, strict=False)
    )


def _framed(
    root: Path, config: SidesConfig, listings: Sequence[Listing], names: Sequence[str]
) -> tuple[list[Framed], list[str], list[Row]]:
    """The shapes of `a` and `b`, notes and rows; held-out images have the shapes of the training images.

    If the images of both sides are resized, both get the same size: that of all images together.
    """
    if tuple(names) != (config.a, config.b):
        listings = [_listed(root, config, name) for name in (config.a, config.b)]
    wanted = _folder_config(config)
    facts = [facts_of(listing, all_pages=False, pixels="%" in config.range) for listing in listings]
    found = [frame_for(*side, wanted) for side in zip(listings, facts, strict=True)]
    if not any(framed.kept for framed in found):
        height, width = default_size([*facts[0], *facts[1]], wanted)
        wanted = replace(wanted, height=height, width=width)
        found = [frame_for(*side, wanted) for side in zip(listings, facts, strict=True)]
    notes, rows = [], []
    for side, framed in zip(SIDES, found, strict=True):
        notes += [f"{side}: {text}" for text in framed.notes]
        rows += [(f"{side}: {name}", value, remark) for name, value, remark in framed.rows]
    return found, notes, rows


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
    frames, notes, rows = _framed(root, config, listings, names)
    items = sorted(stems[0])
    a, b = (
        Side(listing, framed, tuple(own[stem] for stem in items))
        for listing, framed, own in zip(listings, frames, stems, strict=True)
    )
    if config.fit == "crop":
        _check_aspects(a, b, items, root)
    return ItemSource(
        fields=(a.framed.image("a"), b.framed.image("b")),
        items=items,
        read=_Both(a, b),
        fingerprint=_fingerprint("pairs", [a, b]),
        identity=f"pairs {as_text(root.resolve().name)}: {len(items):,} of {names[0]} and {names[1]}",
        notes=tuple(notes),
        keys=[f"{a.key(at)} {b.key(at)}" for at in range(len(a.rows))],
        card=tuple(rows),
    )


def _unpaired(root: Path, config: SidesConfig, names: tuple[str, str]) -> ItemSource:
    listings = [_listed(root, config, name) for name in names]
    frames, notes, rows = _framed(root, config, listings, names)
    counts = [len(listing.names) for listing in listings]
    a, b = (
        Side(listing, framed, repeated(len(listing.names), max(counts)))
        for listing, framed in zip(listings, frames, strict=True)
    )
    if counts[0] != counts[1]:
        smaller = SIDES[counts.index(min(counts))]
        notes.append(f"{counts[0]:,} images a and {counts[1]:,} images b: images {smaller} are repeated")
    shown = zip(a.rows, b.rows, strict=True)
    return ItemSource(
        fields=(a.framed.image("a"), b.framed.image("b")),
        items=[f"{listings[0].names[i]} | {listings[1].names[j]}" for i, j in shown],
        read=_Both(a, b),
        fingerprint=_fingerprint("unpaired", [a, b]),
        identity=f"unpaired {as_text(root.resolve().name)}: {counts[0]:,} a and {counts[1]:,} b",
        notes=tuple(notes),
        keys=[f"{a.key(at)} {b.key(at)}" for at in range(len(a.rows))],
        card=tuple(rows),
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
    facts: list[list[Facts]] = [facts_of(side.listing, all_pages=False) for side in (a, b)]
    for index, stem in enumerate(items):
        headers = [found[side.rows[index]].header for side, found in ((a, facts[0]), (b, facts[1]))]
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


def _fingerprint(kind: str, sides: Sequence[Side], *more: object) -> str:
    parts = [VERSION, DECODER_VERSION, PIL.__version__, kind, *more]
    parts += [
        [astuple(side.framed.frame), side.listing.names, side.listing.stats, side.rows] for side in sides
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
