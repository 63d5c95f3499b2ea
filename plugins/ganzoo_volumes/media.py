"""Media of volumes: middle slices as previews, NIfTI and TIFF files in original values and voxel sizes."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, as_floats, encode_image, grid, write_bytes
from ganzoo_volumes.files import NIFTI, NPY, TIFF, found_volumes, package
from ganzoo_volumes.sizes import fitted

Array = NDArray[Any]

AXES = ("channel", "depth", "height", "width")
SHOWN = 8
_CELL = 64  # pixels of a slice in a preview, at least
_FITS = ("resample", "pad", "crop")


class VolumeMedia(Media):
    """Volumes (1, depth, height, width), upwards, from the front to the back, from the left to the right.

    Facts: `values`, the type of original values; `spacing`, the distance of voxels in the order of the axes,
    in `units`; `window`, the original values that previews show as black and white. All may be absent.
    """

    suffixes = (".nii.gz", ".nii", ".tif", ".tiff")
    reads = (*NIFTI, *TIFF, *NPY)
    noun, nouns = "volume", "volumes"
    count = SHOWN
    most = 1_000

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Channel, depth, height, width."""
        return AXES if ndim == 4 else ()

    def check(self, field: Field) -> None:
        """A volume is a float field of one channel and three axes in space, in a range.

        ValueError for other fields.
        """
        if field.dtype != "float32" or field.axes != AXES or field.shape[0] != 1 or field.range is None:
            raise ValueError("a volume is 1 x depth x height x width, in float32 and in a range")
        spacing = field.facts.get("spacing", (1, 1, 1))
        if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
            raise ValueError("the fact `spacing` has three distances above 0")

    def describe(self, field: Field) -> str:
        """Voxels and their size."""
        sides, spacing = " x ".join(map(str, field.shape[1:])), field.facts.get("spacing")
        size = f" of {' x '.join(f'{step:.3g}' for step in spacing)} {_units(field)}" if spacing else ""
        return f"{sides} voxels{size}"

    def preview(self, field: Field, samples: Array, **layout: Any) -> Preview:
        """The middle slices of each sample: from above, from the front, from the side; upwards is up."""
        floats = as_floats(field, samples[:SHOWN])[:, 0]
        low, high = _window(field)
        pixels = np.rint(((floats - low) * (255 / (high - low))).clip(0, 255)).astype(np.uint8)
        depth, height, width = (side // 2 for side in pixels.shape[1:])
        views = [pixels[:, depth], pixels[:, ::-1, height], pixels[:, ::-1, :, width]]
        factor = max(1, -(-_CELL // max(pixels.shape[1:])))
        cells = np.stack([_cell(view[at], factor, field) for at in range(len(pixels)) for view in views])
        columns = 3 if len(pixels) < 4 else 6
        return Preview(suffix=".png", data=encode_image(grid(cells[..., None], columns), ".png"))

    def viewer(self, field: Field) -> Viewer:
        """Slices from above, in the window of the previews."""
        return Viewer(name="slices", options={"range": _window(field)})

    def write(self, field: Field, samples: Array, path: Path, **layout: Any) -> list[Path]:
        """One file for each volume, with numbers at the ends of their names, in the original values."""
        suffix = next(suffix for suffix in self.suffixes if path.name.lower().endswith(suffix))
        stem, digits = path.name[: -len(suffix)], len(str(len(samples) - 1))
        paths = (
            [path]
            if len(samples) == 1
            else [
                path.with_name(f"{stem}-{at:0{digits}d}{path.name[-len(suffix) :]}")
                for at in range(len(samples))
            ]
        )
        for file, values in zip(paths, original_values(field, samples), strict=True):
            write_bytes(file, _nifti(field, values, suffix) if suffix in NIFTI else _tiff(field, values))
        return paths

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """The volumes of one file, resized as in training.

        Values are (volumes, 1, depth, height, width). ValueError for a file that gives none.
        """
        volumes, unread = found_volumes(path, str(options.get("frame") or "all"))
        if unread:
            raise ValueError(unread[0].why)
        fit = options.get("fit")
        low, high = field.original or _ends(field)
        shape, made = field.shape[1:], []
        for volume in volumes:
            values, _ = fitted(
                volume.values(),
                volume.spacing,
                (shape[0], shape[1], shape[2]),
                fit if fit in _FITS else "resample",
                low,
            )
            first, last = _ends(field)
            scaled = (np.nan_to_num(values.astype(np.float64), nan=low).clip(low, high) - low) / (high - low)
            made.append((first + scaled * (last - first)).astype(np.float32).clip(first, last))
        return np.stack(made)[:, None]

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """How the volume was resized, if it was."""
        volumes, _ = found_volumes(path, "all")
        found = volumes[0].shape if volumes else field.shape[1:]
        if found == field.shape[1:]:
            return ""
        old, new = ("x".join(map(str, sides)) for sides in (found, field.shape[1:]))
        return f"{old} voxels became {new}, the size of training"


def original_values(field: Field, samples: Array) -> Array:
    """Samples (n, 1, depth, height, width) as original values (n, depth, height, width) in their type."""
    (low, high), (first, last) = _ends(field), field.original or _ends(field)
    scaled = first + (as_floats(field, samples).astype(np.float64) - low) * ((last - first) / (high - low))
    clipped = np.nan_to_num(scaled, nan=first).clip(first, last)[:, 0]
    dtype = np.dtype(field.facts.get("values", "float32"))
    return (clipped if dtype.kind == "f" else np.rint(clipped)).astype(dtype)


def _ends(field: Field) -> tuple[float, float]:
    return field.range or (-1.0, 1.0)


def _units(field: Field) -> str:
    return str(field.facts.get("units", "voxels"))


def _spacing(field: Field) -> Sequence[float]:
    spacing: Sequence[float] = field.facts.get("spacing", (1.0, 1.0, 1.0))
    return spacing


def _window(field: Field) -> tuple[float, float]:
    """The values of the field's range that are black and white."""
    (low, high), window = _ends(field), field.facts.get("window")
    if not window or field.original is None:
        return low, high
    first, last = field.original
    bottom, top = (low + (value - first) * ((high - low) / (last - first)) for value in window)
    return bottom, top


def _cell(pixels: Array, factor: int, field: Field) -> Array:
    """A slice, enlarged by a whole factor, in the middle of a square that holds any slice of the volume."""
    side = factor * max(field.shape)
    large = pixels.repeat(factor, 0).repeat(factor, 1)
    cell = np.zeros((side, side), np.uint8)
    top, left = ((side - size) // 2 for size in large.shape)
    cell[top : top + large.shape[0], left : left + large.shape[1]] = large
    return cell


def _nifti(field: Field, values: Array, suffix: str) -> bytes:
    """NIfTI-1 with axes to the right, to the front and upwards, the first voxel at 0."""
    nibabel = package("nibabel")
    depth, height, width = _spacing(field)
    image = nibabel.Nifti1Image(values[:, ::-1].transpose(2, 1, 0), np.diag([width, height, depth, 1.0]))
    if _units(field) in ("mm", "micron", "meter"):
        image.header.set_xyzt_units(_units(field))
    content = image.to_bytes()
    return gzip.compress(content, mtime=0) if suffix.endswith(".gz") else content


def _tiff(field: Field, values: Array) -> bytes:
    """A page for each slice; voxel sizes as resolution (height and width) and in the description (depth)."""
    tifffile, content = package("tifffile"), io.BytesIO()
    depth, height, width = _spacing(field)
    tifffile.imwrite(
        content,
        values,
        photometric="minisblack",
        metadata={"axes": "ZYX", "spacing": depth, "unit": _units(field)},
        resolution=(1 / width, 1 / height),
        resolutionunit="NONE",
    )
    return content.getvalue()
