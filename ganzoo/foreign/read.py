"""One file of any of these formats -> a tree of dicts, lists, numbers, texts, arrays and records."""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.foreign.archives import read_archive
from ganzoo.foreign.arrays import Budget, RefusedError
from ganzoo.foreign.ncnn_files import SIGN, read_ncnn, values_of
from ganzoo.foreign.safetensors_files import is_safetensors, read_safetensors
from ganzoo.foreign.torch_pickles import MAGIC, read_legacy, read_pickle

SHARES = 4
"""How many times the bytes of the file all arrays together may claim: arrays may share a storage."""

_OTHERS = {
    b"\x89HDF": "HDF5, as Keras writes it",
    b"GGUF": "GGUF",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\xfd7zX": "compressed with xz: unpack it first",
    b"<!DO": "a page of the web, not the file that a link on it names",
    b"<htm": "a page of the web, not the file that a link on it names",
    b"version https": "a pointer of git-lfs: fetch the file itself with `git lfs pull`",
    b"\x93NUMPY": "a single array",
    b'{"format"': "TensorFlow.js",
    b'{"modelTopology"': "TensorFlow.js",
}
_PICKLES = b"\x80(}]c"
"""First bytes of pickles: a version, or how versions 0 and 1 begin a dict, a list or an object."""
_LEGACY = MAGIC.to_bytes(10, "little")
_DAMAGE = (
    ValueError, LookupError, TypeError, ArithmeticError, EOFError, RecursionError, MemoryError,
    AttributeError, NotImplementedError, OSError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
FORMATS = ".pth, .pt, .ckpt, .tar of torch, NVIDIA's .pkl, .safetensors, .npz, .param of ncnn"


@dataclass(frozen=True)
class Contents:
    """What a file has: its tree and the name of its format."""

    tree: Any
    format: str
    budget: Budget
    values: Path | None = None
    """The second file that has the values, for formats of two files."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What importers need whole beside the arrays; of the tree they get the first numbers and texts only."""


def read_file(path: Path) -> Contents:
    """The contents of a file. UsageError when it is none of these formats, damaged, or claims too much."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise UsageError("The file is empty.", where=str(path)) from error
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror}.", where=str(path)) from error
    data = memoryview(mapped)
    budget = Budget(bytes=SHARES * len(data) + (1 << 24))
    try:
        return _read(path, data, budget)
    except _DAMAGE as error:
        reason = str(error) if isinstance(error, RefusedError) else f"it is damaged ({type(error).__name__})"
        raise UsageError(
            f"The file is refused: {reason}.",
            where=str(path),
            fix=f"fetch it again if it should be one of: {FORMATS}",
        ) from error


def _read(path: Path, data: memoryview, budget: Budget) -> Contents:
    start = bytes(data[:16])
    for sign, what in _OTHERS.items():
        if start.startswith(sign):
            raise RefusedError(f"it is {what}; read are {FORMATS}")
    if start.startswith(SIGN):
        network, layers = read_ncnn(path, data, budget)
        return Contents({"network": network}, "ncnn", budget, values_of(path), {"ncnn": layers})
    if start.startswith(b"PK"):
        return Contents(read_archive(path, data, budget), "zip archive", budget)
    if is_safetensors(data):
        return Contents(read_safetensors(data), "safetensors", budget)
    if len(data) > 512 and bytes(data[257:262]) == b"ustar":
        raise RefusedError("it is a tar archive: unpack it first")
    if _LEGACY in start:
        return Contents(read_legacy(data, budget), "legacy stream of torch", budget)
    if start[0] not in _PICKLES:
        raise RefusedError(f"it is none of these: {FORMATS}")
    return Contents(read_pickle(data, budget), "pickle", budget)
