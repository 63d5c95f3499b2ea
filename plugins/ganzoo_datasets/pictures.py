"""One picture file to one uint8 array, whatever its mode, orientation and size.

Only five formats are opened, each by a decoder that Pillow has in every build. Files come from
anywhere, so all that a decoder may raise on a damaged one is turned into ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap height and width


@dataclass(frozen=True)
class Frame:
    """The shape of every sample: pixels, channels (1, 3 or 4), and how a picture is fitted in."""

    height: int
    width: int
    channels: int
    fit: Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are decoded; sizes after EXIF rotation."""

    height: int
    width: int
    gray: bool


def read_header(path: Path) -> Header | None:
    """Size and mode from the header alone; None when the file is not a readable picture."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            # Asking a PNG without EXIF for it would decode the whole picture.
            if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) >= 5:
                width, height = height, width
            return Header(height, width, image.mode in _GRAY or _gray_palette(image))
    except Exception:
        return None


def decode(path: Path, frame: Frame) -> NDArray[np.uint8]:
    """Pixels (channels, height, width) of the first frame of a picture.

    ValueError when the file is damaged, is not one of the five formats, or has more pixels than
    Pillow's limit (`PIL.Image.MAX_IMAGE_PIXELS`); OSError when it cannot be opened at all.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(f"{image.width}x{image.height} pixels are more than the limit of {limit:,}")
            image.load()
            pixels = np.asarray(_fitted(_plain(_upright(image), frame.channels), frame))
    except UnidentifiedImageError as error:
        raise ValueError(f"not a picture in any of the formats {', '.join(FORMATS)}") from error
    except OSError:
        raise
    except Exception as error:
        # Decoders raise SyntaxError, EOFError, struct.error, IndexError and more on bad bytes.
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if frame.channels == 1:
        return pixels[None].copy()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says. Damaged EXIF is passed over: the pixels are good."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """The picture in mode L, RGB or RGBA, for 1, 3 or 4 channels; transparency onto white for 1 and 3."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels != 4:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image).convert("RGB")
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray to 8 bits: 0 stays 0, 65535 becomes 255. Pillow's own conversion clips at 255."""
    image.load()
    wide = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _fitted(image: Image.Image, frame: Frame) -> Image.Image:
    """The picture at the size of the frame; untouched when it has that size already."""
    if image.size == (frame.width, frame.height):
        return image
    if frame.fit == "stretch":
        return _resized(image, frame.width, frame.height, (0.0, 0.0, float(image.width), float(image.height)))
    across, down = frame.width / image.width, frame.height / image.height
    if frame.fit == "crop":
        scale = max(across, down)
        width, height = frame.width / scale, frame.height / scale
        left, top = (image.width - width) / 2, (image.height - height) / 2
        # Rounding must not put the box a hair outside the picture, which Pillow refuses.
        box = (
            max(left, 0.0),
            max(top, 0.0),
            min(left + width, float(image.width)),
            min(top + height, float(image.height)),
        )
        return _resized(image, frame.width, frame.height, box)
    scale = min(across, down)
    width = min(frame.width, max(1, round(image.width * scale)))
    height = min(frame.height, max(1, round(image.height * scale)))
    small = _resized(image, width, height, (0.0, 0.0, float(image.width), float(image.height)))
    white = (255, 255, 255, 0)[: len(image.getbands())]
    canvas = Image.new(image.mode, (frame.width, frame.height), white)
    canvas.paste(small, ((frame.width - width) // 2, (frame.height - height) // 2))
    return canvas


def _resized(
    image: Image.Image, width: int, height: int, box: tuple[float, float, float, float]
) -> Image.Image:
    """Antialiased; `reducing_gap` first shrinks large pictures by whole steps, at no visible cost."""
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _gray_palette(image: Image.Image) -> bool:
    """Whether a palette, read with the header, holds shades of gray only."""
    palette = image.palette
    if image.mode != "P" or palette is None or palette.mode != "RGB" or palette.rawmode not in (None, "RGB"):
        return False
    colours = bytes(palette.palette)
    return colours[0::3] == colours[1::3] == colours[2::3]
