"""Files that Pillow reads -> pixels of 8 bits. Large images are read in strips, large JPEG files reduced."""

from __future__ import annotations

import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, UnidentifiedImageError

from ganzoo.errors import DataError
from ganzoo.image_files.frames import ImageFrame, ImageHeader
from ganzoo.images import MODES
from ganzoo.util.packages import optional_package

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "AVIF")
TIFF_SUFFIXES = (".tif", ".tiff")
HEIF_SUFFIXES = (".heic", ".heif")  # photographs of telephones; Pillow reads them with pillow-heif
OTHER_FORMATS = {
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx"), "JPEG2000"),
    ".tga": "TGA",
    ".qoi": "QOI",
}
"""Formats that are read only behind their own endings: TGA has no mark at its beginning."""

PILLOW_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".dib", ".gif", ".avif"),
    *HEIF_SUFFIXES,
    *OTHER_FORMATS,
)

IMAGE_BYTES = 1 << 27
"""The largest image file. Some formats are read as a whole, and a huge sparse file is easy to make."""

PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Pillow's own limit for the pixels of an image, which applies even if a program has switched it off."""

SIGNED = 2
"""A TIFF's SampleFormat for signed whole numbers."""

WHITE_IS_ZERO = "white is zero"
"""The key in an opened image's `info` for deep values that are still to be inverted: a TIFF of MINISWHITE."""

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

_OTHERS = ("pillow_heif", "tifffile", "pydicom", "nibabel", "imagecodecs")
_TEXT_BYTES = 4 << 20  # of all compressed comments of a PNG; a small file can hold 64 MiB of them
_PROFILE_BYTES = 4 << 20
_LARGE = 1 << 20  # pixels; larger images are shrunk in strips, without copies of the whole image
_GAP = 3  # shrinking by whole factors stops at this multiple of the final size, without a visible difference


class Budget:
    """An amount that the threads of a process share; a thread that wants more than is free waits.

    A request for more than the total gets the total, alone. A forked process begins with the total: it has
    none of the threads that would give their shares back.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._restart()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._free, self._changed = self._total, threading.Condition()

    @contextmanager
    def spend(self, amount: int) -> Iterator[None]:
        """Reserve `amount` while the block runs; a thousandth of the total or less is free."""
        if amount * 1000 <= self._total:
            yield
            return
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


def silence_pillow() -> None:
    """Switch off warnings of Pillow and of the packages for other formats: what cannot be used is reported.

    Damaged EXIF is ignored, and images above the limits are refused.
    """
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    for name in _OTHERS:
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
        logging.getLogger(name).setLevel(logging.CRITICAL)


def read_pillow_header(path: Path) -> ImageHeader:
    """Size, mode and depth from the header alone; errors as in `decode_image`."""
    with opened_image(path) as image:
        width, height = image.size
        # Looking for EXIF in a PNG that has none would decode the whole image. The size of a TIFF is that of
        # the turned image already.
        looked_at = image.format != "TIFF" and ("exif" in image.info or image.format != "PNG")
        if looked_at and orientation_of(image) >= 5:
            width, height = height, width
        mode = image.mode
        gray = mode in _GRAY or _gray_palette(image)
        wide = has_wide_colours(image)
        deep = mode.startswith("I;16") or (wide and can_read_wide(image))
        alpha = "A" in image.getbands() and mode != "LAB"
        channels = 1 if gray and mode != "P" else 4 if alpha else 3
        return ImageHeader(
            height,
            width,
            gray,
            1 if gray else channels,
            "uint16" if deep else _wide_type(image),
            pages=_pages(image),
            alpha=image.has_transparency_data,
            reduced=wide and not deep,
            profile=_to_srgb(image) is not None,
        )


def _wide_type(image: Image.Image) -> str:
    """The type of the values, if colours have 8 bits. Pillow keeps a signed TIFF of 16 bits in 32."""
    if image.mode == "I" and image.format == "TIFF":
        return "int16" if max(tiff_tag(image, 258, (32,))) == 16 else "int32"
    return {"I": "int32", "F": "float32"}.get(image.mode, "uint8")


def tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    """The value of a tag of an opened TIFF."""
    return image.tag_v2.get(tag, default)  # type: ignore[attr-defined]


def _pages(image: Image.Image) -> int:
    """The number of frames; 1 where a later one is damaged, because the first can still be used."""
    if image.format in ("MPO", "HEIF"):  # what follows is a preview, or belongs to the first
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # Pillow's readers of frames raise errors of many classes
        image.seek(0)
        return 1


def decode_pixels(path: Path, frame: ImageFrame, page: int = 0) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of one frame of a file; errors as in `decode_image`."""
    with opened_image(path, page) as image:
        _check_white(image)
        _draft(image, frame)
        with loaded_pixels(image):
            return fitted_pixels(image, frame)


