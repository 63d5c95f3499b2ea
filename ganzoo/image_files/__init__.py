"""One image file -> one array, whatever its format, mode, depth, orientation and size.

Datasets and `ganzoo generate --input` both read files with `decode_image`, so a generator gets the same
values as in training. `pillow_files` reads pixels of 8 bits; `deep_files` reads values of any depth and any
number of channels; `deep` brings these to one shape and range. Files are not trusted: an exception of a
decoder on a damaged file becomes ValueError, and pixels, bytes and memory are limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.image_files.deep import LEVELS, deep_image, quantiles
from ganzoo.image_files.deep_files import (
    DEEP_SUFFIXES,
    VOLUMES,
    is_dicom,
    is_volume,
    read_values,
    values_header,
)
from ganzoo.image_files.frames import FITS, Fit, ImageFrame, ImageHeader, ValueRange
from ganzoo.image_files.pillow_files import (
    PILLOW_SUFFIXES,
    decode_pages,
    decode_pixels,
    fitted_pixels,
    read_pillow_header,
    silence_pillow,
)

__all__ = [
    "FITS",
    "IMAGE_SUFFIXES",
    "LEVELS",
    "VOLUMES",
    "Fit",
    "ImageFrame",
    "ImageHeader",
    "ValueRange",
    "decode_frames",
    "decode_image",
    "fitted_pixels",
    "image_levels",
    "inspect_image",
    "is_dicom",
    "is_volume",
    "read_image_header",
    "silence_pillow",
]

IMAGE_SUFFIXES = (*PILLOW_SUFFIXES, *DEEP_SUFFIXES)
"""Endings of files that are read. Those of `deep_files` may need an optional package."""


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    """Decoders raise SyntaxError, EOFError, struct.error, IndexError and more on bad bytes."""
    try:
        yield
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


@_damage_as_value_error()
def inspect_image(path: Path) -> ImageHeader:
    """What the header of a file says, without its pixels. Errors as in `decode_image`."""
    deep = path.name.lower().endswith(DEEP_SUFFIXES) or is_dicom(path)
    return values_header(path) if deep else read_pillow_header(path)


def read_image_header(path: Path) -> ImageHeader | None:
    """`inspect_image`; None when the file is not a readable image."""
    try:
        return inspect_image(path)
    except (OSError, ValueError):
        return None


@_damage_as_value_error()
def decode_image(path: Path, frame: ImageFrame, page: int = 0) -> NDArray[Any]:
    """The image as (channels, height, width) of the frame.

    Without `frame.values`: pixels as uint8. With them: the file's own values in that type, clipped to the
    range; or for float32, mapped from the range to -1..1; a file of one of the `others` is first brought from
    its range to that one. `page` counts the frames of an animation, the pages
    of a TIFF and the slices of a volume.

    ValueError when the file is damaged, is not a regular file of a known format, or exceeds the limits
    `IMAGE_BYTES` and `PIXELS` (`PIL.Image.MAX_IMAGE_PIXELS`, where that is lower). OSError when it cannot be
    opened.
    """
    if frame.values is None:
        return decode_pixels(path, frame, page)
    if not frame.values.others:
        return deep_image(read_values(path, page, frame), frame)
    return _brought(path, frame, frame.values, page)


def _brought(path: Path, frame: ImageFrame, stored: ValueRange, page: int) -> NDArray[Any]:
    """An image whose values have a range of their own, because files of several types become one."""
    dtype, pixels = inspect_image(path).dtype, stored.dtype == "uint8"
    ranges = {name: (low, high) for name, low, high in stored.others}
    if pixels and dtype not in ranges:  # as without any range: values whose white is unknown are refused
        return decode_pixels(path, frame, page)
    own = replace(stored, others=())
    if dtype in ranges:
        own = ValueRange("float32", *ranges[dtype])
    made = deep_image(read_values(path, page, frame), replace(frame, values=own), white_border=pixels)
    if own.dtype == stored.dtype:
        return made
    values = stored.low + (made.astype(np.float64) + 1) * ((stored.high - stored.low) / 2)
    return np.rint(values).astype(stored.dtype)


@_damage_as_value_error()
def decode_frames(
    path: Path, frame: ImageFrame, most: int = 10_000
) -> tuple[NDArray[np.uint8], tuple[float, ...]]:
    """The first `most` frames of an animation as pixels (frames, channels, height, width), and their times.

    Times are milliseconds, 0 where the file does not say; a still image is one frame. Errors as in
    `decode_image`.
    """
    return decode_pages(path, frame, most)


@_damage_as_value_error()
def image_levels(path: Path, frame: ImageFrame, pages: int) -> tuple[float, ...]:
    """The values of a file at the shares `LEVELS`, over evenly spaced ones of its first pages.

    Errors as in `decode_image`.
    """
    return quantiles([read_values(path, page, frame) for page in range(pages)])
