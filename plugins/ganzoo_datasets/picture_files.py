"""The image files below a folder, and what their headers say. Headers are read once and kept in the cache."""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

import PIL

from ganzoo.api import (
    IMAGE_SUFFIXES,
    DataError,
    ImageFrame,
    ImageHeader,
    ending_of,
    folders_below,
    image_levels,
    inspect_image,
    is_dicom,
    report_progress,
    silence_pillow,
)
from ganzoo_datasets.folder_files import no_files
from ganzoo_datasets.measured import measured

DECODER_VERSION = 4
"""Raised with each change after which an image is decoded to other pixels."""

EXPECTS = "a folder with images, in sub-folders or not"
_VECTORS = (".svg", ".svgz")
_PAGES = 64  # of a file, at most, whose values are looked at to find the range
_GLANCED = 100  # files of 8 bits, at most, whose values are looked at to find dark ones

_HEADER = tuple(item.name for item in fields(ImageHeader))
_values_of = attrgetter(*_HEADER)

Stat = tuple[int, int, int]


@dataclass(frozen=True)
class Listing:
    """Image files in a stable order, as paths relative to the root with forward slashes.

    `stats` changes when a file changes: size, time, type and permissions. `others` counts files with other
    endings, `links` are links to folders.
    """

    root: Path
    names: tuple[str, ...]
    stats: tuple[Stat, ...]
    others: Counter[str]
    links: tuple[str, ...]

    def only(self, rows: list[int]) -> Listing:
        """The listing with these images only."""
        names, stats = tuple(self.names[row] for row in rows), tuple(self.stats[row] for row in rows)
        return Listing(self.root, names, stats, self.others, self.links)


@dataclass(frozen=True)
class Facts:
    """What is known of one file: its header, None if it cannot be read; its `LEVELS`, if it is deep.

    There are no levels where no value can be used: decoding the file will say why.
    """

    header: ImageHeader | None
    levels: tuple[float, ...] = ()


def list_images(root: Path) -> Listing:
    """The images below a folder. DataError if there is none.

    A few .npy files beside pictures are labels or features of them: they are no images.
    """
    names, stats, links = [], [], []
    others: Counter[str] = Counter()
    for name in _files(root):
        found = stat_of(root / name)
        if stat.S_ISDIR(found[2]):
            links.append(name)
        elif not (name.lower().endswith(IMAGE_SUFFIXES) or is_dicom(root / name)):
            others[ending_of(name)] += 1
        else:
            names.append(name)
            stats.append(found)
            if len(names) % 1000 == 0:
                report_progress("images found", len(names))
    if not names:
        raise _no_images(root, others, links)
    listing = Listing(root, tuple(names), tuple(stats), others, tuple(links))
    pictures = [row for row, name in enumerate(names) if not name.lower().endswith(".npy")]
    arrays = len(names) - len(pictures)
    if not 0 < arrays < len(pictures):
        return listing
    others[".npy"] += arrays
    return listing.only(pictures)


def stat_of(path: Path) -> Stat:
    """Size, time and type; zeros for a broken link, which is kept so that decoding it says why."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_mode


def listing_of(root: Path, names: Sequence[str], links: Sequence[str] = ()) -> Listing:
    """A listing of samples that are not single images, such as volumes: only their names count."""
    return Listing(root, tuple(names), ((0, 0, 0),) * len(names), Counter(), tuple(links))


def _no_images(root: Path, others: Counter[str], links: list[str]) -> DataError:
    if vectors := sum(others[ending] for ending in _VECTORS):
        return DataError(
            f"The folder has no images that can be read, but {vectors:,} SVG files.",
            where=str(root),
            fix="SVG is not read, because it has no pixels. Draw the files at some size, for example: "
            "for f in *.svg; do rsvg-convert -w 128 -h 128 -a $f -o ${f%.svg}.png; done",
        )
    fix = f"PATH is {EXPECTS}; image files have the endings {', '.join(IMAGE_SUFFIXES).upper()}"
    return no_files(root, "images", others, links, fix)


def _files(root: Path) -> Iterator[str]:
    """Files and links to folders relative to the root, at any depth and in a stable order."""
    for folder in folders_below(root):
        yield from map(folder.inner, sorted([*folder.files, *folder.links]))


def facts_of(listing: Listing, *, all_pages: bool, pixels: bool = False) -> list[Facts]:
    """The facts of each file. Files that have not changed since the last time are not opened.

    `all_pages`: the values of all pages count, not only those of the first page. `pixels`: files of 8 bits
    have levels, too.
    """
    silence_pillow()
    states = {name: list(stats) for name, stats in zip(listing.names, listing.stats, strict=True)}
    reads_wide = find_spec("imagecodecs") is not None  # PNG with all of 16 bits
    depends = [DECODER_VERSION, PIL.__version__, reads_wide, str(listing.root.resolve()), all_pages, pixels]

    def look(name: str) -> list[Any] | None:
        facts = _inspected(listing.root / name, all_pages, pixels)
        return None if facts.header is None else [_values_of(facts.header), facts.levels]

    found = measured(depends, states, look, "image headers read")
    return [_facts(found[name]) for name in listing.names]


def _facts(row: list[Any] | None) -> Facts:
    if row is None:
        return Facts(None)
    values = dict(zip(_HEADER, row[0], strict=True))
    values["window"] = values["window"] and tuple(values["window"])
    return Facts(ImageHeader(**values), tuple(row[1]))


def _inspected(path: Path, all_pages: bool, pixels: bool) -> Facts:
    """Nothing is known of a file that cannot be read: decoding it will say why."""
    try:
        header = inspect_image(path)
    except (OSError, ValueError):
        return Facts(None)
    if header.dtype == "uint8" and not pixels:
        return Facts(header)
    return Facts(header, _levels(path, header, all_pages))


def _levels(path: Path, header: ImageHeader, all_pages: bool) -> tuple[float, ...]:
    frame = ImageFrame(header.height, header.width, header.channels, "crop")
    try:
        return image_levels(path, frame, min(header.pages, _PAGES) if all_pages else 1)
    except (OSError, ValueError):
        return ()


def dark_values(
    listing: Listing, facts: Sequence[Facts], limit: int, *, all_pages: bool
) -> tuple[int, float, float] | None:
    """How many files of 8 bits were looked at, their lowest and highest value; None if one is above `limit`.

    Most folders have bright pictures, of which one is read.
    """
    rows = [row for row, found in enumerate(facts) if found.header and found.header.dtype == "uint8"]
    low, high, count = math.inf, -math.inf, 0
    for row in rows[:: max(1, -(-len(rows) // _GLANCED))]:
        header = facts[row].header
        levels = _levels(listing.root / listing.names[row], header, all_pages) if header else ()
        if not levels:
            continue
        low, high, count = min(low, levels[0]), max(high, levels[-1]), count + 1
        if high > limit:
            return None
    return (count, low, high) if count else None