def decode_pages(path: Path, frame: ImageFrame, most: int) -> tuple[NDArray[np.uint8], tuple[float, ...]]:
    """The first `most` frames of an animation, (frames, channels, height, width), and how long each is shown.

    In milliseconds; 0 where the file does not say. The file is read once. Errors as in `decode_image`.
    """
    pixels, times = [], []
    with opened_image(path) as image:
        _check_white(image)
        for page in range(min(most, _pages(image))):
            image.seek(page)
            with _pixels_at_once.spend(image.width * image.height):
                image.load()
                pixels.append(fitted_pixels(image, frame))
            times.append(float(image.info.get("duration", 0)))
    return np.stack(pixels), tuple(times)


def fitted_pixels(image: Image.Image, frame: ImageFrame) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of an image that Pillow has loaded."""
    turn = orientation_of(image)
    # The strips of a large image are converted one by one.
    large = image.width * image.height > _LARGE
    small = _shrunk(image, frame, turn) if large else plain(image, frame.channels)
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
    pixels = np.asarray(fitted(small, frame))
    if frame.channels == 1:
        return pixels[None].copy()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check_white(image: Image.Image) -> None:
    """ValueError for values of which nothing says how bright they are: most would become black."""
    signed = image.format == "TIFF" and tiff_tag(image, 339, (1,))[0] == SIGNED
    if signed or image.mode in ("I", "F"):
        raise ValueError(
            "its values are signed, of 32 bits or floating point, and no range says which are black and white"
        )


@contextmanager
def opened_image(path: Path, page: int = 0) -> Iterator[Image.Image]:
    """The opened image at a page; its header is read and within the limits.

    ValueError for an empty, too large or damaged file, OSError if it cannot be opened.
    """
    # Global settings of Pillow, which other code may have changed.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    PngImagePlugin.MAX_TEXT_MEMORY = min(PngImagePlugin.MAX_TEXT_MEMORY, _TEXT_BYTES)
    PngImagePlugin.MAX_TEXT_CHUNK = min(PngImagePlugin.MAX_TEXT_CHUNK, _TEXT_BYTES)
    with regular_file(path) as (file, size):
        if not size:
            raise ValueError("the file is empty")
        if size > IMAGE_BYTES:
            raise ValueError(f"the file has {size:,} bytes, more than the limit of {IMAGE_BYTES:,}")
        with _bytes_at_once.spend(size), _recognised(file, _formats(path)) as image:
            if page:
                image.seek(page)
            check_pixels(image.width, image.height)
            # Pillow inverts such an image where it has up to 8 bits. Parts of an image keep its `info`.
            if image.format == "TIFF" and image.mode.startswith("I") and tiff_tag(image, 262, 1) == 0:
                image.info[WHITE_IS_ZERO] = True
            yield image


def _formats(path: Path) -> tuple[str, ...]:
    suffix = path.suffix.lower()
    if suffix in HEIF_SUFFIXES:
        package("pillow_heif").register_heif_opener(thumbnails=False)
        return ("HEIF",)
    if suffix in OTHER_FORMATS:
        return (OTHER_FORMATS[suffix],)
    return ("TIFF",) if suffix in TIFF_SUFFIXES else FORMATS


def package(name: str) -> Any:
    """Import a package of the extra `pictures`; a ValueError says how to install it."""
    try:
        return optional_package(name, "pictures", "it")
    except DataError as error:
        raise ValueError(f"{error.what}: {error.fix}") from error


def _recognised(file: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        known = (
            f"in any of the formats {', '.join(formats)}"
            if len(formats) > 1
            else f"in the format {formats[0]}"
        )
        raise ValueError(f"not an image {known}") from error


def check_pixels(width: int, height: int) -> None:
    """ValueError for an image that is too large."""
    limit = min(Image.MAX_IMAGE_PIXELS or PIXELS, PIXELS)
    if width * height > limit:
        raise ValueError(f"{width}x{height} pixels are more than the limit of {limit:,}")


@contextmanager
def regular_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
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
def loaded_pixels(image: Image.Image) -> Iterator[None]:
    """Load the image's pixels; they are freed before another thread gets their share of the memory."""
    with _pixels_at_once.spend(image.width * image.height), closing(image):
        image.load()
        yield


