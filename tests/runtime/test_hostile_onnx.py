"""Files made to do harm: refused with a reason before onnxruntime sees them, sealed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from ganzoo import runtime
from ganzoo.api import Field
from ganzoo.cli import main
from ganzoo.errors import UsageError
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.runtime import onnx_file
from ganzoo.runtime.guard.check import MOST_NODES, check

Z = Field(name="z", shape=(4,), source="normal")
OUT = Field(name="out", shape=(4,))
LIMIT = 2.0  # seconds for a refusal
Change = Callable[[ModelProto], None]


def node(operator: str, inputs: list[str], output: str = "out", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], name=f"n_{output}", **attributes)


def model(*nodes: onnx.NodeProto, seal: bool = True, **weights: Any) -> ModelProto:
    """A small generator z (4) -> out (4), made of the given nodes; Neg without any."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes) or [node("Neg", ["z"])],
        "g",
        [value("z", TensorProto.FLOAT, ["batch", 4])],
        [value("out", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if seal:
        record = {
            "format": 1,
            "generator": "generator",
            "inputs": [Z.to_json()],
            "outputs": [OUT.to_json()],
            "about": {},
            "parity": {},
        }
        made.metadata_props.add(key="ganzoo", value=json.dumps(record))
    return made


def external(location: str, length: int | None = None) -> Change:
    """A weight whose data is in another file."""

    def change(made: ModelProto) -> None:
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        if length is not None:
            tensor.external_data.add(key="length", value=str(length))
        made.graph.initializer.append(tensor)
        made.graph.node[0].CopyFrom(node("Add", ["z", "w"]))

    return change


def attribute(name: str, kind: int, **values: Any) -> Change:
    return lambda made: made.graph.node[0].attribute.append(AttributeProto(name=name, type=kind, **values))  # type: ignore[arg-type]


def operator(name: str, *inputs: str, domain: str = "", **attributes: Any) -> Change:
    made = helper.make_node(name, inputs or ["z"], ["out"], domain=domain, **attributes)
    return lambda model: model.graph.node[0].CopyFrom(made)


def ending(*nodes: onnx.NodeProto, **weights: Any) -> Change:
    """Nodes that make `big`, of which only the mean is added to the output: a large tensor on the way."""

    def change(made: ModelProto) -> None:
        del made.graph.node[:]
        made.graph.node.extend([*nodes, node("ReduceMean", ["big"], "mean", keepdims=0)])
        made.graph.node.append(node("Add", ["z", "mean"]))
        made.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items())

    return change


def chain(operator: str, count: int, other: str = "") -> list[onnx.NodeProto]:
    """x0 -> x1 -> ... -> big, each with `other` or itself as the second operand."""
    names = [f"x{i}" for i in range(count)] + ["big"]
    return [node(operator, [names[i], other or names[i]], names[i + 1]) for i in range(count)]


def weight(**fields: Any) -> Change:
    return lambda made: made.graph.initializer.append(TensorProto(name="w", **fields))


def located(made: ModelProto) -> None:
    external("x")(made)
    made.graph.initializer[0].ClearField("external_data")


def sparse(made: ModelProto) -> None:
    tensor = made.graph.sparse_initializer.add()
    tensor.dims.append(2**40)
    external("secret.bin")(made)
    tensor.values.CopyFrom(made.graph.initializer[0])
    del made.graph.initializer[:]


def function(made: ModelProto) -> None:
    made.functions.append(
        helper.make_function(
            "", "Neg", ["x"], ["y"], [node("Abs", ["x"], "y")], [helper.make_opsetid("", 20)]
        )
    )


def declared(*sizes: int) -> Change:
    def change(made: ModelProto) -> None:
        dims = made.graph.output[0].type.tensor_type.shape.dim
        del dims[:]
        for size in sizes:
            dims.add().dim_value = size

    return change


BODY = helper.make_graph([], "body", [], [])
ONE, HUGE = np.ones(1, np.float32), np.array([2**20, 2**20])
HOSTILE: dict[str, tuple[Change, str]] = {
    "outside": (external("../secret.bin"), "another file: the weight 'w'"),
    "absolute": (external("/etc/hostname"), "another file"),
    "length": (external("w.bin", 10**15), "another file"),
    "memory address": (external("*/_ORT_MEM_ADDR_/*"), "another file"),
    "location only": (located, "another file"),
    "sparse": (sparse, "sparse weights"),
    "tensor in an attribute": (
        attribute("t", AttributeProto.TENSOR, t=TensorProto(data_type=1, dims=[4], data_location=1)),
        r"another file: the operator Neg \(node 'n_out'\)",
    ),
    "Loop": (operator("Loop", body=BODY), r"operator Loop \(node 'out'\), which can run for ever"),
    "Scan": (operator("Scan", body=BODY, num_scan_inputs=1), "Scan .* run for ever"),
    "If": (operator("If", then_branch=BODY, else_branch=BODY), "If .* branches"),
    "SequenceMap": (operator("SequenceMap", body=BODY), "SequenceMap .* run for ever"),
    "Optional": (operator("Optional"), "Optional .* not among"),
    "random": (operator("RandomNormalLike"), "random numbers"),
    "live Dropout": (operator("Dropout", "z", "", "yes"), "random numbers"),
    "domain": (operator("Neg", domain="com.example"), "domain 'com.example', which is not standard"),
    "imported domain": (lambda m: m.opset_import.append(helper.make_opsetid("evil", 1)), "domain 'evil'"),
    "function": (function, "functions of its own"),
    "training": (lambda m: m.training_info.add().algorithm.CopyFrom(BODY), "instructions for training"),
    "nested graph": (attribute("unheard_of", AttributeProto.GRAPH, g=BODY), "inside: 'unheard_of'"),
    "nested graphs": (attribute("more", AttributeProto.GRAPHS, graphs=[BODY]), "inside: 'more'"),
    "hidden graph": (attribute("x", AttributeProto.INT, g=BODY), "attribute is not of its type"),
    "claims": (
        weight(data_type=1, dims=[2**40], raw_data=bytes(16)),
        r"claims the shape \[1099511627776\] and has data for 4 elements",
    ),
    "negative": (weight(data_type=1, dims=[-4], raw_data=bytes(16)), "claims the shape"),
    "texts": (weight(data_type=8, dims=[1], string_data=[b"x"]), "type 8"),
    "4 TB output": (declared(1, 2**40), "output 'out' has 1,099,511,627,776 elements"),
    "4 TB batch": (declared(2**40, 4), "4,398,046,511,104 elements"),
    "ConstantOfShape": (ending(node("ConstantOfShape", ["s"], "big"), s=HUGE), "makes .*1,099,511,627,776"),
    "Expand": (ending(node("Expand", ["one", "s"], "big"), one=ONE, s=HUGE), "Expand makes"),
    "Tile": (ending(node("Tile", ["one", "s"], "big"), one=ONE.reshape(1, 1), s=HUGE), "Tile makes"),
    "Tiles": (
        ending(*chain("Tile", 4, "s"), x0=ONE, s=[1024]),
        r"Tile makes a tensor \('x3'\) of 1,073,741,824",
    ),
    "Range": (
        ending(node("Range", ["a", "b", "c"], "r"), node("Cast", ["r"], "big", to=1), a=0, b=2**40, c=1),
        "Range makes",
    ),
    "Resize": (
        ending(
            node("Reshape", ["z", "v"], "y"),
            node("Resize", ["y", "", "", "s"], "big"),
            v=[1, 1, 2, 2],
            s=[1, 1, 2**20, 2**20],
        ),
        "Resize makes",
    ),
    "computed": (
        ending(node("Mul", ["s", "s"], "ss"), node("Expand", ["one", "ss"], "big"), one=ONE, s=[2**20]),
        "Expand makes",
    ),
    "MatMul": (
        ending(
            node("Expand", ["one", "s"], "a"),
            node("Transpose", ["a"], "b"),
            node("MatMul", ["a", "b"], "big"),
            one=ONE,
            s=[2**20, 1],
        ),
        "MatMul makes",
    ),
    "Einsum": (
        ending(
            node("Expand", ["one", "s"], "a"),
            node("Einsum", ["a", "a"], "big", equation="i,j->ij"),
            one=ONE,
            s=[2**20],
        ),
        "Einsum makes",
    ),
    "ConvTranspose": (
        ending(
            node("Reshape", ["z", "v"], "y"),
            node("ConvTranspose", ["y", "w"], "big", strides=[2**30]),
            v=[1, 1, 4],
            w=ONE.reshape(1, 1, 1),
        ),
        "ConvTranspose makes",
    ),
    "by value": (
        ending(
            node("Cast", ["z"], "s", to=7),
            node("Reshape", ["s", "v"], "n"),
            node("ConstantOfShape", ["n"], "big"),
            v=[-1],
        ),
        "ConstantOfShape makes a tensor .* size cannot be computed",
    ),
    "much in all": (
        ending(*[node("ConstantOfShape", ["s"], f"t{i}" if i else "big") for i in range(20)], s=[2**27]),
        "All tensors together",
    ),
    "work": (
        ending(
            node("ConstantOfShape", ["s"], "x0"),
            *chain("MatMul", 10),
            s=[2**13, 2**13],
        ),
        "multiplications",
    ),
    "no order": (lambda m: m.graph.node.insert(0, node("Neg", ["later"], "x")), "'later' before anything"),
    "written twice": (lambda m: m.graph.node.append(node("Abs", ["z"])), "'out' is written twice"),
    "no outputs": (lambda m: m.graph.ClearField("output"), "no outputs"),
    "no graph": (lambda m: m.ClearField("graph"), "no graph"),
    "many nodes": (
        lambda m: m.graph.node.extend(node("Neg", ["z"], f"x{i}") for i in range(MOST_NODES)),
        "10,001 nodes",
    ),
    "many dimensions": (declared(*[1] * 40), "has the shape"),
}


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither onnxruntime nor a child process may see a file that the checks refuse."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    monkeypatch.setattr(onnx_file, "run_trial", refuse)


def refused(data: bytes, match: str, **options: Any) -> float:
    """The seconds of processor time that the refusal took: other programs do not count."""
    start = time.process_time()
    with pytest.raises(UsageError, match=match) as caught:
        runtime.from_bytes(data, provider="cpu", where="x.onnx", **options)
    seconds = time.process_time() - start
    assert caught.value.where == "x.onnx"
    assert caught.value.fix
    assert seconds < LIMIT
    return seconds


@pytest.mark.parametrize("kind", list(HOSTILE))
@pytest.mark.usefixtures("untouched")
def test_hostile_graphs(kind: str) -> None:
    change, message = HOSTILE[kind]
    for seal in (True, False):
        made = model(seal=seal)
        change(made)
        refused(sealed_bytes(made) if seal else made.SerializeToString(), message, trust=not seal)


def test_the_harmless_graph_under_them_is_taken() -> None:
    """Else the tests above could pass for another reason; and numbers just within the limits pass."""
    generator = runtime.from_bytes(sealed_bytes(model()), provider="cpu")
    inputs = generator.draw_inputs(3)
    assert np.array_equal(generator.run(inputs)["out"], -inputs["z"])
    within = model()
    ending(node("Expand", ["one", "s"], "big"), one=ONE, s=[2**10, 2**10])(within)
    assert runtime.from_bytes(sealed_bytes(within), provider="cpu").generate(2).shape == (2, 4)
    check(model(node("Relu", ["z"]), seal=False).SerializeToString())


PLAIN = model(seal=False).SerializeToString()
GRAPH = b"\x3a"  # the tag of ModelProto.graph
BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no graph"),
    "text": (b"<!DOCTYPE html><html></html>", "valid ONNX"),
    "zeros": (bytes(1000), "valid ONNX"),
    "endless number": (b"\xff" * 100, "cut off or too long"),
    "length 10**15": (GRAPH + b"\x80\x80\x9a\xa6\xea\xaf\xe3\x01", "beyond the end"),
    "graph twice": (PLAIN + PLAIN[PLAIN.index(GRAPH) :], "a model has its graph twice"),
    "unknown field": (PLAIN + b"\xaa\x06\x00", "field 101"),
    "wrong type": (PLAIN + b"\x38\x01", "not of its type"),
    "group": (PLAIN + b"\x3b\x3c", "not of its type"),
    "onnxruntime's own format": (b"\x12\x08aaORTMaa" + PLAIN, "own format"),
    "too many entries": (PLAIN + b"\x72\x00" * 1_100_000, "more than 400,000 entries"),
    "nothing but tags": (b"\x0a\x00" * 1_100_000, "valid ONNX"),
}


