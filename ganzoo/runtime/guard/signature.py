"""The meaning of a graph's inputs and outputs: from ganzoo's metadata, or derived for other files.

Derives fields from shapes and element types, and compares the fields of the metadata with the graph.
Reads no bytes and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ganzoo.errors import UsageError
from ganzoo.fields import Field, with_pixels
from ganzoo.runtime.guard.model import Graph, Value, shown

__all__ = ["Contract", "compare", "derive", "fixed_batch"]

_NUMBERS: dict[str, int] = {"float32": 1, "uint8": 2, "int64": 7}  # ONNX's numbers of element types
_TYPES: dict[int, Literal["float32", "int64"]] = {1: "float32", 7: "int64"}
# A name becomes a key of an .npz file; other programs unpack its members as files.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
_RESERVED = ("allow_pickle", "file", "seed")  # parameters of numpy's functions, and an array that ganzoo adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """The fields of a graph. `batch` is its fixed batch size, None if any size is allowed."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    batch: int | None = None


def derive(graph: Graph, shapes: Mapping[str, tuple[int, ...]], where: str = "") -> Contract:
    """The fields of a graph without ganzoo's metadata. The first dimension is the batch.

    `shapes` are the computed shapes of the outputs, for graphs that do not declare them.

    A float32 input (batch, ...) is noise from N(0, 1); an int64 input (batch) is a label without names,
    which must be given. A float32 output (batch, 1 or 3 or 4, height, width) is an image in -1..1; other
    float32 and int64 outputs are plain arrays. UsageError for anything else.
    """
    inputs = tuple(_field(value, "input", where) for value in free_inputs(graph))
    written = [_with_sizes(value, shapes.get(value.name, ())) for value in graph.outputs]
    outputs = tuple(_field(value, "output", where) for value in written)
    if not inputs:
        raise UsageError("The graph has no inputs: its output would always be the same.", where=where)
    return Contract(inputs=inputs, outputs=outputs, batch=_fixed_batch(free_inputs(graph), written, where))


def fixed_batch(graph: Graph, where: str = "") -> int | None:
    """The only batch size of a graph, None if any is allowed; UsageError where inputs and outputs differ."""
    return _fixed_batch(free_inputs(graph), graph.outputs, where)


def _fixed_batch(inputs: Sequence[Value], outputs: Sequence[Value], where: str) -> int | None:
    batches = {_first(value) for value in (*inputs, *outputs)}
    fixed = {size for size in batches if isinstance(size, int)}
    free = {_first(value) for value in inputs} - fixed
    if len(fixed) > 1 or (fixed and free) or 0 in fixed:
        raise UsageError(
            f"The inputs and outputs of the graph differ in their first dimension: "
            f"{', '.join(sorted(str(size) or '?' for size in batches))}.",
            where=where,
            fix="export the model with the batch as the first dimension of all, fixed or free",
        )
    return fixed.pop() if fixed else None


def compare(graph: Graph, contract: Contract, layouts: Mapping[str, str], where: str = "") -> None:
    """UsageError unless names, types and sizes in ganzoo's metadata are those of the graph.

    `layouts` names the outputs that are uint8 (batch, height, width, channels).
    """
    pairs = ((free_inputs(graph), contract.inputs), (graph.outputs, contract.outputs))
    for values, fields in pairs:
        fits = [value.name for value in values] == [field.name for field in fields]
        if not fits or not all(
            _fits(value, field, layouts) for value, field in zip(values, fields, strict=True)
        ):
            raise UsageError(
                "The metadata of the file does not fit its graph.",
                where=where,
                fix="export again with `ganzoo export`",
            )


def free_inputs(graph: Graph) -> Sequence[Value]:
    """The inputs that need values; old files list their weights as inputs, too."""
    weights = {tensor.name for tensor in graph.initializers}
    return [value for value in graph.inputs if value.name not in weights]


def _with_sizes(value: Value, shape: tuple[int, ...]) -> Value:
    """An output with the computed sizes for dimensions that the file does not declare."""
    dims = value.dims if value.dims is not None and len(value.dims) == len(shape) else ("",) * len(shape)
    sizes = [size if isinstance(size, int) else shape[axis + 1] for axis, size in enumerate(dims[1:])]
    return replace(value, dims=(*dims[:1], *sizes))


def _first(value: Value) -> int | str:
    return value.dims[0] if value.dims else ""


def _fits(value: Value, field: Field, layouts: Mapping[str, str]) -> bool:
    pixels = field.name in layouts
    shape = (*field.sizes[1:], *field.sizes[:1]) if pixels else field.sizes
    if value.data_type != _NUMBERS["uint8" if pixels else field.dtype]:
        return False
    if value.dims is None:
        return not field.free
    sizes = value.dims[1:]
    return len(value.dims) == len(shape) + 1 and all(
        size == wanted for size, wanted in zip(sizes, shape, strict=True) if isinstance(size, int)
    )


def _field(value: Value, kind: str, where: str) -> Field:
    name = f"The {kind} {shown(value.name)}"
    if not _NAME.fullmatch(value.name) or value.name in _RESERVED:
        raise UsageError(
            f"{name} has a name that ganzoo cannot use.",
            where=where,
            fix="export the model with other names: letters, digits, and the signs _ . : -",
        )
    dtype = _TYPES.get(value.data_type)
    if dtype is None:
        raise UsageError(
            f"{name} is not float32 or int64, but ONNX's type {value.data_type}.",
            where=where,
            fix="export the model with float32 noise and outputs, and int64 labels",
        )
    if value.dims is None or not value.dims:
        raise UsageError(
            f"{name} has no batch dimension: its shape is {'empty' if value.dims == () else 'not declared'}.",
            where=where,
            fix="export the model with declared shapes whose first dimension is the batch",
        )
    shape = tuple(size for size in value.dims[1:] if isinstance(size, int) and size > 0)
    if len(shape) + 1 < len(value.dims):
        sizes = ", ".join(str(size) if isinstance(size, int) else size or "?" for size in value.dims)
        raise UsageError(
            f"{name} has the shape ({ascii(sizes)[1:-1]:.80}): more than the batch is open.",
            where=where,
            fix="export the model with fixed sizes behind the batch",
        )
    field = Field(name=value.name, shape=shape, dtype=dtype)
    if kind == "output":
        image = with_pixels(field)
        return replace(image, range=(-1.0, 1.0)) if image.has_pixels else field
    if dtype == "float32":
        return replace(field, source="normal")
    if shape:
        raise UsageError(
            f"{name} is int64 of the shape {shape} for a sample; a label is one number.",
            where=where,
            fix="export the model with labels of the shape (batch)",
        )
    return field
