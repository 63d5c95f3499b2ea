"""What other programs need of a graph: values stay as they are.

The figures of `docs/deploying.md` say which runtime each of these changes is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from ganzoo.errors import ExportError
from ganzoo.fields import Field

__all__ = ["OPSET", "OPSETS", "describe", "make_portable"]

OPSET = 18
"""The oldest operator set that torch's exporter writes by itself: onnxruntime 1.14 and later read it."""

OPSETS = range(OPSET, min(23, defs.onnx_opset_version()) + 1)
"""Operator sets to choose from; torch converts to those above 18."""

# tanh is 1 in float32 from 9.02 on, so nothing changes; OpenCV 5.0 computes NaN above 44.
_TANH_LIMIT = 10.0


def make_portable(model: onnx.ModelProto, opset: int) -> None:
    """Change the graph in place: the oldest file version, no shapes inside, inputs of Tanh within -10..10,
    no attribute that says the default axis of Gather.

    ExportError when torch could not write this operator set.
    """
    found = {item.domain: item.version for item in model.opset_import}
    if found.get("") != opset:
        raise ExportError(
            f"The graph needs operators of set {found.get('')}, {opset} was asked for.",
            fix=f"--opset {found.get('')}",
        )
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import))
    # Shapes with a symbolic batch; tract 0.23 refuses such files, and all others compute shapes themselves.
    del model.graph.value_info[:]
    _limit_tanh(model.graph)
    _name_no_first_axis(model.graph)


def _limit_tanh(graph: onnx.GraphProto) -> None:
    if not any(node.op_type == "Tanh" for node in graph.node):
        return
    limits = {"tanh_lowest": -_TANH_LIMIT, "tanh_highest": _TANH_LIMIT}
    for name, limit in limits.items():
        graph.initializer.append(numpy_helper.from_array(np.array(limit, np.float32), name))
    before = onnx.GraphProto()
    before.CopyFrom(graph)
    del graph.node[:]
    for node in before.node:
        if node.op_type == "Tanh":
            within = f"{node.output[0]}_within"
            graph.node.append(helper.make_node("Clip", [node.input[0], *limits], [within]))
            node.input[0] = within
        graph.node.append(node)


def _name_no_first_axis(graph: onnx.GraphProto) -> None:
    """Leave the axis 0 of Gather out, which is the default: pnnx knows embeddings by that."""
    for node in graph.node:
        if node.op_type == "Gather":
            others = [item for item in node.attribute if (item.name, item.i) != ("axis", 0)]
            del node.attribute[:]
            node.attribute.extend(others)


def describe(
    model: onnx.ModelProto, title: str, text: str, inputs: Sequence[Field], outputs: Sequence[Field]
) -> None:
    """Give the graph a name, and texts that viewers of ONNX files show."""
    model.graph.name = title
    model.doc_string = model.graph.doc_string = text
    for values, fields in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for value, field in zip(values, fields, strict=True):
            value.doc_string = _words(field)


def _words(field: Field) -> str:
    """A field in one line: `noise from N(0, 1)`, `image, -1 to 1`."""
    sources = {"normal": "noise from N(0, 1)", "uniform": "noise from U(-1, 1)"}
    if field.source in sources and field.dtype == "float32":
        return sources[field.source]
    facts: list[Any] = [field.kind or "values"]
    if field.source == "constant":
        facts = [f"a constant, {field.default:g} by default"]
    if field.classes:
        facts = [f"a class, 0 to {len(field.classes) - 1}: {', '.join(field.classes[:20])}"]
    if field.range is not None:
        facts.append(f"{field.range[0]:g} to {field.range[1]:g}")
    return ", ".join(facts)
