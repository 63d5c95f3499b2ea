"""What is read from a file: arrays whose values wait, storages, and records of what is not run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ITEM_SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "bool": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1,
}  # fmt: skip
"""Bytes of a value by the name of its type."""

MOST_DIMENSIONS = 16


class RefusedError(ValueError):
    """The file is damaged, or claims what no file of weights needs; the text says which."""


@dataclass(frozen=True)
class LazyArray:
    """An array whose shape and type are known, and whose values are read when they are needed."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray[np.generic]] = field(repr=False)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that a pickle names. It is text: nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True)
class Record:
    """An object that a pickle would make by calling `name`; nothing was called."""

    name: Any
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] | None = None


@dataclass(eq=False, slots=True)
class Storage:
    """Values in a row, of which arrays are views: `data()` is `count` values of that type as bytes."""

    dtype: str
    count: int
    data: Callable[[], memoryview]
    swapped: bool = False


@dataclass
class Budget:
    """What reading one file may cost. RefusedError when it is spent."""

    operations: int = 600_000
    bytes: int = 1 << 28
    characters: int = 1 << 24

    def operation(self) -> None:
        """Count one operation of a pickle."""
        self.operations -= 1
        if self.operations < 0:
            raise RefusedError("it has more operations than any file of weights needs")

    def text(self, size: int) -> None:
        """Count the characters of a text: one may take four bytes of memory."""
        self.characters -= size
        if self.characters < 0:
            raise RefusedError("it has many megabytes of text")

    def copied(self, size: int) -> None:
        """Count bytes that are copied, or that an array claims."""
        self.bytes -= size
        if self.bytes < 0:
            raise RefusedError("its parts claim many times more bytes than the file has")


def array_of(storage: Storage, offset: Any, shape: Any, strides: Any, dtype: str = "") -> LazyArray:
    """A view of a storage, `offset` and `strides` in values. RefusedError when it leaves the storage."""
    kind = dtype or storage.dtype
    size = ITEM_SIZES[kind]
    count = storage.count * ITEM_SIZES[storage.dtype] // size
    numbers = (offset, *shape, *strides)
    if any(type(value) is not int or not 0 <= value < 1 << 48 for value in numbers):
        raise RefusedError("the size of an array is not a small whole number")
    if len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS:
        raise RefusedError("an array has sizes and strides that do not fit")
    total = math.prod(shape)
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if total and (last >= count or total > count):
        raise RefusedError(f"an array of {total:,} values is larger than its storage of {count:,}")
    shape, strides = tuple(shape), tuple(step * size for step in strides)
    return LazyArray(shape, kind, lambda: _viewed(storage, offset * size, shape, strides, kind))


def _viewed(
    storage: Storage, start: int, shape: tuple[int, ...], strides: tuple[int, ...], kind: str
) -> NDArray[np.generic]:
    import numpy as np

    raw = "uint16" if kind == "bfloat16" else kind
    dtype = np.dtype(raw).newbyteorder(">" if storage.swapped else "<")
    if 0 in shape:
        return np.zeros(shape, np.dtype(raw))
    values = np.ndarray(shape, dtype, storage.data(), start, strides)
    if storage.swapped:
        values = values.astype(np.dtype(raw))
    if kind == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if kind == "float16" else values


def row_major(shape: Any) -> tuple[int, ...]:
    """The strides, in values, of an array in C order."""
    steps: list[int] = []
    step = 1
    for side in reversed(tuple(shape)):
        steps.append(step)
        step *= side if type(side) is int else 1
    return tuple(reversed(steps))
