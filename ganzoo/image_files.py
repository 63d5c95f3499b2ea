"""Decodes one image file to one uint8 array, whatever its mode, orientation and size.

Datasets and `ganzoo generate --input` both read images with `decode_image`, so a generator gets the same
pixels as in training. Files are not trusted: only five formats are opened, an exception of a decoder on a
damaged file becomes ValueError, and pixels, bytes and memory are limited.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from ganzoo.images import MODES

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")

IMAGE_BYTES = 1 << 27
"""The largest image file. Some formats are read as a whole, and a huge sparse file is easy to make."""

PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Pillow's own limit for the pixels of an image, which applies even if a program has switched it off."""

_GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap height and width
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_TEXT_BYTES = 4 << 20  # of all compressed comments of a PNG; a small file can hold 64 MiB of them
_LARGE = 1 << 20  # pixels; larger images are shrunk in strips, without copies of the whole image
_GAP = 3  # shrinking by whole factors stops at this multiple of the final size, without a visible difference


class Budget:
    """An amount that the threads of a process share; a thread that wants more than is free waits.

    A request for more than the total gets the total, alone.
    """

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def spend(self, amount: int) -> Iterator[None]:
        """Reserve `amount` while the block runs."""
        amount = min(amount, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


# Pillow keeps up to 4 bytes for each pixel. All threads together decode within these limits.
_pixels_at_once = Budget(40 << 20)
_bytes_at_once = Budget(64 << 20)

# Pillow's own blocks of 16 MiB stay with the thread that allocated them: eight threads kept 2.7 GB for
# images at the pixel limit. Larger blocks go back to the system when the image is closed.
with suppress(AttributeError, ValueError):
    Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]


Fit = Literal["crop", "pad", "stretch"]
"""`crop` keeps the centre, `pad` adds a white border (transparent with 4 channels), `stretch` changes the
aspect ratio."""

FITS: tuple[Fit, ...] = get_args(Fit)


@dataclass(frozen=True)
class ImageFrame:
    """The shape of every sample: pixels, channels (1, 3 or 4), and how an image is fitted into it."""

    height: int
    width: int
    channels: int
    fit: Fit


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file declares; height and width are those after EXIF rotation."""

    height: int
    width: int
    gray: bool


def silence_pillow() -> None:
    """Switch off Pillow's warnings: this module ignores damaged EXIF and refuses images above its limit."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image_header(path: Path) -> ImageHeader | None:
    """Size and mode from the header alone; None when the file is not a readable image."""
    try:
        with _image(path) as image:
            width, height = image.size
            # Looking for EXIF in a PNG that has none would decode the whole image.
            if ("exif" in image.info or image.format != "PNG") and _orientation(image) >= 5:
                width, height = height, width
            return ImageHeader(height, width, image.mode in _GRAY or _gray_palette(image))
    except Exception:
        return None


def decode_image(path: Path, frame: ImageFrame) -> NDArray[np.uint8]:
    """Pixels (channels, height, width) of the first frame of an image.

    ValueError when the file is damaged, is not a regular file of one of the five formats, or exceeds
    the limits `IMAGE_BYTES` and `PIXELS` (`PIL.Image.MAX_IMAGE_PIXELS`, where that is lower). OSError when it
    cannot be opened.
    """
    try:
        with _image(path) as image, _pixels(image):
            turn = _orientation(image)
            # The strips of a large image are converted one by one.
            large = image.width * image.height > _LARGE
            small = _shrunk(image, frame, turn) if large else _plain(image, frame.channels)
            if turn in _TURNS:
                small = small.transpose(_TURNS[turn])
            pixels = np.asarray(_fitted(small, frame))
    except UnidentifiedImageError as error:
        raise ValueError(f"not an image in any of the formats {', '.join(FORMATS)}") from error
    except (OSError, ValueError):
        raise
    except Exception as error:
        # Decoders raise SyntaxError, EOFError, struct.error, IndexError and more on bad bytes.
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if frame.channels == 1:
        return pixels[None].copy()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def _image(path: Path) -> Iterator[Image.Image]:
    """The opened image; its header is read and within the limits."""
    # Global settings of Pillow, which other code may have changed.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    PngImagePlugin.MAX_TEXT_MEMORY = min(PngImagePlugin.MAX_TEXT_MEMORY, _TEXT_BYTES)
    PngImagePlugin.MAX_TEXT_CHUNK = min(PngImagePlugin.MAX_TEXT_CHUNK, _TEXT_BYTES)
    with _opened(path) as (file, size):
        if not size:
            raise ValueError("the file is empty")
        if size > IMAGE_BYTES:
            raise ValueError(f"the file has {size:,} bytes, more than the limit of {IMAGE_BYTES:,}")
        with _bytes_at_once.spend(size), Image.open(file, formats=FORMATS) as image:
            limit = min(Image.MAX_IMAGE_PIXELS or PIXELS, PIXELS)
            if image.width * image.height > limit:
                raise ValueError(f"{image.width}x{image.height} pixels are more than the limit of {limit:,}")
            yield image


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. OSError when it cannot be opened, ValueError when it is not a regular file.

    Opening a pipe without a writer would block, and a device may never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    # Between the check and the opening, the file may have become a pipe.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        yield file, status.st_size


@contextmanager
def _pixels(image: Image.Image) -> Iterator[None]:
    """Load the image's pixels; they are freed before another thread gets their share of the memory."""
    with _pixels_at_once.spend(image.width * image.height), closing(image):
        image.load()
        yield


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8. Damaged EXIF is ignored: the pixels are good."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _shrunk(image: Image.Image, frame: ImageFrame, turn: int) -> Image.Image:
    """A large image in its final mode, averaged over squares of pixels down to `_GAP` times its final size.

    In strips: converting the whole image at once would take several times the memory of its pixels.
    """
    height, width = (frame.width, frame.height) if turn >= 5 else (frame.height, frame.width)
    step = max(1, int(min(image.width / width, image.height / height) / _GAP))
    rows = step * max(1, _LARGE // (step * image.width))
    result = Image.new(MODES[frame.channels], (-(-image.width // step), -(-image.height // step)))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        result.paste(_plain(strip, frame.channels).reduce(step), (0, top // step))
    return result


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """The image in mode L, RGB or RGBA, for 1, 3 or 4 channels; 1 and 3 put transparent pixels on white."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels != 4:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image).convert("RGB")
    mode = MODES[channels]
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray to 8 bits: 0 stays 0, 65535 becomes 255. Pillow's own conversion clips at 255."""
    wide = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _fitted(image: Image.Image, frame: ImageFrame) -> Image.Image:
    """The image in the size of the frame; unchanged if it has that size already."""
    if image.size == (frame.width, frame.height):
        return image
    if frame.fit == "stretch":
        return _resized(image, frame.width, frame.height, (0.0, 0.0, float(image.width), float(image.height)))
    across, down = frame.width / image.width, frame.height / image.height
    if frame.fit == "crop":
        scale = max(across, down)
        width, height = frame.width / scale, frame.height / scale
        left, top = (image.width - width) / 2, (image.height - height) / 2
        # Rounding must not move the box slightly outside the image, which Pillow refuses.
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
    """Resize with antialiasing; `reducing_gap` first shrinks large images by whole factors."""
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=float(_GAP))


def _gray_palette(image: Image.Image) -> bool:
    """Whether the image has a palette, read with the header, of gray shades only."""
    palette = image.palette
    if image.mode != "P" or palette is None or palette.mode != "RGB" or palette.rawmode not in (None, "RGB"):
        return False
    colours = bytes(palette.palette)
    return colours[0::3] == colours[1::3] == colours[2::3]
