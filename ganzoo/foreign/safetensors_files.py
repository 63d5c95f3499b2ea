"""The .safetensors format, by hand: numpy has no bfloat16, so the library's reader for numpy refuses it."""

from __future__ import annotations

import json
from typing import Any

from ganzoo.foreign.arrays import ITEM_SIZES, RefusedError, Storage, array_of, row_major

LARGEST_HEADER = 1 << 23
_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "BOOL": "bool",
}  # fmt: skip


def is_safetensors(data: memoryview) -> bool:
    """Whether the bytes begin like such a file: the size of a header, and the header's brace."""
    return len(data) > 9 and data[8] == ord("{") and int.from_bytes(data[:8], "little") <= len(data) - 8


def read_safetensors(data: memoryview) -> dict[str, Any]:
    """The arrays by name; texts of its `__metadata__` beside them."""
    size = int.from_bytes(data[:8], "little")
    if size > LARGEST_HEADER:
        raise RefusedError("its header is larger than any file of weights needs")
    header, values = json.loads(bytes(data[8 : 8 + size])), data[8 + size :]
    found: dict[str, Any] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            found[name] = {str(key): str(text) for key, text in entry.items()}
            continue
        kind, (start, stop), shape = _TYPES.get(entry["dtype"], ""), entry["data_offsets"], entry["shape"]
        if kind not in ITEM_SIZES:
            raise RefusedError(
                f"'{name:.60}' has values of the type {entry['dtype']!r:.20}, which are not read"
            )
        if not (type(start) is type(stop) is int and 0 <= start <= stop <= len(values)):
            raise RefusedError(f"'{name:.60}' is outside of the file: it is truncated or damaged")
        part = values[start:stop]
        storage = Storage(kind, len(part) // ITEM_SIZES[kind], lambda part=part: part)  # type: ignore[misc]
        found[name] = array_of(storage, 0, shape, row_major(shape))
    return found
