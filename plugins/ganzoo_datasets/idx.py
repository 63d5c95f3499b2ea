"""IDX, the file format of MNIST and similar data sets.

A file is two zero bytes, a type byte (0x08: unsigned bytes, the only one read here), the number of
dimensions, each dimension as a big-endian 32-bit number, then the values.
Source: https://yann.lecun.com/exdb/mnist (archived), "the IDX file format".
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, is_hidden
from ganzoo_datasets.arrays import EXPANSION, image_array, image_source
from ganzoo_datasets.config import IdxConfig
from ganzoo_datasets.paths import given_path

Bytes = NDArray[np.uint8]

_HEADER_BYTES = 1024
_CHUNK_BYTES = 1 << 20

_NAME = re.compile(r"(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx\d-ubyte(?P<gz>\.gz)?$")
_EXPECTS = "a folder with train-images-idx3-ubyte[.gz] and its companions, or one images file"


def open_idx(argument: str, config: IdxConfig | None = None) -> ArraySource:
    """`image` (channels, height, width) in -1..1 and, when there is a labels file, `label`.

    Classes are named "0", "1", ... up to the largest label. DataError for files that are missing,
    are not IDX, or do not match each other.
    """
    config = config or IdxConfig()
    path = given_path("idx", argument, _EXPECTS)
    pairs = _pairs_of_folder(path, config.split) if path.is_dir() else [(path, _labels_beside(path))]
    images = [_read_images(file) for file, _ in pairs]
    labels = [_read_labels(file, len(block)) for (_, file), block in zip(pairs, images, strict=True) if file]
    shapes = {block.shape[1:] for block in images}
    if len(shapes) > 1:
        raise DataError(f"Train and test images differ in shape: {sorted(shapes)}.", where=str(path))
    labelled = len(labels) == len(images)
    names = ", ".join(file.name for file, _ in pairs)
    identity = f"idx {config.split if path.is_dir() else ''}: {names}".replace(" :", ":")
    return image_source(
        images[0] if len(images) == 1 else np.concatenate(images),
        np.concatenate(labels) if labelled else None,
        identity=identity,
        notes=() if labelled else ("no labels file was found beside the images, so there is no label field",),
    )


def open_held_out(argument: str, config: IdxConfig | None = None) -> ArraySource | None:
    """The test images of a folder, with the fields of its training images.

    None for a single file, for a folder without test images, and where training uses them (`split` is `test`
    or `all`). DataError if test images have another shape than training images, or no labels where training
    images have labels.
    """
    config = config or IdxConfig()
    path = given_path("idx", argument, _EXPECTS)
    if config.split != "train" or not has_images(path, "test"):
        return None
    train, test = open_idx(argument, config), open_idx(argument, replace(config, split="test"))
    arrays = dict(test.arrays)
    if "label" not in train.arrays:
        arrays.pop("label", None)
    shapes = [source.fields[0].shape for source in (train, test)]
    unlabelled = len(arrays) < len(train.arrays)
    if unlabelled or shapes[0] != shapes[1]:
        raise DataError(
            "The training images have labels, the test images have none."
            if unlabelled
            else f"Train and test images differ in shape: {shapes[0]} and {shapes[1]}.",
            where=str(path),
            fix="take all four files from the same download, or move the test images out of the folder",
        )
    # The names must contain classes that only the training images have.
    return replace(test, fields=train.fields, arrays=arrays, notes=train.notes)


def has_images(path: Path, split: str) -> bool:
    """Whether this is a folder with IDX images of that split, `train` or `test`."""
    return path.is_dir() and (split, "images") in _files_of_folder(path)


def read_idx(path: Path) -> Bytes:
    """The array of one IDX file, gzipped or not; a plain file is memory-mapped.

    DataError if it is not IDX, has values other than unsigned bytes, or has the wrong size.
    """
    if not path.is_file():
        raise DataError("The IDX path is not a regular file.", where=str(path), fix=f"PATH is {_EXPECTS}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        if head[:2] == b"\x1f\x8b":
            return _read_gzipped(path)
        shape, start = _header(head, path)
        _check_size(path.stat().st_size - start, shape, path)
        return np.asarray(np.memmap(path, np.uint8, "r", start, shape))
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(
            "The IDX file cannot be read.",
            where=f"{path}: {error}",
            fix="copy or download the file again; it may be incomplete",
        ) from error


def _read_gzipped(path: Path) -> Bytes:
    """The array of a gzipped file. DataError if the header gives more values than its size allows."""
    with gzip.open(path, "rb") as stream:
        head = stream.read(_HEADER_BYTES)
        shape, start = _header(head, path)
        count = math.prod(shape)
        if count > EXPANSION * path.stat().st_size:
            raise DataError(
                f"The header of this IDX file gives {count:,} values, too many for the size of the file.",
                where=str(path),
                fix="copy or download the file again",
            )
        values = np.empty(count, np.uint8)
        found = min(len(head) - start, count)
        values[:found] = np.frombuffer(head, np.uint8, found, start)
        while found < count and (chunk := stream.read(min(_CHUNK_BYTES, count - found))):
            values[found : found + len(chunk)] = np.frombuffer(chunk, np.uint8)
            found += len(chunk)
        more = len(head) > start + count or bool(stream.read(1))
    _check_size(found + more, shape, path)
    return values.reshape(shape)


def _header(head: bytes, path: Path) -> tuple[tuple[int, ...], int]:
    """Shape, and the offset of the first value."""
    if len(head) < 4 or head[:2] != b"\0\0":
        raise DataError(
            "This is not an IDX file: it does not start with two zero bytes.",
            where=str(path),
            fix="unpack archives first; for a folder of images use --data folder:PATH",
        )
    kind, dimensions = head[2], head[3]
    if kind != 0x08:
        raise DataError(
            f"This IDX file holds values of type 0x{kind:02x}; only unsigned bytes (0x08) are read.",
            where=str(path),
            fix="save the array as .npy and use --data npy:PATH",
        )
    start = 4 + 4 * dimensions
    if dimensions > 4:
        raise DataError(f"This IDX file has {dimensions} dimensions; images have up to 4.", where=str(path))
    if dimensions == 0 or len(head) < start:
        raise DataError("The header of this IDX file is incomplete.", where=str(path))
    shape = struct.unpack(f">{dimensions}I", head[4:start])
    if math.prod(shape) == 0:
        raise DataError(f"This IDX file is empty: its shape is {shape}.", where=str(path))
    return shape, start


def _check_size(found: int, shape: tuple[int, ...], path: Path) -> None:
    if found != math.prod(shape):
        raise DataError(
            f"This IDX file has {found:,} values, but its header says {math.prod(shape):,} {shape}.",
            where=str(path),
            fix="copy or download the file again; it may be incomplete",
        )


def _read_images(path: Path) -> Bytes:
    array = read_idx(path)
    if array.ndim not in (3, 4):
        raise DataError(
            f"IDX images have 3 or 4 dimensions, this file has {array.ndim}.",
            where=str(path),
            fix="give the images file, not the labels file",
        )
    return image_array(array, str(path))


def _read_labels(path: Path, count: int) -> Bytes:
    array = read_idx(path)
    if array.ndim != 1 or len(array) != count:
        raise DataError(
            f"The labels have shape {array.shape}, but there are {count:,} images.",
            where=str(path),
            fix="take images and labels from the same download",
        )
    return array


def _files_of_folder(folder: Path) -> dict[tuple[str, str], Path]:
    """The file for each split (`train`, `test`) and kind (`images`, `labels`) that the folder has."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.search(path.name)
        if match and not is_hidden(path.name):
            key = ("train" if match["split"] == "train" else "test", match["kind"])
            unpacked = path.with_name(path.name.removesuffix(".gz"))
            if not (match["gz"] and unpacked.exists()):
                found.setdefault(key, []).append(path)
    for files in found.values():
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise DataError(
                "The folder contains several sets of IDX files.",
                where=f"{folder}: {names}",
                fix=f"leave one set there, or give the images file: --data idx:{folder / files[0].name}",
            )
    return {key: files[0] for key, files in found.items()}


def _pairs_of_folder(folder: Path, split: str) -> list[tuple[Path, Path | None]]:
    """(images, labels or None) for each requested split."""
    found = _files_of_folder(folder)
    pairs = []
    for name in ("train", "test") if split == "all" else (split,):
        if (name, "images") not in found:
            have = sorted(path.name for path in found.values())
            raise DataError(
                f"The folder has no {name} images in IDX format.",
                where=f"{folder}: {', '.join(have) or 'no IDX file at all'}",
                fix=f"PATH is {_EXPECTS}",
            )
        pairs.append((found[name, "images"], found.get((name, "labels"))))
    return pairs


def _labels_beside(images: Path) -> Path | None:
    """The labels file that belongs to an images file, by its name."""
    bare = images.name.removesuffix(".gz")
    renamed = re.sub(r"idx\d", "idx1", bare.replace("images", "labels"))
    names = {re.sub(r"[-.]idx1", f"{mark}idx1", renamed) for mark in "-."} | {renamed}
    for name in sorted(names - {bare}):
        for candidate in (images.with_name(name), images.with_name(name + ".gz")):
            if candidate.is_file():
                return candidate
    return None
