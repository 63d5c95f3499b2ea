"""The checks that an exported graph must pass: structure, signature, parity with torch.

Raises ExportError with the measured values. Repairs nothing and writes no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto
from torch import nn

from ganzoo.api.networks import Net
from ganzoo.errors import ExportError
from ganzoo.exporting.onnx_graph import example_inputs, frozen_copy
from ganzoo.fields import Field, multiples_of, resized, steps_of
from ganzoo.images import to_uint8
from ganzoo.networks.free_axes import other_steps
from ganzoo.runtime.ort_session import cpu_session

__all__ = ["BATCHES", "Parity", "check", "check_signature", "check_structure", "measure_parity"]

BATCHES = (1, 2, 7, 64)
"""2 is the traced size; the others find sizes that the trace made constant."""

TOLERANCE = 1e-4
_OFF_BY_ONE = 1e-3  # share of uint8 values that may differ by one level, because of rounding

_INLINE = "draw nothing at random inside the generator: let it read a noise field"
_REFUSED = {
    "ScatterND": "replace x[:, i] = y and in-place operators on a view by torch.cat or torch.where",
    "If": "do not branch on the values of tensors",
    "Loop": "unroll the loop, or use a layer such as nn.GRU",
    "Scan": "unroll the loop, or use a layer such as nn.GRU",
    "Bernoulli": _INLINE,
    "Multinomial": _INLINE,
}
_ELEMENT = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How close onnxruntime (CPU) is to torch.

    `max_abs` is the largest |onnxruntime - torch| of any float output at any of the `batches`, in units
    of the output's scale: half the width of its range (1 for -1..1), or max(1, largest |torch|) if it is
    unbounded. `off_by_one` is the share of uint8 values that differ by one level. For a bundle with uint8
    outputs, `max_abs` is measured before the floats become uint8. `sizes` are the sizes of free axes that
    were tried beside those of training, as `generate(size=)` takes them.
    """

    max_abs: float
    batches: tuple[int, ...] = BATCHES
    off_by_one: float = 0.0
    sizes: tuple[Mapping[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        record = {"max_abs": self.max_abs, "batches": list(self.batches), "off_by_one": self.off_by_one}
        return record | ({"sizes": [dict(size) for size in self.sizes]} if self.sizes else {})


def check(
    model: onnx.ModelProto,
    net: Net,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    batch: int | None = None,
) -> Parity:
    """All checks in order; ExportError at the first that fails. `batch` is the only batch size, if given."""
    check_structure(model)
    check_signature(model, inputs, outputs, batch)
    return measure_parity(model, net.module, inputs, outputs, batch)


def check_structure(model: onnx.ModelProto) -> None:
    """ExportError unless it is one self-contained, deterministic, valid graph of standard operators."""
    domains = {node.domain for node in model.graph.node} | {item.domain for item in model.opset_import}
    foreign = domains - {"", "ai.onnx"}
    if foreign or model.functions:
        raise ExportError(
            f"The graph uses operators that are not standard ONNX: {sorted(foreign) or 'functions'}."
        )
    for node in model.graph.node:
        drops = node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2])
        if node.op_type.startswith("Random") or drops:
            raise ExportError(
                f"The graph draws random numbers: {node.op_type}.", where=node.name, fix=_INLINE
            )
        if node.op_type in _REFUSED:
            raise ExportError(
                f"The graph contains {node.op_type}.", where=node.name, fix=_REFUSED[node.op_type]
            )
    if any(
        tensor.external_data or tensor.data_location == TensorProto.EXTERNAL for tensor in _tensors(model)
    ):
        raise ExportError(
            "The graph keeps weights in a second file: it is larger than the 2 GB of one ONNX file."
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker, shape inference and protobuf (over 2 GB) have no common base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"onnx reports an invalid graph: {first}") from error


