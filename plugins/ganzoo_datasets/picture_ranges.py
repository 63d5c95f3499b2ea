"""Which values of a set of images become -1..1, and how they are stored."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ganzoo.api import LEVELS, DataError, ImageHeader, SettingsError, ValueRange, counted, is_volume
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.picture_files import Facts, Listing, dark_values

Row = tuple[str, str, str]
Ends = tuple[float, float]

DARK = 63
"""The highest value of images of 8 bits about which there is a note: a quarter of 0..255."""

_SHOWN = 0.005, 0.995  # the shares of values that previews show as black and white
_ALMOST_ALL = 0.9  # of the range of a type: then all of it is used, and a new file changes nothing
_LITTLE = 0.01  # of a range that was chosen: less is hardly seen
_FULL = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}
_NAMES = {"uint8": "8 bits", "uint16": "16 bits", "int16": "16 bits, signed", "int32": "32 bits"}


@dataclass
class Ranged:
    """How values are stored (None: pixels of 8 bits), facts of the field, notes and rows of the card."""

    values: ValueRange | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def chosen_range(text: str) -> tuple[float, float, bool] | None:
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


def range_of(
    listing: Listing,
    facts: Sequence[Facts],
    channels: int,
    config: FolderConfig,
    *,
    all_pages: bool = False,
    as_pixels: bool = False,
) -> Ranged:
    """The range of the images. Types of pictures are told apart; arrays and volumes have the same units.

    `as_pixels`: samples are pixels of 8 bits, and what would become -1..1 becomes 0..255. That is for
    samples which are made of pixels: degraded by JPEG, or joined with frames of videos.
    """
    headers = [found.header for found in facts if found.header is not None]
    types = Counter(header.dtype for header in headers)
    chosen, made = chosen_range(config.range), Ranged()
    # Files without pixels of 8 bits.
    arrays = any(name.lower().endswith(".npy") or is_volume(listing.root / name) for name in listing.names)
    pixels = not arrays and channels in (1, 3, 4) and config.pages != "channels"
    by_itself = chosen is None or chosen[2]  # not as the user gives the values
    if config.range in ("auto", "full") and set(types) == {"uint8"}:
        _say_dark(listing, facts, made, all_pages)
    if chosen is None and pixels and set(types) <= {"uint8"}:
        made.rows.append(("values", "8 bits", ""))
    elif by_itself and pixels and len(types) > 1 and config.range != "window":
        _several(facts, types, config.range, made, "uint8" if as_pixels else None)
    else:
        _one(facts, headers, types, config.range, made)
        if len(types) > 1:
            made.notes.append(f"images differ in depth ({_counts(types)}): their values are used as they are")
        elif by_itself and pixels and "uint8" not in types and made.values is not None:
            # Held-out files and inputs may have 8 bits.
            made.values = replace(made.values, others=(("uint8", 0.0, 255.0),))
    if as_pixels:
        _to_pixels(made)
    others = made.values.others if made.values is not None else ()
    if others:
        made.facts["ranges"] = {name: list(ends) for name, *ends in others}
    return made


def _one(
    facts: Sequence[Facts], headers: list[ImageHeader], types: Counter[str], option: str, made: Ranged
) -> None:
    """One range for the values of all files."""
    chosen = chosen_range(option)
    floats, signed = "float32" in types, any(name.startswith("int") for name in types)
    if floats:
        widest = "float32"
    elif set(types) == {"uint8"}:
        widest = "uint8"
    elif signed:
        widest = "int16" if set(types) <= {"int16", "uint8"} else "int32"
    else:
        widest = "uint16"
    own = [header.window for header in headers if header.window]
    window = None
    if option == "window":
        if not own:
            raise DataError(
                "No header of these files has a window.", where="data.range=window", fix="data.range=auto"
            )
        low, high = (float(value) for value in np.median(own, axis=0))
    elif chosen is not None and not chosen[2]:
        low, high = chosen[:2]
        _check_chosen(facts, low, high)
    else:
        low, high = _range(facts, widest, option)
        window = _shown(facts, own) if option in ("auto", "full") else None
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
    _say_range(low, high, widest, option, headers, made)
    if option == "full":
        _say_little(facts, low, high, made)
    made.values = ValueRange(dtype, low, high)
    if dtype != "uint8":
        made.facts |= {"values": dtype, **_window_of(window, low, high)}


def _to_pixels(made: Ranged) -> None:
    """The range of each type as others of pixels of 8 bits. Types that no image has get that of the most."""
    values = made.values
    if values is None or values.dtype == "uint8":
        return
    ranges: dict[str, Ends] = dict.fromkeys((*_NAMES, "float32"), (values.low, values.high))
    ranges |= {name: (low, high) for name, low, high in values.others}
    if ranges["uint8"] == (0, 255):  # decoded as in a folder that has nothing else
        del ranges["uint8"]
    made.values = ValueRange("uint8", 0, 255, tuple((name, *ends) for name, ends in ranges.items()))
    made.facts.clear()  # the values and the window of deep samples


def _several(
    facts: Sequence[Facts], types: Counter[str], option: str, made: Ranged, stored: str | None
) -> None:
    """A range for the files of each type, which become `stored`, or those of the most common type.

    All have one white. Held-out files and inputs may have a type that no image has: pixels of 8 bits have
    their range, and where samples are such pixels, 16 bits are read whole, as after pixels alone.
    """
    order = ("uint8", "uint16", "int16", "int32", "float32")
    groups = {
        name: [found for found in facts if found.header is not None and found.header.dtype == name]
        for name in order
        if name in types
    }
    ranges = {name: _range(group, name, option) for name, group in groups.items()}
    # Pixels are decoded as in a folder that has nothing else.
    ranges |= {"uint8": (0.0, 255.0)} if "uint8" in ranges else {}
    dtype: Any = stored or max(groups, key=lambda name: types[name])
    unseen: dict[str, Ends] = {"uint8": (0.0, 255.0)}
    unseen |= {"uint16": (0.0, 65535.0)} if dtype == "uint8" else {}
    others = tuple((name, *ends) for name, ends in (unseen | ranges).items() if name != dtype)
    low, high = ranges.get(dtype, (0.0, 255.0))
    made.values = ValueRange(dtype, low, high, others)
    if dtype != "uint8":
        window = _shown(groups[dtype], [])
        made.facts |= {"values": dtype, **_window_of(window, low, high)}
    said = ", ".join(f"{_kind(name)}: {_span(first, last)}" for name, (first, last) in ranges.items())
    made.rows.append(("values", f"{_counts(types)}; each becomes -1..1", said))
    made.notes.append(
        f"images differ in depth ({_counts(types)}): each depth has a range of its own ({said}) and becomes "
        f"{_kind(dtype)}; --set data.range=LOW,HIGH takes the values of all as they are"
    )


def _counts(types: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} of {_kind(name)}" for name, count in sorted(types.items()))


def _kind(dtype: str) -> str:
    return _NAMES.get(dtype, "floating point")


def _text(value: float) -> str:
    """Whole numbers with all digits."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 2**53 else f"{value:g}"


