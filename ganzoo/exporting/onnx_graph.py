"""From a torch generator to an ONNX graph with the declared inputs and outputs.

Owns the copy that is exported, the trace, the clean-up and the uint8 conversion. Does not check the result
(verify.py) and writes no file (bundle.py).
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, TextIO

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ganzoo import sampling
from ganzoo.api.networks import Net
from ganzoo.errors import ExportError
from ganzoo.exporting.pooling import use_products
from ganzoo.exporting.portable import OPSET, make_portable
from ganzoo.exporting.recurrent import use_operators
from ganzoo.fields import Field, resized, steps_of

__all__ = ["append_uint8", "example_inputs", "export_graph", "frozen_copy"]

_TRACED_BATCH = 2  # older torch treats a batch of 1 as a constant


def export_graph(
    net: Net,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    *,
    opset: int = OPSET,
    batch: int | None = None,
) -> onnx.ModelProto:
    """The generator as a graph: inputs [batch, *shape] by field name, weights inside.

    Any batch size, or only `batch`. Free axes are dimensions with names, such as `height` and `4*height`.
    `net.module` does not change: a copy on the CPU, in float32 and eval mode, is exported.
    ExportError when torch cannot trace the module, or when the fields cannot be exported.
    """
    if not inputs:
        raise ExportError(
            "The generator reads no field, so it has no batch size.", fix="let it read a noise field"
        )
    both = {field.name for field in inputs} & {field.name for field in outputs}
    if both:
        raise ExportError(
            f"The generator reads and writes '{min(both)}': ONNX needs different names for input and output.",
            fix="let the architecture write a field of another name",
        )
    model = _trace(_simplified(frozen_copy(net.module)), inputs, outputs, opset, batch)
    _strip(model)
    make_portable(model, opset)
    return model


def append_uint8(model: onnx.ModelProto, outputs: tuple[Field, ...]) -> None:
    """Convert the image outputs to uint8 [batch, height, width, channels] with the same names, in place.

    ExportError when no output is an image, or an image has no declared range.
    """
    images = [field for field in outputs if field.has_pixels]
    if not images:
        raise ExportError(
            "uint8 output was requested, but the generator writes no image of 1, 3 or 4 channels."
        )
    for field in images:
        _append_uint8(model.graph, field)


def frozen_copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU in float32 and eval mode."""
    # Old-style weight norm and spectral norm keep a computed weight, which deepcopy cannot copy.
    memo = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    return copy.deepcopy(module, memo).to("cpu", torch.float32).eval().requires_grad_(False)


def example_inputs(fields: Sequence[Field], n: int) -> dict[str, NDArray[Any]]:
    """`n` rows for every input, in the order of `fields`; row i does not depend on `n`.

    Data fields that cannot be sampled get uniform values in their range, or N(0, 1) without a range.
    """
    result: dict[str, NDArray[Any]] = {}
    for field in fields:
        if sampling.can_draw(field):
            result |= sampling.draw([field], n, seed=0)
        elif field.dtype == "float32" and field.range is not None:
            low, high = field.range
            unit = sampling.draw([replace(field, source="uniform")], n, seed=0)[field.name]
            result[field.name] = (low + (unit + 1.0) * ((high - low) / 2.0)).astype(np.float32)
        elif field.dtype == "float32":
            result |= sampling.draw([replace(field, source="normal")], n, seed=0)
        else:
            raise ExportError(
                f"The input '{field.name}' is int64 without named classes: its values are unknown.",
                fix="name the classes of the field",
            )
    return result


def _simplified(module: nn.Module) -> nn.Module:
    """Change the module in place so that the same function has fewer nodes.

    Parametrisations would stay in the graph and recompute the weight in each call; an in-place
    activation after a view becomes ScatterND (measured: 2.3 times slower).
    """
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            # deepcopy shares torch's generated class with the original, and removing a parametrisation
            # deletes the property from that class: the network in training would lose its weights.
            shared = type(part)
            own = {
                key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")
            }
            part.__class__ = type(shared.__name__, shared.__bases__, own)
            for name in list(part.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(part, name, leave_parametrized=True)
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, SpectralNorm):
                remove_spectral_norm(part, hook.name)
            elif isinstance(hook, WeightNorm):
                remove_weight_norm(part, hook.name)
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
        use_operators(part)
        use_products(part)
    return module