def orientation_of(image: Image.Image) -> int:
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
        result.paste(plain(strip, frame.channels).reduce(step), (0, top // step))
    return result


def plain(image: Image.Image, channels: int) -> Image.Image:
    """The image in mode L, RGB or RGBA, for 1, 3 or 4 channels; 1 and 3 put transparent pixels on white."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    image = _in_srgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels != 4:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image).convert("RGB")
    mode = MODES[channels]
    return image if image.mode == mode else image.convert(mode)


def _draft(image: Image.Image, frame: ImageFrame) -> None:
    """Let the decoder of JPEG shrink a large image by 2, 4 or 8, down to `_GAP` times the final size.

    That skips most of the inverse transform: 24 megapixels are read about twice as fast.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return
    height, width = frame.height, frame.width
    if orientation_of(image) >= 5:
        height, width = width, height
    scale = min(image.width / width, image.height / height) / _GAP
    if scale >= 2:
        image.draft(None, (int(image.width / scale), int(image.height / scale)))


def _in_srgb(image: Image.Image) -> Image.Image:
    """The image with its colours in sRGB, if it has another profile; damaged profiles are ignored."""
    transform = _to_srgb(image)
    if transform is None:
        return image
    try:
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        converted = ImageCms.applyTransform(image.convert("RGB") if alpha else image, transform)
        if converted is None:
            return image
        if alpha is not None:
            converted.putalpha(alpha)
    except (ImageCms.PyCMSError, ValueError):
        return image
    return converted


def _to_srgb(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or image.mode not in ("RGB", "RGBA", "CMYK"):
        return None
    return _transform(profile, "RGB" if image.mode == "RGBA" else image.mode)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a colour profile to sRGB; None for sRGB itself, and for a damaged profile."""
    if len(profile) > _PROFILE_BYTES:
        return None
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return None
        return ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def has_wide_colours(image: Image.Image) -> bool:
    """Whether the file has colours of more than 8 bits, of which Pillow keeps 8."""
    modes = [str(tile[3]) for tile in getattr(image, "tile", ())]
    return image.mode in ("RGB", "RGBA", "CMYK") and any(";16" in mode for mode in modes)


def can_read_wide(image: Image.Image) -> bool:
    """Whether all bits of such colours can be read: a PNG of one frame, the package imagecodecs.

    Nothing must be left to Pillow: it converts profiles in 8 bits, and knows colours that mean transparency.
    """
    left = "transparency" in image.info or _pages(image) > 1 or _to_srgb(image) is not None
    return image.format == "PNG" and not left and find_spec("imagecodecs") is not None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray to 8 bits: 0 stays 0, 65535 becomes 255. Pillow's own conversion clips at 255."""
    wide = np.asarray(image).astype(np.int64).clip(0, 65535)
    if image.info.get(WHITE_IS_ZERO):
        wide = 65535 - wide
    if isinstance(clear := image.info.get("transparency"), int):
        wide = np.where(wide == clear, 65535, wide)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def fitted(image: Image.Image, frame: ImageFrame, border: float | None = None) -> Image.Image:
    """The image in the size of the frame; unchanged if it has that size already.

    `border` is the value of the border of `pad`; None is white, transparent with alpha.
    """
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
    canvas = Image.new(image.mode, (frame.width, frame.height), white if border is None else border)
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
