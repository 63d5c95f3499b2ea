"""Features of images by EfficientNet-Lite0 or Lite2, run by onnxruntime: no torch, quick on a CPU.

The network of Tan and Le 2019 (arXiv:1905.11946, table 1) in its "lite" form: no squeeze and
excitation, ReLU6, "same" padding as in TensorFlow. Batch norms are folded into the convolutions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ganzoo.api import Extractor
from ganzoo_extractors.resize import resized
from ganzoo_extractors.weights import LITE0, LITE2, Published, Weights, read_weights

SIDE = 64
BATCH = 64
EPSILON = 1e-3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, on 0..1

# (blocks, kernel, stride of the first, expansion, output channels); table 1 of the paper.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
LAST, MIDDLE = 15, 10  # blocks with 320 and 112 channels
LAST_OF_LITE2 = 20  # 352 channels: 1.1 times the width, 1.2 times the blocks but in the first and last stage


class EfficientNet:
    """The mean over the pixels of one block's maps: (n, 320) for the last of Lite0, (n, 112) for block 10."""

    def __init__(self, block: int, weights: Published = LITE0) -> None:
        name, file = weights.package.removesuffix("-pytorch-model"), weights.file.rpartition("/")[2]
        self.identity = f"{name} (ImageNet), block {block}, {file} sha256:{weights.sha256}"
        self.protocol = f"8-bit images, {SIDE}x{SIDE} bicubic (Pillow), gray as RGB, ImageNet mean and std"
        self._session = _session(build_model(read_weights(weights), block))

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, height, width, channels) -> features (n, d)."""
        parts = [
            self._session.run(None, {"pixels": resized(pixels[start : start + BATCH], SIDE)})[0]
            for start in range(0, len(pixels), BATCH)
        ]
        return np.concatenate(parts)


def last_block(config: None = None) -> Extractor:
    """Factory of `efficientnet-lite0`."""
    return EfficientNet(LAST)


def middle_block(config: None = None) -> Extractor:
    """Factory of `efficientnet-lite0-mid`."""
    return EfficientNet(MIDDLE)


def last_block_of_lite2(config: None = None) -> Extractor:
    """Factory of `efficientnet-lite2`. SettingsError says how to install its weights."""
    return EfficientNet(LAST_OF_LITE2, LITE2)


def build_model(weights: Weights, block: int) -> onnx.ModelProto:
    """uint8 images `pixels` (n, 64, 64, 3) -> `features` (n, d) after that block."""
    graph = _Graph(weights)
    value = graph.normalised("pixels")
    value = graph.convolution(value, "_conv_stem", "_bn0", kernel=3, stride=2)
    for number, kernel, stride, expansion, repeats in _blocks(weights):
        if number > block:
            break
        value = graph.block(value, f"_blocks.{number}.", kernel, stride, expansion, skip=repeats)
    value = graph.node("ReduceMean", value, graph.constant(np.array([2, 3], np.int64)), keepdims=0)
    graph.node("Identity", value, output="features")
    return graph.model()


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads()
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def threads() -> int:
    """The number of PyTorch's threads, if it is loaded; else $OMP_NUM_THREADS, or one for each core.

    A run that trains has chosen its number of threads; computing scores during training must not use more.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blocks(weights: Weights) -> Iterator[tuple[int, int, int, int, bool]]:
    """Of each block: number, kernel, stride, expansion, and whether the input is added to the output.

    Larger networks of the family have more blocks in the stages between the first and the last.
    """
    number, deeper = 0, 1.2 if f"_blocks.{LAST + 1}._bn1.weight" in weights else 1.0
    for stage, (count, kernel, stride, expansion, _) in enumerate(STAGES):
        for turn in range(ceil(deeper * count) if 0 < stage < len(STAGES) - 1 else count):
            yield number, kernel, stride if turn == 0 else 1, expansion, turn > 0
            number += 1


class _Graph:
    """Collects nodes and constants of an ONNX graph; methods return the name of their result."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def normalised(self, pixels: str) -> str:
        value = self.node("Transpose", self.node("Cast", pixels, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
        mean, std = (np.array(part, np.float32).reshape(1, 3, 1, 1) * 255 for part in (MEAN, STD))
        return self.node("Div", self.node("Sub", value, self.constant(mean)), self.constant(std))

    def convolution(
        self, value: str, name: str, norm: str, *, kernel: int = 1, stride: int = 1, active: bool = True
    ) -> str:
        """Convolution with "same" padding, its batch norm folded in, and ReLU6 if `active`."""
        weight = self._weights[f"{name}.weight"]
        part = partial("{}.{}".format, norm)
        variance = self._weights[part("running_var")]
        factor = self._weights[part("weight")] / np.sqrt(variance + np.float32(EPSILON))
        bias = self._weights[part("bias")] - self._weights[part("running_mean")] * factor
        before = (kernel - stride) // 2
        after = kernel - stride - before
        result = self.node(
            "Conv",
            value,
            self.constant(weight * factor.reshape(-1, 1, 1, 1)),
            self.constant(bias),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(weight) if weight.shape[1] == 1 and kernel > 1 else 1,
        )
        if not active:
            return result
        low, high = (self.constant(np.array(limit, np.float32)) for limit in (0, 6))
        return self.node("Clip", result, low, high)

    def block(self, value: str, name: str, kernel: int, stride: int, expansion: int, *, skip: bool) -> str:
        """Widen by 1x1, filter each channel, narrow by 1x1 (inverted residual)."""
        hidden = value
        if expansion > 1:
            hidden = self.convolution(hidden, f"{name}_expand_conv", f"{name}_bn0")
        hidden = self.convolution(
            hidden, f"{name}_depthwise_conv", f"{name}_bn1", kernel=kernel, stride=stride
        )
        hidden = self.convolution(hidden, f"{name}_project_conv", f"{name}_bn2", active=False)
        return self.node("Add", hidden, value) if skip else hidden

    def model(self) -> onnx.ModelProto:
        shape: list[str | int | None] = ["n", SIDE, SIDE, 3]
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None])],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
