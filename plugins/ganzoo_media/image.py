"""Media of images: grids, files of 8 and 16 bits, pixels for metrics, blurred and noisy images."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import (
    IMAGE_SUFFIXES,
    DataError,
    Field,
    ImageFrame,
    ImageHeader,
    Media,
    Preview,
    ValueRange,
    Viewer,
    as_floats,
    decode_image,
    encode_image,
    grid,
    image_grid,
    is_dicom,
    is_volume,
    read_image_header,
    sheet,
    side_by_side,
    silence_pillow,
    to_pixels,
    write_bytes,
)
from ganzoo_media.kept import Kept, deep_png, kept_of, own_size, with_kept
from ganzoo_media.neighbours import captioned

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

BLUR, NOISE = 1.0, 25.0  # pixels, of 255
_BLOCK = 32  # images that are changed at once: as floats they take many times the memory
_TIFF = (".tif", ".tiff")
_DEEP = (".png", *_TIFF)
_LARGEST_TIFF = 2**32 - 2**24  # bytes of values: offsets have 32 bits, and the pages have tags


class ImageMedia(Media):
    """Images: channel x height x width. Those of other than 1, 3 or 4 channels show one channel, or three."""

    suffixes = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".tif", ".tiff")
    noun, nouns = "image", "images"
    most = 10_000

    def __init__(self, config: None = None) -> None:
        self.reads = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix.count(".") == 1)

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Channel, height, width."""
        return ("channel", "height", "width") if ndim == 3 else ()

    def claims(self, field: Field) -> bool:
        """Floats of 1, 3 or 4 channels."""
        return field.is_image

    def check(self, field: Field) -> None:
        """An image is a float field with three axes. ValueError for other fields."""
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
        shown = _windowed(field, samples)
        if beside:
            # All inputs side by side as one image; the output comes after it.
            given = side_by_side([_windowed(*pair) for pair in beside])
            targets = [] if real is None else [_windowed(field, real)]
            shown, columns = side_by_side([given, shown, *targets]), 3
        drawn = image_grid(field, shown, columns, fit=True)
        return Preview(suffix=".png", data=encode_image(drawn, ".png"))

    def viewer(self, field: Field) -> Viewer:
        """Pixels, with the original values of the fact `window` as black and white."""
        shown = _window(field)
        return Viewer(name="pixels", options={} if shown is None else {"range": shown})

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
        kept: Kept | None = None,
    ) -> list[Path]:
        """A grid, or with `single` one image; a TIFF has a page for each image instead, as it is.

        In the original values if the file can hold them: .png those of 16 bits, .tif all of them. With
        `beside`, all files are grids of pixels. With `kept`, one image with the transparency, the profile and
        the depth of the file that it was made from.
        """
        suffix = path.suffix.lower()
        if kept is not None and single and _fits(field, samples):
            write_bytes(path, with_kept(field, samples, suffix, kept))
            return [path]
        kind = np.dtype(field.facts.get("values", "uint16" if _is_deep(field) else "uint8"))
        fitting = _DEEP if kind == np.uint16 else _TIFF if kind != np.uint8 else ()
        deep = suffix in fitting and not beside and samples.dtype != np.uint8 and field.original is not None
        if suffix in _TIFF and not beside:
            pages = _levels(field, samples, kind, every=True) if deep else _pixels(field, samples)
            write_bytes(path, _tiff(pages))
            return [path]
        pixels: Array = _levels(field, samples, kind) if deep else shown_pixels(field, samples)
        if beside:
            pixels = side_by_side([*(shown_pixels(*pair) for pair in beside), pixels])
            columns = 3
        drawn = pixels[0] if single else sheet(pixels, columns)
        write_bytes(path, deep_png(drawn) if deep else _file(drawn, suffix))
        return [path]

    def accepts(self, path: Path) -> bool:
        """Also DICOM files without an ending."""
        return super().accepts(path) or is_dicom(path)

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """The images of one file, read and resized as in training: the same range, fit and pages.

        Values are (pages, channels, height, width). ValueError for a damaged file, OSError for one that
        cannot be opened.
        """
        with warnings.catch_warnings():
            silence_pillow()
            frame, pages = _frame(path, field, options)
            return np.stack([decode_image(path, frame, page) for page in range(pages)])

    def kept(self, field: Field, path: Path, options: Mapping[str, Any]) -> Kept | None:
        """The file's transparency, profile and depth, where it keeps its size."""
        if not own_size(field):
            return None
        with warnings.catch_warnings():
            silence_pillow()
            frame, _ = _frame(path, field, options)
            return kept_of(path, frame, read_image_header(path))

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """How the image was resized, if it was."""
        with warnings.catch_warnings():
            silence_pillow()
            header, (frame, _) = read_image_header(path), _frame(path, field, options)
        if header is None or (header.height, header.width) == (frame.height, frame.width):
            return ""
        smaller = header.height * header.width > frame.height * frame.width
        return (
            f"{header.height}x{header.width} pixels (height x width) were "
            f"{'reduced' if smaller else 'enlarged'} to {frame.height}x{frame.width} ({frame.fit}), the size "
            "of training"
        )

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
        """Blurred and noisy images.

        Values are uint8 (n, height, width, channels); others have the corruptions of all kinds.
        """
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