def check_signature(
    model: onnx.ModelProto,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    batch: int | None = None,
) -> None:
    """ExportError unless names, order, types and shapes are as declared, first any batch size or `batch`.

    A free axis has a name in place of a number. An image output may be uint8 [batch, height, width, channels]
    instead of float.
    """
    for kind, values, fields in (
        ("input", model.graph.input, inputs),
        ("output", model.graph.output, outputs),
    ):
        names, declared = [value.name for value in values], [field.name for field in fields]
        if names != declared:
            raise ExportError(f"The {kind}s of the graph are {names}, but {declared} are declared.")
        for value, field in zip(values, fields, strict=True):
            tensor = value.type.tensor_type
            uint8 = kind == "output" and field.has_pixels and tensor.elem_type == TensorProto.UINT8
            if not uint8 and tensor.elem_type != _ELEMENT[field.dtype]:
                found = TensorProto.DataType.Name(tensor.elem_type)
                raise ExportError(f"The {kind} '{field.name}' is {found}, but {field.dtype} is declared.")
            shape = (*field.sizes[1:], field.sizes[0]) if uint8 else field.sizes
            found_shape = [dim.dim_value or dim.dim_param or "?" for dim in tensor.shape.dim]
            first = found_shape[0] if found_shape else None
            fits = len(found_shape) == len(shape) + 1 and (
                isinstance(first, str) if batch is None else first == batch
            )
            # A symbol instead of a number (recurrent networks): the parity runs check the actual shapes.
            if not fits or any(
                a != b for a, b in zip(found_shape[1:], shape, strict=True) if isinstance(a, int)
            ):
                raise ExportError(
                    f"The {kind} '{field.name}' has shape {found_shape}, declared is "
                    f"{[batch or 'batch', *('free' if size is None else size for size in shape)]}.",
                    fix="forward must work for any batch size (x.shape[0] in place of len(x)) and any size "
                    "of a free axis, and return what the field declares",
                )


def measure_parity(
    model: onnx.ModelProto,
    module: nn.Module,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    fixed: int | None = None,
) -> Parity:
    """Run onnxruntime and torch on the same rows at several batch sizes and compare the results.

    Free axes are also tried at other sizes, with batches of 1 and 2. The difference may be 1e-4 of the
    output's scale (see `Parity`); at most 0.1 % of all uint8 values may differ by 1. The first row must give
    the same output alone (where the batch size is `fixed`: alone in torch) and in a batch. All values must
    be finite.
    """
    try:
        session = cpu_session(model.SerializeToString())
    except Exception as error:  # onnxruntime has its own exception class for each kind of failure
        raise ExportError(f"onnxruntime cannot load the graph: {error}") from error
    plain = frozen_copy(module)
    worst, off_by_one = 0.0, dict.fromkeys((field.name for field in outputs), 0)
    seen = dict.fromkeys(off_by_one, 0)
    alone: dict[str, NDArray[Any]] = {}
    tried = other_steps(steps_of(inputs))
    batches, fewer = ((fixed,), (fixed,)) if fixed else (BATCHES, (1, 2))
    for steps, batch in [({}, n) for n in batches] + [(steps, n) for steps in tried for n in fewer]:
        rows = example_inputs([resized(field, steps) for field in inputs], batch)
        written = tuple(resized(field, steps) for field in outputs)
        expected = _run_torch(plain, rows, written)
        try:
            found = dict(zip(expected, session.run(list(expected), rows), strict=True))
        except Exception as error:  # onnxruntime has its own exception class for each kind of failure
            at = f"batch {batch}" + (f", sizes {_sizes(steps, inputs, outputs)}" if steps else "")
            raise ExportError(f"onnxruntime cannot run the graph at {at}: {error}") from error
        single = (
            _run_torch(plain, {name: values[:1] for name, values in rows.items()}, written) if fixed else {}
        )
        for field in written:
            mine, theirs = found[field.name], expected[field.name]
            if mine.dtype == np.uint8 and field.range is not None:
                flips = _level_flips(field, mine, to_uint8(theirs, field.range), f"batch {batch}: torch")
                off_by_one[field.name] += flips
                seen[field.name] += mine.size
            else:
                scale = _scale(field, theirs)
                worst = max(worst, _gap(field, mine, theirs, scale, f"differs from torch at batch {batch}"))
            if fixed:
                alone[field.name] = _as(mine, single[field.name], field)
            elif batch == 1:
                alone[field.name] = mine
            if batch > 1:
                _check_alone(field, mine[:1], alone[field.name], batch)
    for name, count in off_by_one.items():
        if count > max(1.0, _OFF_BY_ONE * seen[name]):
            raise ExportError(
                f"{count} of {seen[name]} uint8 values of '{name}' differ from torch, more than 0.1 %."
            )
    share = max((off_by_one[name] / seen[name] for name in seen if seen[name]), default=0.0)
    sizes = tuple(_sizes(steps, inputs, outputs) for steps in tried)
    return Parity(max_abs=worst, batches=batches, off_by_one=share, sizes=sizes)


