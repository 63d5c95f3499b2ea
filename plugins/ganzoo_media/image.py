"""Media of images: grids, files of 8 and 16 bits, pixels for metrics, blurred and noisy images."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import (
    IMAGE_SUFFIXES,
    Field,
    ImageFrame,
    Media,
    Preview,
    SettingsError,
    as_floats,
    decode_image,
    encode_image,
    grid,
    image_grid,
    read_image_header,
    sheet,
    side_by_side,
    silence_pillow,
    to_pixels,
    write_bytes,
)
from ganzoo_media.neighbours import captioned

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

BLUR, NOISE = 1.0, 25.0  # pixels, of 255
_BLOCK = 32  # images that are changed at once: as floats they take many times the memory
_DEEP = (".png", ".tif", ".tiff")
_PNG_COLOURS = {1: 0, 3: 2, 4: 6}


class ImageMedia(Media):
    """Images: channel x height x width. Those of other than 1, 3 or 4 channels show one channel, or three."""

    suffixes = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".tif", ".tiff")
    noun, nouns = "image", "images"
    most = 10_000

    def __init__(self, config: None = None) -> None:
        self.reads = IMAGE_SUFFIXES

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Channel, height, width."""
        return ("channel", "height", "width") if ndim == 3 else ()

    def claims(self, field: Field) -> bool:
        """Floats of 1, 3 or 4 channels."""
        return field.is_image

    def check(self, field: Field) -> None:
        """An image is a float field with three axes."""
        if field.dtype != "float32" or field.axes != ("channel", "height", "width"):
            raise ValueError("an image is channel x height x width, in float32")

    def describe(self, field: Field) -> str:
        """Size and channels."""
        channels, height, width = field.shape
        return f"{height} x {width} pixels, {channels} channel{'s' * (channels > 1)}"

    def preview(
        self,
        field: Field,
        samples: Array,
        *,
        real: Array | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        columns: int | None = None,
    ) -> Preview:
        """A grid of as many images as fit. With inputs: these, the result, the target side by side."""
        shown = shown_pixels(field, samples)
        if beside:
            # All inputs side by side as one image; the output comes after it.
            given = side_by_side([shown_pixels(*pair) for pair in beside])
            targets = [] if real is None else [shown_pixels(field, real)]
            shown, columns = side_by_side([given, shown, *targets]), 3
        drawn = image_grid(field, shown, columns, fit=True)
        return Preview(suffix=".png", data=encode_image(drawn, ".png"))

    def neighbours(self, field: Field, sample: Array, training: Array, real: Array) -> Preview:
        """Three rows: samples, the nearest training image of each, the nearest held-out image of each."""
        rows = np.concatenate([_three(part) for part in (sample, training, real)])
        return Preview(suffix=".png", data=encode_image(captioned(grid(rows, columns=len(sample))), ".png"))

    def write(
        self,
        field: Field,
        samples: Array,
        path: Path,
        *,
        columns: int | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        single: bool = False,
    ) -> list[Path]:
        """A grid, or with `single` one image, with 16 bits if the original values need them."""
        suffix = path.suffix.lower()
        deep = suffix in _DEEP and not beside and samples.dtype != np.uint8 and _is_deep(field)
        pixels: Array = _levels(field, samples) if deep else shown_pixels(field, samples)
        if beside:
            pixels = side_by_side([*(shown_pixels(*pair) for pair in beside), pixels])
            columns = 3
        drawn = pixels[0] if single else sheet(pixels, columns)
        write_bytes(path, _deep_file(drawn, suffix) if deep else _file(drawn, suffix))
        return [path]

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """The pixels of one image file, resized as in training."""
        with warnings.catch_warnings():
            silence_pillow()
            return decode_image(path, _frame(path, field, options.get("fit")))[None]

    def extractable(self, field: Field) -> bool:
        """Extractors take images of 1, 3 or 4 channels."""
        return field.has_pixels

    def metric_values(self, field: Field, samples: Array, excluded: Collection[str] = ()) -> Array:
        """Pixels as uint8 (n, height, width, channels); other numbers of channels as floats."""
        if not field.has_pixels:
            return as_floats(field, samples)
        if samples.dtype == np.uint8 and field.original in (None, (0, 255)):
            return samples.transpose(0, 2, 3, 1)
        return to_pixels(field, as_floats(field, samples))

    def corruptions(
        self, field: Field, values: Array, random: np.random.Generator
    ) -> Mapping[str, Callable[[], Array]]:
        """Blurred and noisy images."""
        if values.dtype != np.uint8:
            return super().corruptions(field, values, random)

        def blurred(block: Array) -> Array:
            from scipy.ndimage import gaussian_filter

            smooth: Array = gaussian_filter(block.astype(np.float32), (0, BLUR, BLUR, 0))
            return smooth

        def noisy(block: Array) -> Array:
            return block + NOISE * random.standard_normal(block.shape)

        def in_blocks(change: Callable[[Array], Array]) -> Pixels:
            starts = range(0, len(values), _BLOCK)
            parts = [np.rint(change(values[at : at + _BLOCK]).clip(0, 255)).astype(np.uint8) for at in starts]
            return np.concatenate(parts)

        return {"blurred": lambda: in_blocks(blurred), "noisy": lambda: in_blocks(noisy)}


