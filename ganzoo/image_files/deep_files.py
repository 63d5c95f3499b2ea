"""Files with values of any depth and number of channels: TIFF, DICOM, NIfTI, .npy, PNG, what Pillow keeps.

tifffile, pydicom, nibabel and imagecodecs are imported when a file needs them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.image_files.frames import ImageFrame, ImageHeader
from ganzoo.image_files.pillow_files import (
    SIGNED,
    TIFF_SUFFIXES,
    WHITE_IS_ZERO,
    Budget,
    can_read_wide,
    check_pixels,
    has_wide_colours,
    loaded_pixels,
    opened_image,
    orientation_of,
    package,
    plain,
    read_pillow_header,
    regular_file,
    tiff_tag,
)
from ganzoo.images import MODES

Array = NDArray[Any]

DICOM_SUFFIXES, NIFTI_SUFFIXES = (".dcm",), (".nii", ".nii.gz")
VOLUMES = (*DICOM_SUFFIXES, *NIFTI_SUFFIXES)
"""Endings of files whose pages are the slices of one volume: all are used, if no option says otherwise."""

DEEP_SUFFIXES = (*TIFF_SUFFIXES, *VOLUMES, ".npy")

_ENDINGS = re.compile(r"\.(\d+|ima|dic|dicom)")  # scanners write such names: IM0001, 1.2.840.113619.2

_DECODERS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or python-gdcm"
_VOLUME_BYTES = 1 << 30  # of one file, and of its values
_values_at_once = Budget(1 << 28)
_one_volume = Budget(1)


# A TIFF's ExtraSamples: opacity, by which its colours are multiplied or not.
_ASSOCIATED, _UNASSOCIATED = 1, 2
_LABS = (8, 9, 10)  # a TIFF's PhotometricInterpretation: three kinds of CIELAB


class Values(NamedTuple):
    """Values (channels, height, width); if pixels may be transparent, their opacity (height, width) in 0..1.

    Colours are not multiplied by the opacity. Those of transparent pixels mean nothing.
    """

    planes: Array
    opacity: NDArray[np.float32] | None = None


def values_header(path: Path) -> ImageHeader:
    """What the header of such a file declares. ValueError names the package that is missing."""
    kind = _kind(path)
    if kind == "tiff":
        exact = _exact_in_pillow(path)
        return read_pillow_header(path) if exact else _tiff_header(path)
    _check_size(path)
    if kind == "npy":
        array = _npy(path)
        channels, height, width = array.shape
        return ImageHeader(height, width, channels == 1, channels, _type(array.dtype))
    return _dicom_header(path) if kind == "dicom" else _nifti_header(path)


def read_values(path: Path, page: int, frame: ImageFrame) -> Values:
    """The values of a page, or of all pages as channels if the frame says so.

    ValueError for a damaged file, or another number of pages than the frame has channels.
    """
    if frame.stacked:
        pages = (values_header if _kind(path) else read_pillow_header)(path).pages
        if pages != frame.channels:
            raise ValueError(f"it has {pages} page{'s' * (pages != 1)} instead of {frame.channels}")
        return Values(np.concatenate([_page(path, at, 1).planes for at in range(frame.channels)]))
    return _page(path, page, frame.channels)


def _page(path: Path, page: int, channels: int) -> Values:
    kind = _kind(path)
    if kind in ("dicom", "nifti"):
        return Values(_volume(path)[page])
    _check_size(path)
    if kind == "npy":
        array = _npy(path)
        with _values_at_once.spend(array.size):
            return Values(np.array(array))
    if kind == "tiff" and not _exact_in_pillow(path):
        return _tiff_page(path, page)
    with opened_image(path, page) as image:
        if has_wide_colours(image) and can_read_wide(image):
            return _wide_png(path, image)
        return _pillow_values(image, channels)


def _wide_png(path: Path, image: Image.Image) -> Values:
    """The colours of an opened PNG of 16 bits."""
    turn = orientation_of(image) if "exif" in image.info else 1
    with _values_at_once.spend(4 * image.width * image.height):
        values = package("imagecodecs").png_decode(path.read_bytes())
        if values.shape[2] == 2:  # gray and alpha
            values = values[..., [0, 0, 0, 1]]
        return _with_opacity(_turned(values.transpose(2, 0, 1), turn))


def _with_opacity(planes: Array, premultiplied: bool = False) -> Values:
    """The last of 2 or 4 planes is the opacity; it is none with 1 or 3."""
    if len(planes) not in (2, 4):
        return Values(planes)
    kind = planes.dtype.kind
    most = np.float32(1 if kind == "f" else np.iinfo(planes.dtype).max)
    opacity = (planes[-1].astype(np.float32) / most).clip(0, 1)
    colours = planes[:-1]
    if premultiplied:
        whole = colours / np.maximum(opacity, 1 / most if kind != "f" else np.float32(1e-6))
        colours = (
            whole.astype(colours.dtype) if kind == "f" else np.rint(whole).clip(0, most).astype(colours.dtype)
        )
    return Values(colours, opacity)


def _pillow_values(image: Image.Image, channels: int) -> Values:
    """The values of an image that Pillow has opened, in the depth that it keeps."""
    opacity = None
    with loaded_pixels(image):
        turn = orientation_of(image)
        if image.mode.startswith("I;16"):
            values = np.asarray(image).astype(np.uint16)
        elif image.mode in ("I", "F"):
            values = np.array(image)
        else:
            bands = len(image.getbands())
            several = bands > 1 or image.mode == "P"
            # A number of channels that pixels cannot have is refused later.
            values = np.array(
                plain(image, channels if several and channels in MODES else 3 if several else 1)
            )
        if image.info.get(WHITE_IS_ZERO) and values.dtype.kind in "iu":
            values = ~values
        if image.mode.startswith("I") and isinstance(clear := image.info.get("transparency"), int):
            opacity = _turned((values != clear)[None].astype(np.float32), turn)[0]
    return Values(_turned(values[None] if values.ndim == 2 else values.transpose(2, 0, 1), turn), opacity)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its ending; without an ending that says anything, by its content."""
    ending = path.suffix.lower()
    if path.name.upper().startswith("DICOMDIR"):  # the table of contents of a disk
        return False
    if ending in DICOM_SUFFIXES or (ending and not _ENDINGS.fullmatch(ending)):
        return ending in DICOM_SUFFIXES
    try:
        with regular_file(path) as (file, _):
            return file.read(132)[128:] == b"DICM"
    except (OSError, ValueError):
        return False


