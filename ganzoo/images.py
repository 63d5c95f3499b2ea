"""Draws samples: conversion to uint8, grids, plots of 1-D and 2-D data, atomic saving.

Uses numpy and Pillow only, so that training, export and the runtime draw the same way. Reading image
files is the task of image_files.py.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.util.files import storage, write_bytes
from ganzoo.util.packages import optional_package

__all__ = [
    "ANIMATIONS", "MODES", "encode_animation", "encode_image", "grid", "histogram", "image_grid", "save",
    "save_animation", "scatter", "sheet", "side_by_side", "to_pixels", "to_uint8",
]  # fmt: skip

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by the number of channels."""

ANIMATIONS = (".gif", ".webp", ".mp4")
"""Files of `save_animation`."""

_CELL = 56  # px: smaller images are hard to see on today's screens
_SIDE = 512
_MARGIN = 28
_BINS = 64
_LARGEST = 89_478_485  # px: above this, Pillow warns of a decompression bomb when it opens a file
_WHITE, _FRAME, _INK = (255, 255, 255), (190, 190, 190), (60, 60, 60)
_REFERENCE, _GENERATED = (176, 176, 176), (0, 114, 178)  # blue of Okabe & Ito's colour-blind palette


def to_uint8(images: NDArray[Any], range: tuple[float, float] = (-1.0, 1.0)) -> NDArray[np.uint8]:  # noqa: A002
    """Float images (N, C, H, W) in `range` -> uint8 (N, H, W, C): rounded, clipped, NaN becomes 0.

    Uses the same float32 arithmetic as the uint8 output of an exported graph.
    """
    low, high = range
    count, channels, height, width = images.shape
    result = np.empty((count, height, width, channels), dtype=np.uint8)
    for start in np.arange(0, count, 64).tolist():  # all at once would take five copies
        part = images[start : start + 64].astype(np.float32)
        scaled = (part - np.float32(low)) * np.float32(255.0 / (high - low))
        rounded = np.clip(np.nan_to_num(np.rint(scaled), nan=0.0), 0, 255)
        result[start : start + 64] = rounded.astype(np.uint8).transpose(0, 2, 3, 1)
    return result


def to_pixels(field: Field, values: NDArray[Any]) -> NDArray[np.uint8]:
    """The values of an image field as uint8 (N, H, W, C); uint8 values are returned unchanged.

    Without a declared range, the smallest value becomes 0 and the largest 255.
    """
    if values.dtype == np.uint8:
        return values
    finite = values[np.isfinite(values)] if field.range is None else np.empty(0)
    low, high = field.range or ((float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0))
    return to_uint8(values, (low, high if high > low else low + 1.0))