def _span(low: float, high: float) -> str:
    return f"{_text(low)}..{_text(high)}"


def _window_of(window: Ends | None, low: float, high: float) -> dict[str, list[float]]:
    if window is None:
        return {}
    first, last = (float(min(max(value, low), high)) for value in window)
    return {"window": [first, last]} if first < last else {}


def _shown(facts: Sequence[Facts], windows: list[tuple[float, float]]) -> tuple[float, float] | None:
    """The values that previews show as black and white: a window of the headers, or percentiles."""
    levels = np.array([item.levels for item in facts if item.levels])
    if windows or not len(levels):
        return windows[0] if windows else None
    return _percentile(levels, _SHOWN[0]), _percentile(levels, _SHOWN[1])


def _range(facts: Sequence[Facts], dtype: str, option: str) -> Ends:
    """The range of files whose values fit a type; that of the type if no value is known."""
    chosen = chosen_range(option)
    full = tuple(map(float, _FULL.get(dtype, (0, 1))))
    if option == "full" and dtype == "float32":
        raise SettingsError(
            "Floating-point values have no full range.", where="data.range", fix="auto, or two values: 0,1"
        )
    levels = _all_levels(facts)
    if option == "full" or not len(levels) or (dtype == "uint8" and chosen is None):
        return full[0], full[1]
    if chosen is not None:
        low, high = (_percentile(levels, share / 100) for share in chosen[:2])
    else:
        low, high = float(levels[:, 0].min()), float(levels[:, -1].max())
        if dtype == "uint16" and high - low >= _ALMOST_ALL * full[1]:
            return full[0], full[1]
    if dtype != "float32":
        low, high = float(math.floor(low)), float(math.ceil(high))
    if low < high:
        return low, high
    return (full[0], full[1]) if dtype != "float32" else (low, low + max(1.0, abs(low)))


