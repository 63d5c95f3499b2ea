"""Shapes that are worked out before a file is opened, compared with those that onnxruntime computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ganzoo.runtime.guard.check import check
from ganzoo.runtime.guard.shape_inference import steps
from ganzoo.runtime.guard.shape_rules import RULES
from ganzoo.runtime.ort_session import cpu_session

Case = tuple[str, list[NDArray[Any] | None], dict[str, Any]]


def floats(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).uniform(0.1, 0.9, shape).astype(np.float32)


def ints(*values: int) -> NDArray[Any]:
    return np.array(values, dtype=np.int64)


def one(value: Any, dtype: str = "int64") -> NDArray[Any]:
    return np.array(value, dtype=dtype)


X, BYTES, SIGNED = floats(2, 4, 6, 6), np.ones((2, 3), np.uint8), np.ones((2, 3), np.int32)
ROW, YES = floats(1, 4, 1, 1), np.ones((2, 3), bool)
PIXELS, WINDOW = np.ones((1, 1, 5, 5), np.uint8), np.ones((2, 1, 3, 3), np.uint8)
KERNEL, BACK, SCALE, ZERO = floats(6, 2, 3, 3), floats(4, 3, 3, 3), one(0.1, "float32"), one(0, "uint8")
TWO_WAYS = {"hidden_size": 5, "direction": "bidirectional"}
PLAIN = """
    Abs Acos Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish
    Hardmax Identity LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg
    Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh
    ThresholdedRelu IsInf IsNaN GlobalAveragePool GlobalLpPool GlobalMaxPool Acosh Dropout Shape Size
    ReduceMean ReduceMax ReduceSum