@pytest.mark.parametrize("kind", list(BYTES))
@pytest.mark.usefixtures("untouched")
def test_hostile_bytes(kind: str) -> None:
    data, message = BYTES[kind]
    refused(data, message, trust=True)
    refused(onnx_file.seal(data), message)


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, bytes]:
    """A file outside of the model's folder, with links to it inside."""
    content = np.array([1.5, 2.5, 3.5, 4.5], np.float32).tobytes()
    outside = tmp_path / "secret.bin"
    outside.write_bytes(content)
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "symlink.bin").symlink_to(outside)
    (inside / "hardlink.bin").hardlink_to(outside)
    return inside, content


def test_nothing_outside_is_read(secret: tuple[Path, bytes]) -> None:
    """onnxruntime does read a hard link when it is given the path: so there is something to prevent."""
    folder, content = secret
    locations = [
        "../secret.bin",
        str(folder.parent / "secret.bin"),
        "symlink.bin",
        "hardlink.bin",
        "./hardlink.bin",
    ]
    for location in locations:
        for seal in (True, False):
            made = model(seal=seal)
            external(location)(made)
            file = folder / "x.onnx"
            file.write_bytes(sealed_bytes(made) if seal else made.SerializeToString())
            with pytest.raises(UsageError, match="another file") as caught:
                runtime.load(file, provider="cpu", trust=True)
            assert "1.5" not in str(caught.value)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (read,) = session.run(None, {"z": np.zeros((1, 4), np.float32)})
    assert read.tobytes() == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "generator.onnx")
    with (tmp_path / "large.onnx").open("wb") as stream:
        stream.truncate(3 * 2**30)
    start = time.perf_counter()
    for path in (tmp_path / "generator.onnx", Path("/dev/zero"), Path("/dev/tty")):
        if path.exists():
            with pytest.raises(UsageError, match="not a regular file"):
                runtime.load(path, trust=True)
    with pytest.raises(UsageError, match=r"3\.0 GiB"):
        runtime.load(tmp_path / "large.onnx")
    with pytest.raises(UsageError, match="not a regular file"):
        runtime.load(tmp_path)
    assert time.perf_counter() - start < LIMIT


def test_exit_code_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.onnx"
    for change, _ in HOSTILE.values():
        made = model(seal=False)
        change(made)
        file.write_bytes(made.SerializeToString())
        for options in ([], ["--trust"]):
            with pytest.raises(SystemExit) as caught:
                main(["generate", str(file), *options, "-o", str(tmp_path / "x.npz")])
            assert caught.value.code == 2
            said = capsys.readouterr().err
            assert said.startswith("Error: ")
            assert ("--trust" in said) == (not options)
    command = [sys.executable, "-m", "ganzoo", "generate", str(file), "--trust"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.onnx"]
