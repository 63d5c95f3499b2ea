"""A folder of images as a data set: which samples, which shape, which labels.

`ganzoo.api.decode_image` decodes an image. This package reads only headers, and values of deep files to find
their range; the core decodes each image once, through `read`, and caches the result.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ganzoo.api import DataError, Field, ImageFrame, ItemSource, decode_image
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import DECODER_VERSION, EXPECTS, Facts, Listing, facts_of, list_images
from ganzoo_datasets.picture_folders import Folders, folders_of
from ganzoo_datasets.picture_frames import MOST_CHANNELS, Framed, check_options, frame_for, takes_all_pages

_LOOKED = 3  # .npy files whose shapes are looked at


@dataclass(frozen=True)
class _Reader:
    """`ItemSource.read` for a folder: the fields of sample i by name."""

    root: Path
    places: list[tuple[str, int]]
    frame: ImageFrame
    labels: NDArray[np.int64] | None

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
        name, page = self.places[index]
        sample: dict[str, NDArray[Any]] = {"image": decode_image(self.root / name, self.frame, page)}
        if self.labels is not None:
            sample["label"] = np.asarray(self.labels[index])
        return sample


@dataclass(frozen=True)
class _Opened:
    """A folder whose training images decide shape, range and classes."""

    listing: Listing
    facts: list[Facts]
    folders: Folders
    framed: Framed
    all_pages: bool


def open_folder(argument: str, config: FolderConfig | None = None) -> ItemSource:
    """`image` (channels, height, width) in -1..1 and, from sub-folders, `label`.

    Files are found at any depth. Hidden files are ignored, symbolic links to folders are not followed.
    DataError if there is no image, SettingsError for impossible options.
    """
    found = _opened(argument, config or FolderConfig())
    folders, framed = found.folders, found.framed
    notes = [*framed.notes, *folders.notes]
    source = _source(found, folders.training, (*framed.rows, *folders.rows))
    return replace(source, notes=tuple(notes))


def open_held_out(argument: str, config: FolderConfig | None = None) -> ItemSource | None:
    """The images of a folder `test` or `val` beside `train`, in the shape of the training images, or None."""
    found = _opened(argument, config or FolderConfig())
    return _source(found, found.folders.held_out) if found.folders.held_out else None


def _opened(argument: str, config: FolderConfig) -> _Opened:
    check_options(config)
    root = given_path("folder", argument, EXPECTS)
    if not root.is_dir():
        raise DataError("The path is a file, not a folder.", where=str(root), fix=f"PATH is {EXPECTS}")
    listing = list_images(root)
    _refuse_arrays(listing)
    folders = folders_of(listing, labels=config.labels)
    all_pages = takes_all_pages(listing, config)
    facts = facts_of(listing, all_pages=all_pages, pixels="%" in config.range)
    training = [facts[row] for row in folders.training]
    framed = frame_for(listing.only(folders.training), training, config)
    return _Opened(listing, facts, folders, framed, all_pages and config.pages != "channels")


def _refuse_arrays(listing: Listing) -> None:
    """DataError for .npy files that each hold many images: decoded, they would be images of odd shapes."""
    if not all(name.lower().endswith(".npy") for name in listing.names):
        return
    for name in listing.names[:_LOOKED]:
        try:
            shape = np.load(listing.root / name, mmap_mode="r", allow_pickle=False).shape
        except (OSError, ValueError, EOFError):
            continue  # decoding it will say why
        square = len(shape) == 3 and (shape[1] == shape[2] or shape[2] > MOST_CHANNELS)
        several = len(shape) == 3 and shape[0] > MOST_CHANNELS and shape[2] not in (1, 3, 4)
        # One image alone is no data set, whatever its channels.
        if len(shape) == 4 or (several and (square or len(listing.names) == 1)):
            path = listing.root / name
            raise DataError(
                f"The file holds an array {shape}: {shape[0]:,} samples, not one image.",
                where=str(path),
                fix=f"--data {shlex.quote(f'npy:{path}')}; in a folder, each .npy file is one image",
            )


def _source(found: _Opened, rows: list[int], card: tuple[tuple[str, str, str], ...] = ()) -> ItemSource:
    listing, frame, classes = found.listing, found.framed.frame, found.folders.classes
    headers = [found.facts[row].header for row in rows]
    pages = [range(header.pages if found.all_pages and header else 1) for header in headers]
    places = [(listing.names[row], page) for row, many in zip(rows, pages, strict=True) for page in many]
    origins = [row for row, many in zip(rows, pages, strict=True) for _ in many]
    fields, labels = [found.framed.image("image")], None
    if classes:
        fields.append(Field(name="label", dtype="int64", classes=tuple(as_text(name) for name in classes)))
        number = {name: value for value, name in enumerate(classes)}
        labels = np.array([number[found.folders.labels[row]] for row in origins], np.int64)
    head = json.dumps([DECODER_VERSION, PIL.__version__, astuple(frame)])
    short = hashlib.sha256(head.encode()).hexdigest()[:16]
    keys = [
        f"{short} {name!a} {page} {listing.stats[row]} {'' if labels is None else labels[at]}"
        for at, ((name, page), row) in enumerate(zip(places, origins, strict=True))
    ]
    total = sum(listing.stats[row][0] for row in rows)
    return ItemSource(
        fields=tuple(fields),
        items=[f"{name} [{page}]" if found.all_pages else name for name, page in places],
        read=_Reader(listing.root, places, frame, labels),
        fingerprint=hashlib.sha256("\n".join([head, *map(ascii, classes), *keys]).encode()).hexdigest(),
        identity=f"folder {as_text(listing.root.resolve().name)}: {len(rows):,} files, {total:,} bytes",
        keys=keys,
        card=card,
    )


def as_text(name: str) -> str:
    """A file name as valid UTF-8; bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