def _sizes(steps: Mapping[str, int], inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> dict[str, int]:
    return {axis: many * steps[axis] for axis, many in multiples_of((*outputs, *inputs)).items()}


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t


def _run_torch(
    module: nn.Module, rows: Mapping[str, NDArray[Any]], outputs: tuple[Field, ...]
) -> dict[str, Any]:
    """The module's outputs for `rows`, which are in the order of its inputs."""
    batch = len(next(iter(rows.values())))
    try:
        with torch.no_grad():
            result = module(*(torch.from_numpy(values.copy()) for values in rows.values()))
    except Exception as error:
        raise ExportError(f"The generator fails in torch at batch {batch}: {error}") from error
    tensors = result if isinstance(result, (tuple, list)) else (result,)
    if len(tensors) != len(outputs):
        raise ExportError(f"forward returns {len(tensors)} tensors, {len(outputs)} fields are declared.")
    for field, tensor in zip(outputs, tensors, strict=True):
        if tuple(tensor.shape) != (batch, *field.shape):
            raise ExportError(
                f"torch returns '{field.name}' with shape {tuple(tensor.shape)} at batch {batch}.",
                where=f"declared is {field.shape} per sample",
            )
        if not bool(torch.isfinite(tensor).all()):
            raise ExportError(
                f"The generator writes values of '{field.name}' that are not finite (NaN, or infinite).",
                fix="export an earlier checkpoint: ganzoo export RUN --checkpoint best, or its number",
            )
    return {field.name: tensor.numpy() for field, tensor in zip(outputs, tensors, strict=True)}


def _as(like: NDArray[Any], values: NDArray[Any], field: Field) -> NDArray[Any]:
    """Torch's values as the graph writes them: uint8 images, or floats."""
    return to_uint8(values, field.range) if like.dtype == np.uint8 and field.range else values


def _scale(field: Field, values: NDArray[Any]) -> float:
    if field.range is not None:
        return (field.range[1] - field.range[0]) / 2.0
    return max(1.0, float(np.abs(values).max()))


def _gap(field: Field, a: NDArray[Any], b: NDArray[Any], scale: float, what: str) -> float:
    """The largest |a - b| / scale; ExportError when it is above the tolerance, or not a number."""
    if a.shape != b.shape:
        raise ExportError(f"'{field.name}' {what}: shape {a.shape}, expected {b.shape}.")
    gap = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) / scale
    if not gap <= TOLERANCE:
        raise ExportError(
            f"'{field.name}' {what}: {gap:.3g} of its scale, {TOLERANCE:g} is allowed.",
            fix="forward must not branch on the batch size, draw random numbers, or overflow",
        )
    return gap


def _level_flips(field: Field, a: NDArray[Any], b: NDArray[Any], what: str) -> int:
    """How many uint8 values differ; ExportError when one differs by more than a level."""
    if a.shape != b.shape:
        raise ExportError(f"'{field.name}' at {what} has shape {b.shape}, the graph returns {a.shape}.")
    steps = np.abs(a.astype(np.int16) - b.astype(np.int16))
    if steps.max() > 1:
        raise ExportError(f"'{field.name}' at {what} differs by {steps.max()} grey levels, 1 is allowed.")
    return int(np.count_nonzero(steps))


def _check_alone(field: Field, among: NDArray[Any], alone: NDArray[Any], batch: int) -> None:
    try:
        if alone.dtype == np.uint8:
            _level_flips(field, among, alone, f"batch {batch}: the same row alone")
        else:
            _gap(
                field, among, alone, _scale(field, alone), f"at batch {batch} differs from the same row alone"
            )
    except ExportError as error:
        raise ExportError(
            "A sample depends on the others in its batch. " + error.what,
            fix="use no statistics over the batch (BatchNorm without running ones, minibatch features)",
        ) from error
