"""Networks of ncnn: a text of layers (.param), and their values in the same order beside it (.bin).

https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

import mmap
from collections import Counter
from pathlib import Path
from typing import Any

from ganzoo.foreign.arrays import ITEM_SIZES, Budget, LazyArray, RefusedError, Storage, array_of, row_major

SIGN = b"7767517"
LARGEST_TEXT = 1 << 22  # bytes
_KINDS = {0x01306B47: "float16", 0x0002C056: "float32", 0: "float32"}
_WITHOUT_VALUES = {"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "ReLU"}


def values_of(path: Path) -> Path:
    """The file of values beside a list of layers."""
    return path.with_suffix(".bin")


def read_ncnn(path: Path, text: memoryview, budget: Budget) -> dict[str, Any]:
    """`network`: weights and biases by the number of their layer among those with values.

    `ncnn`: how often each type of layer occurs, and the type of the last one, as text. RefusedError for other
    types of layers, and for values that are of 8 bits, missing or left over.
    """
    if len(text) > LARGEST_TEXT:
        raise RefusedError("its list of layers is larger than any network needs")
    values = values_of(path)
    if not values.is_file():
        raise RefusedError(
            f"it is the list of layers of ncnn, and {values.name} with the values is not there"
        )
    with values.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    budget.copied(-len(data))  # what the second file has may be read, too
    reader, types, number = _Values(data), list[str](), 0
    network: dict[str, LazyArray] = {}
    for line in bytes(text).decode("utf-8").splitlines()[2:]:
        budget.operation()
        kind, _, inputs, outputs, *rest = line.split()
        types.append(kind)
        pairs = (item.split("=") for item in rest[int(inputs) + int(outputs) :])
        options = {key: value for key, value in pairs if not key.startswith("-")}
        if kind == "Convolution":
            width, across = int(options["0"]), int(options["1"])
            down = int(options.get("11", across))
            steps = tuple(int(options.get(key, default)) for key, default in (("2", 1), ("3", 1), ("4", 0)))
            if steps != (1, 1, across // 2):
                raise RefusedError("it has convolutions with dilation, stride or another padding")
            shape = (width, int(options["6"]) // max(1, width * across * down), down, across)
            network[f"{number}.weight"] = reader.flagged(shape)
            if int(options.get("5", 0)):
                network[f"{number}.bias"] = reader.plain((width,))
        elif kind == "PReLU":
            network[f"{number}.weight"] = reader.plain((int(options["0"]),))
        elif kind not in _WITHOUT_VALUES:
            raise RefusedError(f"it has layers of the type {kind!r:.40}, which are not read")
        number += kind in ("Convolution", "PReLU")
    if reader.at != len(data):
        raise RefusedError(f"{values.name} has {len(data) - reader.at:,} bytes more than its layers")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(types).items()))
    return {"network": network, "ncnn": f"{counts}; last {types[-1]}"}


class _Values:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def flagged(self, shape: tuple[int, ...]) -> LazyArray:
        """Values whose type stands before them, padded to 4 bytes."""
        sign = int.from_bytes(self._next(4), "little")
        if sign not in _KINDS:
            raise RefusedError("it has values of 8 bits or of an unknown type, which are not read")
        return self.plain(shape, _KINDS[sign])

    def plain(self, shape: tuple[int, ...], kind: str = "float32") -> LazyArray:
        """Values of that type."""
        count = 1
        for side in shape:
            count *= side
        part = self._next(count * ITEM_SIZES[kind])
        self.at += -self.at % 4
        return array_of(Storage(kind, count, lambda: part), 0, shape, row_major(shape))

    def _next(self, size: int) -> memoryview:
        part = self.data[self.at : self.at + size]
        if size < 0 or len(part) != size:
            raise RefusedError("its file of values is truncated, or belongs to another list of layers")
        self.at += size
        return part