def _frame(path: Path, field: Field, fit: Any) -> ImageFrame:
    """The size at which an image is read: its own along free axes, else that of the field."""
    channels, height, width = field.shape
    free = [axis in field.free for axis in field.axes[1:]]
    header = read_image_header(path) if any(free) else None
    if header is not None:
        down, across = header.height, header.width
        # With one free axis the image keeps its aspect ratio.
        sizes = (down, across) if all(free) else (max(1, round(down * width / across)), width)
        height, width = sizes if free[0] else (height, max(1, round(across * height / down)))
    return ImageFrame(height, width, channels, fit if fit in ("crop", "pad", "stretch") else "crop")


def shown_pixels(field: Field, samples: Array) -> Pixels:
    """Samples as uint8 (n, height, width, 1, 3 or 4)."""
    return _three(samples if samples.dtype == np.uint8 else to_pixels(field, as_floats(field, samples)))


def _three(pixels: Pixels) -> Pixels:
    """Images of 1, 3 or 4 channels as they are; of 2 the first channel, of more the first three."""
    channels = pixels.shape[3]
    return pixels if channels in (1, 3, 4) else pixels[..., : 1 if channels < 3 else 3]


def _is_deep(field: Field) -> bool:
    return field.original is not None and field.original[0] >= 0 and 255 < field.original[1] <= 65_535


def _levels(field: Field, samples: Array) -> NDArray[np.uint16]:
    """The original values of samples (n, channels, height, width) as uint16 (n, height, width, channels)."""
    (low, high), (first, last) = field.range or (-1.0, 1.0), field.original or (0.0, 65_535.0)
    scaled = first + (as_floats(field, samples).astype(np.float64) - low) * ((last - first) / (high - low))
    levels = np.rint(np.nan_to_num(scaled)).clip(first, last).astype(np.uint16).transpose(0, 2, 3, 1)
    channels = levels.shape[3]
    return levels if channels in (1, 3, 4) else levels[..., : 1 if channels < 3 else 3]


def _file(pixels: Pixels, suffix: str) -> bytes:
    return encode_image(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), suffix)


def _deep_file(pixels: NDArray[np.uint16], suffix: str) -> bytes:
    """A file of 16 bits. Pillow writes such files with one channel only; PNG itself is simple enough."""
    height, width, channels = pixels.shape
    if suffix != ".png":
        if channels > 1:
            raise SettingsError(
                f"A {suffix} file of 16 bits can have one channel, not {channels}.", fix="use .png or .npz"
            )
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0]).save(file, format="TIFF")
        return file.getvalue()

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOURS[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
