"""Sampling an exported generator: without torch, with wrong wishes, from damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import ganzoo
from ganzoo import runtime, sampling
from ganzoo.api import PIXELS, Field
from ganzoo.errors import UsageError
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.runtime import Generator, ort_session
from ganzoo.runtime.inputs import class_number

Z = Field(name="z", shape=(4,), source="normal")
LABEL = Field(name="label", dtype="int64", classes=("cat", "dog", "emu"))
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0))
ROW = Field(name="row", shape=(5,))
A = Field(name="a", shape=(2,), range=(0.0, 1.0))

# Graphs made by hand with onnx.helper: the runtime's tests need neither torch nor an exporter's seconds.


def sealed(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    weights: Sequence[tuple[str, NDArray[Any]]] = (),
    changes: dict[str, Any] | None = None,
) -> bytes:
    """The bytes of a file as the export writes it, `changes` going into its metadata."""

    def values(fields: Sequence[Field]) -> list[onnx.ValueInfoProto]:
        kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
        return [helper.make_tensor_value_info(f.name, kinds[f.dtype], ["batch", *f.shape]) for f in fields]

    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights]
    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    record = {
        "format": 1,
        "generator": "generator",
        "inputs": [field.to_json() for field in inputs],
        "outputs": [field.to_json() for field in outputs],
        "about": {"recipe": "toy"},
        "parity": {"max_abs": 0.0},
    }
    model.metadata_props.add(key="ganzoo", value=json.dumps(record | (changes or {})))
    return sealed_bytes(model)


def conditional_file() -> bytes:
    rng = np.random.default_rng(0)
    weights = [
        ("table", rng.normal(size=(3, 4)).astype(np.float32)),
        ("w", rng.normal(size=(4, 64)).astype(np.float32)),
        ("shape", np.array([-1, 1, 8, 8])),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "label"], ["class"]),
        helper.make_node("Add", ["z", "class"], ["sum"]),
        helper.make_node("MatMul", ["sum", "w"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "shape"], ["image"]),
    ]
    return sealed(nodes, (Z, LABEL), (IMAGE,), weights)


def row_file() -> bytes:
    weights = [("w", np.ones((4, 5), np.float32))]
    return sealed([helper.make_node("MatMul", ["z", "w"], ["row"])], (Z,), (ROW,), weights)


def translating_file() -> bytes:
    field = Field(name="b", shape=(2,))
    return sealed([helper.make_node("Neg", ["a"], ["b"])], (A,), (field,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle")
    (path / "generator.onnx").write_bytes(conditional_file())
    return path


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return runtime.load(folder, provider="cpu")


@pytest.fixture(scope="module")
def rows() -> Generator:
    return runtime.from_bytes(row_file(), provider="cpu")


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
import ganzoo
from ganzoo.cli.generate import command
generator = ganzoo.load(sys.argv[1], provider="cpu")
assert generator.generate(3, seed=1, label="dog").shape == (3, 1, 8, 8)
assert generator.images(2).dtype.name == "uint8"
command([sys.argv[1], "-n", "4", "--provider", "cpu", "-o", sys.argv[2]], standalone_mode=False)
"""


