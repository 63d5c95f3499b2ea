"""Shapes and multiplications of the layers that compute: products, convolutions, pools, recurrences.

Each takes a node and its operands, as the rules in rules.py do, whose table lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ganzoo.runtime.guard.model import Node
from ganzoo.runtime.guard.operands import (
    Operands,
    Shape,
    broadcast,
    integer,
    integers,
    is_given,
    shape_of,
    values_of,
)

Result = tuple[list[Shape | None], int]
"""The shapes of the outputs, and the multiplications that they take."""

Rule = Callable[[Node, Operands], Result]


def matmul(node: Node, operands: Operands, right: int = 1) -> Result:
    """Products of matrices, the right one at the index `right`."""
    a, b = shape_of(operands), shape_of(operands, right)
    left, b = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    full = (*broadcast(left[:-2], b[:-2]), left[-2], b[-1])
    kept = full[:-2] + full[-2:-1] * (len(a) > 1) + full[-1:] * (len(shape_of(operands, right)) > 1)
    return [kept], math.prod(full) * left[-1]


def gemm(node: Node, operands: Operands) -> Result:
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
            count -= (count - 1) * strides[i] >= size[i] + pads[i]  # a window in the padding alone
        result.append(count)
    return tuple(result)


def convolution(weight: int = 1) -> Rule:
    """The rule for a convolution whose weight is at the index `weight`."""

    def rule(node: Node, operands: Operands) -> Result:
        x, w = shape_of(operands), shape_of(operands, weight)
        shape = (x[0], w[0], *_window(node, x[2:], w[2:]))
        return [shape], math.prod(shape) * math.prod(w[1:])

    return rule


def transposed_convolution(node: Node, operands: Operands) -> Result:
    """A convolution backwards."""
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


def pool(node: Node, operands: Operands) -> Result:
    """A pool over windows."""
    x, kernel = shape_of(operands), integers(node, "kernel_shape")
    shape = (*x[:2], *_window(node, x[2:], kernel))
    return [shape] * len(node.outputs), math.prod(shape) * math.prod(kernel)


def global_pool(node: Node, operands: Operands) -> Result:
    """A pool over whole maps."""
    x = shape_of(operands)
    return [x[:2] + (1,) * (len(x) - 2)], 0


def einsum(node: Node, operands: Operands) -> Result:
    """A sum over labels."""
    left, arrow, right = node.attributes["equation"].text.replace(" ", "").partition("->")
    shapes = [shape_of(operands, index) for index in range(len(operands))]
    terms = left.split(",")
    # An ellipsis becomes labels of its own, aligned at their right end.
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


def recurrent(node: Node, operands: Operands) -> Result:
    """LSTM, GRU and RNN; time stands in front, or behind the batch where `layout` is 1."""
    x, (directions, gates, hidden) = shape_of(operands), shape_of(operands, 2)
    work = x[0] * x[1] * directions * gates * (hidden + x[2])
    if integer(node, "layout", 0):
        state = (x[0], directions, hidden)
        return [(x[0], x[1], directions, hidden), state, state], work
    state = (directions, x[1], hidden)
    return [(x[0], *state), state, state], work


def grid_sample(node: Node, operands: Operands) -> Result:
    """Samples of x at the places of a grid."""
    x, grid = shape_of(operands), shape_of(operands, 1)
    return [(*x[:2], *grid[1:-1])], 0


def col2im(node: Node, operands: Operands) -> Result:
    """Blocks laid over each other to an image."""
    x, block = shape_of(operands), values_of(operands, 2).ravel()
    area = math.prod(int(size) for size in block)
    return [(x[0], x[1] // area, *(int(size) for size in values_of(operands, 1).ravel()))], math.prod(x)


def dft(node: Node, operands: Operands) -> Result:
    """A Fourier transform; complex numbers are pairs at the end."""
    x = list(shape_of(operands))
    axis = int(values_of(operands, 2).ravel()[0]) if is_given(operands, 2) else integer(node, "axis", -2)
    length = int(values_of(operands, 1).ravel()[0]) if is_given(operands, 1) else x[axis]
    x[axis] = length // 2 + 1 if integer(node, "onesided", 0) and not integer(node, "inverse", 0) else length
    # One-sided and backwards gives real numbers again.
    x[-1] = 1 if integer(node, "onesided", 0) and integer(node, "inverse", 0) else 2
    return [tuple(x)], math.prod(x) * length
