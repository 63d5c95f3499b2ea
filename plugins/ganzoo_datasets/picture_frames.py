"""Which shape and range the samples of a set of images get, and what the user should know about it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganzoo.api import (
    LEVELS,
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

Row = tuple[str, str, str]

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
_SHOWN = 0.005, 0.995  # the shares of values that previews show as black and white
_ALMOST_ALL = 0.9  # of the range of a type: then all of it is used, and a new file changes nothing
_FULL = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}


@dataclass
class Framed:
    """The frame of all images, with notes and the rows of the data card.

    `kept`: images keep their size. `window`: the values that previews show as black and white.
    """

    frame: ImageFrame
    kept: bool = False
    window: tuple[float, float] | None = None
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
            facts=self._facts(values) if values is not None and deep else {},
        )

    def _facts(self, values: ValueRange) -> dict[str, Any]:
        facts: dict[str, Any] = {"values": values.dtype}
        if self.window is not None:
            low, high = (float(min(max(value, values.low), values.high)) for value in self.window)
            facts |= {"window": [low, high]} if low < high else {}
        return facts


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
    _window(config.range)


def takes_all_pages(listing: Listing, config: FolderConfig) -> bool:
    """Whether all pages of a file are used; by default those of volumes are."""
    if config.pages == "auto":
        return any(is_volume(listing.root / name) for name in listing.names)
    return config.pages != "first"


def frame_for(listing: Listing, facts: Sequence[Facts], config: FolderConfig) -> Framed:
    """The shape and range for all images."""
    headers = [found.header for found in facts if found.header is not None]
    found = Framed(ImageFrame(0, 0, 0, config.fit))
    height, width = _size(headers, config, found)
    channels = _channels(headers, config, found)
    values = _values(listing, facts, headers, channels, config, found)
    found.frame = ImageFrame(height, width, channels, config.fit, values, config.pages == "channels")
    if values is None and channels not in (1, 3, 4):
        raise SettingsError(
            f"These images have 1, 3 or 4 channels, not {channels}.",
            where="data.channels",
            fix="0 chooses from the images",
        )
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
    found.rows.append(("channels", f"{channels}{kind and f' ({kind})'}", remark))
    return channels


# --- the range of values --------------------------------------------------------------------------


def _window(text: str) -> tuple[float, float, bool] | None:
    """Low, high and whether they are percentages; None for a word. SettingsError for other texts."""
    if text in ("auto", "full", "window"):
        return None
    match = re.fullmatch(r"\s*([-+.\deE]+)(%?)\s*,\s*([-+.\deE]+)(%?)\s*", text)
    try:
        if match is None or match[2] != match[4]:
            raise ValueError
        low, high, shares = float(match[1]), float(match[3]), bool(match[2])
        if not low < high or not math.isfinite(high - low) or (shares and not 0 <= low < high <= 100):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"'{text}' is no range of values.",
            where="data.range",
            fix="auto, full, window, two values such as -160,240, or two percentages such as 1%,99%",
        ) from None
    return low, high, shares


def _values(
    listing: Listing,
    facts: Sequence[Facts],
    headers: list[ImageHeader],
    channels: int,
    config: FolderConfig,
    found: Framed,
) -> ValueRange | None:
    """How values are stored; None for pixels of 8 bits."""
    window = _window(config.range)
    types = Counter(header.dtype for header in headers)
    deep = types.total() - types["uint8"]
    # Files without pixels of 8 bits.
    arrays = any(name.lower().endswith(".npy") or is_volume(listing.root / name) for name in listing.names)
    pixels = not arrays and channels in (1, 3, 4) and config.pages != "channels"
    if window is None and pixels and (types["uint8"] or not deep):
        said = "8 bits"
        if deep:
            said = f"8 bits; {counted(deep, 'image')} with more brought to 8, the whole range counts"
        found.rows.append(("values", said, ""))
        return None
    unsigned = not any(name.startswith("int") or name == "float32" for name in types)
    widest = "float32" if types["float32"] else "uint8" if not deep else "uint16" if unsigned else "int32"
    if set(types) <= {"int16", "uint8"} and types["int16"]:
        widest = "int16"
    own = [header.window for header in headers if header.window]
    if config.range == "window":
        if not own:
            raise DataError(
                "No header of these files has a window.", where="data.range=window", fix="data.range=auto"
            )
        low, high = (float(value) for value in np.median(own, axis=0))
    else:
        low, high = _range(facts, types, widest, config.range, window)
        found.window = _shown(facts, own) if config.range in ("auto", "full") else None
    dtype: Any = widest
    if widest != "float32":
        low, high = float(math.floor(low)), float(math.ceil(high))
        if widest != "uint8" or (low, high) != (0, 255):
            fitting = [
                name
                for name in ("uint16", "int16", "int32")
                if _FULL[name][0] <= low and high <= _FULL[name][1]
            ]
            dtype = fitting[0] if fitting else "float32"
    _say_range(low, high, widest, config.range, headers, found)
    return ValueRange(dtype, low, high)


def _shown(facts: Sequence[Facts], windows: list[tuple[float, float]]) -> tuple[float, float] | None:
    """The values that previews show as black and white: a window of the headers, or percentiles."""
    levels = np.array([item.levels for item in facts if item.levels])
    if windows or not len(levels):
        return windows[0] if windows else None
    return _percentile(levels, _SHOWN[0]), _percentile(levels, _SHOWN[1])


def _range(
    facts: Sequence[Facts],
    types: Counter[str],
    widest: str,
    option: str,
    window: tuple[float, float, bool] | None,
) -> tuple[float, float]:
    full = tuple(map(float, _FULL.get(widest, (0, 0))))
    if window is not None and not window[2]:
        return window[:2]
    if option == "full" and widest == "float32":
        raise SettingsError(
            "Floating-point values have no full range.", where="data.range", fix="auto, or two values: 0,1"
        )
    if option == "full" or (not (types.total() - types["uint8"]) and window is None):
        return full[0], full[1]
    levels = np.array([found.levels or _even(found.header) for found in facts if found.header is not None])
    if window is not None:
        low, high = (_percentile(levels, share / 100) for share in window[:2])
    else:
        low, high = float(levels[:, 0].min()), float(levels[:, -1].max())
        if widest == "uint16" and high - low >= _ALMOST_ALL * full[1]:
            return full[0], full[1]
    if low < high:
        return low, high
    return (full[0], full[1]) if full[0] < full[1] else (low, low + 1)


def _even(header: ImageHeader) -> tuple[float, ...]:
    """The levels of a file of 8 bits, whose values were not looked at."""
    return tuple(255 * share for share in LEVELS)


def _percentile(levels: Any, share: float) -> float:
    """The value below which that share of all values lies. Each file counts the same."""
    gaps = np.diff(LEVELS, prepend=LEVELS[0], append=LEVELS[-1])
    weights = np.broadcast_to((gaps[:-1] + gaps[1:]) / 2, levels.shape).ravel()
    order = np.argsort(levels, axis=None)
    sums = np.cumsum(weights[order])
    return float(np.interp(share * sums[-1], sums - weights[order] / 2, levels.ravel()[order]))


def _say_range(
    low: float, high: float, widest: str, option: str, headers: list[ImageHeader], found: Framed
) -> None:
    names = {"uint8": "8 bits", "uint16": "16 bits", "int16": "16 bits, signed", "int32": "32 bits"}
    kind, span = names.get(widest, "floating point"), f"{low:g}..{high:g}"
    remark = ""
    if option == "auto" and widest in ("uint16", "int16", "int32") and (low, high) != _FULL[widest]:
        first, last = _FULL[widest]
        share = (high - low) / (last - first)
        remark = f"{share:.1%} of {first}..{last}"
        found.notes.append(
            f"images have {kind} and use {span}, {share:.1%} of the range: {low:g} becomes black and "
            f"{high:g} white; --set data.range=full keeps the whole range, LOW,HIGH or 1%,99% set another one"
        )
    elif option == "auto" and widest == "float32":
        found.notes.append(
            f"images have floating-point values {span}: {low:g} becomes black and {high:g} white; "
            "--set data.range=LOW,HIGH or 1%,99% set another range"
        )
    window = next((header.window for header in headers if header.window), None)
    if window and option == "auto":
        found.notes.append(
            f"DICOM files have a window of their own, the first one {window[0]:g}..{window[1]:g}, which "
            f"previews show: --set data.range={window[0]:g},{window[1]:g} trains on it, data.range=window on "
            "the median"
        )
    found.rows.append(("values", f"{kind}, {span} become -1..1", remark))


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
            "without a colour profile keeps 16 with pip install imagecodecs, TIFF with tifffile"
        )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
