"""The wire format of protobuf, as far as .onnx files need it: splits bytes into fields.

It is stricter than protobuf: a field that is unknown, is repeated although it must not be, or has another
wire type is an error, because two readers could then read two different models from one file.
Never copies weights, and does not use recursion. `model.py` interprets the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError

__all__ = ["Found", "Layout", "Span", "Wire", "layout", "malformed"]

MOST_ENTRIES = 400_000
"""The limit of protobuf fields: half a second. A generator of 10,000 nodes has half as many."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_CONTINUED = bytes(range(128, 256))  # the bytes of a varint that are followed by another one

Span = tuple[int, int]
Found = dict[str, list[Span]]
# Field number -> name, wire type, whether it may be repeated.
Layout = Mapping[int, tuple[str, int, bool]]


def layout(one: str = "", many: str = "") -> Layout:
    """A message's fields, each written as number:name, or number:name:v (or e, f) if it is not bytes."""
    kinds = {"v": _VARINT, "e": _EIGHT, "f": _FOUR}
    result = {}
    for text, repeated in ((one, False), (many, True)):
        for entry in text.split():
            number, name, *kind = entry.split(":")
            result[int(number)] = (name, kinds[kind[0]] if kind else _BYTES, repeated)
    return result


def malformed(what: str, where: str) -> UsageError:
    """The error for bytes that are not an ONNX model, or not one that all readers would read alike."""
    return UsageError(f"The file is not a valid ONNX model: {what}.", where=where, fix="export it again")


class Wire:
    """The bytes of one file, read field by field; UsageError with `where` for malformed bytes."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.left = MOST_ENTRIES

    def message(self, span: Span, fields: Layout, kind: str) -> Found:
        """The spans of a message's fields by name; spans of bytes exclude the length in front."""
        data, (position, end) = self.data, span
        found: Found = {}
        while position < end:
            self.left -= 1
            if self.left < 0:
                raise malformed(f"it has more than {MOST_ENTRIES:,} entries", self.where)
            tag = data[position]  # usually one byte
            if tag < 128:
                position += 1
            else:
                tag, position = self.varint(position, end)
            if tag >> 3 not in fields:
                raise malformed(f"a {kind} has the field {tag >> 3}, which ganzoo does not know", self.where)
            name, wanted, repeated = fields[tag >> 3]
            wire, first = tag & 7, position
            if wire == _BYTES:
                size, first = self.varint(position, end)
                position = first + size
            elif wire == _VARINT:
                _, position = self.varint(position, end)
            elif wire in (_FOUR, _EIGHT):
                position += 4 if wire == _FOUR else 8
            if wire != wanted and not (repeated and wire == _BYTES):
                raise malformed(f"the {name} of a {kind} is not of its type", self.where)
            if position > end:
                raise malformed(f"the {name} of a {kind} reaches beyond the end", self.where)
            if name not in found:
                found[name] = [(first, position)]
            elif repeated:
                found[name].append((first, position))
            else:
                raise malformed(f"a {kind} has its {name} twice", self.where)
        return found

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """An unsigned number and the position of the next byte."""
        if position < end and self.data[position] < 128:
            return self.data[position], position + 1
        value = shift = 0
        while position < end and shift < 70:
            byte = self.data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise malformed("a number is cut off or too long", self.where)

    def integers(self, spans: list[Span]) -> Iterator[int]:
        """The signed 64-bit numbers in the spans of a varint field."""
        for position, end in spans:
            while position < end:
                value, position = self.varint(position, end)
                yield (value + 2**63) % 2**64 - 2**63

    def number(self, found: Found, name: str) -> int:
        """The value of an enumeration, 0 if it is absent."""
        value = next(self.integers(found[name])) if name in found else 0
        if not 0 <= value < 2**31:  # C++ would silently use the lower 32 bits
            raise malformed(f"{name} has the value {value}", self.where)
        return value

    def count(self, spans: list[Span]) -> int:
        """The number of varints, counted without decoding them."""
        return sum(len(self.data[start:end].translate(None, _CONTINUED)) for start, end in spans)

    def array(self, span: Span, dtype: str) -> NDArray[Any]:
        """The numbers of fixed size in a span."""
        start, end = span
        if (end - start) % np.dtype(dtype).itemsize:
            raise malformed("a list of numbers is cut off", self.where)
        return np.frombuffer(self.data[start:end], dtype=dtype)

    def text(self, found: Found, name: str) -> str:
        """A text, empty if it is absent."""
        return self.decoded(found[name][0]) if name in found else ""

    def decoded(self, span: Span, *, most: int | None = None) -> str:
        """The text in a span; with `most`, only that many bytes of it, which need not be UTF-8."""
        start, end = span
        if most is not None:
            return self.data[start : min(end, start + most)].decode(errors="replace")
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError:
            raise malformed("a name is not UTF-8", self.where) from None