def is_volume(path: Path) -> bool:
    """Whether all slices of a file are used, if no option says otherwise."""
    return path.name.lower().endswith(VOLUMES) or is_dicom(path)


def _kind(path: Path) -> str:
    name = path.name.lower()
    kinds = {"tiff": TIFF_SUFFIXES, "dicom": DICOM_SUFFIXES, "nifti": NIFTI_SUFFIXES, "npy": (".npy",)}
    found = next((kind for kind, suffixes in kinds.items() if name.endswith(suffixes)), "")
    return found or ("dicom" if is_dicom(path) else "")


def _check_size(path: Path) -> None:
    with regular_file(path) as (_, size):
        if not size:
            raise ValueError("the file is empty")
        if size > _VOLUME_BYTES:
            raise ValueError(f"the file has {size:,} bytes, more than the limit of {_VOLUME_BYTES:,}")


def _type(dtype: np.dtype[Any]) -> str:
    """The stored type for values of a type: the smallest one that holds them all, int32 for larger ones."""
    if dtype.kind not in "biuf":
        raise ValueError("its values are colours" if dtype.names else f"its values are {dtype}")
    known = {"bool": "uint8", "uint8": "uint8", "uint16": "uint16", "int8": "int16", "int16": "int16"}
    return "float32" if dtype.kind == "f" else known.get(dtype.name, "int32")


def _stored(values: Array) -> Array:
    """The values in native byte order; ValueError for numbers beyond int32."""
    _type(values.dtype)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 2 and values.size:
        if values.min() < -(2**31) or values.max() >= 2**31:
            raise ValueError(f"its values {values.min()}..{values.max()} do not fit 32 bits")
        return values.astype(np.int32)
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _turned(values: Array, turn: int) -> Array:
    """The values (channels, height, width) as the EXIF orientation 1 to 8 wants them."""
    if turn >= 5:
        values = values.transpose(0, 2, 1)
    if turn in (3, 4, 7, 8):
        values = values[:, ::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, :, ::-1]
    return np.ascontiguousarray(values)


