"""Networks of ncnn: a text of layers (.param), and their values in the same order beside it (.bin).

https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from ganzoo.foreign.arrays import ITEM_SIZES, Budget, LazyArray, RefusedError, Storage, array_of, row_major

SIGN = b"7767517"
LARGEST_TEXT = 1 << 22  # bytes
_KINDS = {0x01306B47: "float16", 0x0002C056: "float32", 0: "float32"}
_LISTS = 23300  # keys of lists begin after it
_WITHOUT_VALUES = {"Input", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "ReLU"}


def values_of(path: Path) -> Path:
    """The file of values beside a list of layers."""
    return path.with_suffix(".bin")


def read_ncnn(
    path: Path, text: memoryview, budget: Budget
) -> tuple[dict[str, LazyArray], tuple[dict[str, Any], ...]]:
    """The weights and biases by the number of their layer among those with values, and all layers.

    A layer has its `type`, the numbers of the layers that are its `inputs` (through Split, which is left
    out), and the `settings` by their number that are neither sizes nor steps. RefusedError for other types of
    layers, and for values that are of 8 bits, missing or left over.
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
    reader, number = _Values(data), 0
    network: dict[str, LazyArray] = {}
    layers: list[dict[str, Any]] = []
    makers: dict[str, int] = {}  # of each blob
    for line in bytes(text).decode("utf-8").splitlines()[2:]:
        budget.operation()
        kind, _, inputs, outputs, *rest = line.split()
        read, rest = rest[: int(inputs)], rest[int(inputs) :]
        made, settings = rest[: int(outputs)], _settings(rest[int(outputs) :])
        if kind == "Split":
            makers |= dict.fromkeys(made, makers[read[0]])
            continue
        layers.append({"type": kind, "inputs": [makers[name] for name in read], "settings": settings})
        makers |= dict.fromkeys(made, len(layers) - 1)
        if kind == "Convolution":
            network |= _convolution(settings, reader, number)
        elif kind == "PReLU":
            network[f"{number}.weight"] = reader.plain((int(settings.pop("0")),))
        elif kind not in _WITHOUT_VALUES:
            raise RefusedError(f"it has layers of the type {kind!r:.40}, which are not read")
        number += kind in ("Convolution", "PReLU")
    if reader.at != len(data):
        raise RefusedError(f"{values.name} has {len(data) - reader.at:,} bytes more than its layers")
    return network, tuple(layers)


def _settings(items: list[str]) -> dict[str, Any]:
    """The numbers and lists of a layer; the key of a list is -23300 - N, and its first number the length."""
    settings: dict[str, Any] = {}
    for item in items:
        key, value = item.split("=")
        if int(key) < 0:
            settings[str(-_LISTS - int(key))] = [float(part) for part in value.split(",")[1:]]
        else:
            settings[str(int(key))] = int(value) if value.isdecimal() else float(value)
    return settings


def _convolution(settings: dict[str, Any], reader: _Values, number: int) -> dict[str, LazyArray]:
    """Its arrays; takes the settings of sizes and steps away."""

    def take(key: int, default: int = 0) -> int:
        return int(settings.pop(str(key), default))

    width, across = take(0), take(1)
    down = take(11, across)
    dilation, stride, left = take(2, 1), take(3, 1), take(4)
    top = take(14, left)
    steps = (dilation, take(12, dilation), stride, take(13, stride))
    padding = (left, take(15, left), top, take(16, top))
    if steps != (1, 1, 1, 1) or padding != (across // 2, across // 2, down // 2, down // 2):
        raise RefusedError("it has convolutions with dilation, stride or another padding")
    shape = (width, take(6) // max(1, width * across * down), down, across)
    arrays = {f"{number}.weight": reader.flagged(shape)}
    if take(5):
        arrays[f"{number}.bias"] = reader.plain((width,))
    return arrays


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
