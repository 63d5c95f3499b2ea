"""For each operator that may be in a file: the shapes of what it writes, out of those of what it reads.

`RULES` is the list of operators that ganzoo runs: ordinary, deterministic functions of tensors whose
results have a size that can be told from shapes. A rule may raise any of the errors of Python's
arithmetic for operands that do not fit.
"""

from __future__ import annotations

import math

import numpy as np

from ganzoo.runtime.guard import layer_shapes
from ganzoo.runtime.guard.layer_shapes import Result, Rule
from ganzoo.runtime.guard.model import Node
from ganzoo.runtime.guard.operands import (
    Operands,
    broadcast,
    integer,
    integers,
    is_given,
    listed,
    shape_of,
    values_of,
)

__all__ = ["RULES", "cuts"]


def _same(node: Node, operands: Operands) -> Result:
    return [shape_of(operands)], 0


def _normalised(node: Node, operands: Operands) -> Result:
    """Statistics of a normalisation are not larger than what it reads."""
    return [shape_of(operands)] * len(node.outputs), 0


def _dynamically_quantised(node: Node, operands: Operands) -> Result:
    return [shape_of(operands), (), ()], 0


def _broadcasting(node: Node, operands: Operands) -> Result:
    return [broadcast(*(shape_of(operands, index) for index in range(len(operands))))], 0


def _gather_elements(node: Node, operands: Operands) -> Result:
    return [shape_of(operands, 1)], 0


def _reduce(node: Node, operands: Operands) -> Result:
    x, axes = shape_of(operands), listed(node, operands, 1, "axes")
    if node.operator in ("ArgMax", "ArgMin"):
        axes = [integer(node, "axis", 0)]
    elif not axes:
        axes = [] if integer(node, "noop_with_empty_axes", 0) else list(range(len(x)))
    gone = {axis % len(x) for axis in axes}
    if integer(node, "keepdims", 1):
        return [tuple(1 if axis in gone else size for axis, size in enumerate(x))], 0
    return [tuple(size for axis, size in enumerate(x) if axis not in gone)], 0


def _reshape(node: Node, operands: Operands) -> Result:
    x, target = shape_of(operands), listed(node, operands, 1, "shape") or []
    if not integer(node, "allowzero", 0):
        target = [x[axis] if size == 0 else size for axis, size in enumerate(target)]
    if -1 in target:
        rest = -math.prod(target)
        target[target.index(-1)] = math.prod(x) // rest if rest else 0
    if math.prod(target) != math.prod(x):
        raise ValueError("another number of elements")
    return [tuple(target)], 0


def _flatten(node: Node, operands: Operands) -> Result:
    x, axis = shape_of(operands), integer(node, "axis", 1)
    return [(math.prod(x[:axis]), math.prod(x[axis:]))], 0


def _squeeze(node: Node, operands: Operands) -> Result:
    x, axes = shape_of(operands), listed(node, operands, 1, "axes")
    gone = {axis % len(x) for axis in axes} if axes else {axis for axis, size in enumerate(x) if size == 1}
    return [tuple(size for axis, size in enumerate(x) if axis not in gone)], 0


def _unsqueeze(node: Node, operands: Operands) -> Result:
    x, axes = shape_of(operands), listed(node, operands, 1, "axes") or []
    rank = len(x) + len(axes)
    new, sizes = {axis % rank for axis in axes}, iter(x)
    return [tuple(1 if axis in new else next(sizes, 1) for axis in range(rank))], 0


def _transpose(node: Node, operands: Operands) -> Result:
    x = shape_of(operands)
    return [tuple(x[axis] for axis in integers(node, "perm", range(len(x))[::-1]))], 0


def _concat(node: Node, operands: Operands) -> Result:
    shapes = [shape_of(operands, index) for index in range(len(operands))]
    axis = integer(node, "axis", 1) % len(shapes[0])
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])], 0