def side_by_side(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Arrays of images (N, h, w, 1, 3 or 4), placed side by side with white between them: (N, H, W, C).

    Small images are enlarged by whole factors to about the height of the largest. C is the largest number of
    channels among the arrays.
    """
    count, channels = len(parts[0]), max(part.shape[3] for part in parts)
    height = max(part.shape[1] for part in parts)
    height *= max(1, -(-_CELL // height))
    columns = []
    for index, part in enumerate(parts):
        factor = max(1, height // part.shape[1])
        large = part.repeat(factor, axis=1).repeat(factor, axis=2)
        if large.shape[3] < channels:
            colours = large if large.shape[3] >= 3 else large.repeat(3, axis=3)
            opaque = np.full((*colours.shape[:3], 4 - colours.shape[3]), 255, np.uint8)
            large = np.concatenate([colours, opaque], axis=3)[..., :channels]
        left = 1 if index else 0
        column = np.full((count, height, left + large.shape[2], channels), 255, np.uint8)
        column[:, : large.shape[1], left:] = large
        columns.append(column)
    return np.concatenate(columns, axis=2)


def grid(
    images: NDArray[np.uint8], columns: int | None = None, padding: int = 2, limit: int | None = None
) -> Image.Image:
    """A grid of images (N, H, W, C) with C = 1, 3 or 4, as `sheet` makes it."""
    drawn = sheet(images, columns, padding, limit)
    return Image.fromarray(drawn[..., 0] if drawn.shape[2] == 1 else drawn)


def sheet(
    images: NDArray[Any], columns: int | None = None, padding: int = 2, limit: int | None = None
) -> NDArray[Any]:
    """Images (N, H, W, C) of any type on one array, row by row; about square without `columns`.

    Small images are enlarged by a whole factor without smoothing. With a `limit` on the pixels of the
    grid, only full rows that fit are drawn, in fewer columns if not even one row fits. At least one image
    is drawn, shrunk if necessary. UsageError when there is nothing to draw or the grid would have more
    than 89 million pixels.
    """
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape:
        raise UsageError(f"An array of shape {images.shape} is not a batch of images (N, H, W, 1, 3 or 4).")
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    if columns < 1:
        raise UsageError(f"A grid cannot have {columns} columns.")
    factor = max(1, -(-_CELL // max(height, width)))
    if limit is not None:
        images, columns, factor = _fitting(images, columns, factor, padding, min(limit, _LARGEST))
        count, height, width, _ = images.shape
    rows = -(-count // columns)
    cell_height, cell_width = height * factor + padding, width * factor + padding
    total_height, total_width = rows * cell_height + padding, columns * cell_width + padding
    if total_height * total_width > _LARGEST:
        raise UsageError(
            f"A grid of {count} images would be {total_width} x {total_height} pixels large.",
            fix="ask for fewer images, or save the arrays as .npz",
        )
    white = images.max() if images.dtype.kind == "f" else np.iinfo(images.dtype).max
    result = np.full((total_height, total_width, channels), white, images.dtype)
    if channels == 4:
        result[..., 3] = 0
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * cell_height + padding, column * cell_width + padding
        large = image.repeat(factor, axis=0).repeat(factor, axis=1)
        result[top : top + height * factor, left : left + width * factor] = large
    return result


def scatter(points: NDArray[Any], reference: NDArray[Any] | None = None) -> Image.Image:
    """Points (N, 2) in colour over the reference points (M, 2) in gray, which define the plotted region.

    Both axes have the same scale. Points outside the region and points that are not finite are not drawn.
    """
    shown = _finite(points if reference is None else reference, 2)
    low, high = (shown.min(axis=0), shown.max(axis=0)) if len(shown) else (np.full(2, -1.0), np.full(2, 1.0))
    centre, half = (low + high) / 2, 0.55 * max(float((high - low).max()), 1e-6)
    image, pen = _empty_plot()
    for cloud, colour in ((reference, _REFERENCE), (points, _GENERATED)):
        if cloud is None:
            continue
        place = (_finite(cloud, 2) - centre) / (2 * half) + 0.5
        place = place[((place >= 0) & (place <= 1)).all(axis=1)]
        x = _MARGIN + place[:, 0] * (_SIDE - 2 * _MARGIN)
        y = _SIDE - _MARGIN - place[:, 1] * (_SIDE - 2 * _MARGIN)
        for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):  # dots of 2 x 2 px
            pen.point(np.stack([x + right, y + down], axis=1).ravel().tolist(), fill=colour)
    _captions(pen, (centre[0] - half, centre[0] + half), (centre[1] - half, centre[1] + half))
    return image


def histogram(values: NDArray[Any], reference: NDArray[Any] | None = None) -> Image.Image:
    """Histogram of values (N, 1) as a coloured outline over that of the reference (M, 1), filled in gray."""
    shown = _finite(values if reference is None else reference, 1)
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (-1.0, 1.0)
    slack = 0.05 * max(high - low, 1e-6)
    edges = np.linspace(low - slack, high + slack, _BINS + 1)
    image, pen = _empty_plot()
    heights = [
        None if item is None else np.histogram(_finite(item, 1), edges)[0] / max(len(item), 1)
        for item in (reference, values)
    ]
    top = max(max(float(item.max()) for item in heights if item is not None), 1e-12) * 1.05
    span, base = _SIDE - 2 * _MARGIN, _SIDE - _MARGIN
    x = np.round(_MARGIN + np.arange(_BINS + 1) / _BINS * span).astype(int).tolist()
    for bars, colour in zip(heights, (_REFERENCE, _GENERATED), strict=True):
        if bars is None:
            continue
        y = np.round(base - bars / top * span).astype(int).tolist()
        if colour == _REFERENCE:
            for index, level in enumerate(y):
                pen.rectangle((x[index], level, x[index + 1], base), fill=colour)
        else:
            steps = [(x[index + side], level) for index, level in enumerate(y) for side in (0, 1)]
            pen.line([(x[0], base), *steps, (x[-1], base)], fill=colour, width=2)
    _captions(pen, (edges[0], edges[-1]), (0.0, top))
    return image


def image_grid(
    field: Field, values: NDArray[Any], columns: int | None = None, *, fit: bool = False
) -> Image.Image:
    """A grid of the values of an image field: float (N, *field.shape), or uint8 (N, H, W, C) already.

    With `fit`, a grid that would be too large shows fewer images.
    """
    return grid(to_pixels(field, values), columns, limit=_LARGEST if fit else None)


def save(image: Image.Image, path: Path) -> None:
    """Write the image in the format of the path's extension, completely or not at all.

    UsageError for an unknown extension, StorageError when writing fails.
    """
    write_bytes(path, encode_image(image, path.suffix, str(path)))


def save_animation(frames: Sequence[Image.Image], path: Path, seconds: float) -> None:
    """Write frames that are shown for so many seconds each, as `encode_animation` makes them."""
    write_bytes(path, encode_animation(frames, path.suffix, seconds, where=str(path)))


def encode_animation(
    frames: Sequence[Image.Image], suffix: str, seconds: float, *, where: str = "", exact: bool = False
) -> bytes:
    """The bytes of an animation; .gif and .webp play again and again.

    Frames are put onto white, at the size of the largest. `exact`: .webp loses nothing. UsageError for
    another ending, or for .mp4 without the package imageio-ffmpeg, which comes with the extra `video`.
    """
    suffix = suffix.lower()
    if suffix not in ANIMATIONS:
        raise UsageError(f"'{suffix}' is no animation.", where=where, fix=f"use {', '.join(ANIMATIONS)}")
    if not frames:
        raise UsageError("There are no images to animate.", where=where)
    step = 2 if suffix == ".mp4" else 1  # video codecs need even sizes
    width, height = (
        -(-max(sizes) // step) * step for sizes in zip(*(frame.size for frame in frames), strict=True)
    )
    gray = suffix != ".mp4" and all(frame.mode == "L" for frame in frames)  # a GIF has 256 shades, or colours
    sheets = []
    for frame in frames:
        sheets.append(Image.new("L" if gray else "RGB", (width, height), 255 if gray else _WHITE))
        sheets[-1].paste(frame, mask=frame if frame.mode == "RGBA" else None)
    if suffix == ".mp4":
        return _video(sheets, seconds, where)
    file = io.BytesIO()
    options: dict[str, Any] = {"duration": round(1000 * seconds), "loop": 0, "save_all": True}
    options |= {"lossless": True} if exact else {}
    if suffix == ".gif" and not gray:
        sheets = [_paletted(sheet) for sheet in sheets]
    sheets[0].save(file, format=suffix[1:].upper(), append_images=sheets[1:], **options)
    return file.getvalue()


def _paletted(sheet: Image.Image) -> Image.Image:
    """The picture with 256 colours: exactly its own if these are all, else those that suit 96x96 pixels best.

    Pillow's median cut of all pixels takes 0.3 s for a noisy picture of 266x266, this 0.015 s, and the
    pictures are as near (29.2 dB in place of 29.3; a sheet of icons 32.9 in place of 33.1).
    """
    if sheet.getcolors(256) is not None:  # a palette given to Pillow merges neighbouring colours
        return sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few = sheet.resize((min(96, sheet.width), min(96, sheet.height)), Image.Resampling.NEAREST)
    palette = few.quantize(256, method=Image.Quantize.MEDIANCUT)
    return sheet.quantize(palette=palette, dither=Image.Dither.NONE)


def _video(sheets: Sequence[Image.Image], seconds: float, where: str) -> bytes:
    imageio_ffmpeg = optional_package(
        "imageio_ffmpeg",
        "video",
        "An .mp4",
        where=where,
        otherwise="or end the name in .gif or .webp",
        raises=UsageError,
    )
    with storage(Path(where)), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        # Their size is even already: ffmpeg need not scale them to multiples of 16.
        frames = imageio_ffmpeg.write_frames(str(file), sheets[0].size, fps=1 / seconds, macro_block_size=2)
        with closing(frames) as writer:  # ends ffmpeg, also after an error
            writer.send(None)
            for sheet in sheets:
                writer.send(sheet.tobytes())
        return file.read_bytes()


def encode_image(image: Image.Image, suffix: str, where: str = "") -> bytes:
    """The bytes of an image file with that ending; UsageError for an ending that is none of an image."""
    kind = Image.registered_extensions().get(suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise UsageError(f"'{suffix}' is not the ending of an image.", where=where, fix="end it in .png")
    file = io.BytesIO()
    plain = image.convert("RGB") if kind == "JPEG" and image.mode == "RGBA" else image
    plain.save(file, format=kind)
    return file.getvalue()


def _fitting(
    images: NDArray[np.uint8], columns: int, factor: int, padding: int, limit: int
) -> tuple[NDArray[np.uint8], int, int]:
    """The images whose grid has at most `limit` pixels, its columns and its enlarging factor."""
    _, height, width, channels = images.shape
    tall, wide = height * factor + padding, width * factor + padding
    columns = min(columns, (limit // (tall + padding) - padding) // wide)
    if columns >= 1:
        rows = (limit // (columns * wide + padding) - padding) // tall
        return images[: rows * columns], columns, factor
    # Not even one image fits: shrink it by the smallest whole factor that brings it below the limit.
    shrink = 1
    while (-(-height // shrink) + 2 * padding) * (-(-width // shrink) + 2 * padding) > limit and (
        shrink < max(height, width)
    ):
        shrink += 1
    first = Image.fromarray(images[0, :, :, 0] if channels == 1 else images[0])
    small = np.asarray(first.reduce(shrink))
    return small.reshape(1, *small.shape[:2], channels), 1, 1


def _finite(values: NDArray[Any], width: int) -> NDArray[np.float64]:
    rows = np.asarray(values, dtype=np.float64).reshape(-1, width)
    return rows[np.isfinite(rows).all(axis=1)]


def _empty_plot() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (_SIDE, _SIDE), _WHITE)
    pen = ImageDraw.Draw(image)
    pen.rectangle((_MARGIN - 1, _MARGIN - 1, _SIDE - _MARGIN, _SIDE - _MARGIN), outline=_FRAME)
    return image, pen


def _captions(pen: ImageDraw.ImageDraw, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Write the limits of both axes: x below the frame, y above it."""
    bottom = _SIDE - _MARGIN + 6
    pen.text((_MARGIN, bottom), f"{x[0]:.3g}", fill=_INK)
    pen.text((_SIDE - _MARGIN, bottom), f"{x[1]:.3g}", fill=_INK, anchor="ra")
    pen.text((_MARGIN, _MARGIN - 18), f"{y[0]:.3g} to {y[1]:.3g}", fill=_INK)