"""
CASES: list[Case] = [
    *[(name, [X], {}) for name in PLAIN.split()],
    *[(name, [X, ROW], {}) for name in ("Add", "Div", "Mul", "Sub", "Pow", "PRelu")],
    *[(name, [X, ROW], {}) for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")],
    *[(name, [X, ROW, floats(6)], {}) for name in ("Max", "Mean", "Min", "Sum")],
    *[(name, [YES, YES[0]], {}) for name in ("And", "Or", "Xor")],
    *[(name, [SIGNED, SIGNED], {}) for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mod")],
    *[(f"Reduce{name}", [X, ints(1, -1)], {"keepdims": 0}) for name in ("L1", "L2", "LogSum", "LogSumExp")],
    *[(f"Reduce{name}", [X, ints(2)], {}) for name in ("Min", "Prod", "SumSquare", "Sum")],
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    ("ArgMax", [X], {"axis": 1}),
    ("ArgMin", [X], {"keepdims": 0}),
    ("BitShift", [BYTES, BYTES], {"direction": "LEFT"}),
    ("BitwiseNot", [SIGNED], {}),
    ("Not", [YES], {}),
    ("Where", [YES, floats(3), floats(2, 1)], {}),
    ("Cast", [X], {"to": 7}),
    ("CastLike", [X, SIGNED], {}),
    ("CumSum", [X, one(1)], {}),
    ("EyeLike", [floats(3, 5)], {}),
    ("Trilu", [X], {}),
    ("LRN", [X], {"size": 3}),
    ("LayerNormalization", [X, floats(6)], {}),
    ("BatchNormalization", [X, *[floats(4)] * 4], {}),
    ("InstanceNormalization", [X, floats(4), floats(4)], {}),
    ("GroupNormalization", [X, floats(2), floats(2)], {"num_groups": 2}),
    ("ReverseSequence", [floats(5, 3, 2), ints(1, 2, 3)], {}),
    ("ScatterElements", [floats(3, 3), np.zeros((1, 3), np.int64), floats(1, 3)], {}),
    ("ScatterND", [floats(4, 3), np.array([[1], [2]]), floats(2, 3)], {}),
    ("QuantizeLinear", [X, SCALE, ZERO], {}),
    ("DequantizeLinear", [BYTES, SCALE, ZERO], {}),
    ("DynamicQuantizeLinear", [X], {"outputs": 3}),
    ("MatMul", [floats(2, 1, 3, 4), floats(5, 4, 6)], {}),
    ("MatMul", [floats(4), floats(5, 4, 6)], {}),
    ("MatMul", [floats(3, 4), floats(4)], {}),
    ("MatMulInteger", [BYTES, BYTES.T], {}),
    ("QLinearMatMul", [BYTES, SCALE, ZERO, BYTES.T, SCALE, ZERO, SCALE, ZERO], {}),
    ("Gemm", [floats(4, 3), floats(5, 4), floats(5)], {"transA": 1, "transB": 1}),
    ("Conv", [X, KERNEL], {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
    ("Conv", [X, KERNEL], {"group": 2, "strides": [4, 4], "auto_pad": "SAME_UPPER"}),
    ("Conv", [X, KERNEL], {"group": 2, "auto_pad": "VALID"}),
    ("ConvInteger", [PIXELS, WINDOW], {}),
    ("QLinearConv", [PIXELS, SCALE, ZERO, WINDOW, SCALE, ZERO, SCALE, ZERO], {}),
    ("ConvTranspose", [X, BACK], {"group": 2, "strides": [2, 3], "output_padding": [1, 0]}),
    ("ConvTranspose", [X, BACK], {"strides": [2, 2], "pads": [1, 1, 0, 1], "dilations": [2, 1]}),
    ("ConvTranspose", [X, BACK], {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ("ConvTranspose", [X, BACK], {"strides": [2, 2], "output_shape": [13, 12]}),
    ("AveragePool", [X], {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1}),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "strides": [3, 2], "pads": [1] * 4, "ceil_mode": 1}),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "outputs": 2}),
    ("LpPool", [X], {"kernel_shape": [2, 2], "dilations": [2, 1]}),
    ("Reshape", [X, ints(0, -1, 9)], {}),
    ("Reshape", [floats(0, 3), ints(3, 0)], {"allowzero": 1}),
    ("Flatten", [X], {"axis": 2}),
    ("Flatten", [X], {"axis": 0}),
    ("Flatten", [X], {"axis": -1}),
    ("Squeeze", [ROW], {}),
    ("Squeeze", [ROW, ints(0, -1)], {}),
    ("Unsqueeze", [X, ints(0, -1)], {}),
    ("Transpose", [X], {}),
    ("Transpose", [X], {"perm": [1, 0, 3, 2]}),
    ("Concat", [X, X, floats(2, 1, 6, 6)], {"axis": -3}),
    ("Split", [floats(2, 7)], {"axis": 1, "num_outputs": 3, "outputs": 3}),
    ("Split", [X, ints(1, 3)], {"axis": 1, "outputs": 2}),
    ("Slice", [X, ints(1, -1), ints(2**62, -(2**62)), ints(1, 3), ints(2, -2)], {}),
    ("Slice", [X, ints(5, 0), ints(0, -1)], {}),
    ("Gather", [X, np.array([[0, 1, 1]])], {"axis": 1}),
    ("GatherElements", [floats(3, 3), np.zeros((2, 3), np.int64)], {}),
    ("GatherND", [X, np.zeros((2, 5, 2), np.int64)], {"batch_dims": 1}),
    ("Expand", [ROW, ints(3)], {}),
    ("Expand", [ROW, ints(3, 1, 5, 7)], {}),
    ("Tile", [ROW, ints(2, 1, 3, 0)], {}),
    ("Pad", [X, ints(0, 1, 2, 3, 0, 0, 1, -1)], {}),
    ("Pad", [X, ints(1, 2), None, ints(-1)], {}),
    ("Resize", [X, None, one([1, 1, 1.5, 2.3], "float32")], {"mode": "linear"}),
    ("Resize", [X, None, None, ints(13, 5)], {"axes": [2, 3]}),
    ("Upsample", [X, one([1, 1, 2, 3], "float32")], {"opset": 9}),
    ("Constant", [], {"value_ints": [1, 2, 3]}),
    ("Constant", [], {"value_float": 1.0}),
    ("Constant", [], {"value": numpy_helper.from_array(X)}),
    ("ConstantOfShape", [ints(3, 4)], {}),
    ("Range", [one(9), one(-2), one(-3)], {}),
    ("Range", [one(0.0, "float32"), one(1.0, "float32"), one(0.3, "float32")], {}),
    ("Shape", [X], {"start": -3, "end": 3}),
    ("DepthToSpace", [X], {"blocksize": 2}),
    ("SpaceToDepth", [X], {"blocksize": 3}),
    ("OneHot", [ints(1, 2), one(5), one([0, 1], "float32")], {"axis": 0}),
    ("TopK", [X, ints(3)], {"axis": 2, "outputs": 2}),
    ("Einsum", [floats(2, 3, 4), floats(4, 3)], {"equation": "b...i, i... -> ...b"}),
    ("Einsum", [floats(2, 3), floats(3, 5)], {"equation": "ab,bc"}),
    ("Einsum", [floats(7, 2, 3), floats(3, 5)], {"equation": "...b,bc"}),
    ("LSTM", [floats(7, 2, 3), floats(2, 20, 3), floats(2, 20, 5)], {**TWO_WAYS, "outputs": 3}),
    ("GRU", [floats(7, 2, 3), floats(1, 15, 3), floats(1, 15, 5)], {"hidden_size": 5, "outputs": 2}),
    ("RNN", [floats(7, 2, 3), floats(1, 5, 3), floats(1, 5, 5)], {"hidden_size": 5, "outputs": 2}),
    ("GridSample", [X, floats(2, 3, 5, 2)], {}),
    ("Col2Im", [floats(1, 9, 16), ints(6, 6), ints(3, 3)], {}),
    ("DFT", [floats(2, 7, 1), None, one(1)], {"onesided": 1}),
    ("DFT", [floats(2, 7, 2), one(9), one(1)], {"inverse": 1}),
]
# Of these onnxruntime's CPU has no kernel in the tested versions, or they are older or newer spellings.
UNTESTED = {"CumProd", "RMSNormalization", "Scatter", "Swish"}


@pytest.mark.parametrize(("operator", "operands", "options"), CASES, ids=[case[0] for case in CASES])
def test_shapes_are_those_of_onnxruntime(
    operator: str, operands: list[NDArray[Any] | None], options: dict[str, Any]
) -> None:
    attributes = dict(options)
    outputs = [f"y{i}" for i in range(attributes.pop("outputs", 1))]
    opset = attributes.pop("opset", 20)
    names = ["" if array is None else f"x{i}" for i, array in enumerate(operands)]
    weights = [
        numpy_helper.from_array(array, name)
        for array, name in zip(operands, names, strict=True)
        if array is not None
    ]
    values = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(
        [helper.make_node(operator, names, outputs, **attributes)], "g", [], values, weights
    )
    data = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
    ).SerializeToString()
    (step,) = steps(check(data).graph)
    session = cpu_session(data)
    assert list(step.shapes) == [value.shape for value in session.run(None, {})]


def test_every_operator_is_tried() -> None:
    assert {case[0] for case in CASES} | UNTESTED == set(RULES)