def _trace(
    module: nn.Module, inputs: tuple[Field, ...], outputs: tuple[Field, ...], opset: int, batch: int | None
) -> onnx.ModelProto:
    rows = {} if batch else {0: torch.export.Dim("batch")}
    # Like the batch, an axis of 1 would be constant; axes of equal sizes could be taken for one.
    steps = {axis: max(2, count) + at for at, (axis, count) in enumerate(steps_of(inputs).items())}
    dims = {axis: torch.export.Dim(axis) for axis in steps}
    traced = [resized(field, steps) for field in inputs]
    examples = tuple(
        torch.from_numpy(rows) for rows in example_inputs(traced, batch or _TRACED_BATCH).values()
    )
    parameters = inspect.signature(module.forward).parameters.values()
    together = any(item.kind is item.VAR_POSITIONAL for item in parameters)  # torch then wants one tuple
    dynamic = tuple(
        rows | {field.axes.index(axis) + 1: many * dims[axis] for axis, many in field.free.items()}
        for field in inputs
    )
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                examples,
                input_names=[field.name for field in inputs],
                output_names=[field.name for field in outputs],
                dynamic_shapes=(dynamic,) if together else dynamic,
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(
            f"torch could not export the generator: {_root_cause(error)}",
            where=type(module).__name__,
            fix="forward must take the fields of `reads` in order, and not branch on the values of tensors",
        ) from error
    if program is None:
        raise ExportError("torch exported nothing.", where=type(module).__name__)
    model: onnx.ModelProto = program.model_proto
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's output: progress, its own deprecation warnings, a warning about torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(_Hidden(sys.stderr)),
        ):
            yield
    finally:
        logger.setLevel(level)


class _Hidden(io.StringIO):
    """Hides what the thread that made it writes; others, which report progress, write to the stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        """Write or hide the text."""
        return super().write(text) if threading.get_ident() == self._thread else self._stream.write(text)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def _strip(model: onnx.ModelProto) -> None:
    """Remove torch's notes about the export, which include stack traces with local paths."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for group in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for item in group:
            del item.metadata_props[:]
            item.doc_string = ""


def _append_uint8(graph: onnx.GraphProto, field: Field) -> None:
    """Convert the output `field` to uint8 NHWC: (x - low) * 255 / (high - low), rounded, clipped, cast.

    Clip comes before Cast, because Cast would wrap around.
    """
    if field.range is None:
        raise ExportError(
            f"The image '{field.name}' has no declared range, so its uint8 form is unknown.",
            fix="declare the range of the field, or export floats",
        )
    low, high = field.range
    stages = [
        f"{field.name}_{stage}" for stage in ("float", "shifted", "scaled", "rounded", "clipped", "nhwc")
    ]
    for node in graph.node:
        node.input[:] = [stages[0] if name == field.name else name for name in node.input]
        node.output[:] = [stages[0] if name == field.name else name for name in node.output]
    constants = {"low": low, "scale": 255.0 / (high - low), "black": 0.0, "white": 255.0}
    for key, value in constants.items():
        array = np.array(value, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"{field.name}_{key}"))
    floats, shifted, scaled, rounded, clipped, nhwc = stages
    black, white = f"{field.name}_black", f"{field.name}_white"
    graph.node.extend(
        [
            helper.make_node("Sub", [floats, f"{field.name}_low"], [shifted]),
            helper.make_node("Mul", [shifted, f"{field.name}_scale"], [scaled]),
            helper.make_node("Round", [scaled], [rounded]),
            helper.make_node("Clip", [rounded, black, white], [clipped]),
            helper.make_node("Transpose", [clipped], [nhwc], perm=[0, 2, 3, 1]),
            helper.make_node("Cast", [nhwc], [field.name], to=TensorProto.UINT8),
        ]
    )
    position = [output.name for output in graph.output].index(field.name)
    dims = graph.output[position].type.tensor_type.shape.dim
    named = [dims[at + 1].dim_param if axis in field.free else "" for at, axis in enumerate(field.axes)]
    channels, height, width = (name or size for name, size in zip_longest(named, field.shape, fillvalue=""))
    shape: list[str | int | None] = [dims[0].dim_value or "batch", height, width, channels]
    graph.output[position].CopyFrom(helper.make_tensor_value_info(field.name, TensorProto.UINT8, shape))
