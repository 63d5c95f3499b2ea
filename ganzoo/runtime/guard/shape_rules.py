"""For each allowed operator, a rule that computes the shapes of its outputs from those of its inputs.

`RULES` lists the operators that ganzoo runs: deterministic functions of tensors whose output sizes and number
of multiplications follow from shapes. A rule may raise any arithmetic error of Python for operands that do
not fit. Functions that read operands raise ValueError or LookupError for unknown values; the node's result is
then unknown, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.runtime.guard.model import Node

__all__ = ["RULES", "Known", "Operands", "Shape", "cuts", "integer", "integers", "shape_of", "values_of"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """The known facts of a tensor: its shape, and its values if they are few and constant."""

    shape: Shape | None
    values: NDArray[Any] | None


Operands = Sequence[Known | None]
"""The inputs of a node in order; None for an optional input that is not given."""

Result = tuple[list[Shape | None], int]
"""The shapes of the outputs, and the number of multiplications."""

Rule = Callable[[Node, Operands], Result]


def shape_of(operands: Operands, index: int = 0) -> Shape:
    """The shape of the operand at `index`."""
    operand = operands[index]
    if operand is None or operand.shape is None:
        raise ValueError("unknown")
    return operand.shape


def is_given(operands: Operands, index: int) -> bool:
    """Whether the operand at `index` is given."""
    return index < len(operands) and operands[index] is not None


def values_of(operands: Operands, index: int) -> NDArray[Any]:
    """The values of a small constant operand."""
    operand = operands[index]
    if operand is None or operand.values is None:
        raise ValueError("unknown")
    return operand.values


def integers(node: Node, name: str, default: Sequence[int] = ()) -> list[int]:
    """The integers of an attribute."""
    if name not in node.attributes:
        return list(default)
    found = node.attributes[name].integers
    if found is None:
        raise ValueError("too many")
    return list(found)


def integer(node: Node, name: str, default: int) -> int:
    """The integer of an attribute."""
    return integers(node, name, [default])[0]


def listed(node: Node, operands: Operands, index: int, name: str) -> list[int] | None:
    """Numbers that are an operand in newer versions of an operator and an attribute in older ones."""
    if is_given(operands, index):
        return [int(value) for value in values_of(operands, index).ravel()]
    return integers(node, name) if name in node.attributes else None


def broadcast(*shapes: Shape) -> Shape:
    """The common shape after broadcasting."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            raise ValueError("shapes differ")
        result.append(others.pop() if others else 1)
    return tuple(result)


# --- shapes only ---


def _same(node: Node, operands: Operands) -> Result:
    return [shape_of(operands)], 0


def _normalised(node: Node, operands: Operands) -> Result:
    """The statistics of a normalisation are not larger than its input."""
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
    """The slice of each axis that the operator Slice keeps."""
    x = shape_of(operands)
    starts, ends = (listed(node, operands, index, name) or [] for index, name in ((1, "starts"), (2, "ends")))
    axes = listed(node, operands, 3, "axes") or list(range(len(starts)))
    strides = listed(node, operands, 4, "steps") or [1] * len(starts)
    result = [slice(None)] * len(x)
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        size = x[axis % len(x)]
        # With a negative step, ONNX's end may lie before the first element; Python needs None there.
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


# --- layers that compute ---


def _matmul(node: Node, operands: Operands, right: int = 1) -> Result:
    """Products of matrices, the right one at the index `right`."""
    a, b = shape_of(operands), shape_of(operands, right)
    left, b = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    full = (*broadcast(left[:-2], b[:-2]), left[-2], b[-1])
    kept = full[:-2] + full[-2:-1] * (len(a) > 1) + full[-1:] * (len(shape_of(operands, right)) > 1)
    return [kept], math.prod(full) * left[-1]


def _gemm(node: Node, operands: Operands) -> Result:
    """A product of two matrices, each transposed where its attribute says so."""
    a, b = shape_of(operands), shape_of(operands, 1)
    rows, inner = a[::-1] if integer(node, "transA", 0) else a
    columns = b[0] if integer(node, "transB", 0) else b[1]
    return [(rows, columns)], rows * inner * columns