def _split(node: Node, operands: Operands) -> Result:
    x, parts = shape_of(operands), listed(node, operands, 1, "split")
    axis, count = integer(node, "axis", 0) % len(x), len(node.outputs)
    largest = -(-x[axis] // count)
    parts = parts or [min(largest, max(0, x[axis] - largest * part)) for part in range(count)]
    return [(*x[:axis], part, *x[axis + 1 :]) for part in parts], 0


def cuts(node: Node, operands: Operands) -> tuple[slice, ...]:
    """What a Slice takes of each axis."""
    x = shape_of(operands)
    starts, ends = (listed(node, operands, index, name) or [] for index, name in ((1, "starts"), (2, "ends")))
    axes = listed(node, operands, 3, "axes") or list(range(len(starts)))
    strides = listed(node, operands, 4, "steps") or [1] * len(starts)
    result = [slice(None)] * len(x)
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        size = x[axis % len(x)]
        # ONNX's end of a backward walk may lie before the first element; Python needs None there.
        result[axis % len(x)] = slice(start, None if stride < 0 and end < -size else end, stride)
    return tuple(result)


def _slice(node: Node, operands: Operands) -> Result:
    x = shape_of(operands)
    pairs = zip(cuts(node, operands), x, strict=True)
    return [tuple(len(range(*cut.indices(size))) for cut, size in pairs)], 0


def _gather(node: Node, operands: Operands) -> Result:
    x, indices = shape_of(operands), shape_of(operands, 1)
    axis = integer(node, "axis", 0) % len(x)
    return [(*x[:axis], *indices, *x[axis + 1 :])], 0


def _gather_nd(node: Node, operands: Operands) -> Result:
    x, indices, batch = shape_of(operands), shape_of(operands, 1), integer(node, "batch_dims", 0)
    return [(*indices[:-1], *x[batch + indices[-1] :])], 0


def _expand(node: Node, operands: Operands) -> Result:
    return [broadcast(shape_of(operands), tuple(listed(node, operands, 1, "shape") or []))], 0


def _tile(node: Node, operands: Operands) -> Result:
    pairs = zip(shape_of(operands), values_of(operands, 1).ravel(), strict=True)
    return [tuple(size * int(times) for size, times in pairs)], 0


def _pad(node: Node, operands: Operands) -> Result:
    x, pads = list(shape_of(operands)), listed(node, operands, 1, "pads") or []
    axes = listed(node, operands, 3, "axes") or list(range(len(x)))
    for position, axis in enumerate(axes):
        x[axis % len(x)] += pads[position] + pads[position + len(axes)]
    return [tuple(x)], 0


def _resize(node: Node, operands: Operands) -> Result:
    x = list(shape_of(operands))
    axes = integers(node, "axes", range(len(x)))
    if is_given(operands, 3):
        policy = node.attributes.get("keep_aspect_ratio_policy")
        if policy is not None and policy.text != "stretch":
            raise ValueError("not followed")
        sizes = [int(size) for size in values_of(operands, 3).ravel()]
    else:
        at = 1 if len(operands) == 2 else 2  # Upsample, and Resize before opset 11, have no region
        found = (
            values_of(operands, at).ravel()
            if is_given(operands, at)
            else node.attributes["scales"].floats or ()
        )
        sizes = [
            int(np.float32(x[axis]) * np.float32(scale)) for axis, scale in zip(axes, found, strict=True)
        ]
    for axis, size in zip(axes, sizes, strict=True):
        x[axis] = size
    return [tuple(x)], 0


def _constant(node: Node, operands: Operands) -> Result:
    (attribute,) = node.attributes.values()
    if attribute.tensors:
        return [attribute.tensors[0].dims], 0
    many = attribute.integers or attribute.floats or ()
    return [() if attribute.name in ("value_int", "value_float") else (len(many),)], 0


def _constant_of_shape(node: Node, operands: Operands) -> Result:
    return [tuple(int(size) for size in values_of(operands, 0))], 0


def _range(node: Node, operands: Operands) -> Result:
    start, limit, delta = (float(values_of(operands, index).ravel()[0]) for index in range(3))
    return [(max(0, math.ceil((limit - start) / delta)),)], 0


def _sizes(node: Node, operands: Operands) -> Result:
    x = shape_of(operands)
    start, end = integer(node, "start", 0), integer(node, "end", len(x))
    return [() if node.operator == "Size" else (len(x[start:end]),)], 0


def _one_hot(node: Node, operands: Operands) -> Result:
    indices, depth = shape_of(operands), int(values_of(operands, 1).ravel()[0])
    axis = integer(node, "axis", -1) % (len(indices) + 1)
    return [(*indices[:axis], depth, *indices[axis:])], 0


def _top_k(node: Node, operands: Operands) -> Result:
    x, k = shape_of(operands), (listed(node, operands, 1, "k") or [0])[0]
    axis = integer(node, "axis", -1) % len(x)
    return [(*x[:axis], k, *x[axis + 1 :])] * 2, 0


def _blocks(node: Node, operands: Operands) -> Result:
    n, c, h, w = shape_of(operands)
    size = integer(node, "blocksize", 1)
    if node.operator == "DepthToSpace":
        return [(n, c // size**2, h * size, w * size)], 0
    return [(n, c * size**2, h // size, w // size)], 0


_SAME = """
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh CumProd CumSum
    DequantizeLinear Elu Erf Exp EyeLike Floor Gelu GroupNormalization
    HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu
    Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not QuantizeLinear
    Reciprocal Relu ReverseSequence Round Scatter ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh
    Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu
"""
_NORMALISING = "BatchNormalization Dropout LayerNormalization RMSNormalization"
_BROADCASTING = """
    Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max
    Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor
"""
_REDUCING = """
    ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare
"""
RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_NORMALISING.split(), _normalised),
    **dict.fromkeys(_BROADCASTING.split(), _broadcasting),
    **dict.fromkeys(_REDUCING.split(), _reduce),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), layer_shapes.global_pool),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), layer_shapes.pool),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), layer_shapes.recurrent),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Shape", "Size"), _sizes),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    **dict.fromkeys(("Conv", "ConvInteger"), layer_shapes.convolution()),
    **dict.fromkeys(("MatMul", "MatMulInteger"), layer_shapes.matmul),
    "Col2Im": layer_shapes.col2im,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "ConvTranspose": layer_shapes.transposed_convolution,
    "DFT": layer_shapes.dft,
    "DynamicQuantizeLinear": _dynamically_quantised,
    "Einsum": layer_shapes.einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gemm": layer_shapes.gemm,
    "GridSample": layer_shapes.grid_sample,
    "OneHot": _one_hot,
    "Pad": _pad,
    "QLinearConv": layer_shapes.convolution(3),
    "QLinearMatMul": lambda node, operands: layer_shapes.matmul(node, operands, 3),
    "Range": _range,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
