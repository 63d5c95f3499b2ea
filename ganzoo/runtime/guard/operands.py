"""What a rule is given: the operands and attributes of a node, as far as they are known.

All readers raise ValueError or LookupError for what is not known, and the node's result then is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ganzoo.runtime.guard.model import Node

__all__ = [
    "Known",
    "Operands",
    "Shape",
    "broadcast",
    "integer",
    "integers",
    "is_given",
    "listed",
    "shape_of",
    "values_of",
]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tensor: its shape, and its values where they are few and constant."""

    shape: Shape | None
    values: NDArray[Any] | None


Operands = Sequence[Known | None]
"""The inputs of a node in their order; None for one that is left out."""


def shape_of(operands: Operands, index: int = 0) -> Shape:
    """The shape of the operand at `index`."""
    operand = operands[index]
    if operand is None or operand.shape is None:
        raise ValueError("unknown")
    return operand.shape


def is_given(operands: Operands, index: int) -> bool:
    """Whether the operand at `index` is there."""
    return index < len(operands) and operands[index] is not None


def values_of(operands: Operands, index: int) -> NDArray[Any]:
    """The values of a small constant operand."""
    operand = operands[index]
    if operand is None or operand.values is None:
        raise ValueError("unknown")
    return operand.values


def integers(node: Node, name: str, default: Sequence[int] = ()) -> list[int]:
    """The numbers of an attribute."""
    if name not in node.attributes:
        return list(default)
    found = node.attributes[name].integers
    if found is None:
        raise ValueError("too many")
    return list(found)


def integer(node: Node, name: str, default: int) -> int:
    """The number of an attribute."""
    return integers(node, name, [default])[0]


def listed(node: Node, operands: Operands, index: int, name: str) -> list[int] | None:
    """Numbers that newer versions of an operator read as an operand, and older ones as an attribute."""
    if is_given(operands, index):
        return [int(value) for value in values_of(operands, index).ravel()]
    return integers(node, name) if name in node.attributes else None


def broadcast(*shapes: Shape) -> Shape:
    """The shape that all of these are spread to."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            raise ValueError("shapes differ")
        result.append(others.pop() if others else 1)
    return tuple(result)
