"""Reads the structure of an .onnx file without onnx or protobuf: graph, nodes, tensors.

Makes records from protobuf fields. Refuses files that two readers could read differently: a value in two
places, or in a field for another type. `check.py` decides what a graph may contain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.runtime.guard.protobuf import Span, Wire, layout, malformed

__all__ = [
    "DATA_TYPES",
    "MOST_DIMS",
    "MOST_VALUES",
    "Attribute",
    "Graph",
    "Node",
    "Tensor",
    "Value",
    "malformed",
    "read_metadata",
    "read_model",
    "shown",
]

MOST_VALUES = 1024
"""Values are read only of tensors and lists with at most so many: shapes, scales and axes are small."""

MOST_DIMS = 16

_MODEL = layout(
    "1:ir_version:v 2:producer_name 3:producer_version 4:domain 5:model_version:v 6:doc_string 7:graph",
    "8:opset_import 14:metadata_props 20:training_info 25:functions 26:configuration",
)
_ENTRY = layout("1:key 2:value")
_OPSET = layout("1:domain 2:version:v")
_GRAPH = layout(
    "2:name 10:doc_string",
    "1:node 5:initializer 11:input 12:output 13:value_info 14:quantization_annotation"
    " 15:sparse_initializer 16:metadata_props",
)
_NODE = layout(
    "3:name 4:op_type 6:doc_string 7:domain 8:overload",
    "1:input 2:output 5:attribute 9:metadata_props 10:device_configurations",
)
_ATTRIBUTE = layout(
    "1:name 2:f:f 3:i:v 4:s 5:t 6:g 13:doc_string 14:tp 20:type:v 21:ref_attr_name 22:sparse_tensor",
    "7:floats:f 8:ints:v 9:strings 10:tensors 11:graphs 15:type_protos 23:sparse_tensors",
)
_TENSOR = layout(
    "2:data_type:v 8:name 9:raw_data 12:doc_string 14:data_location:v",
    "1:dims:v 4:float_data:f 5:int32_data:v 6:string_data 7:int64_data:v 10:double_data:e 11:uint64_data:v"
    " 13:external_data 16:metadata_props",
)
_VALUE = layout("1:name 2:type 3:doc_string", "4:metadata_props")
_TYPE = layout("1:tensor_type 4:sequence 5:map 6:denotation 7:opaque 8:sparse_tensor 9:optional")
_TENSOR_TYPE = layout("1:elem_type:v 2:shape")
_SHAPE = layout(many="1:dim")
_DIM = layout("1:dim_value:v 2:dim_param 3:denotation")

# Number of an attribute's type -> the field with its value; some of these contain graphs.
_PLAIN = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings", 9: "tensors"}
_NESTING = {5: "g", 10: "graphs", 11: "sparse_tensor", 12: "sparse_tensors", 13: "tp", 14: "type_protos"}
_ATTRIBUTE_TYPES = {**_PLAIN, **_NESTING}
_NESTED = (*_NESTING.values(), "ref_attr_name")

# The fields for a tensor's data, with the type of the stored values; varints and texts have none.
_DATA_FIELDS = {
    "raw_data": "u1",
    "float_data": "<f4",
    "double_data": "<f8",
    "int32_data": "",
    "int64_data": "",
    "uint64_data": "",
    "string_data": "",
}
# ONNX's number of an element type -> the field for its data (or raw_data), and numpy's type of raw data.
_DATA_TYPES = {
    1: ("float_data", "<f4"),
    2: ("int32_data", "u1"),
    3: ("int32_data", "i1"),
    4: ("int32_data", "<u2"),
    5: ("int32_data", "<i2"),
    6: ("int32_data", "<i4"),
    7: ("int64_data", "<i8"),
    9: ("int32_data", "?"),
    10: ("int32_data", "<f2"),
    11: ("double_data", "<f8"),
    12: ("uint64_data", "<u4"),
    13: ("uint64_data", "<u8"),
    16: ("int32_data", "<u2"),
}
_READ = _DATA_TYPES.keys() - {10, 16}  # 16-bit floats are never shapes
DATA_TYPES = frozenset(_DATA_TYPES)
"""The accepted element types: numbers of whole bytes, no texts and no complex numbers."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in the file. `elements` counts the data that the file really has for it.

    `values` are its elements (of shape `dims`) if they are few numbers, else None.
    """

    name: str
    dims: tuple[int, ...]
    data_type: int
    external: bool
    elements: int
    values: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a node. `nested` names its field if that is one that only control flow needs.

    `integers` and `floats` are None if there are too many to read.
    """

    name: str
    integers: tuple[int, ...] | None
    floats: tuple[float, ...] | None
    text: str
    tensors: tuple[Tensor, ...]
    nested: str


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with the names of the tensors that it reads and writes."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the graph, with ONNX's number of the element type, 0 if it is not a tensor.

    A dimension is a number, a name, or "" if it is not declared; `dims` is None without a shape.
    """

    name: str
    data_type: int
    dims: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of a model; `extras` names parts that a plain graph does not have."""

    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    domains: tuple[str, ...]
    extras: tuple[str, ...]


def shown(name: str) -> str:
    """A name from a file, made safe for a message: short, and without control characters."""
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def read_model(data: bytes, where: str = "") -> Graph:
    """The structure of a serialised model; UsageError for any bytes that are not a model."""
    return _Reader(data, where).model()


