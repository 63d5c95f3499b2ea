"""Volumes on disk: NIfTI, DICOM series, TIFF stacks and .npy -> (depth, height, width) with voxel sizes.

Slices are axial where the file says so: depth goes upwards, height from the front to the back, width from the
left to the right, as `folder` reads the slices of NIfTI.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import (
    DataError,
    ImageFrame,
    ImageHeader,
    ValueRange,
    decode_image,
    folders_below,
    image_levels,
    inspect_image,
    is_dicom,
    optional_package,
    report_progress,
)

Array = NDArray[Any]
Sides = tuple[float, float, float]

NIFTI, TIFF, NPY = (".nii", ".nii.gz"), (".tif", ".tiff"), (".npy",)
SUFFIXES = (*NIFTI, *TIFF, *NPY)
_BYTES = 1 << 30  # of the values of one volume
_EXACT = ValueRange("int32", -(2**31), 2**31 - 1)


@dataclass(frozen=True)
class VolumeFile:
    """A volume: its file, or the files of its slices in order; `frame` is its number in a 4-D file.

    `name` is relative to the folder that was searched. `spacing` is the distance of voxels (depth, height,
    width) in `units`. `dtype` is the stored type of its values, `window` the values to look at.
    """

    name: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int]
    spacing: Sides
    dtype: str
    units: str = "mm"
    frame: int | None = None
    window: tuple[float, float] | None = None

    def values(self) -> Array:
        """(depth, height, width) in the file's own numbers. ValueError or OSError if it cannot be read."""
        path = self.files[0]
        if _is(path, NIFTI):
            return nifti_values(path, self.frame)
        if _is(path, NPY):
            return np.array(np.load(path, allow_pickle=False))
        pages = range(self.shape[0]) if len(self.files) == 1 else (0,)
        return np.stack([_plane(file, page) for file in self.files for page in pages])


def package(name: str) -> Any:
    """A package of the extra `pictures`; DataError names the command that installs it."""
    return optional_package(name, "pictures", "Such a file")


class NoVolumeError(ValueError):
    """A file that is not damaged, but no volume."""


class Unread(NamedTuple):
    """A file that gives no volume, why, and whether it is damaged."""

    name: str
    why: str
    damaged: bool

    @classmethod
    def of(cls, name: str, error: Exception) -> Unread:
        """The file whose reading raised the error."""
        return cls(name, str(error) or type(error).__name__, not isinstance(error, NoVolumeError))


def found_volumes(root: Path, frame: str) -> tuple[list[VolumeFile], list[Unread]]:
    """The volumes of a folder at any depth, or of one file, in a stable order; what cannot be read, and why.

    DataError for 4-D files without an option that says what they mean.
    """
    found: list[VolumeFile] = []
    unread: list[Unread] = []
    slices: dict[str, list[Path]] = {}
    for at, path in enumerate([root] if root.is_file() else _walk(root)):
        report_progress("files looked at", at)
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix()
        try:
            if _is(path, SUFFIXES):
                found += _single(path, name, frame)
            elif is_dicom(path):
                slices.setdefault(Path(name).parent.as_posix(), []).append(path)
        except DataError:
            raise
        except Exception as error:  # nibabel has exception classes of its own
            unread.append(Unread.of(name, error))
    for folder, paths in slices.items():
        volumes, bad = _series(paths, folder)
        found += volumes
        unread += bad
    return sorted(found, key=lambda volume: (volume.name, volume.frame or 0)), unread


def links_below(root: Path) -> list[str]:
    """Links to folders, which are not followed."""
    return [link for folder in folders_below(root) for link in map(folder.inner, folder.links)]


def _walk(root: Path) -> Iterator[Path]:
    for folder in folders_below(root):
        yield from (root / folder.inner(name) for name in folder.files)


def _is(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)


def _checked(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape) < 1:
        raise NoVolumeError(f"an array of the shape {shape} is not one volume")
    if 8 * math.prod(shape) > _BYTES:
        raise ValueError(f"{'x'.join(map(str, shape))} voxels are too many")
    return shape


