"""Zip archives of arrays: what `torch.save` writes since version 1.6, and numpy's .npz."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.foreign.arrays import ITEM_SIZES, Budget, LazyArray, RefusedError, Storage
from ganzoo.foreign.opcodes import Source, Unpickler
from ganzoo.foreign.torch_pickles import calls, storage_type, whole

LARGEST_DIRECTORY = 1 << 22  # bytes; an entry takes about 70
LARGEST_PICKLE = 1 << 26
_LOCAL_HEADER = 30


def read_archive(path: Path, data: memoryview, budget: Budget) -> Any:
    """The value of a torch archive, or the arrays of an .npz by name."""
    _check_directory(data)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) < len(archive.infolist()):
            raise RefusedError("two files in the zip archive have the same name")
        for entry in entries.values():
            _check_entry(entry)
            # Weights hardly shrink: what a bomb claims beyond its size counts twice, as it would be copied.
            budget.copied(2 * max(0, entry.file_size - 4 * entry.compress_size))
        pickles = [name for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(pickles) == 1:
            return _read_torch(pickles[0].removesuffix("data.pkl"), entries, data, budget)
        if entries and all(name.endswith(".npy") for name in entries):
            return {name.removesuffix(".npy"): _read_npy(archive, entries[name]) for name in entries}
    raise RefusedError("the zip archive has neither one data.pkl, as torch writes it, nor .npy files only")


def _check_directory(data: memoryview) -> None:
    tail = bytes(data[-(1 << 16) - 22 :])
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise RefusedError("the zip archive has no end: the file is truncated")
    size = struct.unpack_from("<L", tail, at + 12)[0]
    long = tail.rfind(b"PK\6\6")
    if 0 <= long <= len(tail) - 56:  # zipfile takes this record wherever there is one
        size = max(size, struct.unpack_from("<Q", tail, long + 40)[0])
    if size > LARGEST_DIRECTORY:
        raise RefusedError("the zip archive lists more files than any file of weights needs")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if entry.flag_bits & 1:
        raise RefusedError("the zip archive is encrypted")
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name:
        raise RefusedError(f"the zip archive has a file with the path {name!r:.60}, outside of its folder")


def _stored(entry: zipfile.ZipInfo, data: memoryview) -> memoryview:
    """The bytes of an entry that is not compressed."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise RefusedError(f"'{entry.filename:.60}' is compressed, which torch never does")
    start = entry.header_offset
    if start < 0 or start + _LOCAL_HEADER > len(data) or bytes(data[start : start + 4]) != b"PK\3\4":
        raise RefusedError("the zip archive is damaged")
    start += _LOCAL_HEADER + sum(struct.unpack_from("<HH", data, start + 26))
    if start + entry.file_size > len(data):
        raise RefusedError("the zip archive is truncated")
    return data[start : start + entry.file_size]


def _read_torch(folder: str, entries: dict[str, zipfile.ZipInfo], data: memoryview, budget: Budget) -> Any:
    storages: dict[str, Storage] = {}
    order = entries.get(f"{folder}byteorder")
    swapped = order is not None and bytes(_stored(order, data)[:3]) == b"big"

    def persistent(key: Any) -> Storage:
        if not (isinstance(key, tuple) and len(key) == 5 and key[0] == "storage" and isinstance(key[2], str)):
            raise RefusedError("it refers to something outside of the file")
        kind, name, count = storage_type(key[1]), key[2], whole(key[4])
        if name not in storages:
            entry = entries.get(f"{folder}data/{name}")
            if entry is None:
                raise RefusedError(f"the values of the storage {name:.20} are missing")
            view = _stored(entry, data)
            if len(view) < count * ITEM_SIZES[kind]:
                raise RefusedError(f"the storage {name:.20} has {len(view):,} bytes, fewer than it claims")
            storages[name] = Storage(kind, count, lambda: view, swapped)
        return storages[name]

    pickled = _stored(entries[f"{folder}data.pkl"], data)
    if len(pickled) > LARGEST_PICKLE:
        raise RefusedError("its description is larger than any file of weights needs")
    return Unpickler(Source(pickled), budget, calls(budget), persistent).load()


def _read_npy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> LazyArray:
    with archive.open(entry) as file:
        start = io.BytesIO(file.read(1 << 14))
    version = np.lib.format.read_magic(start)
    if version not in ((1, 0), (2, 0)):
        raise RefusedError(f"'{entry.filename:.60}' has an unknown version of the format")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reader(start)
    offset, kind = start.tell(), dtype.newbyteorder("=").name
    if dtype.hasobject or kind not in ITEM_SIZES:
        raise RefusedError(f"'{entry.filename:.60}' has values of the type {dtype}, which are not read")
    if (
        offset + int(np.prod(shape, dtype=object)) * dtype.itemsize != entry.file_size
        or min(shape, default=0) < 0
    ):
        raise RefusedError(f"'{entry.filename:.60}' has another size than its header says")
    name, place = entry.filename, Path(archive.filename or "")

    def read() -> np.ndarray[Any, Any]:
        with zipfile.ZipFile(place) as again:
            values = np.frombuffer(again.read(name), dtype, offset=offset)
        values = values.astype(dtype.newbyteorder("="), copy=False)
        values = values.reshape(shape, order="F" if fortran else "C")
        return values.astype(np.float32) if kind == "float16" else values

    return LazyArray(tuple(map(int, shape)), kind, read)