def read_metadata(data: bytes, where: str = "") -> dict[str, str]:
    """The metadata of a serialised model by key; UsageError for a key that is there twice."""
    reader = _Reader(data, where)
    spans = reader.message((0, len(data)), _MODEL, "model").get("metadata_props", [])
    entries = [reader.message(span, _ENTRY, "metadata entry") for span in spans]
    found = {reader.text(entry, "key"): reader.text(entry, "value") for entry in entries}
    if len(found) < len(entries):
        raise malformed("its metadata has a key twice", where)
    return found


class _Reader(Wire):
    def model(self) -> Graph:
        found = self.message((0, len(self.data)), _MODEL, "model")
        if "graph" not in found:
            raise malformed("it has no graph", self.where)
        opsets = [self.message(span, _OPSET, "opset") for span in found.get("opset_import", [])]
        graph = self.message(found["graph"][0], _GRAPH, "graph")
        extras = ("training_info", "functions", "sparse_initializer")
        return Graph(
            tuple(self.node(span) for span in graph.get("node", [])),
            tuple(self.tensor(span) for span in graph.get("initializer", [])),
            tuple(self.value(span) for span in graph.get("input", [])),
            tuple(self.value(span) for span in graph.get("output", [])),
            tuple(self.text(opset, "domain") for opset in opsets),
            tuple(name for name in extras if name in found or name in graph),
        )

    def node(self, span: Span) -> Node:
        found = self.message(span, _NODE, "node")
        attributes = [self.attribute(part) for part in found.get("attribute", [])]
        named = {attribute.name: attribute for attribute in attributes}
        if len(named) < len(attributes):
            raise malformed("a node has an attribute twice", self.where)
        return Node(
            self.text(found, "name"),
            self.text(found, "op_type"),
            self.text(found, "domain"),
            tuple(self.decoded(part) for part in found.get("input", [])),
            tuple(self.decoded(part) for part in found.get("output", [])),
            named,
        )

    def attribute(self, span: Span) -> Attribute:
        found = self.message(span, _ATTRIBUTE, "attribute")
        kind = self.number(found, "type")
        if found.keys() & set(_ATTRIBUTE_TYPES.values()) - {_ATTRIBUTE_TYPES.get(kind)}:
            raise malformed("the value of an attribute is not of its type", self.where)
        integers = [*found.get("i", []), *found.get("ints", [])]
        floats = [*found.get("f", []), *found.get("floats", [])]
        few = sum(end - start for start, end in floats) <= 4 * MOST_VALUES
        read = tuple(self.integers(integers)) if self.count(integers) <= MOST_VALUES else None
        return Attribute(
            self.text(found, "name"),
            (0,) if _ATTRIBUTE_TYPES.get(kind) == "i" and not integers else read,
            tuple(float(x) for part in floats for x in self.array(part, "<f4")) if few else None,
            self.decoded(found["s"][0], most=MOST_VALUES) if "s" in found else "",
            tuple(self.tensor(part) for part in [*found.get("t", []), *found.get("tensors", [])]),
            next((name for name in _NESTED if name in found or name == _ATTRIBUTE_TYPES.get(kind)), ""),
        )

    def tensor(self, span: Span) -> Tensor:
        found = self.message(span, _TENSOR, "tensor")
        if self.count(found.get("dims", [])) > MOST_DIMS:
            raise malformed(f"a tensor has more than {MOST_DIMS} dimensions", self.where)
        dims = tuple(self.integers(found.get("dims", [])))
        data_type = self.number(found, "data_type")
        external = "external_data" in found or self.number(found, "data_location") != 0
        held = [name for name in _DATA_FIELDS if name in found]
        own, dtype = _DATA_TYPES.get(data_type, ("", ""))
        if len(held) > 1 or (held and own and held[0] not in ("raw_data", own)):
            raise malformed("a tensor has its data twice, or in a field for another type", self.where)
        spans = found[held[0]] if held else []
        stored = (dtype or "u1") if held == ["raw_data"] else _DATA_FIELDS[held[0]] if held else ""
        if held == ["string_data"]:
            elements = len(spans)
        elif stored:
            elements = sum(end - start for start, end in spans) // np.dtype(stored).itemsize
        else:
            elements = self.count(spans)
        values: NDArray[Any] | None = None
        if math.prod(dims) == elements <= MOST_VALUES and min(dims, default=0) >= 0 and data_type in _READ:
            if stored:
                parts = [self.array(part, stored) for part in spans]
                values = np.concatenate(parts).reshape(dims) if parts else np.zeros(dims, dtype)
            else:  # as in C++: the lower bits of each number
                values = np.array(list(self.integers(spans)), dtype=np.int64).astype(dtype).reshape(dims)
        return Tensor(self.text(found, "name"), dims, data_type, external, elements, values)

    def value(self, span: Span) -> Value:
        found = self.message(span, _VALUE, "input or output")
        name = self.text(found, "name")
        kind = self.message(found["type"][0], _TYPE, "type") if "type" in found else {}
        if "tensor_type" not in kind or len(kind.keys() - {"denotation"}) != 1:
            return Value(name, 0, None)
        tensor = self.message(kind["tensor_type"][0], _TENSOR_TYPE, "tensor type")
        data_type = self.number(tensor, "elem_type")
        if "shape" not in tensor:
            return Value(name, data_type, None)
        dims: list[int | str] = []
        for part in self.message(tensor["shape"][0], _SHAPE, "shape").get("dim", []):
            dim = self.message(part, _DIM, "dimension")
            if "dim_value" in dim and "dim_param" in dim:
                raise malformed("a dimension has its size twice", self.where)
            known = "dim_value" in dim
            dims.append(next(self.integers(dim["dim_value"])) if known else self.text(dim, "dim_param"))
        return Value(name, data_type, tuple(dims))
