"""`--trust`: what a file from elsewhere becomes, and the trial that it must pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import ganzoo
from ganzoo import runtime, sampling
from ganzoo.api import PIXELS, Field
from ganzoo.cli import main
from ganzoo.errors import FailedError, UsageError
from ganzoo.runtime import onnx_file
from ganzoo.runtime.guard import check, trial
from tests.runtime.test_hostile_onnx import chain, ending, model, node
from tests.runtime.test_runtime import conditional_file

TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "float64": TensorProto.DOUBLE}
Shape = list[Any] | None


def foreign(
    batch: Any = "batch",
    *,
    nodes: list[onnx.NodeProto] | None = None,
    noise: tuple[str, str, Shape] = ("noise", "float32", [4]),
    label: tuple[str, str, Shape] = ("digit", "int64", []),
    image: tuple[str, str, Shape] = ("image", "float32", [3, 2, 2]),
    declared: Any = "",
) -> bytes:
    """noise (4) and digit -> image (3, 2, 2) and row (12), made without ganzoo."""
    rng = np.random.default_rng(0)
    weights = {
        "table": rng.normal(size=(5, 4)).astype(np.float32),
        "w": rng.normal(size=(4, 12)).astype(np.float32),
        "shape": np.array([-1 if isinstance(batch, str) else batch, 3, 2, 2]),
    }
    usual = [
        node("Gather", ["table", label[0]], "class"),
        node("Add", [noise[0], "class"], "sum"),
        node("MatMul", ["sum", "w"], "row"),
        node("Tanh", ["row"], "bounded"),
        node("Reshape", ["bounded", "shape"], image[0]),
    ]

    def value(name: str, dtype: str, shape: Shape, first: Any) -> onnx.ValueInfoProto:
        whole = None if shape is None else [first, *shape]
        return helper.make_tensor_value_info(name, TYPES[dtype], whole)

    graph = helper.make_graph(
        usual if nodes is None else nodes,
        "g",
        [value(*noise, batch), value(*label, batch)],
        [value(*image, declared or batch), value("row", "float32", [12], declared or batch)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def taken(data: bytes) -> runtime.Generator:
    return runtime.from_bytes(data, provider="cpu", trust=True)


@pytest.fixture(scope="module")
def free() -> runtime.Generator:
    return taken(foreign())


def test_its_fields(free: runtime.Generator) -> None:
    assert free.inputs == (
        Field(name="noise", shape=(4,), source="normal"),
        Field(name="digit", dtype="int64"),
    )
    assert free.outputs == (
        Field(name="image", shape=(3, 2, 2), range=(-1.0, 1.0), axes=PIXELS),
        Field(name="row", shape=(12,)),
    )
    assert (free.batch, free.classes, free.about, free.parity) == (None, (), {}, {})


def test_samples_and_labels(free: runtime.Generator) -> None:
    two = free.generate_all(5, seed=3, label=2)
    assert two["image"].shape == (5, 3, 2, 2)
    assert two["row"].shape == (5, 12)
    assert np.array_equal(free.generate(5, seed=3, label="2"), two["image"])
    assert np.array_equal(free.generate(5, seed=3, label=[2] * 5), two["image"])
    assert np.array_equal(free.generate(5, seed=3, digit=np.full(5, 2)), two["image"])
    assert not np.array_equal(free.generate(5, seed=3, label=1), two["image"])
    assert free.images(2, label=0).shape == (2, 2, 2, 3)
    assert free.interpolate(2, 3, label=0).shape == (6, 3, 2, 2)
    with pytest.raises(UsageError, match="needs values for 'digit'"):
        free.generate(5)
    with pytest.raises(UsageError, match="no class 'cat'") as caught:
        free.generate(5, label="cat")
    assert "give a number" in caught.value.fix
    with pytest.raises(UsageError, match="no names of classes"):
        free.draw_classes(2)
    with pytest.raises(UsageError, match="could not run"):
        free.generate(5, label=99)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_filled_up(free: runtime.Generator, batch: int) -> None:
    fixed = taken(foreign(batch))
    assert fixed.batch == batch
    for n in (1, 4, 10):
        labels = [i % 5 for i in range(n)]
        expected = free.generate(n, seed=1, label=labels)
        np.testing.assert_allclose(fixed.generate(n, seed=1, label=labels, batch_size=3), expected, atol=1e-6)


def test_large_tensors_make_small_batches(free: runtime.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a file within the limits for a sample could fill the memory with a batch of 64."""
    monkeypatch.setattr(check, "_FULL_BATCH", 40)  # elements; the row has 12
    sizes: list[int] = []
    draw = sampling.draw
    monkeypatch.setattr(sampling, "draw", lambda f, n, *more: sizes.append(n) or draw(f, n, *more))
    limited = taken(foreign())
    assert np.array_equal(limited.generate(7, label=1), free.generate(7, label=1, batch_size=3))
    assert sizes == [3, 3, 1, 3, 3, 1]