def _npy(path: Path) -> Array:
    """A memory-mapped .npy file as (channels, height, width): the shorter of the outer axes is channels."""
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[2] <= array.shape[0]:
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"an array of the shape {array.shape} is not one image")
    if array.nbytes > _VOLUME_BYTES:
        raise ValueError(f"its array has {array.nbytes:,} bytes, more than the limit of {_VOLUME_BYTES:,}")
    _type(array.dtype)
    return _stored(array)


def _exact_in_pillow(path: Path) -> bool:
    """Whether Pillow reads this TIFF without loss: 8 bits, or one channel."""
    try:
        with opened_image(path) as image:
            bits, samples, form = (
                max(tiff_tag(image, 258, (1,))), tiff_tag(image, 277, 1), tiff_tag(image, 339, (1,))[0]
            )  # fmt: skip
            if image.mode == "CMYK":  # with 16 bits, 8 of them are read: Pillow knows how to convert them
                return True
            if bits <= 8:
                return bool(samples == len(image.getbands()) and form != SIGNED)
            plain16 = image.mode.startswith("I;16")
            return bool(samples == 1 and (plain16 or (image.mode, form) in (("I", SIGNED), ("F", 3))))
    except ValueError as error:
        if "not an image" not in str(error):
            raise
        return False


def _tiff_header(path: Path) -> ImageHeader:
    _check_size(path)
    with package("tifffile").TiffFile(path) as file:
        page = file.pages[0]
        height, width, channels = _tiff_shape(page)
        if page.photometric in _LABS:
            raise ValueError(
                "its colours are CIELAB of more than 8 bits, which are not read: save them as RGB"
            )
        dtype, alpha = _type(np.dtype(page.dtype)), _opacity_of(page) is not None
        gray = channels == 1 + alpha
        shown = 1 if gray else channels
        return ImageHeader(height, width, gray, shown, dtype, pages=len(file.pages), alpha=alpha)


def _opacity_of(page: Any) -> bool | None:
    """Whether the colours of a page with opacity are multiplied by it; None without opacity."""
    extra = tuple(int(kind) for kind in page.extrasamples)
    if page.samplesperpixel not in (2, 4) or extra not in ((_ASSOCIATED,), (_UNASSOCIATED,)):
        return None
    return extra == (_ASSOCIATED,)


def _tiff_shape(page: Any) -> tuple[int, int, int]:
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    check_pixels(width, height)
    if height * width * channels * np.dtype(page.dtype).itemsize > _VOLUME_BYTES:
        raise ValueError(f"{width}x{height} pixels with {channels} channels are too large")
    turn = page.tags.valueof(274, default=1)
    return (width, height, channels) if turn >= 5 else (height, width, channels)


def _tiff_page(path: Path, number: int) -> Values:
    with package("tifffile").TiffFile(path) as file:
        page = file.pages[number]
        _, _, channels = _tiff_shape(page)
        with _values_at_once.spend(page.size):
            values = page.asarray(maxworkers=1)
            values = values.reshape(page.imagelength, page.imagewidth) if channels == 1 else values
            planes = values[None] if channels == 1 else values
            if channels > 1 and values.shape[0] != channels:
                planes = values.transpose(2, 0, 1)
            planes = _turned(_stored(planes), page.tags.valueof(274, default=1))
            premultiplied = _opacity_of(page)
            made = Values(planes) if premultiplied is None else _with_opacity(planes, premultiplied)
            white_is_zero = page.photometric == 0 and planes.dtype.kind in "iu"
            return made._replace(planes=~made.planes) if white_is_zero else made


# --- volumes: files whose slices are read together ------------------------------------------------


