"""A folder of images as a data set: which files, which shape, which labels.

`ganzoo.api.decode_image` decodes the pixels of an image. This module reads only headers; the core decodes
each image once, through `read`, and caches the result.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from ganzoo.api import (
    IMAGE_SUFFIXES,
    PIXELS,
    DataError,
    Field,
    ImageFrame,
    ImageHeader,
    ItemSource,
    SettingsError,
    decode_image,
    read_image_header,
    silence_pillow,
)
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.paths import given_path

DECODER_VERSION = 2
"""Raised with each change after which an image is decoded to other pixels."""

_EXPECTS = "a folder with PNG, JPEG, WEBP, BMP or GIF images, in sub-folders or not"
_LARGEST_KEPT = 64
_LARGEST = 4096


@dataclass(frozen=True)
class Listing:
    """Image files in a stable order, as paths relative to the root with forward slashes.

    `stats` changes when a file changes: size, time, type and permissions. `others` is the number of files
    with other endings, `links` the number of links to folders.
    """

    root: Path
    names: tuple[str, ...]
    stats: tuple[tuple[int, int, int], ...]
    others: int
    links: int


@dataclass(frozen=True)
class _Reader:
    """`ItemSource.read` for a folder: the fields of sample i by name."""

    listing: Listing
    frame: ImageFrame
    labels: NDArray[np.int64] | None

    def __call__(self, index: int) -> dict[str, NDArray[np.generic]]:
        sample: dict[str, NDArray[np.generic]] = {
            "image": decode_image(self.listing.root / self.listing.names[index], self.frame)
        }
        if self.labels is not None:
            sample["label"] = np.asarray(self.labels[index])
        return sample


def open_folder(argument: str, config: FolderConfig | None = None) -> ItemSource:
    """`image` (channels, height, width) in -1..1 and, from sub-folders, `label`.

    Files are found at any depth. Hidden files are ignored, symbolic links to folders are not followed.
    DataError if there is no image, SettingsError for impossible options.
    """
    config = config or FolderConfig()
    check_options(config)
    root = given_path("folder", argument, _EXPECTS)
    if not root.is_dir():
        raise DataError("The path is a file, not a folder.", where=str(root), fix=f"PATH is {_EXPECTS}")
    listing = list_images(root)
    silence_pillow()
    frame, notes = frame_for(listing, config)
    classes = _classes(listing.names) if config.labels else ()
    fields = [
        Field(
            name="image",
            shape=(frame.channels, frame.height, frame.width),
            kind="image",
            axes=PIXELS,
            range=(-1.0, 1.0),
        )
    ]
    labels = None
    if classes:
        fields.append(Field(name="label", dtype="int64", classes=tuple(as_text(name) for name in classes)))
        number = {name: value for value, name in enumerate(classes)}
        labels = np.array([number[name.split("/")[0]] for name in listing.names], np.int64)
        notes.append(f"{len(classes)} sub-folders became labels")
    if listing.others:
        notes.append(f"{listing.others:,} files without an image file ending were ignored")
    if listing.links:
        notes.append(f"{listing.links:,} links to folders were not followed")
    total = sum(size for size, *_ in listing.stats)
    return ItemSource(
        fields=tuple(fields),
        items=listing.names,
        read=_Reader(listing, frame, labels),
        fingerprint=_fingerprint(listing, frame, classes),
        identity=f"folder {as_text(root.resolve().name)}: {len(listing.names):,} files, {total:,} bytes",
        notes=tuple(notes),
    )


def check_options(config: FolderConfig) -> None:
    """SettingsError for a shape that images cannot have."""
    if config.channels not in (0, 1, 3, 4):
        raise SettingsError(
            f"Images have 1, 3 or 4 channels, not {config.channels}.",
            where="data.channels",
            fix="0 chooses from the images",
        )
    for name, side in (("height", config.height), ("width", config.width)):
        if not 0 <= side <= _LARGEST:
            raise SettingsError(
                f"An image side of {side} pixels is outside 1..{_LARGEST}.",
                where=f"data.{name}",
                fix="0 chooses from the images",
            )


def list_images(root: Path) -> Listing:
    """The images below a folder. DataError if there is none."""
    names, stats, others, links = [], [], 0, 0
    for path in _files(root):
        try:
            status = path.stat()
            found = (status.st_size, status.st_mtime_ns, status.st_mode)
        except OSError:
            # A broken link: kept, so that it is reported as unreadable when it is decoded.
            found = (0, 0, 0)
        if stat.S_ISDIR(found[2]):
            links += 1
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            others += 1
        else:
            names.append(path.relative_to(root).as_posix())
            stats.append(found)
    if not names:
        found_files = f"{others:,} files" + (f" and {links:,} links to folders" if links else "")
        raise DataError(
            f"The folder has no images among {found_files}." if others or links else "The folder is empty.",
            where=str(root),
            fix=f"PATH is {_EXPECTS}; image files have the endings {', '.join(IMAGE_SUFFIXES)}",
        )
    return Listing(root, tuple(names), tuple(stats), others, links)


def _files(root: Path) -> Iterator[Path]:
    """Files and links to folders, at any depth and in a stable order."""
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith("."):
                yield Path(folder, name)


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed is an error; else its images would be missing silently."""
    raise error


def frame_for(listing: Listing, config: FolderConfig) -> tuple[ImageFrame, list[str]]:
    """The shape for all images, and notes on how it was chosen."""
    height, width, channels, notes = config.height, config.width, config.channels, []
    headers: list[ImageHeader] = []
    if not channels or not (height or width):
        found = (read_image_header(listing.root / name) for name in listing.names)
        headers = [header for header in found if header is not None]
    if not (height or width):
        sizes = Counter((header.height, header.width) for header in headers)
        height, width = next(iter(sizes), (0, 0))
        if len(sizes) == 1 and max(height, width) <= _LARGEST_KEPT:
            notes.append(f"images keep their size, {height}x{width} (height x width)")
        else:
            height = width = _LARGEST_KEPT
            kinds = f"{len(sizes):,} sizes" if len(sizes) > 1 else "a larger size"
            notes.append(f"images have {kinds} and are resized to 64x64 ({config.fit})")
    height, width = height or width, width or height
    if not channels:
        channels = 1 if headers and all(header.gray for header in headers) else 3
        notes.append(
            "all images are gray: 1 channel" if channels == 1 else "images are read as RGB: 3 channels"
        )
    return ImageFrame(height, width, channels, config.fit), notes


def _classes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted names of the sub-folders, if each image is in one and there are at least two."""
    if not all("/" in name for name in names):
        return ()
    classes = sorted({name.split("/")[0] for name in names})
    return tuple(classes) if len(classes) > 1 else ()


def as_text(name: str) -> str:
    """A file name as valid UTF-8; bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _fingerprint(listing: Listing, frame: ImageFrame, classes: tuple[str, ...]) -> str:
    parts = [DECODER_VERSION, PIL.__version__, astuple(frame), classes, listing.names, listing.stats]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