def test_open_outputs_are_worked_out(free: runtime.Generator) -> None:
    """torch's older exporter leaves the sizes of outputs open, although they follow from the graph."""
    generator = taken(foreign(image=("image", "float32", ["a", 2, "c"])))
    assert generator.outputs == free.outputs
    with pytest.raises(UsageError, match="failed its trial: ValidationError: Field 'shape'"):
        taken(foreign(image=("image", "float32", None)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, target = tmp_path / "x.onnx", tmp_path / "grid.png"
    file.write_bytes(foreign())
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "ganzoo",
        "generate",
        str(file),
        "--trust",
        "--label",
        "3",
    ]
    command += ["-n", "4", "--provider", "cpu", "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {target}\n"
    with Image.open(target) as image:
        assert image.mode == "RGB"
    for options, message in (([], "--trust"), (["--trust"], "needs values for 'digit'")):
        with pytest.raises(SystemExit) as caught:
            main(["generate", str(file), *options, "-o", str(target)])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    assert ganzoo.load(file, trust=True, provider="cpu").generate(1, label=0).shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": ("noise", "float64", [4])}, "not float32 or int64, but ONNX's type 11"),
        ({"image": ("image", "float64", [3, 2, 2])}, "not float32 or int64"),
        ({"label": ("digit", "int64", [7])}, "a label is one number"),
        ({"noise": ("noise", "float32", ["length"])}, "more than the batch is open"),
        ({"noise": ("noise", "float32", None)}, "more than the batch is open"),
        ({"noise": ("../noise", "float32", [4])}, "name that ganzoo cannot use"),
        ({"image": ("file", "float32", [3, 2, 2])}, "name that ganzoo cannot use"),
        ({"batch": 4, "declared": 5}, "differ in their first dimension: 4, 5"),
        ({"declared": 5}, "differ in their first dimension: 5, batch"),
    ],
)
def test_what_has_no_meaning(changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "run_trial", None)  # such a file is not even tried
    made = foreign(**changes)
    with pytest.raises(UsageError, match=message):
        taken(made)


def test_our_own_files_need_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "run_trial", None)
    data = conditional_file()
    assert taken(data).classes == ("cat", "dog", "emu")
    for broken in (data[:-1], data + b"\0", data.replace(b"Tanh", b"Sinh")):
        with pytest.raises(UsageError, match="damaged"):
            taken(broken)


def heavy(*nodes: onnx.NodeProto, **weights: Any) -> bytes:
    made = model(seal=False)
    ending(*nodes, **weights)(made)
    return made.SerializeToString()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on processes here")
def test_a_trial_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS", 1)
    long = heavy(node("ConstantOfShape", ["s"], "x0"), *chain("MatMul", 30), s=[4096, 4096])
    with pytest.raises(UsageError, match=r"failed its trial: it took more than 1 seconds of processor"):
        taken(long)


@pytest.mark.skipif(sys.platform != "linux", reason="no limit on address space here")
def test_a_trial_that_wants_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heavy(node("ConstantOfShape", ["s"], "x0"), *chain("Mul", 2), s=[2**25])
    taken(data)
    monkeypatch.setattr(trial, "MEMORY", 350 * 2**20)
    with pytest.raises(UsageError, match="failed its trial"):
        taken(data)


def test_a_batch_that_is_frozen_inside() -> None:
    nodes = [node("Gather", ["table", "digit"], "class"), node("Add", ["noise", "class"], "sum")]
    nodes += [node("MatMul", ["sum", "w"], "row"), node("Reshape", ["row", "one"], "image")]
    nodes += [helper.make_node("Constant", [], ["one"], value_ints=[1, 3, 2, 2])]
    with pytest.raises(UsageError, match="failed its trial"):
        taken(foreign(nodes=[nodes[-1], *nodes[:-1]]))


def test_a_batch_of_another_shape_than_declared() -> None:
    with pytest.raises(UsageError, match=r"failed its trial: .*(not float32 of \(1, 3, 2, 1\)|hape)"):
        taken(foreign(image=("image", "float32", [3, 2, 1])))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with SIGSEGV"),
        ("raise SystemExit(7)", "ended with the code 7"),
        ("print('[' * 10_000)", "returned no result"),
        ("import time; time.sleep(60)", "not done after"),
        ("import sys; sys.stdin.buffer.read(); print('{}')", "returned no result"),
    ],
)
def test_whatever_becomes_of_the_child(code: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run
    monkeypatch.setattr(trial, "SECONDS", 0.4)
    monkeypatch.setattr(subprocess, "run", lambda _, **options: run([sys.executable, "-c", code], **options))
    with pytest.raises(UsageError, match=message):
        trial.run_trial(b"x" * 10**6)


def test_no_child_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FailedError, match="trial of the file could not start"):
        taken(foreign())
