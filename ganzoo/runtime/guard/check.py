"""Decides whether ganzoo runs an .onnx file, before onnxruntime reads it, without onnx or protobuf.

No file is trusted, because a seal can be forged. Each file must be a plain graph of known operators that
has all its weights inside and tensors of reasonable sizes. `model.py` reads the file, `shape_inference.py`
computes shapes, this module decides. `signature.py` derives the meaning of inputs and outputs, `trial.py`
runs a file from another program once, in a child process. A tensor whose size cannot be computed before
the graph runs is refused. No check can protect against flaws of onnxruntime itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.runtime.guard.model import DATA_TYPES, MOST_DIMS, Graph, Node, Tensor, Value, read_model, shown
from ganzoo.runtime.guard.protobuf import malformed
from ganzoo.runtime.guard.shape_inference import steps
from ganzoo.runtime.guard.shape_rules import RULES

__all__ = ["Checked", "check"]

MOST_NODES = 10_000
"""onnxruntime takes half a second to open so many. The largest generators have a few hundred."""

LARGEST_FIELD = 2**26
"""Elements of an input or output for one sample: 256 MiB of floats, a colour image of 4096 x 4096."""

LARGEST_TENSOR = 2**27
"""Elements of any tensor for one sample: 512 MiB of floats. StyleGAN at 1024 x 1024 needs 2**26."""

MOST_ELEMENTS = 2**31
"""Elements of all tensors together for one sample: the memory needed if none were freed."""

MOST_WORK = 2**42
"""Multiplications for one sample, about a minute on one core. StyleGAN at 1024 x 1024 takes 2**37."""

_FULL_BATCH = 2**28  # elements of the largest tensor of a whole batch: 1 GiB of floats

_SAFER = "use a file from someone you trust, or export the model again"
_INSIDE = "export the model as one file (torch.onnx.export: external_data=False)"
_EXTRAS = {
    "training_info": "instructions for training",
    "functions": "functions of its own",
    "sparse_initializer": "sparse weights",
}
_WHY = {
    "If": "branches on values",
    "Loop": "can run for ever",
    "Scan": "can run for ever",
    "SequenceMap": "can run for ever",
    "Bernoulli": "draws random numbers of its own",
    "Multinomial": "draws random numbers of its own",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A graph that passed all checks.

    `shapes` are those of the outputs for one sample (or the fixed batch), by name; `most_rows` is the number
    of samples that may be computed at once, `largest` the elements of the largest tensor of one. All hold for
    the given sizes of free axes.
    """

    graph: Graph
    shapes: Mapping[str, tuple[int, ...]]
    most_rows: int
    largest: int

    def at(self, inputs: Sequence[Field]) -> Checked:
        """The same graph for these sizes of its free axes; UsageError where they are too large."""
        try:
            return _check_sizes(self.graph, inputs, "")
        except UsageError as error:
            sizes = ", ".join(f"'{field.name}' {field.shape}" for field in inputs if field.free)
            raise UsageError(
                error.what,
                where=f"sizes: {sizes}",
                fix="ask for a smaller size, with --size or smaller inputs",
            ) from error


def check(data: bytes, where: str = "", inputs: Callable[[], Sequence[Field]] = tuple) -> Checked:
    """The graph in the bytes of an .onnx file; UsageError for a file that ganzoo does not run.

    `inputs` returns the fields that our metadata declares: their free axes may be open in the graph. Other
    dimensions than the first may not.
    Runs nothing of the file and reads nothing outside it. Takes milliseconds, at most about a second for a
    file that was made to take long.
    """
    if data[4:8] == b"ORTM":  # onnxruntime would read these bytes as a file of its own format
        raise malformed("it has onnxruntime's own format", where)
    graph = read_model(data, where)
    for extra in graph.extras:
        raise UsageError(
            f"The file holds {_EXTRAS[extra]}, which ganzoo does not run.", where=where, fix=_SAFER
        )
    foreign = [domain for domain in graph.domains if domain not in ("", "ai.onnx")]
    if foreign:
        raise _foreign("operators", foreign[0], where)
    if len(graph.nodes) > MOST_NODES:
        raise UsageError(
            f"The graph has {len(graph.nodes):,} nodes; {MOST_NODES:,} is the limit.", where=where, fix=_SAFER
        )
    for tensor in graph.initializers:
        _check_tensor(tensor, f"the weight {shown(tensor.name)}", where)
    for node in graph.nodes:
        _check_node(node, where)
    _check_names(graph, where)
    return _check_sizes(graph, inputs(), where)


def _check_node(node: Node, where: str) -> None:
    name = f"{shown(node.operator)[1:-1]} (node {shown(node.name or ''.join(node.outputs[:1]))})"
    if node.domain not in ("", "ai.onnx"):
        raise _foreign(f"the operator {name}", node.domain, where)
    random = node.operator.startswith("Random") or (node.operator == "Dropout" and any(node.inputs[2:]))
    if node.operator not in RULES or random:
        why = _WHY.get(node.operator, "draws random numbers of its own" if random else "")
        raise UsageError(
            f"The file holds the operator {name}, which {why or 'is not among those that ganzoo runs'}.",
            where=where,
            fix="export the model without it",
        )
    for attribute in node.attributes.values():
        if attribute.nested:
            raise UsageError(
                f"The operator {name} has a graph, a type or a sparse tensor inside: "
                f"{shown(attribute.name)}.",
                where=where,
                fix=_SAFER,
            )
        for tensor in attribute.tensors:
            _check_tensor(tensor, f"the operator {name}", where)


