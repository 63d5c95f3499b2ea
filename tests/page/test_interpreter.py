"""The interpreter in JavaScript against onnxruntime, and its latents against `ganzoo.sampling`, in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ganzoo import sampling
from ganzoo.errors import UsageError
from ganzoo.exporting.weights import store_weights
from ganzoo.fields import Field
from ganzoo.page.generators import _stream
from ganzoo.page.graph import encode_graph, known_operators, script
from ganzoo.runtime.generator import load
from ganzoo.runtime.guard.shape_rules import RULES
from ganzoo.runtime.ort_session import cpu_session

ROOT = Path(__file__).resolve().parents[2]
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
SOURCES = ("tensors.js", "windows.js", "operators.js", "graph.js", "random.js", "samples.js")
RUN = """
const files = require("fs");
const job = JSON.parse(files.readFileSync("job.json"));
const types = { float32: Float32Array, int64: Int32Array };
const inputs = {};
for (const [name, { dims, type, values }] of Object.entries(job.inputs)) inputs[name] = tensor(dims, types[type].from(values));
const results = runGraph(loadGraph(job.graph, files.readFileSync("weights.bin")), inputs);
const plain = Object.entries(results).map(([name, { dims, data }]) => [name, { dims, values: [...data] }]);
console.log(JSON.stringify(Object.fromEntries(plain)));
"""


def node(folder: Path, code: str) -> Any:
    file = folder / "run.js"
    file.write_text('"use strict";\n' + "\n".join(map(script, SOURCES)) + code)
    assert NODE
    done = subprocess.run([NODE, file.name], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def interpret(
    folder: Path, model: onnx.ModelProto, inputs: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    graph, weights = encode_graph(model, "test")
    (folder / "weights.bin").write_bytes(weights)
    values = {
        name: {"dims": value.shape, "type": value.dtype.name, "values": value.ravel().tolist()}
        for name, value in inputs.items()
    }
    (folder / "job.json").write_text(json.dumps({"graph": graph, "inputs": values}))
    made = node(folder, RUN)
    return {name: np.array(item["values"]).reshape(item["dims"]) for name, item in made.items()}


@needs_node
@pytest.mark.parametrize("name", ["cgan", "dcgan", "vanilla", "wgan-gp"])
def test_bundles_of_the_zoo_are_computed_as_by_onnxruntime(name: str, tmp_path: Path) -> None:
    generator = load(ROOT / "exported" / name)
    model = onnx.load(ROOT / "exported" / name / "generator.onnx")
    inputs = generator.draw_inputs(3, 1)
    made = interpret(tmp_path, model, inputs)
    for output, values in generator.run(inputs).items():
        np.testing.assert_allclose(made[output], values, atol=1e-4)
    store_weights(model, "float16", generator.inputs, generator.outputs)
    made = interpret(tmp_path, model, inputs)
    for output, values in generator.run(inputs).items():
        assert np.abs(made[output] - values).mean() < 1 / 255


class Mixed(nn.Module):
    """What networks of pictures, sounds and series are made of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, dilation=1)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.group = nn.GroupNorm(2, 4)
        self.volume = nn.ConvTranspose3d(2, 3, 4, 2, 1)
        self.sound = nn.Conv1d(4, 5, 5, padding=4, dilation=2)
        self.lstm = nn.LSTM(6, 7, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(14, 5, batch_first=True)
        self.layer = nn.LayerNorm(5)
        self.slope = nn.PReLU(4)

    def forward(self, x: Tensor, steps: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        maps = self.slope(
            self.norm(self.up(nn.functional.pad(self.grouped(x), (1, 1, 0, 2), mode="reflect")))
        )
        maps = self.group(nn.functional.interpolate(maps, scale_factor=2.0, mode="bilinear"))
        cubic = nn.functional.interpolate(x, scale_factor=1.5, mode="bicubic", align_corners=False)
        pooled = nn.functional.avg_pool2d(maps, 3, 2, 1) - nn.functional.max_pool2d(maps, 3, 2, 1)
        volume = torch.tanh(self.volume(x.reshape(-1, 2, 2, 8, 8)))
        sound = nn.functional.gelu(self.sound(x.flatten(2)))
        hidden, _ = self.lstm(steps)
        series = nn.functional.softplus(self.layer(self.gru(hidden)[0]))
        attention = torch.softmax(series @ series.transpose(1, 2), dim=-1).cumsum(1)
        chosen = torch.where(labels[:, None] > 1, x.mean((2, 3)), x.amax((2, 3)))
        shuffled = nn.functional.pixel_shuffle(x, 2).flip(-1)[..., 1:-1:3].exp()
        smaller = nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        return maps, cubic, smaller, pooled, volume, sound, attention, chosen, shuffled, series.argmax(-1)


@needs_node
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch's own exporter
def test_operators_are_computed_as_by_torch(tmp_path: Path) -> None:
    module = Mixed().eval()
    torch.manual_seed(1)
    inputs = (torch.randn(3, 4, 8, 8), torch.randn(3, 6, 6), torch.tensor([0, 2, 3]))
    names = ["x", "steps", "labels"]
    program = torch.onnx.export(
        module, inputs, dynamo=True, verbose=False, input_names=names, opset_version=18
    )
    assert program is not None
    model = program.model_proto
    values = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    made = interpret(tmp_path, model, values)
    with torch.no_grad():
        wanted = module(*inputs)
    for name, value in zip((item.name for item in model.graph.output), wanted, strict=True):
        np.testing.assert_allclose(made[name], value.numpy(), atol=1e-5, err_msg=name)


def one_node(op: str, feeds: Sequence[NDArray[Any]], **attributes: Any) -> onnx.ModelProto:
    """A graph of one operator; all operands but the first are weights."""
    names = [f"i{at}" for at in range(len(feeds))]
    weights = [numpy_helper.from_array(value, name) for value, name in zip(feeds[1:], names[1:], strict=True)]
    first = helper.make_tensor_value_info(
        "i0", helper.np_dtype_to_tensor_dtype(feeds[0].dtype), feeds[0].shape
    )
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node(op, names, ["out"], **attributes)], "one", [first], [out], weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


X = np.random.default_rng(0).standard_normal((2, 8, 4, 6)).astype(np.float32)
CASES: dict[str, tuple[str, list[NDArray[Any]], dict[str, Any]]] = {
    "nearest": (
        "Resize",
        [X, np.array([], np.float32), np.array([1, 1, 2, 0.5], np.float32)],
        {"mode": "nearest"},
    ),
    "edges": ("Pad", [X, np.array([0, 0, 1, 2, 0, 1, 0, 1])], {"mode": "edge"}),
    "filled": ("Pad", [X, np.array([0, 0, 1, 2, 0, 1, 0, 1]), np.float32(3)], {}),
    "deep": ("SpaceToDepth", [X], {"blocksize": 2}),
    "wide": ("DepthToSpace", [X], {"blocksize": 2, "mode": "DCR"}),
    "backwards": (
        "Slice",
        [X, np.array([-1, 5]), np.array([-5, 0]), np.array([2, 3]), np.array([-1, -2])],
        {},
    ),
    "squares": ("ReduceL2", [X, np.array([1, -1])], {"keepdims": 0}),
    "tiles": ("Tile", [X, np.array([1, 2, 1, 3])], {}),
    "places": ("GatherND", [X, np.array([[[0, 1], [-1, 2]], [[1, 1], [3, 0]]])], {"batch_dims": 1}),
    "error function": ("Erf", [X], {}),
    "sums": ("CumSum", [X, np.array(3)], {"reverse": 1, "exclusive": 1}),
    "halves": ("Round", [np.round(X * 4) / 2], {}),
    "elu": ("Elu", [X], {"alpha": 0.5}),
    "products": ("MatMul", [X, X.transpose(0, 1, 3, 2)[:1].copy()], {}),
}


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_an_operator_is_computed_as_by_onnxruntime(case: str, tmp_path: Path) -> None:
    op, feeds, attributes = CASES[case]
    model = one_node(op, feeds, **attributes)
    wanted = cpu_session(model.SerializeToString()).run(None, {"i0": feeds[0]})[0]
    made = interpret(tmp_path, model, {"i0": feeds[0]})["out"]
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_the_interpreter_knows_operators_that_the_guard_allows_only() -> None:
    assert len(known_operators()) > 80
    assert known_operators() <= set(RULES)


def test_other_operators_are_refused_before_a_page_is_written() -> None:
    model = one_node("DFT", [X])
    with pytest.raises(UsageError, match=r"does not know the operator DFT\.(.|\n)*--ort"):
        encode_graph(model, "file.onnx")


FIELDS = (
    Field(name="z", shape=(5,), source="normal"),
    Field(name="noise", shape=(3, 2), source="uniform"),
    Field(name="label", dtype="int64", classes=("a", "b", "c")),
    Field(name="condition", dtype="int64", classes=("a", "b", "c"), shares=(0.2, 0.5, 0.3)),
    Field(name="psi", source="constant", default=0.5),
)


@needs_node
@pytest.mark.parametrize("seed", [0, 3, 2**64 - 1])
def test_latents_are_those_of_generate_to_the_bit(seed: int, tmp_path: Path) -> None:
    fields = json.dumps([field.to_json() | {"stream": _stream(field.name)} for field in FIELDS])
    rows = [0, 1, 7, 1000, 10**6]
    code = f"""
const fields = {fields};
const rows = fields.map((field) => {rows}.map((row) => [...drawRow(field, {seed}n, row)]));
console.log(JSON.stringify(rows));
"""
    made = node(tmp_path, code)
    for field, drawn in zip(FIELDS, made, strict=True):
        for row, values in zip(rows, drawn, strict=True):
            wanted = sampling.draw([field], 1, seed, row)[field.name]
            assert (np.array(values, wanted.dtype) == wanted.ravel()).all(), (field.name, row)


@needs_node
@pytest.mark.parametrize("source", ["normal", "uniform"])
def test_walks_are_those_of_generate(source: Any, tmp_path: Path) -> None:
    field = Field(name="z", shape=(5,), source=source)
    a, b = sampling.draw([field], 2, 4)["z"]
    code = f"""
const [a, b] = [{a.tolist()}, {b.tolist()}].map((values) => Float32Array.from(values));
console.log(JSON.stringify([0, 0.25, 0.5, 0.75, 1].map((t) => [...interpolate(a, b, t, "{source}")])));
"""
    np.testing.assert_allclose(node(tmp_path, code), sampling.interpolate(a, b, 5, source), atol=1e-6)
