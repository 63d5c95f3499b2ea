"""An ONNX graph as JSON and one block of bytes, for the page's interpreter (`graph.js`, `operators.js`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ganzoo.errors import UsageError

__all__ = ["encode_graph", "known_operators", "script"]

_STORED = ("float32", "float16", "int64", "int32", "int8", "uint8", "bool")


def script(name: str) -> str:
    """The text of a file of the page: JavaScript, CSS or HTML."""
    return resources.files("ganzoo.page").joinpath(name).read_text(encoding="utf-8")


def known_operators() -> frozenset[str]:
    """The operators of the interpreter, read from its table."""
    _, _, table = script("operators.js").partition("const OPERATORS = {")
    return frozenset(re.findall(r"^  (\w+)[:,]", table, flags=re.MULTILINE))


def _operator(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def encode_graph(model: onnx.ModelProto, where: str) -> tuple[dict[str, Any], bytes]:
    """Nodes, weights and names as JSON, and the values of the weights.

    A weight is {name, dims, type, at}: its values begin at byte `at`. UsageError for operators and types that
    the interpreter does not know.
    """
    used = {_operator(node) for node in model.graph.node}
    missing = sorted(used - known_operators())
    if missing:
        raise _unknown(f"the operator {', '.join(missing)}", where)
    values = bytearray()

    def stored(proto: TensorProto) -> dict[str, Any]:
        array = numpy_helper.to_array(proto)
        if array.dtype.name not in _STORED:
            raise _unknown(f"values of the type {array.dtype.name}", where)
        values.extend(bytes(-len(values) % 8))
        place = len(values)
        values.extend(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        return {"name": proto.name, "dims": list(array.shape), "type": array.dtype.name, "at": place}

    graph = {
        "weights": [stored(item) for item in model.graph.initializer],
        "nodes": [
            {
                "op": node.op_type,
                "in": list(node.input),
                "out": list(node.output),
                "at": {item.name: _attribute(item, stored) for item in node.attribute},
            }
            for node in model.graph.node
        ],
        "outputs": _names(model.graph.output),
    }
    return graph, bytes(values)


def _names(values: Iterable[onnx.ValueInfoProto]) -> list[str]:
    return [value.name for value in values]


def _attribute(attribute: onnx.AttributeProto, stored: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return stored(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _unknown(what: str, where: str) -> UsageError:
    return UsageError(
        f"The page's own interpreter does not know {what}.",
        where=where,
        fix="--ort DIR embeds onnxruntime-web, which knows all operators",
    )