def _check_tensor(tensor: Tensor, owner: str, where: str) -> None:
    """UsageError unless the file has exactly the data that the tensor's shape needs."""
    if tensor.external:
        raise UsageError(
            f"The file keeps a part of its data in another file: {owner}.", where=where, fix=_INSIDE
        )
    if tensor.data_type not in DATA_TYPES:
        raise UsageError(
            f"The file holds data of ONNX's type {tensor.data_type}, which ganzoo does not read: {owner}.",
            where=where,
            fix="export the model with float32 weights",
        )
    if min(tensor.dims, default=0) < 0 or math.prod(tensor.dims) != tensor.elements:
        raise malformed(
            f"{owner} claims the shape {list(tensor.dims)} and has data for {tensor.elements} elements", where
        )


def _check_names(graph: Graph, where: str) -> None:
    """UsageError unless each name is written once and before it is read (onnxruntime would sort nodes)."""
    weights = [tensor.name for tensor in graph.initializers]
    inputs = [value.name for value in graph.inputs]
    for names in (weights, inputs, [value.name for value in graph.outputs]):
        if len(set(names)) < len(names):
            raise malformed("two of its weights, inputs or outputs have the same name", where)
    if not graph.outputs:
        raise malformed("its graph has no outputs", where)
    written = {*weights, *inputs}
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in written:
                raise malformed(f"a node reads {shown(name)} before anything writes it", where)
        for name in node.outputs:
            if name and name in written:
                raise malformed(f"{shown(name)} is written twice", where)
            written.add(name)
    for value in graph.outputs:
        if value.name not in written:
            raise malformed(f"nothing writes the output {shown(value.name)}", where)


def _check_value(value: Value, kind: str, where: str) -> None:
    if kind == "input" and (value.dims is None or not all(isinstance(size, int) for size in value.dims[1:])):
        raise UsageError(
            f"The input {shown(value.name)} has no fixed shape: more than the batch is open.",
            where=where,
            fix="export the model with fixed sizes behind the batch",
        )
    if value.dims is None:
        return
    sizes = [size for size in value.dims if isinstance(size, int)]
    if len(value.dims) > MOST_DIMS or min(sizes, default=0) < 0:
        raise malformed(f"the {kind} {shown(value.name)} has the shape {sizes[:MOST_DIMS]}", where)
    if math.prod(sizes) > LARGEST_FIELD:
        raise _too_large(f"The {kind} {shown(value.name)} has", math.prod(sizes), LARGEST_FIELD, where)


def _sized(value: Value, fields: Mapping[str, Field]) -> Value:
    """The input with the sizes of its field in place of the names of free axes."""
    field = fields.get(value.name)
    if field is None or value.dims is None or len(value.dims) != len(field.axes) + 1:
        return value
    sizes = [
        size if axis in field.free and isinstance(dim, str) else dim
        for axis, size, dim in zip(field.axes, field.shape, value.dims[1:], strict=True)
    ]
    return replace(value, dims=(value.dims[0], *sizes))


def _check_sizes(found: Graph, fields: Sequence[Field], where: str) -> Checked:
    """The sizes of the graph; UsageError if one sample is too large, or a size is unknown."""
    known = {field.name: field for field in fields}
    graph = replace(found, inputs=tuple(_sized(value, known) for value in found.inputs))
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for value in values:
            _check_value(value, kind, where)
    outputs = {value.name for value in graph.outputs}
    shapes: dict[str, tuple[int, ...]] = {}
    largest = total = 1
    work = 0
    for step in steps(graph):
        for name, shape in zip(step.node.outputs, step.shapes, strict=True):
            if not name:
                continue
            if shape is None:
                raise UsageError(
                    f"The operator {step.node.operator} makes a tensor ({shown(name)}) whose size cannot be "
                    "computed before it runs.",
                    where=where,
                    fix="export the model with fixed sizes; only the batch may be open",
                )
            if len(shape) > MOST_DIMS:
                raise malformed(f"{shown(name)} has {len(shape)} dimensions", where)
            if name in outputs:
                shapes[name] = shape
            size = max(math.prod(shape), *shape, 0)  # with a 0 in it, a shape may have any other number
            largest, total = max(largest, size), total + size
            if size > LARGEST_TENSOR:
                maker = f"The operator {step.node.operator} makes a tensor ({shown(name)}) of"
                raise _too_large(maker, size, LARGEST_TENSOR, where)
        work += step.work
        if total > MOST_ELEMENTS:
            raise _too_large("All tensors together have", total, MOST_ELEMENTS, where)
        if work > MOST_WORK:
            raise UsageError(
                f"One sample takes {work:.1e} multiplications; {MOST_WORK:.1e} is the limit.",
                where=where,
                fix=_SAFER,
            )
    rows = max(1, min(_FULL_BATCH // largest, MOST_ELEMENTS // total))
    return Checked(found, shapes, rows, largest)


def _too_large(who: str, size: int, limit: int, where: str) -> UsageError:
    number = f"{size:,}" if size < 10**15 else "more than 10**15"
    return UsageError(
        f"{who} {number} elements for one sample; {limit:,} is the limit.", where=where, fix=_SAFER
    )


def _foreign(what: str, domain: str, where: str) -> UsageError:
    return UsageError(
        f"The file needs {what} of the domain {shown(domain)}, which is not standard ONNX.",
        where=where,
        fix="export the model with standard operators only",
    )
