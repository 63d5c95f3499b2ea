"""The data `crops:FOLDER`: random squares of pictures at full size, and the smaller ones made from them.

Parts of the pictures are cut once, into the cache, with twice the side of a square. Each epoch of training
cuts other squares from them and degrades these anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL
import scipy
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import DataError, ImageFrame, ItemSource, ValueRange, counted, decode_image
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import DECODER_VERSION, Listing, facts_of, list_images
from ganzoo_datasets.picture_folders import folders_of
from ganzoo_datasets.picture_ranges import Ranged, chosen_range, range_of
from ganzoo_enlarge.config import CropsConfig
from ganzoo_enlarge.degrade import Pair, pair_fields

VERSION = 2
"""Raised with each change after which the same pictures give other crops."""

EXPECTS = "a folder with pictures"
HELD_OUT = 10  # one picture of so many, if there is no folder `test`
_MOST_HELD_OUT = 1_000  # squares
_HELD_OUT_KEY = 1

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Crops:
    """`ItemSource.read`: part i. Parts of one picture follow each other, so that it is decoded once."""

    listing: Listing
    sizes: tuple[tuple[int, int], ...]
    values: ValueRange | None
    config: CropsConfig
    count: int
    part: int

    @property
    def side(self) -> int:
        """Pixels of a side of each part: twice those of a square, if all pictures have so many."""
        return min(2 * self.config.size, min(map(min, self.sizes)))

    def picture(self, index: int) -> int:
        """The row of the picture of part `index`."""
        return index * len(self.sizes) // self.count

    def __call__(self, index: int) -> dict[str, Pixels]:
        """The field `picture` of part `index`."""
        row = self.picture(index)
        height, width = self.sizes[row]
        random = np.random.default_rng([self.config.seed, self.part, index])
        frame = ImageFrame(height, width, self.config.channels, "crop", self.values)
        whole = _picture(self.listing.root / self.listing.names[row], frame)
        return {"picture": crop(whole, self.side, self.config.shrink, random)}


def crop(picture: Pixels, size: int, shrink: float, random: np.random.Generator) -> Pixels:
    """A random square (channels, size, size), cut from 1 to `shrink` times its size and then shrunk."""
    _, height, width = picture.shape
    side = round(random.uniform(size, min(size * shrink, height, width)))
    top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
    part = picture[:, top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(part)
    resized = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC)) for plane in part
    ]
    return np.stack(resized)


def open_crops(argument: str, config: CropsConfig | None = None) -> ItemSource:
    """Factory of `crops`: `a` (channels, size / factor, size / factor) and `b` (channels, size, size).

    DataError for a folder without pictures of at least `size` pixels a side.
    """
    config = config or CropsConfig()
    training, _, notes = _parts(argument, config)
    return _source(argument, config, training, config.count, 0, _ranged(training, config), notes)


def open_held_out_crops(argument: str, config: CropsConfig | None = None) -> ItemSource | None:
    """Crops of the pictures that training does not see, up to 1,000; None where there are none."""
    config = config or CropsConfig()
    training, held_out, _ = _parts(argument, config)
    if held_out is None:
        return None
    count = min(config.count, _MOST_HELD_OUT)
    return _source(argument, config, held_out, count, _HELD_OUT_KEY, _ranged(training, config))


def _ranged(training: Listing, config: CropsConfig) -> Ranged:
    """Which values of the pictures become black and white, as in `folder`."""
    wanted = FolderConfig(channels=config.channels, range=config.range)
    facts = facts_of(training, all_pages=False, pixels="%" in config.range)
    return range_of(training, facts, config.channels, wanted, as_pixels=True)


def _parts(argument: str, config: CropsConfig) -> tuple[Listing, Listing | None, tuple[str, ...]]:
    """The pictures to train on, those held out, and notes."""
    chosen_range(config.range)
    root = given_path("crops", argument, EXPECTS)
    if not root.is_dir():
        raise DataError("The path is a file, not a folder.", where=str(root), fix=f"PATH is {EXPECTS}")
    listing = list_images(root)
    usable, small = [], 0
    for row, facts in enumerate(facts_of(listing, all_pages=False)):
        fits = facts.header is not None and min(facts.header.height, facts.header.width) >= config.size
        small += facts.header is not None and not fits
        if fits:
            usable.append(row)
    if not usable:
        raise DataError(
            f"No picture has {config.size} pixels a side.",
            where=f"{root}: {len(listing.names):,} pictures",
            fix="--set data.size=64, or larger pictures",
        )
    notes = (f"{counted(small, 'picture')} with sides below {config.size} pixels left out",) if small else ()
    folders = folders_of(listing, labels=False, dataset="crops", nouns="pictures")
    notes = (*notes, *folders.notes)
    parts = [sorted(set(usable) & set(rows)) for rows in (folders.training, folders.held_out)]
    if all(parts):
        return listing.only(parts[0]), listing.only(parts[1]), notes
    first = [listing.names[row].split("/")[0] for row in usable]
    held = [row for row, name in zip(usable, first, strict=True) if name == "test"]
    if held and len(held) < len(usable):
        rest = [row for row in usable if row not in set(held)]
    else:
        held = usable[HELD_OUT // 2 :: HELD_OUT] if len(usable) > HELD_OUT // 2 else []
        rest = [row for row in usable if row not in set(held)]
    return listing.only(rest), listing.only(held) if held else None, notes


def _source(
    argument: str,
    config: CropsConfig,
    listing: Listing,
    count: int,
    part: int,
    ranged: Ranged,
    notes: tuple[str, ...] = (),
) -> ItemSource:
    headers = [facts.header for facts in facts_of(listing, all_pages=False)]
    sizes = tuple((found.height, found.width) for found in headers if found is not None)
    crops = Crops(listing, sizes, ranged.values, config, count, part)
    pair = Pair(config.size, config.factor, config.degradation)
    largest, smallest = max(sizes), min(sizes)
    fields, drawn_from = pair_fields(config.channels, pair, crops.side, ranged.facts)
    return ItemSource(
        fields=fields,
        drawn_from=drawn_from,
        draw=pair,
        items=[f"{listing.names[crops.picture(index)]} part {index}" for index in range(count)],
        read=crops,
        fingerprint=_fingerprint(crops),
        identity=f"crops {Path(argument).resolve().name!a}: {count:,} of {len(sizes):,} pictures",
        notes=(*notes, *ranged.notes),
        card=(
            ("pictures", f"{len(sizes):,}", f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}"),
            ("parts", f"{count:,} of {crops.side}x{crops.side}", "cut once"),
            ("squares", f"{config.size}x{config.size}", f"new ones in each epoch; a: {config.degradation}"),
            *(ranged.rows if ranged.values is not None else ()),
        ),
    )


def _fingerprint(crops: Crops) -> str:
    parts = [VERSION, DECODER_VERSION, PIL.__version__, np.__version__, scipy.__version__]
    options = asdict(crops.config)
    del options["range"]  # `values` are what it made of the pictures
    parts += [*options.values()], crops.count, crops.part, crops.listing.names, crops.listing.stats
    parts += [astuple(crops.values)] if crops.values is not None else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _picture(path: Path, frame: ImageFrame) -> Pixels:
    """A whole picture (channels, height, width)."""
    pixels: Pixels = decode_image(path, frame)
    return pixels