def _window(node: Node, size: Shape, kernel: Sequence[int]) -> Shape:
    """The spatial size after a sliding window."""
    axes = range(len(size))
    strides, dilations = (integers(node, name, [1] * len(size)) for name in ("strides", "dilations"))
    pads = integers(node, "pads", [0] * 2 * len(size))
    auto = node.attributes["auto_pad"].text if "auto_pad" in node.attributes else "NOTSET"
    if auto.startswith("SAME"):
        return tuple(-(-size[i] // strides[i]) for i in axes)
    if auto == "VALID":
        pads = [0] * 2 * len(size)
    result = []
    for i in axes:
        span = size[i] + pads[i] + pads[i + len(size)] - (kernel[i] - 1) * dilations[i] - 1
        count = span // strides[i] + 1
        if integer(node, "ceil_mode", 0):
            count = -(-span // strides[i]) + 1
            count -= (count - 1) * strides[i] >= size[i] + pads[i]  # a window with only padding
        result.append(count)
    return tuple(result)


def _convolution(weight: int = 1) -> Rule:
    """The rule for a convolution whose weight is at the index `weight`."""

    def rule(node: Node, operands: Operands) -> Result:
        x, w = shape_of(operands), shape_of(operands, weight)
        shape = (x[0], w[0], *_window(node, x[2:], w[2:]))
        return [shape], math.prod(shape) * math.prod(w[1:])

    return rule


def _transposed_convolution(node: Node, operands: Operands) -> Result:
    """A transposed convolution."""
    x, w = shape_of(operands), shape_of(operands, 1)
    axes = range(len(x) - 2)
    strides, dilations = (integers(node, name, [1] * len(axes)) for name in ("strides", "dilations"))
    extra, pads = (
        integers(node, "output_padding", [0] * len(axes)),
        integers(node, "pads", [0] * 2 * len(axes)),
    )
    size = [
        strides[i] * (x[i + 2] - 1)
        + extra[i]
        + (w[i + 2] - 1) * dilations[i]
        + 1
        - pads[i]
        - pads[i + len(axes)]
        for i in axes
    ]
    auto = node.attributes["auto_pad"].text if "auto_pad" in node.attributes else "NOTSET"
    if auto.startswith("SAME"):
        size = [x[i + 2] * strides[i] for i in axes]
    size = integers(node, "output_shape", size)[-len(axes) :]
    shape = (x[0], w[1] * integer(node, "group", 1), *size)
    return [shape], math.prod(x) * math.prod(w[1:])


def _pool(node: Node, operands: Operands) -> Result:
    """Pooling over windows."""
    x, kernel = shape_of(operands), integers(node, "kernel_shape")
    shape = (*x[:2], *_window(node, x[2:], kernel))
    return [shape] * len(node.outputs), math.prod(shape) * math.prod(kernel)


def _global_pool(node: Node, operands: Operands) -> Result:
    """Pooling over whole maps."""
    x = shape_of(operands)
    return [x[:2] + (1,) * (len(x) - 2)], 0


def _einsum(node: Node, operands: Operands) -> Result:
    """A sum over labels."""
    left, arrow, right = node.attributes["equation"].text.replace(" ", "").partition("->")
    shapes = [shape_of(operands, index) for index in range(len(operands))]
    terms = left.split(",")
    # An ellipsis becomes separate labels, aligned at their right end.
    dots = [len(shape) - len(term) + 3 for term, shape in zip(terms, shapes, strict=True) if "..." in term]
    spread = "".join(chr(0x2460 + place) for place in range(max(dots, default=0)))
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        kept = len(shape) - len(term) + 3 if "..." in term else 0
        for label, size in zip(term.replace("...", spread[len(spread) - kept :]), shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    if not arrow:
        right = "..." + "".join(sorted(label for label in sizes if left.count(label) == 1))
    return [tuple(sizes[label] for label in right.replace("...", spread))], math.prod(sizes.values())


def _recurrent(node: Node, operands: Operands) -> Result:
    """LSTM, GRU and RNN; time is the first dimension, or the second one if `layout` is 1."""
    x, (directions, gates, hidden) = shape_of(operands), shape_of(operands, 2)
    work = x[0] * x[1] * directions * gates * (hidden + x[2])
    if integer(node, "layout", 0):
        state = (x[0], directions, hidden)
        return [(x[0], x[1], directions, hidden), state, state], work
    state = (directions, x[1], hidden)
    return [(x[0], *state), state, state], work


def _grid_sample(node: Node, operands: Operands) -> Result:
    """Samples of x at the positions of a grid."""
    x, grid = shape_of(operands), shape_of(operands, 1)
    return [(*x[:2], *grid[1:-1])], 0


def _col2im(node: Node, operands: Operands) -> Result:
    """An image as the sum of overlapping blocks."""
    x, block = shape_of(operands), values_of(operands, 2).ravel()
    area = math.prod(int(size) for size in block)
    return [(x[0], x[1] // area, *(int(size) for size in values_of(operands, 1).ravel()))], math.prod(x)


def _dft(node: Node, operands: Operands) -> Result:
    """A Fourier transform; complex numbers are pairs in the last dimension."""
    x = list(shape_of(operands))
    axis = int(values_of(operands, 2).ravel()[0]) if is_given(operands, 2) else integer(node, "axis", -2)
    length = int(values_of(operands, 1).ravel()[0]) if is_given(operands, 1) else x[axis]
    x[axis] = length // 2 + 1 if integer(node, "onesided", 0) and not integer(node, "inverse", 0) else length
    # The one-sided inverse transform gives real numbers.
    x[-1] = 1 if integer(node, "onesided", 0) and integer(node, "inverse", 0) else 2
    return [tuple(x)], math.prod(x) * length


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
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Shape", "Size"), _sizes),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    **dict.fromkeys(("Conv", "ConvInteger"), _convolution()),
    **dict.fromkeys(("MatMul", "MatMulInteger"), _matmul),
    "Col2Im": _col2im,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "ConvTranspose": _transposed_convolution,
    "DFT": _dft,
    "DynamicQuantizeLinear": _dynamically_quantised,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "OneHot": _one_hot,
    "Pad": _pad,
    "QLinearConv": _convolution(3),
    "QLinearMatMul": lambda node, operands: _matmul(node, operands, 3),
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