def _single(path: Path, name: str, frame: str) -> list[VolumeFile]:
    if _is(path, NIFTI):
        return _nifti(path, name, frame)
    if _is(path, NPY):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return [VolumeFile(name, (path,), _checked(array.shape), (1, 1, 1), stored(array.dtype), "voxels")]
    header = inspect_image(path)
    if header.channels != 1 or header.pages < 2:
        raise NoVolumeError("it is one picture, not a stack of gray pages")
    shape = _checked((header.pages, header.height, header.width))
    spacing, units = _tiff_spacing(path)
    return [VolumeFile(name, (path,), shape, spacing, header.dtype, units)]


def stored(dtype: np.dtype[Any]) -> str:
    """The type in which such values are kept. NoVolumeError for what is no number."""
    if dtype.kind not in "iuf":
        raise NoVolumeError("it has colours" if dtype.names else f"its values are {dtype}")
    if dtype.kind == "f":
        return "float32"
    return dtype.name if dtype.name in ("uint8", "uint16", "int16") else "int32"


# --- NIfTI ----------------------------------------------------------------------------------------


def canonical(path: Path) -> Any:
    """The image with axes to the right, to the front and upwards.

    NoVolumeError for NIfTI that is a surface or another kind, DataError without nibabel.
    """
    nibabel = package("nibabel")
    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise NoVolumeError(f"it is {type(image).__name__}, no volume")
    return nibabel.as_closest_canonical(image)


def _nifti(path: Path, name: str, frame: str) -> list[VolumeFile]:
    image = canonical(path)
    if not 3 <= len(image.shape) <= 5:
        raise NoVolumeError(f"an array of the shape {image.shape} is not one volume")
    if len(image.shape) > 3 and math.prod(image.shape[3:]) > 1 and not frame:
        raise DataError(
            f"A NIfTI file has {math.prod(image.shape[3:]):,} volumes, one for each time or direction.",
            where=name,
            fix="--set data.frame=0 uses the first of each file, data.frame=all makes a sample of each",
        )
    width, height, depth = image.shape[:3]
    shape = _checked((depth, height, width))
    x, y, z = (float(size) for size in image.header.get_zooms()[:3])
    scaled = (getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)) != (1.0, 0.0)
    dtype = stored(image.get_data_dtype())
    dtype = "float32" if scaled else dtype
    units = image.header.get_xyzt_units()[0] if hasattr(image.header, "get_xyzt_units") else "mm"
    units = "mm" if units == "unknown" else units
    count = math.prod(image.shape[3:])
    if len(image.shape) == 3:
        frames: list[int | None] = [None]
    else:
        frames = [*range(count)] if frame == "all" else [int(frame or 0)]
    if frames[-1] is not None and frames[-1] >= count:
        raise ValueError(f"it has {count} volumes, and no number {frames[-1]}")
    return [VolumeFile(name, (path,), shape, (z, y, x), dtype, units, at) for at in frames]


def nifti_values(path: Path, frame: int | None = None) -> Array:
    """(depth, height, width), upwards, from the front to the back, from the left to the right."""
    image = canonical(path)
    values = np.asanyarray(image.dataobj)
    if frame is not None:
        values = values.reshape(*image.shape[:3], -1, order="F")[..., frame]
    return np.ascontiguousarray(values.transpose(2, 1, 0)[:, ::-1])


# --- DICOM and TIFF -------------------------------------------------------------------------------


def _plane(path: Path, page: int) -> Array:
    """A slice (height, width) in the file's own values, rescaled as its header says."""
    header = inspect_image(path)
    frame = ImageFrame(header.height, header.width, 1, "crop", _EXACT)
    if header.dtype != "float32":
        exact: Array = decode_image(path, frame, page)[0]
        return exact
    levels = image_levels(path, frame, header.pages)
    low, high = levels[0], max(levels[-1], levels[0] + 1)
    shares = decode_image(path, replace(frame, values=ValueRange("float32", low, high)), page)[0]
    values: Array = ((shares.astype(np.float64) + 1) * ((high - low) / 2) + low).astype(np.float32)
    return values


