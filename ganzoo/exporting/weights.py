"""Smaller files: weights stored as float16 or int8, computed in float32, behind a measured limit.

A `Cast` or `DequantizeLinear` turns each stored weight back, so a runtime computes as before, with rounded
weights. Activations stay float32: with int8 activations, or all in float16, samples were visibly worse.
Buffers, which no training has made to bear rounding, get float16 in place of int8.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ganzoo.errors import ExportError
from ganzoo.exporting.distances import Distance, Frechet, compared
from ganzoo.exporting.form import Weights
from ganzoo.exporting.onnx_graph import example_inputs
from ganzoo.fields import Field
from ganzoo.runtime.ort_session import cpu_session

__all__ = ["LEAST_PSNR", "MOST_LEVELS", "Stored", "store_weights"]

MOST_LEVELS = 0.5
"""Largest mean difference, in 255ths of an output's span."""

LEAST_PSNR = 45.0
"""Decibels. Weights per channel in int8 reach 44 to 79 on the zoo, and a Frechet distance within 0.5 %."""

LEAST_EQUAL = 0.99
"""Share of equal values of an int64 output, such as the characters of a text."""

_SMALLEST = 512  # elements: below, a name and a node take as much as is saved
_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How weights are stored, and how far samples are from those of the float32 graph.

    `mean_levels` is the mean absolute difference in 255ths of the output's span, `psnr` in decibels; both of
    the worst output. `bytes_ratio` is the size of the graph against the float32 one. `samples` were compared.
    `distance` is about many more.
    """

    type: Weights
    mean_levels: float
    psnr: float
    bytes_ratio: float
    samples: int
    distance: Distance

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)


def store_weights(
    model: onnx.ModelProto,
    kind: Weights,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    batch: int | None = None,
    frechet: Frechet | None = None,
    buffers: Collection[str] = (),
) -> Stored:
    """Store the graph's large weights as `kind`, in place, and compare samples.

    `buffers` are names of tensors that are float16 where others are int8: distances to normal images, kept
    in int8, were off by 1.5 of 255 levels. `batch` is the only batch size of the graph, if it has one.
    `frechet` computes a distance of many samples.
    ExportError where samples would change by more than `MOST_LEVELS`, `LEAST_PSNR` or `LEAST_EQUAL`, or their
    distance by more than `compared` allows.
    """
    plain, before = model.SerializeToString(), onnx.GraphProto()
    before.CopyFrom(model.graph)
    del model.graph.initializer[:], model.graph.node[:]
    for tensor in before.initializer:
        values = numpy_helper.to_array(tensor)
        found = None
        if tensor.data_type == TensorProto.FLOAT and values.size >= _SMALLEST:
            exact = kind == "float16" or (tensor.name in buffers and values.ndim > 1)
            found = (_as_float16 if exact else _as_int8)(tensor.name, values)
        tensors, nodes = ([tensor], []) if found is None else (found[0], [found[1]])
        model.graph.initializer.extend(tensors)
        model.graph.node.extend(nodes)
    model.graph.node.extend(before.node)
    small = model.SerializeToString()
    rows = example_inputs(list(inputs), batch or _SAMPLES)
    levels, psnr = _distance(_samples(plain, rows, outputs), _samples(small, rows, outputs), outputs, kind)
    return Stored(
        type=kind,
        mean_levels=levels,
        psnr=psnr,
        bytes_ratio=len(small) / len(plain),
        samples=batch or _SAMPLES,
        distance=compared(plain, small, inputs, outputs, batch, frechet),
    )


def _as_float16(name: str, values: NDArray[Any]) -> tuple[list[TensorProto], onnx.NodeProto] | None:
    """None where the range of float16 is too small."""
    if np.abs(values).max() > np.finfo(np.float16).max:
        return None
    half = numpy_helper.from_array(values.astype(np.float16), f"{name}_float16")
    return [half], helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT)


def _as_int8(name: str, values: NDArray[Any]) -> tuple[list[TensorProto], onnx.NodeProto] | None:
    """-127 to 127 spans the values at each index of the axis with the smaller error. None for vectors."""
    if values.ndim < 2:
        return None
    found = min((_rounded(values, axis) for axis in (0, 1)), key=lambda item: item[0])
    _, axis, whole, scales = found
    stored = numpy_helper.from_array(whole, f"{name}_int8")
    steps = numpy_helper.from_array(scales, f"{name}_scale")
    node = helper.make_node("DequantizeLinear", [stored.name, steps.name], [name], axis=axis)
    return [stored, steps], node


def _rounded(values: NDArray[Any], axis: int) -> tuple[float, int, NDArray[np.int8], NDArray[np.float32]]:
    """The squared error, the axis, and the whole numbers with their scales."""
    others = tuple(at for at in range(values.ndim) if at != axis)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / 127.0, 1.0).astype(np.float32)
    whole = np.rint(values / scales).astype(np.int8)
    error = float(np.square(whole * scales - values).sum())
    return error, axis, whole, scales.reshape(-1)


def _samples(model: bytes, rows: Mapping[str, NDArray[Any]], outputs: Sequence[Field]) -> list[NDArray[Any]]:
    return list(cpu_session(model).run([field.name for field in outputs], dict(rows)))


def _distance(
    plain: Sequence[NDArray[Any]], small: Sequence[NDArray[Any]], outputs: Sequence[Field], kind: str
) -> tuple[float, float]:
    """Mean levels and PSNR of the worst output; ExportError beyond the limits."""
    worst_levels, worst_psnr = 0.0, float("inf")
    for field, a, b in zip(outputs, plain, small, strict=True):
        if field.dtype == "int64":
            equal = float((a == b).mean())
            if equal < LEAST_EQUAL:
                raise _too_far(field, kind, f"{1 - equal:.1%} of its values change, 1 % may")
            continue
        span = _span(field, a)
        gap = (a.astype(np.float64) - b.astype(np.float64)) / span
        levels, error = 255.0 * float(np.abs(gap).mean()), float(np.square(gap).mean())
        psnr = -10.0 * np.log10(error) if error else float("inf")
        if not (levels <= MOST_LEVELS and psnr >= LEAST_PSNR):
            said = f"its samples change by {levels:.2f} of 255 levels on average ({psnr:.1f} dB)"
            raise _too_far(field, kind, f"{said}; {MOST_LEVELS} and {LEAST_PSNR:g} dB are the limits")
        worst_levels, worst_psnr = max(worst_levels, levels), min(worst_psnr, psnr)
    return worst_levels, min(worst_psnr, 999.0)  # JSON has no infinity


def _span(field: Field, values: NDArray[Any]) -> float:
    if values.dtype == np.uint8:
        return 255.0
    if field.range is not None:
        return field.range[1] - field.range[0]
    return max(float(values.max() - values.min()), 1e-6)


def _too_far(field: Field, kind: str, what: str) -> ExportError:
    other = "float16" if kind == "int8" else "float32, without an option"
    return ExportError(f"With weights in {kind}, '{field.name}' is too far: {what}.", fix=f"use {other}")