def _all_levels(facts: Sequence[Facts]) -> Any:
    """The levels of all files (n, levels)."""
    known = [found for found in facts if found.header is not None]
    return np.array(
        [found.levels or _even() for found in known if found.levels or _is_pixels(found)], np.float64
    ).reshape(-1, len(LEVELS))


def _is_pixels(found: Facts) -> bool:
    return found.header is not None and found.header.dtype == "uint8"


def _even() -> tuple[float, ...]:
    """The levels of a file of 8 bits, whose values were not looked at."""
    return tuple(255 * share for share in LEVELS)


def _percentile(levels: Any, share: float) -> float:
    """The value below which that share of all values lies. Each file counts the same."""
    gaps = np.diff(LEVELS, prepend=LEVELS[0], append=LEVELS[-1])
    weights = np.broadcast_to((gaps[:-1] + gaps[1:]) / 2, levels.shape).ravel()
    order = np.argsort(levels, axis=None)
    sums = np.cumsum(weights[order])
    return float(np.interp(share * sums[-1], sums - weights[order] / 2, levels.ravel()[order]))


def _check_chosen(facts: Sequence[Facts], low: float, high: float) -> None:
    """SettingsError for a range in which no image has a value: all samples would be the same."""
    levels = _all_levels(facts)
    if not len(levels) or (levels[:, 0].min() < high and levels[:, -1].max() > low):
        return
    known = _span(levels[:, 0].min(), levels[:, -1].max())
    raise SettingsError(
        f"No image has values inside of {_span(low, high)}: they are {known}. All samples would be the same.",
        where="data.range",
        fix="auto, or two values between these",
    )


def _say_little(facts: Sequence[Facts], low: float, high: float, made: Ranged) -> None:
    levels = _all_levels(facts)
    if not len(levels):
        return
    first, last = levels[:, 0].min(), levels[:, -1].max()
    if last - first < _LITTLE * (high - low):
        made.notes.append(
            f"images use {_span(first, last)}, less than {_LITTLE:.0%} of the range {_span(low, high)}: "
            "samples have hardly any contrast; --set data.range=auto uses what they have"
        )


def _say_dark(listing: Listing, facts: Sequence[Facts], made: Ranged, all_pages: bool) -> None:
    """A note about masks and label images, which would be black."""
    dark = dark_values(listing, facts, DARK, all_pages=all_pages)
    if dark is None:
        return
    count, low, high = dark
    if low == high:  # nothing to see in any range
        return
    black, white = _text(low), _text(high)
    made.notes.append(
        f"values of {counted(count, 'image')} looked at are {black}..{white} of 0..255, so samples are "
        f"nearly black: --set data.range={black},{white} makes {black} black and {white} white"
    )


def _say_range(
    low: float, high: float, widest: str, option: str, headers: list[ImageHeader], made: Ranged
) -> None:
    kind, span, black, white = _kind(widest), _span(low, high), _text(low), _text(high)
    remark = ""
    if option == "auto" and widest in ("uint16", "int16") and (low, high) != _FULL[widest]:
        first, last = _FULL[widest]
        share = (high - low) / (last - first)
        remark = f"{share:.1%} of {first}..{last}"
        made.notes.append(
            f"images have {kind} and use {span}, {share:.1%} of the range: {black} becomes black and "
            f"{white} white; --set data.range=full keeps the whole range, LOW,HIGH or 1%,99% set another one"
        )
    elif option == "auto" and widest in ("int32", "float32"):
        values = "floating-point values" if widest == "float32" else "whole numbers"
        made.notes.append(
            f"images have {values} {span}: {black} becomes black and {white} white; "
            "--set data.range=LOW,HIGH or 1%,99% set another range"
        )
    window = next((header.window for header in headers if header.window), None)
    if window and option == "auto":
        dark, bright = _text(window[0]), _text(window[1])
        made.notes.append(
            f"DICOM files have a window of their own, the first one {dark}..{bright}, which previews show: "
            f"--set data.range={dark},{bright} trains on it, data.range=window on the median"
        )
    made.rows.append(("values", f"{kind}, {span} become -1..1", remark))