def _series(paths: list[Path], folder: str) -> tuple[list[VolumeFile], list[Unread]]:
    """The DICOM files of one folder: a volume for each series of slices, and for each file with several."""
    pydicom = package("pydicom")
    found: list[VolumeFile] = []
    unread: list[Unread] = []
    groups: dict[str, list[tuple[Any, Path, ImageHeader]]] = {}
    for path in paths:
        try:
            header, tags = inspect_image(path), pydicom.dcmread(path, stop_before_pixels=True)
            if header.channels != 1:
                raise NoVolumeError("it has colours")
            if header.pages > 1:
                found.append(_multiframe(path, Path(folder, path.name).as_posix(), header, tags))
                continue
            series = f"{tags.get('SeriesInstanceUID', '')} {header.height}x{header.width}"
            groups.setdefault(series, []).append((tags, path, header))
        except (OSError, ValueError, AttributeError) as error:
            unread.append(Unread.of(Path(folder, path.name).as_posix(), error))
    for number, slices in enumerate(groups[key] for key in sorted(groups)):
        try:
            found.append(_stacked(slices, Path(folder, f"series-{number}").as_posix()))
        except ValueError as error:
            unread.append(Unread.of(Path(folder, slices[0][1].name).as_posix(), error))
    return found, unread


def _stacked(slices: list[tuple[Any, Path, ImageHeader]], name: str) -> VolumeFile:
    """Slices in the order of their positions along the normal of the image plane; else of their numbers."""
    if len(slices) < 2:
        raise NoVolumeError("it is a single slice: folder:PATH trains on slices")
    positions = [_position(tags) for tags, _, _ in slices]
    order = sorted(range(len(slices)), key=lambda at: positions[at])
    steps = np.diff([positions[at] for at in order])
    if (steps <= 0).any():
        raise NoVolumeError("two slices of a series have the same position")
    tags, _, header = slices[order[0]]
    if steps.max() > 1.5 * np.median(steps):
        raise NoVolumeError(f"slices are missing: they are {steps.min():g} to {steps.max():g} mm apart")
    shape = _checked((len(slices), header.height, header.width))
    files = tuple(slices[at][1] for at in order)
    spacing = (float(np.median(steps)), *_pixel_spacing(tags))
    dtypes = {part.dtype for _, _, part in slices}
    dtype = header.dtype if len(dtypes) == 1 else "float32" if "float32" in dtypes else "int32"
    return VolumeFile(name, files, shape, spacing, dtype, window=header.window)


def _position(tags: Any) -> float:
    """Where a slice is along the normal of its plane, in mm."""
    place, directions = tags.get("ImagePositionPatient"), tags.get("ImageOrientationPatient")
    if place is not None and directions is not None:
        right, down = np.array(directions[:3], float), np.array(directions[3:], float)
        return float(np.cross(right, down) @ np.array(place, float))
    for name in ("SliceLocation", "InstanceNumber"):
        if tags.get(name) is not None:
            return float(tags.get(name))
    raise NoVolumeError("its slices have neither positions nor numbers")


def _pixel_spacing(tags: Any) -> tuple[float, float]:
    height, width = tags.get("PixelSpacing") or tags.get("ImagerPixelSpacing") or (1, 1)
    return float(height), float(width)


def _multiframe(path: Path, name: str, header: ImageHeader, tags: Any) -> VolumeFile:
    shape = _checked((header.pages, header.height, header.width))
    depth = float(tags.get("SpacingBetweenSlices") or tags.get("SliceThickness") or 1)
    spacing = (depth, *_pixel_spacing(tags))
    return VolumeFile(name, (path,), shape, spacing, header.dtype, window=header.window)


def _tiff_spacing(path: Path) -> tuple[Sides, str]:
    """The voxel size that ImageJ or ganzoo has written; 1 x 1 x 1 voxels without."""
    with package("tifffile").TiffFile(path) as file:
        facts: dict[str, Any] = file.imagej_metadata or next(iter(file.shaped_metadata or ()), {})
        tags = file.pages[0].tags
        depth, units = facts.get("spacing"), facts.get("unit")
        if depth is None:
            return (1.0, 1.0, 1.0), "voxels"
        across = [tags.valueof(code) or (1, 1) for code in (283, 282)]  # y, x: pixels for each unit
        height, width = (bottom / top if top else 1.0 for top, bottom in across)
        return (float(depth), height, width), str(units or "mm")
