"""Computes the shapes of all tensors of a graph for one sample, before anything runs.

Follows shapes through every allowed operator, and the values of small tensors that become shapes. A shape
that cannot be computed is None; so are shapes that depend on it. `shape_rules.py` has the rules of the
operators; `check.py` refuses unknown and too large sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.runtime.guard.model import MOST_VALUES, Graph, Node, Value
from ganzoo.runtime.guard.shape_rules import (
    RULES,
    Known,
    Operands,
    Shape,
    cuts,
    integer,
    integers,
    shape_of,
    values_of,
)

__all__ = ["Step", "steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """One node, the shapes of its outputs (None if unknown), and the number of its multiplications."""

    node: Node
    shapes: tuple[Shape | None, ...]
    work: int


def steps(graph: Graph) -> Iterator[Step]:
    """The nodes in order; a first dimension of an input without a number counts as 1."""
    known: dict[str, Known] = {value.name: Known(_input_shape(value), None) for value in graph.inputs}
    for tensor in graph.initializers:
        known[tensor.name] = Known(tensor.dims, tensor.values)
    unknown = Known(None, None)
    for node in graph.nodes:
        # An optional input that is not given has an empty name.
        operands = [known.get(name, unknown) if name else None for name in node.inputs]
        shapes, work = _apply(node, operands)
        for name, shape in zip(node.outputs, shapes, strict=True):
            known[name] = Known(shape, None)
        small = shapes[0] if shapes else None
        if small is not None and math.prod(small) <= MOST_VALUES:
            try:
                with np.errstate(all="ignore"):
                    known[node.outputs[0]] = Known(small, _fold(node, operands, small))
            except _RULE_ERRORS:
                pass
        yield Step(node, shapes, work)


# The errors of rules for operands that do not fit together; onnxruntime refuses such nodes itself.
_RULE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _apply(node: Node, operands: list[Known | None]) -> tuple[tuple[Shape | None, ...], int]:
    try:
        with np.errstate(all="ignore"):
            shapes, work = RULES[node.operator](node, operands)
        shapes = [shape if shape is None or min(shape, default=0) >= 0 else None for shape in shapes]
    except _RULE_ERRORS:
        shapes, work = [], 0
    count = len(node.outputs)
    return tuple((shapes + [None] * count)[:count]), work


def _input_shape(value: Value) -> Shape | None:
    if value.dims is None:
        return None
    first = tuple(1 if isinstance(dim, str) else dim for dim in value.dims[:1])
    rest = tuple(dim for dim in value.dims[1:] if isinstance(dim, int))
    return first + rest if len(first + rest) == len(value.dims) else None


# --- small constants ----------------------------------------------------------------------------

_TYPES = {1: "f4", 2: "u1", 3: "i1", 5: "i2", 6: "i4", 7: "i8", 9: "?", 11: "f8"}
_RESHAPING = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Ceil": np.ceil,
    "Equal": np.equal,
    "Floor": np.floor,
    "Greater": np.greater,
    "Less": np.less,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mod": np.mod,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Where": np.where,
}


def _fold(node: Node, operands: Operands, shape: Shape) -> NDArray[Any]:
    """The values of a small result; ValueError or LookupError if they depend on unknown values."""
    name = node.operator
    if name == "Shape":
        x = shape_of(operands)
        return np.array(x[integer(node, "start", 0) : integer(node, "end", len(x))], dtype=np.int64)
    if name == "Size":
        return np.array(math.prod(shape_of(operands)), dtype=np.int64)
    if name == "Constant":
        (attribute,) = node.attributes.values()
        found = attribute.tensors[0].values if attribute.tensors else None
        many = attribute.integers or attribute.floats
        plain = np.array(many, dtype=np.int64 if attribute.integers else np.float32) if many else None
        return _present(found if attribute.tensors else plain).reshape(shape)
    if name == "ConstantOfShape":
        fill = node.attributes["value"].tensors[0].values if "value" in node.attributes else np.zeros(1, "f4")
        return np.full(shape, _present(fill).ravel()[0])
    given = [values_of(operands, index) for index in range(len(operands))]
    if integer(node, "fmod", 0):
        raise ValueError("not followed")
    if name in _FUNCTIONS and len(given) == (3 if name == "Where" else _FUNCTIONS[name].nin):  # type: ignore[attr-defined]
        return np.asarray(_FUNCTIONS[name](*given))
    if name == "Div":
        whole = given[0].dtype.kind in "iu"
        return _truncated(given[0], given[1]) if whole else np.asarray(given[0] / given[1])
    if name == "Cast":
        return np.asarray(given[0].astype(_TYPES[integer(node, "to", 0)]))
    if name in _RESHAPING:
        return given[0].reshape(shape)
    if name == "Concat":
        return np.concatenate(given, axis=integer(node, "axis", 1))
    if name == "Gather":
        return np.asarray(np.take(given[0], given[1], axis=integer(node, "axis", 0)))
    if name == "Slice":
        return np.asarray(given[0][cuts(node, operands)])
    if name == "Expand":
        return np.broadcast_to(given[0], shape)
    if name == "Tile":
        return np.tile(given[0], given[1])
    if name == "Transpose":
        return np.transpose(given[0], integers(node, "perm", range(given[0].ndim)[::-1]))
    if name == "Range":
        start, _, delta = (values.ravel()[0] for values in given)
        return np.asarray(start + np.arange(shape[0], dtype=given[0].dtype) * delta)
    if name == "ReduceProd":
        return np.asarray(np.prod(given[0])).reshape(shape)
    raise ValueError("not followed")


def _present(values: NDArray[Any] | None) -> NDArray[Any]:
    if values is None:
        raise ValueError("unknown")
    return values


def _truncated(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Integer division as in C++, towards zero."""
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient))
