"""JavaScript for the model card: the graph in a browser or in node, with onnxruntime-web."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod

from ganzoo.exporting.form import Form
from ganzoo.fields import Field

_NORMAL = "Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())"  # Box-Muller


def javascript(name: str, inputs: Sequence[Field], outputs: Sequence[Field], form: Form) -> str:
    """A module that runs the graph once and prints the shapes of its outputs; empty where it cannot draw.

    Fields with shares are drawn by numbers in the file's metadata, which onnxruntime-web does not show.
    Fields of data are zeros, with a comment.
    """
    if any(field.shares for field in inputs):
        return ""
    count = batch_of(inputs, form)
    lines = [
        'import * as ort from "onnxruntime-web"; // npm install onnxruntime-web',
        "",
        f"const session = await ort.InferenceSession.create({json.dumps(f'./{name}.onnx')});",
        "const inputs = {",
        *(f"  {json.dumps(field.name)}: {_tensor(field, count)}," for field in inputs),
        "};",
        "const outputs = await session.run(inputs);",
    ]
    lines += [
        f"console.log({json.dumps(field.name)}, outputs[{json.dumps(field.name)}].dims);" for field in outputs
    ]
    return "\n".join(lines) + "\n"


def batch_of(inputs: Sequence[Field], form: Form) -> int:
    """How many samples the code makes."""
    given = any(field.source == "data" and field.dtype == "float32" for field in inputs)
    return form.batch or (1 if given else 16)


def _tensor(field: Field, count: int) -> str:
    """An expression for `count` samples of an input."""
    shape = [count, *field.shape]
    length = f"{{ length: {prod(shape)} }}"
    if field.dtype == "int64":
        drawn = f"BigInt(Math.floor({max(len(field.classes), 1)} * Math.random()))"
        values = f"BigInt64Array.from({length}, () => {drawn})"
    elif field.source == "normal":
        values = f"Float32Array.from({length}, () => {_NORMAL})"
    elif field.source == "uniform":
        values = f"Float32Array.from({length}, () => 2 * Math.random() - 1)"
    elif field.source == "constant":
        values = f"new Float32Array({prod(shape)}).fill({field.default:g})"
    else:
        low, high = field.range or (-1.0, 1.0)
        values = f"new Float32Array({prod(shape)}) /* your values, {low:g} to {high:g} */"
    return f'new ort.Tensor("{field.dtype}", {values}, {json.dumps(shape)})'
