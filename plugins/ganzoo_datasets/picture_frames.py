"""Which shape and range the samples of a set of images get, and what the user should know about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganzoo.api import (
    PIXELS,
    DataError,
    Field,
    ImageFrame,
    ImageHeader,
    SettingsError,
    ValueRange,
    counted,
    is_volume,
)
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.picture_files import Facts, Listing
from ganzoo_datasets.picture_ranges import Ranged, Row, chosen_range, range_of

KEPT = 64
"""The longest side of images that keep their size, and the side of a square as large as others become."""

USUAL = 0.9
"""The share of the images whose size the others get."""

CUT = 0.2
"""The share of an image that may be cut away without a word, and for the sake of a square."""

_NOTHING = 0.005  # a share that rounds to 0 %
_STEP, _SMALLEST = 4, 16  # sides of frames that are not square
_LARGEST = 4096
MOST_CHANNELS = 64


@dataclass
class Framed:
    """The frame of all images, with notes and the rows of the data card.

    `kept`: images keep their size. `ranged`: which values become -1..1.
    """

    frame: ImageFrame
    kept: bool = False
    ranged: Ranged = field(default_factory=Ranged)
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def image(self, name: str) -> Field:
        """The field for these images, (channels, height, width) in -1..1."""
        frame, values = self.frame, self.frame.values
        deep = values is not None and values.dtype != "uint8"
        return Field(
            name=name,
            shape=(frame.channels, frame.height, frame.width),
            kind="image",
            axes=PIXELS,
            range=(-1.0, 1.0),
            original=(values.low, values.high) if values is not None and deep else None,
            facts=self.ranged.facts,
        )


def check_options(config: FolderConfig) -> None:
    """SettingsError for a shape or a range that images cannot have."""
    if not 0 <= config.channels <= MOST_CHANNELS:
        raise SettingsError(
            f"Images have 1 to {MOST_CHANNELS} channels, not {config.channels}.",
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
    chosen_range(config.range)


def takes_all_pages(listing: Listing, config: FolderConfig) -> bool:
    """Whether all pages of a file are used; by default those of volumes are."""
    if config.pages == "auto":
        return any(is_volume(listing.root / name) for name in listing.names)
    return config.pages != "first"


def frame_for(
    listing: Listing, facts: Sequence[Facts], config: FolderConfig, *, as_pixels: bool = False
) -> Framed:
    """The shape and range for all images; `as_pixels` as for `range_of`."""
    headers = [found.header for found in facts if found.header is not None]
    if not headers:  # each file says why when it is read
        nothing = ValueRange("uint8", 0, 255)
        return Framed(ImageFrame(KEPT, KEPT, config.channels or 3, config.fit, nothing))
    found = Framed(ImageFrame(0, 0, 0, config.fit))
    height, width = _size(headers, config, found)
    channels = _channels(headers, config, found)
    _check_channels(headers, channels, config)
    all_pages = takes_all_pages(listing, config)
    found.ranged = range_of(listing, facts, channels, config, all_pages=all_pages, as_pixels=as_pixels)
    values = found.ranged.values
    found.frame = ImageFrame(height, width, channels, config.fit, values, config.pages == "channels")
    found.rows += found.ranged.rows
    found.notes += found.ranged.notes
    _say_cut(listing, facts, found)
    _say_more(headers, config, found)
    return found


def _size(headers: list[ImageHeader], config: FolderConfig, found: Framed) -> tuple[int, int]:
    sizes = Counter((header.height, header.width) for header in headers)
    lowest, highest = min(sizes, default=(0, 0), key=math.prod), max(sizes, default=(0, 0), key=math.prod)
    kinds = f"{len(sizes):,} sizes, {_text(lowest)} to {_text(highest)}" if len(sizes) > 1 else _text(lowest)
    usual, count = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
    found.kept = not (config.height or config.width) and count >= USUAL * len(headers) and max(usual) <= KEPT
    size = usual if found.kept else default_size([Facts(header) for header in headers], config)
    aspect = max(usual) / max(1, min(usual))
    if not (found.kept or config.height or config.width) and _bounded(aspect) < aspect:
        found.notes.append(
            f"the usual image of {_text(usual)} is {aspect:,.0f} times as long as wide; samples of "
            f"{_text(size)} are not: data.height and data.width set another shape, data.fit=stretch keeps all"
        )
    if found.kept and len(sizes) == 1:
        found.rows.append(("size", f"{_text(size)} (height x width)", "kept"))
    else:
        remark = f"{config.fit}; {len(headers) - count:,} had another size" if found.kept else config.fit
        found.rows.append(("size", f"{kinds} -> {_text(size)} (height x width)", remark))
    return size


def default_size(facts: Sequence[Facts], config: FolderConfig) -> tuple[int, int]:
    """Height and width as the options say; else a square; or, where that would cut away too much, as many
    pixels in the usual aspect ratio.
    """
    if config.height or config.width:
        return config.height or config.width, config.width or config.height
    headers = [found.header for found in facts if found.header is not None]
    ratios = sorted(header.width / header.height for header in headers)
    ratio = _bounded(ratios[len(ratios) // 2] if ratios else 1.0)
    if 1 - min(ratio, 1 / ratio) <= CUT:
        return KEPT, KEPT
    short = max(_SMALLEST, _STEP * round(KEPT * math.sqrt(min(ratio, 1 / ratio)) / _STEP))
    long = min(_LARGEST, _STEP * max(1, round(short * max(ratio, 1 / ratio) / _STEP)))
    return (short, long) if ratio > 1 else (long, short)


def _bounded(ratio: float) -> float:
    """The aspect ratio, at most that with which the shortest side gives as many pixels as the square."""
    most = (KEPT / _SMALLEST) ** 2
    return min(most, max(1 / most, ratio))


def _channels(headers: list[ImageHeader], config: FolderConfig, found: Framed) -> int:
    if config.channels:
        channels = config.channels
    elif config.pages == "channels":
        counts = Counter(header.pages for header in headers)
        channels = counts.most_common(1)[0][0] if counts else 1
        if not 1 <= channels <= MOST_CHANNELS or any(header.channels > 1 for header in headers):
            raise DataError(
                f"The pages cannot be channels: there are {channels:,} of them, or they have colours.",
                where="data.pages=channels",
                fix="data.pages=samples makes an image of each page",
            )
    else:
        counts = Counter(header.channels for header in headers)
        gray = bool(headers) and all(header.gray for header in headers)
        clear = any(header.alpha for header in headers)
        other = len(counts) == 1 and next(iter(counts)) not in (1, 3) and not clear
        channels = next(iter(counts)) if other else 1 if gray else 3
    alpha = sum(header.alpha for header in headers)
    remark = ""
    if alpha and channels != 4:
        remark = f"{counted(alpha, 'image')} may be transparent: put on white; data.channels=4 keeps them"
    kind = {1: "gray", 3: "RGB", 4: "RGB and alpha"}.get(channels, "")
    if channels == 4 and not alpha and all(header.channels == 4 for header in headers):
        kind = ""  # four bands
    found.rows.append(("channels", f"{channels}{kind and f' ({kind})'}", remark))
    return channels


def _check_channels(headers: list[ImageHeader], channels: int, config: FolderConfig) -> None:
    """SettingsError for a number of channels to which no image can be brought."""
    known = sorted({header.channels for header in headers})
    if config.pages == "channels" or channels in (*known, 1, 3, 4):
        return
    raise SettingsError(
        f"No image has {channels} channels; they have {' or '.join(map(str, known))}.",
        where="data.channels",
        fix="0 chooses from the images; all become 1, 3 or 4 (with alpha)",
    )


# --- what else should be known --------------------------------------------------------------------


def _say_cut(listing: Listing, facts: Sequence[Facts], found: Framed) -> None:
    frame = found.frame
    sides = {
        name: (known.header.height, known.header.width)
        for name, known in zip(listing.names, facts, strict=True)
        if known.header is not None
    }
    small = [
        name
        for name, (height, width) in sides.items()
        if 2 * max(height, width) < min(frame.height, frame.width)
    ]
    _say_files(small, "smaller than half of a sample", found)
    if frame.fit != "crop" or not sides:
        return
    wanted = frame.width / frame.height
    ratios = {name: width / height / wanted for name, (height, width) in sides.items()}
    cut = {name: 1 - min(ratio, 1 / ratio) for name, ratio in ratios.items()}
    average, most = sum(cut.values()) / len(cut), max(cut.values())
    if most > _NOTHING:
        found.rows.append(("cut away", f"{average:.0%} on average, {most:.0%} at most", ""))
    if average > CUT:
        found.notes.append(
            f"the crop cuts away {average:.0%} of an image on average, {most:.0%} at most: "
            "--set data.fit=pad or data.fit=stretch keeps all, data.height and data.width set another shape"
        )
    else:
        _say_files([name for name, share in cut.items() if share > 0.5], "cut by more than half", found)


def _say_files(names: list[str], what: str, found: Framed) -> None:
    if names:
        found.notes.append(
            f"{len(names):,} image{'s are' if len(names) > 1 else ' is'} {what}, such as {names[0]}"
        )


def _say_more(headers: list[ImageHeader], config: FolderConfig, found: Framed) -> None:
    several = sum(header.pages > 1 for header in headers)
    if several:
        used = {"samples": "each page is a sample", "channels": "the pages are channels"}.get(
            config.pages, "the first is used, or all of a volume; data.pages=samples or channels"
        )
        found.rows.append(("pages", f"{counted(several, 'file')} with several pages, frames or slices", used))
        if config.pages == "auto":
            found.notes.append(f"{counted(several, 'file')} with several pages, frames or slices: {used}")
    if profiles := sum(header.profile for header in headers):
        found.rows.append(
            ("colours", f"{counted(profiles, 'image')} with a colour profile", "converted to sRGB")
        )
    if reduced := sum(header.reduced for header in headers):
        found.notes.append(
            f"{counted(reduced, 'image')} with colours of 16 bits, of which 8 are read; PNG of one frame "
            "without a colour profile keeps 16 with pip install imagecodecs, TIFF in RGB with tifffile"
        )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
