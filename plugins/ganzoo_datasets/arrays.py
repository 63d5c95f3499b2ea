"""NumPy files as data sets.

`.npy` files are memory-mapped. Files are read with `allow_pickle=False`, because a pickled array can run
code when it is opened.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, ArraySource, DataError, Field
from ganzoo_datasets.config import NpzConfig
from ganzoo_datasets.paths import given_path

Array = NDArray[Any]

IMAGE_KEYS = ("images", "x", "x_train", "arr_0")
EXPANSION = 1032
"""The largest factor by which the format deflate can compress."""

LABEL_KEYS = ("labels", "y", "y_train")
_LAYOUTS = "uint8 images (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4, or floating-point rows"


def open_npy(argument: str, config: object = None) -> ArraySource:
    """`image` for uint8 images, `vector` (D,) without a range for floating (N,) or (N, D).

    DataError for any other array, and for files that NumPy cannot read without pickle.
    """
    path = given_path("npy", argument, "a .npy file")
    if _is_archive(path):
        raise DataError("The file is an .npz archive.", where=str(path), fix=f"--data npz:{argument}")
    return _source(_load(path, "r"), None, path, path.name)


def open_npz(argument: str, config: NpzConfig | None = None) -> ArraySource:
    """Like `open_npy`, with a `label` field when the file has labels 0..K-1.

    The keys of the arrays are those of the config, or common ones. DataError if they do not exist, or if
    labels are not one whole number for each sample.
    """
    config = config or NpzConfig()
    path = given_path("npz", argument, "a .npz file")
    if not _is_archive(path):
        _load(path, "r")
        raise DataError("The file is a single .npy array.", where=str(path), fix=f"--data npy:{argument}")
    # Opened here, because NumPy does not close a damaged archive.
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
    """uint8 images as (N, C, H, W); DataError for layouts other than (N, H, W), (N, H, W, C), (N, C, H, W).

    (N, H, W) and (N, C, H, W) stay views of the file; (N, H, W, C) is copied. If both the second and the last
    dimension could be channels, it is the last one.
    """
    if array.ndim == 3:
        return array.reshape(array.shape[0], 1, *array.shape[1:])
    if array.ndim == 4 and array.shape[3] in (1, 3, 4):
        return np.ascontiguousarray(np.moveaxis(array, 3, 1))
    if array.ndim == 4 and array.shape[1] in (1, 3, 4):
        return array
    raise DataError(f"Images cannot have the shape {array.shape}.", where=where, fix=f"use {_LAYOUTS}")


def image_source(
    images: Array, labels: Array | None, *, identity: str, notes: tuple[str, ...] = ()
) -> ArraySource:
    """A source of uint8 images (N, C, H, W) and, if given, labels (N,) named "0", "1", ..."""
    return _with_labels(
        Field(name="image", shape=images.shape[1:], kind="image", axes=PIXELS, range=(-1.0, 1.0)),
        images,
        labels,
        identity,
        notes,
    )


def _source(array: Array, labels: Array | None, path: Path, name: str) -> ArraySource:
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"The array is empty: its shape is {array.shape}.", where=str(path))
    identity = f"{name}: {array.dtype} {array.shape}"
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return image_source(image_array(array, str(path)), labels, identity=identity)
    if array.dtype.kind == "f" and array.ndim in (1, 2):
        rows = array.reshape(len(array), -1)
        kind = "points" if rows.shape[1] <= 2 else "array"
        return _with_labels(
            Field(name="vector", shape=rows.shape[1:], kind=kind, axes=("value",)), rows, labels, identity, ()
        )
    if array.dtype.kind == "f" and array.ndim in (3, 4):
        # A guess between 0..1, -1..1 and 0..255 from the values could be wrong without notice.
        raise DataError(
            f"Images of {array.dtype} are not supported: their range of values is unknown.",
            where=str(path),
            fix="save uint8: np.save(path, (x * 255).round().astype('uint8')) for values in 0..1; for time "
            f"series (N, T, C): --data series:{path}",
        )
    raise DataError(
        f"An array of {array.dtype} with shape {array.shape} is neither images nor rows of numbers.",
        where=str(path),
        fix=f"use {_LAYOUTS} (N,) or (N, D)",
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
    except Exception as error:  # parsing a damaged header can raise any exception
        raise _unreadable(file if isinstance(file, Path) else Path(file.name), error) from error


def _member(archive: Any, key: str, path: Path) -> Array:
    """One array of an archive. Its size is compared with the size of the file before it is unpacked."""
    try:
        names = archive.zip.NameToInfo
        info = names.get(f"{key}.npy") or names[key]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it has a compression that NumPy does not write")
        if info.file_size > EXPANSION * min(info.compress_size, path.stat().st_size):
            raise ValueError(f"'{key}' claims {info.file_size:,} bytes, more than the file can hold")
        array = archive[key]
        if not isinstance(array, np.ndarray):
            raise ValueError(f"'{key}' is not an array")
    except Exception as error:
        raise _unreadable(path, error) from error
    return array


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        "NumPy cannot read this file as plain arrays.",
        where=f"{path}: {type(error).__name__}: {error}",
        fix="write it with np.save or np.savez; arrays of objects are refused because they contain pickles",
    )


def _key(have: list[str], chosen: str, common: tuple[str, ...], what: str, path: Path) -> str:
    """The key to read; empty if no key for labels was chosen and the file has no labels."""
    if chosen and chosen in have:
        return chosen
    found = [] if chosen else [key for key in common if key in have]
    if found:
        return found[0]
    if what == "labels" and not chosen:
        return ""
    raise DataError(
        f"The file has no array '{chosen}'." if chosen else f"The file has no {what} under a common key.",
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
            f"Labels must be numbered from 0 without gaps; these are {shown}.",
            where=where,
            fix="renumber them: labels = np.unique(labels, return_inverse=True)[1]",
        )
