"""NumPy files as data, and the two shapes that every array of images is brought into.

`.npy` files are memory-mapped. Files are read with `allow_pickle=False`: a pickled array can run
code when it is opened.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field
from ganzoo_datasets.config import NpzConfig
from ganzoo_datasets.paths import given_path

Array = NDArray[Any]

IMAGE_KEYS = ("images", "x", "x_train", "arr_0")
EXPANSION = 1032
"""How many bytes one byte of a compressed file can become: the limit of its format, deflate."""

LABEL_KEYS = ("labels", "y", "y_train")
_LAYOUTS = "uint8 images (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4, or floating-point rows"


def open_npy(argument: str, config: object = None) -> ArraySource:
    """`image` for uint8 images, `vector` (D,) without a range for floating (N,) or (N, D).

    DataError for any other array, and for files that NumPy cannot read without pickle.
    """
    path = given_path("npy", argument, "a .npy file")
    if _is_archive(path):
        raise DataError("This file holds several arrays.", where=str(path), fix=f"--data npz:{argument}")
    return _source(_load(path, "r"), None, path, path.name)


def open_npz(argument: str, config: NpzConfig | None = None) -> ArraySource:
    """Like `open_npy`, with a `label` field when the file has labels 0..K-1.

    The arrays are found by the usual keys, or by those of the config. DataError when they are not
    there, or when labels are not one whole number for each sample.
    """
    config = config or NpzConfig()
    path = given_path("npz", argument, "a .npz file")
    if not _is_archive(path):
        _load(path, "r")
        raise DataError("This file holds one bare array.", where=str(path), fix=f"--data npy:{argument}")
    # Opened here, because NumPy leaves a damaged archive open.
    with path.open("rb") as file, _load(file) as archive:
        images_key = _key(archive.files, config.images_key, IMAGE_KEYS, "images", path)
        labels_key = _key(archive.files, config.labels_key, LABEL_KEYS, "labels", path)
        array = _member(archive, images_key, path)
        labels = _member(archive, labels_key, path) if labels_key else None
    if labels is not None:
        _check_labels(labels, len(array) if array.ndim else 0, f"{path}, key '{labels_key}'")
    keys = "+".join(key for key in (images_key, labels_key) if key)
    return _source(array, labels, path, f"{path.name} [{keys}]")


def image_array(array: Array, where: str) -> Array:
    """uint8 images as (N, C, H, W); DataError when the layout is not one of the known three.

    (N, H, W) and (N, C, H, W) stay views of the file; (N, H, W, C) is copied. When both the second
    and the last dimension could be channels, the last one is taken.
    """
    if array.ndim == 3:
        return array.reshape(array.shape[0], 1, *array.shape[1:])
    if array.ndim == 4 and array.shape[3] in (1, 3, 4):
        return np.ascontiguousarray(np.moveaxis(array, 3, 1))
    if array.ndim == 4 and array.shape[1] in (1, 3, 4):
        return array
    raise DataError(
        f"Images cannot have the shape {array.shape}.", where=where, fix=f"expected are {_LAYOUTS}"
    )


def image_source(
    images: Array, labels: Array | None, *, identity: str, notes: tuple[str, ...] = ()
) -> ArraySource:
    """A source of uint8 images (N, C, H, W) and, if given, labels (N,) named "0", "1", ..."""
    return _with_labels(
        Field(name="image", shape=images.shape[1:], range=(-1.0, 1.0)), images, labels, identity, notes
    )


def _source(array: Array, labels: Array | None, path: Path, name: str) -> ArraySource:
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"The array is empty: its shape is {array.shape}.", where=str(path))
    identity = f"{name}: {array.dtype} {array.shape}"
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return image_source(image_array(array, str(path)), labels, identity=identity)
    if array.dtype.kind == "f" and array.ndim in (1, 2):
        rows = array.reshape(len(array), -1)
        return _with_labels(Field(name="vector", shape=rows.shape[1:]), rows, labels, identity, ())
    if array.dtype.kind == "f" and array.ndim in (3, 4):
        # Guessing between 0..1, -1..1 and 0..255 from the values goes wrong silently.
        raise DataError(
            f"Images of {array.dtype} are not read: nothing says which value is black and which is white.",
            where=str(path),
            fix="save uint8: np.save(path, (x * 255).round().astype('uint8')) for values in 0..1",
        )
    raise DataError(
        f"An array of {array.dtype} with shape {array.shape} is neither images nor rows of numbers.",
        where=str(path),
        fix=f"expected are {_LAYOUTS} (N,) or (N, D)",
    )


def _with_labels(
    field: Field, array: Array, labels: Array | None, identity: str, notes: tuple[str, ...]
) -> ArraySource:
    fields, arrays = [field], {field.name: array}
    if labels is not None:
        classes = tuple(str(value) for value in range(int(labels.max()) + 1))
        fields.append(Field(name="label", dtype="int64", classes=classes))
        arrays["label"] = labels
    return ArraySource(fields=tuple(fields), arrays=arrays, identity=identity, notes=notes)


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise _unreadable(path, error) from error


def _load(file: Path | BinaryIO, mmap_mode: Literal["r"] | None = None) -> Any:
    try:
        return np.load(file, mmap_mode=mmap_mode, allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever parsing it comes upon
        raise _unreadable(file if isinstance(file, Path) else Path(file.name), error) from error


def _member(archive: Any, key: str, path: Path) -> Array:
    """One array of an archive. Its size is compared with the file's before anything is unpacked."""
    try:
        names = archive.zip.NameToInfo
        info = names.get(f"{key}.npy") or names[key]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is compressed in a way that NumPy does not write")
        if info.file_size > EXPANSION * min(info.compress_size, path.stat().st_size):
            raise ValueError(f"'{key}' claims {info.file_size:,} bytes, more than the file can hold")
        array = archive[key]
        if not isinstance(array, np.ndarray):
            raise ValueError(f"'{key}' is no array")
    except Exception as error:
        raise _unreadable(path, error) from error
    return array


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        "NumPy cannot read this file as plain arrays.",
        where=f"{path}: {type(error).__name__}: {error}",
        fix="write it with np.save or np.savez; arrays of objects are refused because they hold pickles",
    )


def _key(have: list[str], asked: str, usual: tuple[str, ...], what: str, path: Path) -> str:
    """The key to read; empty only for labels that are neither asked for nor there."""
    if asked and asked in have:
        return asked
    found = [] if asked else [key for key in usual if key in have]
    if found:
        return found[0]
    if what == "labels" and not asked:
        return ""
    raise DataError(
        f"The file has no array '{asked}'." if asked else f"The file has no {what} under a usual key.",
        where=f"{path}: its keys are {', '.join(have) or 'none'}",
        fix=f"set data.{what}_key to one of its keys",
    )


def _check_labels(labels: Array, count: int, where: str) -> None:
    if labels.ndim != 1 or len(labels) != count or labels.dtype.kind not in "iu":
        raise DataError(
            f"Labels are one whole number for each of the {count:,} samples; these are "
            f"{labels.dtype} of shape {labels.shape}.",
            where=where,
            fix="for one-hot labels save labels.argmax(axis=1)",
        )
    values = np.unique(labels)
    if len(values) and not (values[0] == 0 and values[-1] == len(values) - 1):
        shown = ", ".join(str(value) for value in values[:10]) + (", ..." if len(values) > 10 else "")
        raise DataError(
            f"Labels must be numbered from 0 without gaps; found are {shown}.",
            where=where,
            fix="renumber them: labels = np.unique(labels, return_inverse=True)[1]",
        )