def _dicom_header(path: Path) -> ImageHeader:
    file = package("pydicom").dcmread(path, stop_before_pixels=True)
    if "Rows" not in file:
        raise ValueError("it has no image")
    height, width, pages = file.Rows, file.Columns, int(file.get("NumberOfFrames", 1) or 1)
    channels = file.SamplesPerPixel
    _check_volume(height, width, channels * pages * -(-file.BitsAllocated // 8))
    slope, shift = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    dtype = f"{'' if file.PixelRepresentation else 'u'}int{8 if file.BitsAllocated <= 8 else 16}"
    if (slope, shift) != (1, 0):
        dtype = "float32"
        if slope.is_integer() and shift.is_integer():
            bits, signed = int(file.get("BitsStored") or file.BitsAllocated), bool(file.PixelRepresentation)
            lowest = -(2 ** (bits - 1)) if signed else 0
            dtype = _smallest(lowest * slope + shift, (lowest + 2**bits - 1) * slope + shift)
    window = None
    if file.get("WindowCenter") is not None and file.get("WindowWidth") is not None:
        centre, breadth = (float(np.ravel(file[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        if breadth > 0 and math.isfinite(centre) and math.isfinite(breadth):
            window = (centre - breadth / 2, centre + breadth / 2)
    return ImageHeader(height, width, channels == 1, channels, _type(np.dtype(dtype)), pages, window=window)


def _smallest(*ends: float) -> str:
    """The smallest type of 16 bits or more that holds whole numbers between these."""
    for name in ("uint16", "int16"):
        if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
            return name
    return "int32"


def _dicom_volume(path: Path) -> Array:
    header = _dicom_header(path)
    file = package("pydicom").dcmread(path)
    syntax = file.file_meta.get("TransferSyntaxUID") if "file_meta" in vars(file) else None
    try:
        pixels = file.pixel_array
    except (RuntimeError, NotImplementedError, ImportError) as error:
        if syntax is None or not syntax.is_compressed:
            raise
        raise ValueError(f"it is compressed ({syntax.name}), which needs a decoder: {_DECODERS}") from error
    if file.PhotometricInterpretation == "MONOCHROME1":  # the lowest value is white
        lowest = -(2 ** (file.BitsStored - 1)) if file.PixelRepresentation else 0
        pixels = (2 * lowest + 2**file.BitsStored - 1) - pixels.astype(np.int32)
    if header.channels == 1 and ("RescaleSlope" in file or "ModalityLUTSequence" in file):
        pixels = package("pydicom.pixels").apply_modality_lut(pixels, file)
    values = pixels.reshape(header.pages, header.height, header.width, header.channels)
    if header.dtype != "float32":
        values = np.rint(values).astype(np.int64 if values.dtype.kind == "f" else values.dtype)
    return _stored(values.transpose(0, 3, 1, 2))


def _nifti(path: Path) -> Any:
    """The image with axes to the right, to the front and upwards, if its size is within the limits."""
    nibabel = package("nibabel")
    image = nibabel.load(path)
    _check_volume(image.shape[1], image.shape[0], math.prod(image.shape[2:]) * 8)
    return nibabel.as_closest_canonical(image)


def _nifti_header(path: Path) -> ImageHeader:
    image = _nifti(path)
    scaled = (
        (image.dataobj.slope, image.dataobj.inter) != (1, 0) if hasattr(image.dataobj, "slope") else False
    )
    dtype = "float32" if scaled else _type(image.get_data_dtype())
    width, height = image.shape[:2]
    return ImageHeader(height, width, gray=True, channels=1, dtype=dtype, pages=math.prod(image.shape[2:]))


def _nifti_volume(path: Path) -> Array:
    """Axial slices (slices, 1, height, width), the front of the head at the top, from below to above."""
    image = _nifti(path)
    values = np.asanyarray(image.dataobj).reshape(*image.shape[:2], -1, order="F")
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
    return _stored(values.transpose(2, 1, 0)[:, None, ::-1])


def _check_volume(height: int, width: int, rest: int) -> None:
    check_pixels(width, height)
    if height * width * rest > _VOLUME_BYTES:
        raise ValueError(f"its {height * width * rest:,} bytes of values are more than {_VOLUME_BYTES:,}")


def _volume(path: Path) -> Array:
    """All pages of a volume (pages, channels, height, width). The last one is kept, for its next page."""
    _check_size(path)
    with _one_volume.spend(1):
        return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int) -> Array:
    readers: dict[str, Callable[[Path], Array]] = {"dicom": _dicom_volume, "nifti": _nifti_volume}
    return readers[_kind(path)](path)