def _frame(path: Path, field: Field, options: Mapping[str, Any]) -> tuple[ImageFrame, int]:
    """How a file is read, and how many images it has.

    The size is the file's own along free axes, else that of the field.
    """
    channels, height, width = field.shape
    free = [axis in field.free for axis in field.axes[1:]]
    header = read_image_header(path)
    if header is not None and any(free):
        down, across = header.height, header.width
        # With one free axis the image keeps its aspect ratio.
        sizes = (down, across) if all(free) else (max(1, round(down * width / across)), width)
        height, width = sizes if free[0] else (height, max(1, round(across * height / down)))
    fit, pages = options.get("fit"), options.get("pages", "auto")
    several = pages == "samples" or (pages == "auto" and is_volume(path))
    return (
        ImageFrame(
            height,
            width,
            channels,
            fit if fit in ("crop", "pad", "stretch") else "crop",
            _kept_range(header, field) or _trained_range(field) or _own_range(header, field),
            stacked=pages == "channels",
        ),
        header.pages if header is not None and several else 1,
    )


def _trained_range(field: Field) -> ValueRange | None:
    """The range of the images that were trained on; None for pixels of 8 bits alone."""
    values, ranges = field.facts.get("values"), field.facts.get("ranges", {})
    others = tuple((str(name), float(low), float(high)) for name, (low, high) in ranges.items())
    if values and field.original:
        return ValueRange(values, *field.original, others)
    return ValueRange("uint8", 0, 255, others) if others else None


def _kept_range(header: ImageHeader | None, field: Field) -> ValueRange | None:
    """All values of a deep file as floats, where files keep their size: others are read as in training.

    The range is that of such files in training, or all of 16 bits.
    """
    if header is None or not own_size(field) or field.range != (-1.0, 1.0) or field.original is not None:
        return None
    dtype, ranges = header.dtype, field.facts.get("ranges", {})
    if dtype in ranges and dtype != "uint8":
        low, high = ranges[dtype]
        return ValueRange("float32", float(low), float(high))
    return ValueRange("float32", 0, 65_535) if dtype == "uint16" else None


def _own_range(header: ImageHeader | None, field: Field) -> ValueRange | None:
    """Pixels of 8 bits; or the values of a file that has none, as 8 bits."""
    deep = header is not None and header.channels not in (1, 3, 4)
    return ValueRange("uint8", 0, 255) if deep else None


def _fits(field: Field, samples: Array) -> bool:
    """Whether samples are one image of pixels, not values of a depth of their own."""
    return field.original is None and field.shape[0] in (1, 3) and len(samples) == 1


def shown_pixels(field: Field, samples: Array) -> Pixels:
    """Samples as uint8 (n, height, width, 1, 3 or 4)."""
    return _three(_pixels(field, samples))


def _windowed(field: Field, samples: Array) -> Pixels:
    """Samples as `shown_pixels`, with the original values of the fact `window` as black and white."""
    window = _window(field)
    if window is None or field.range is None or samples.dtype == np.uint8:
        return shown_pixels(field, samples)
    (low, high), (bottom, top) = field.range, window
    floats = as_floats(field, samples)
    return shown_pixels(field, low + (floats - bottom) * ((high - low) / (top - bottom)))