def test_without_torch(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "grid.png"
    code = [sys.executable, "-W", "error", "-c", BLOCKED, str(folder), str(target)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "CPUExecutionProvider" in done.stderr
    assert done.stdout == f"wrote {target}\n"
    assert target.exists()


def test_what_it_says_of_itself(generator: Generator) -> None:
    assert generator.name == "generator"
    assert generator.inputs == (Z, LABEL)
    assert generator.outputs == (replace(IMAGE, axes=PIXELS),)
    assert generator.classes == ("cat", "dog", "emu")
    assert generator.about == {"recipe": "toy"}
    assert generator.provider == "CPUExecutionProvider"
    assert generator.engine.startswith("onnxruntime ")


def test_same_seed_same_samples_and_prefix(generator: Generator) -> None:
    ten = generator.generate(10, seed=4)
    assert ten.shape == (10, 1, 8, 8)
    assert ten.dtype == np.float32
    assert np.array_equal(ten, generator.generate(10, seed=4))
    np.testing.assert_allclose(generator.generate(3, seed=4), ten[:3], atol=1e-6)
    assert not np.array_equal(ten, generator.generate(10, seed=5))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(generator: Generator, batch_size: int) -> None:
    expected = generator.generate(20, seed=2)
    np.testing.assert_allclose(generator.generate(20, seed=2, batch_size=batch_size), expected, atol=1e-6)


def test_labels(generator: Generator) -> None:
    dog = generator.generate(4, label=1)
    assert np.array_equal(dog, generator.generate(4, label="dog"))
    assert np.array_equal(dog, generator.generate(4, label="1"))
    assert np.array_equal(dog, generator.generate(4, label=[1, 1, 1, 1]))
    assert np.array_equal(dog, generator.generate(4, label=np.ones(4, np.int64)))
    assert np.array_equal(dog, generator.generate_all(4, **{"label": np.int64(1)})["image"])
    assert not np.array_equal(dog, generator.generate(4, label=2))


@pytest.mark.parametrize(
    "label", [3, -1, "3", "-1", "--1", "dgo", "", [0, 1], [0, 1, 2, 3, 0], [0, 1, 2, -1], 1.5, 2**70]
)
def test_bad_labels(generator: Generator, label: Any) -> None:
    with pytest.raises(UsageError):
        generator.generate(4, label=label)


def test_bad_labels_list_the_classes(generator: Generator, rows: Generator) -> None:
    with pytest.raises(UsageError) as caught:
        generator.generate(4, label="dgo")
    assert "did you mean 'dog'" in caught.value.fix
    assert "0 cat, 1 dog, 2 emu" in caught.value.fix
    with pytest.raises(UsageError, match="no class -1"):
        generator.run(generator.draw_inputs(2, label=-1))
    with pytest.raises(UsageError, match="takes no label"):
        rows.generate(4, label=0)


@pytest.mark.parametrize("n", [0, -5, 10**9])
def test_bad_counts(generator: Generator, n: int) -> None:
    with pytest.raises(UsageError):
        generator.generate(n)


def test_huge_counts_name_the_size(generator: Generator) -> None:
    with pytest.raises(UsageError, match=r"260\.8 GiB"):
        generator.generate(10**9)
    with pytest.raises(UsageError, match="GiB"):
        generator.interpolate(10**5, 10**5)
    with pytest.raises(UsageError, match="batch"):
        generator.generate(4, batch_size=0)
    with pytest.raises(UsageError, match="seed"):
        generator.generate(4, seed=-1)


def test_inputs_count_for_the_size(rows: Generator) -> None:
    with pytest.raises(UsageError, match=r"33\.5 GiB") as caught:  # 4 floats in and 5 out
        rows.generate(10**9)
    assert "at most 119304647 " in caught.value.fix


def test_noise_is_drawn_batch_by_batch(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same samples as from inputs that are drawn at once, but never more noise than a batch needs."""
    whole = generator.run(generator.draw_inputs(20, seed=3), batch_size=8)["image"]
    sizes, draw = [], sampling.draw

    def spy(fields: Sequence[Field], n: int, seed: int, start: int = 0) -> dict[str, NDArray[Any]]:
        sizes.append((start, n))
        return draw(fields, n, seed, start)

    monkeypatch.setattr(sampling, "draw", spy)
    assert np.array_equal(generator.generate(20, seed=3, batch_size=8), whole)
    assert sizes == [(0, 8), (8, 8), (16, 4)]
    labels = [0, 1, 2, 1, 0] * 4
    some, dogs = (generator.generate(20, seed=3, label=label, batch_size=8) for label in (labels, 1))
    assert [np.array_equal(a, b) for a, b in zip(some, dogs, strict=True)] == [item == 1 for item in labels]


def test_given_fields(generator: Generator) -> None:
    z = np.zeros((2, 4), np.float32)
    assert np.array_equal(*generator.generate(2, label=0, z=z))
    for wrong in (z.astype(np.float64), z[:1], z[:, :3], [[0.0] * 4] * 2):
        with pytest.raises(UsageError) as caught:
            generator.generate(2, z=wrong)
        assert "the generator needs float32" in caught.value.fix
    with pytest.raises(UsageError, match="no input 'x'"):
        generator.generate(2, x=z)


def test_data_inputs_must_be_given() -> None:
    translator = runtime.from_bytes(translating_file(), provider="cpu")
    with pytest.raises(UsageError, match="needs values for 'a'"):
        translator.generate(2)
    values = np.ones((2, 2), np.float32)
    assert np.array_equal(translator.generate(2, a=values), -values)
    with pytest.raises(UsageError, match="no noise"):
        translator.interpolate(2, 4)


def test_images_and_classes_and_walks(generator: Generator, rows: Generator) -> None:
    images = generator.images(3, seed=1)
    assert images.shape == (3, 8, 8, 1)
    assert images.dtype == np.uint8
    with pytest.raises(UsageError, match="no images"):
        rows.images(1)
    inputs = generator.draw_classes(2, seed=1)
    assert inputs["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(inputs["z"][:2], inputs["z"][4:])
    walks = generator.draw_walks(2, 5, seed=1)
    assert walks["z"].shape == (10, 4)
    assert len(set(walks["label"][:5].tolist())) == 1
    whole = generator.interpolate(2, 5, seed=1)
    assert whole.shape == (10, 1, 8, 8)
    assert np.array_equal(whole[0], generator.generate(2, seed=1)[0])
    with pytest.raises(UsageError):
        generator.interpolate(2, 1)


def test_no_driver(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ort_session, "_has_driver", lambda: False)
    plain = runtime.load(folder)  # a warning would be an error here
    assert (plain.provider, plain.provider_note) == ("CPUExecutionProvider", "")
    with pytest.raises(UsageError, match="CUDA cannot be used: this machine has no NVIDIA driver"):
        runtime.load(folder, provider="cuda")
    with pytest.raises(UsageError, match="no provider"):
        runtime.load(folder, provider="tpu")
    assert capfd.readouterr() == ("", "")


def test_driver_without_libraries(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A machine with a driver but no CUDA libraries: the provider does not come up."""
    monkeypatch.setattr(ort_session, "_has_driver", lambda: True)
    quiet = runtime.from_bytes(conditional_file())
    if quiet.provider == "CUDAExecutionProvider":
        assert quiet.provider_note == ""
        pytest.skip("CUDA works here")
    with pytest.raises(UsageError, match="CUDA"):
        runtime.load(folder, provider="cuda")
    with pytest.warns(RuntimeWarning, match="NVIDIA driver, but CUDA cannot be used") as caught:
        loaded = ganzoo.load(folder)
    assert caught[0].filename == __file__
    assert (loaded.provider, loaded.provider_note) == ("CPUExecutionProvider", quiet.provider_note)
    assert runtime.load(folder, provider="cpu").provider_note == ""
    assert capfd.readouterr() == ("", "")


def test_choice_in_a_bundle(folder: Path, tmp_path: Path) -> None:
    assert runtime.load(folder / "generator.onnx", provider="cpu").name == "generator"
    with pytest.raises(UsageError, match="no generator 'other'"):
        runtime.load(folder, generator="other")
    with pytest.raises(UsageError, match="no exported generator"):
        runtime.load(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=f"ganzoo export {tmp_path} -o BUNDLE"):
        runtime.load(tmp_path)
    with pytest.raises(UsageError, match="no such bundle"):
        runtime.load(tmp_path / "absent")
    shutil.copy(folder / "generator.onnx", tmp_path / "a_to_b.onnx")
    assert runtime.load(tmp_path, provider="cpu").classes == ("cat", "dog", "emu")
    shutil.copy(folder / "generator.onnx", tmp_path / "b_to_a.onnx")
    with pytest.raises(UsageError, match="has several generators") as caught:
        runtime.load(tmp_path)
    assert caught.value.fix == "choose a_to_b or b_to_a: --generator NAME, generator=NAME in Python"


def test_damaged_files(capfd: pytest.CaptureFixture[str]) -> None:
    data = conditional_file()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(data), 300):
        broken = bytearray(data)
        broken[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(UsageError):
            runtime.from_bytes(bytes(broken))
    for size in [0, 1, 50, len(data) // 2, len(data) - 1]:
        with pytest.raises(UsageError):
            runtime.from_bytes(data[:size])
    with pytest.raises(UsageError, match="damaged"):
        runtime.from_bytes(data + b"\0")
    assert capfd.readouterr() == ("", "")


def test_foreign_files(tmp_path: Path) -> None:
    graph = helper.make_graph([helper.make_node("Neg", ["z"], ["y"])], "g", [], [])
    (tmp_path / "x.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(UsageError, match="not a generator that ganzoo exported"):
        runtime.load(tmp_path / "x.onnx")


def forged(*nodes: onnx.NodeProto, **changes: Any) -> bytes:
    """Someone took the trouble to seal a file that the export would never write."""
    return sealed(list(nodes), (Z,), (ROW,), [], changes)


def lying_files() -> dict[str, bytes]:
    neg = helper.make_node("Neg", ["z"], ["row"])
    return {
        "newer": forged(neg, format=2),
        "nonsense": forged(neg, inputs=[{"name": "z", "colour": "red"}]),
        "no metadata": forged(neg, outputs=None),
        "other shape": forged(neg),
    }


@pytest.mark.parametrize("kind", list(lying_files()))
def test_forged_files(kind: str) -> None:
    with pytest.raises(UsageError):
        runtime.from_bytes(lying_files()[kind], provider="cpu").generate(2)


def test_the_word_loop_alone_is_no_loop() -> None:
    data = sealed(
        [helper.make_node("Neg", ["z"], ["z2"], name="Loop")], (Z,), (Field(name="z2", shape=(4,)),)
    )
    assert runtime.from_bytes(data, provider="cpu").generate(2).shape == (2, 4)


def test_of_many_classes_a_few_are_shown() -> None:
    with pytest.raises(UsageError, match="no class 'pro'") as caught:
        class_number("pro", (*(f"day={at}" for at in range(300)), "plan=pro"))
    assert caught.value.fix.startswith("did you mean 'plan=pro'? the classes are: 0 day=0, ")
    assert caught.value.fix.endswith("4 day=4 and 296 more")