def _window(field: Field) -> tuple[float, float] | None:
    """The values in the field's range that the fact `window` shows as black and white."""
    window = field.facts.get("window")
    if not window or field.original is None or field.range is None:
        return None
    (low, high), (first, last) = field.range, field.original
    bottom, top = (low + (value - first) * ((high - low) / (last - first)) for value in window)
    return bottom, top


def _pixels(field: Field, samples: Array) -> Pixels:
    """Samples as uint8 (n, height, width, channels)."""
    return samples if samples.dtype == np.uint8 else to_pixels(field, as_floats(field, samples))


def _three(pixels: Pixels) -> Pixels:
    """Images of 1, 3 or 4 channels as they are; of 2 the first channel, of more the first three."""
    channels = pixels.shape[3]
    return pixels if channels in (1, 3, 4) else pixels[..., : 1 if channels < 3 else 3]


def _is_deep(field: Field) -> bool:
    return field.original is not None and field.original[0] >= 0 and 255 < field.original[1] <= 65_535


def _levels(field: Field, samples: Array, kind: np.dtype[Any], *, every: bool = False) -> Array:
    """The original values of samples (n, channels, height, width) as (n, height, width, channels).

    One, three or four channels, which a PNG can have, unless `every` is kept.
    """
    (low, high), (first, last) = field.range or (-1.0, 1.0), field.original or (0.0, 65_535.0)
    scaled = first + (as_floats(field, samples).astype(np.float64) - low) * ((last - first) / (high - low))
    clipped = np.nan_to_num(scaled, nan=first).clip(first, last)
    levels = (clipped if kind.kind == "f" else np.rint(clipped)).astype(kind).transpose(0, 2, 3, 1)
    channels = levels.shape[3]
    return levels if every or channels in (1, 3, 4) else levels[..., : 1 if channels < 3 else 3]


def _file(pixels: Pixels, suffix: str) -> bytes:
    return encode_image(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), suffix)


def _tiff(images: Array) -> bytes:
    """An uncompressed TIFF with a page for each image (n, height, width, channels), and one strip in each.

    TIFF 6.0, sections 2 and 8: any type, any number of channels. DataError for more than 4 GiB.
    """
    if images.nbytes > _LARGEST_TIFF:
        raise DataError(
            f"{len(images):,} images have {images.nbytes / 2**30:.1f} GiB; a TIFF holds less than 4 GiB.",
            fix=f"use at most {_LARGEST_TIFF * len(images) // images.nbytes:,} at a time, or .npz",
        )
    parts = [struct.pack("<2sHI", b"II", 42, 8)]
    start = 8
    for at, values in enumerate(images):
        page = _page(values, start, last=at == len(images) - 1)
        parts.append(page)
        start += len(page)
    return b"".join(parts)


def _page(values: Array, start: int, *, last: bool) -> bytes:
    """The tags and the values of a page that begins at byte `start`; the next page follows it."""
    height, width, channels = values.shape
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    short, long = "H", "I"
    colours = 3 if channels in (3, 4) else 1
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags: list[tuple[int, str, list[int]]] = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [8 * values.dtype.itemsize] * channels),
        (259, short, [1]),  # no compression
        (262, short, [2 if colours == 3 else 1]),  # RGB, or black is zero
        (273, long, [0]),  # where the values are, filled in below
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(data)]),
        (338, short, [2 if channels == 4 else 0] * (channels - colours)),  # alpha, or unspecified
        (339, short, [form] * channels),
    ]
    tags = [tag for tag in tags if tag[2]]
    after = start + 2 + 12 * len(tags) + 4
    long_lists = [tag for tag in tags if len(tag[2]) * struct.calcsize(tag[1]) > 4]
    place = after + sum(_even(struct.calcsize(f"<{len(items)}{kind}")) for _, kind, items in long_lists)
    extra, entries = b"", b""
    for number, kind, items in tags:
        packed = struct.pack(f"<{len(items)}{kind}", *([place] if number == 273 else items))
        if len(packed) > 4:
            packed, more = struct.pack("<I", after + len(extra)), packed
            extra += more.ljust(_even(len(more)), b"\0")
        entries += struct.pack("<HHI", number, 3 if kind == short else 4, len(items)) + packed.ljust(4, b"\0")
    following = 0 if last else place + _even(len(data))
    folder = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + extra
    return folder + data.ljust(_even(len(data)), b"\0")


def _even(size: int) -> int:
    """The size with padding: tags and values begin at even offsets."""
    return size + size % 2
