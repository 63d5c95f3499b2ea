"""C++ and Rust of the model card, compiled and run.

C++ computes with OpenVINO, whose wheel has headers and libraries. crates.io may be out of reach, so Rust gets
a stand-in for the crate tract, with the signatures of its version 0.23; the inputs are then run here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import ganzoo
from ganzoo.exporting.form import Form
from ganzoo.exporting.snippet_compiled import cpp, rust
from ganzoo.fields import Field

EXPORTED = Path(__file__).parents[2] / "exported"
RUSTC, CMAKE = shutil.which("rustc"), shutil.which("cmake")
OPENVINO = os.environ.get("OpenVINO_DIR") or (  # noqa: SIM112 - CMake's name
    spec.submodule_search_locations[0] + "/cmake"
    if (spec := find_spec("openvino")) and spec.submodule_search_locations
    else ""
)
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0))
LABEL = Field(name="label", dtype="int64", classes=("cat", "dog"), source="data")
SOURCES = (
    LABEL,
    Field(name="phase", shape=(500,), source="uniform"),
    Field(name="psi", source="constant", default=0.7),
    Field(name="x", shape=(1, 8, 8), range=(0.0, 1.0)),
)
DUMP = """
#include <fstream>
void dump(ov::InferRequest& request, const char* name) {
  auto tensor = request.get_tensor(name);
  std::ofstream(name).write(static_cast<const char*>(tensor.data()), tensor.get_byte_size());
}
"""
STAND_IN = """
pub mod prelude { pub use crate::{onnx, Tensor}; }
pub type Result<T> = std::io::Result<T>;
pub struct Tensor { shape: Vec<usize>, bytes: Vec<u8>, kind: &'static str }
pub struct Onnx;
pub struct InferenceModel;
pub struct Model;
pub struct Runnable;
pub trait Datum: Copy { const KIND: &'static str; }
impl Datum for f32 { const KIND: &'static str = "float32"; }
impl Datum for i64 { const KIND: &'static str = "int64"; }
impl Tensor {
    pub fn from_slice<T: Datum>(shape: &[usize], data: &[T]) -> Result<Tensor> {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        let size = std::mem::size_of_val(data);
        let bytes = unsafe { std::slice::from_raw_parts(data.as_ptr() as *const u8, size) };
        Ok(Tensor { shape: shape.to_vec(), bytes: bytes.to_vec(), kind: T::KIND })
    }
    pub fn shape(&self) -> Result<&[usize]> { Ok(&self.shape) }
}
pub fn onnx() -> Result<Onnx> { Ok(Onnx) }
impl Onnx {
    pub fn load(&self, path: impl AsRef<std::path::Path>) -> Result<InferenceModel> {
        std::fs::metadata(path)?;
        Ok(InferenceModel)
    }
}
impl InferenceModel { pub fn into_model(self) -> Result<Model> { Ok(Model) } }
impl Model { pub fn into_runnable(self) -> Result<Runnable> { Ok(Runnable) } }
impl Runnable {
    pub fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        for (at, tensor) in inputs.iter().enumerate() {
            std::fs::write(format!("in{at}"), &tensor.bytes)?;
            println!("{} {:?}", tensor.kind, tensor.shape);
        }
        Ok(inputs)
    }
}
"""


def run(folder: Path, *words: object) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return done.stdout


def ran_in_rust(code: str, folder: Path) -> tuple[list[Any], str]:
    """The inputs that the code gives to a model, and the rest of what it prints."""
    (folder / "tract.rs").write_text(STAND_IN)
    (folder / "main.rs").write_text(code)
    run(folder, RUSTC, "--edition=2021", "--crate-type=lib", "tract.rs")
    run(folder, RUSTC, "--edition=2021", "--extern=tract=libtract.rlib", "main.rs")
    *lines, rest = run(folder, "./main").splitlines()
    arrays = []
    for at, line in enumerate(lines):
        kind, _, shape = line.partition(" ")
        sizes = [int(size) for size in shape.strip("[]").split(", ")]
        arrays.append(np.fromfile(folder / f"in{at}", kind).reshape(sizes))
    return arrays, rest


def ran_in_cpp(code: str, folder: Path, names: list[str]) -> str:
    """What the program prints; it also writes its tensors to files of their names."""
    ours = [line.removeprefix("//   ") for line in code.splitlines() if line.startswith("//   ")]
    (folder / "CMakeLists.txt").write_text("\n".join(ours))
    dumps = "".join(f'\n  dump(request, "{name}");' for name in names)
    code = code.replace("\nint main", f"{DUMP}\nint main")
    (folder / "sample.cpp").write_text(code.replace("request.infer();", f"request.infer();{dumps}"))
    run(folder, CMAKE, ".", f"-DOpenVINO_DIR={OPENVINO}", "-DCMAKE_CXX_FLAGS=-Wall")
    run(folder, CMAKE, "--build", ".")
    return run(folder, "./sample")


@pytest.mark.skipif(RUSTC is None, reason="rustc is not installed")
@pytest.mark.parametrize("name", ["cgan", "wgan-gp"])
def test_the_graph_takes_what_rust_draws(name: str, tmp_path: Path) -> None:
    shutil.copy(EXPORTED / name / "generator.onnx", tmp_path)
    model = ganzoo.load(EXPORTED / name)
    arrays, _ = ran_in_rust(rust("generator", model.inputs, model.outputs, Form()), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx", providers=["CPUExecutionProvider"])
    inputs = dict(zip([field.name for field in model.inputs], arrays, strict=True))
    (image,) = session.run(None, inputs)
    assert image.shape[0] == 16
    assert np.ptp(image, axis=0).max() > 0.5
    assert abs(inputs["z"].mean()) < 0.25
    assert inputs["z"].std() == pytest.approx(1, abs=0.2)


@pytest.mark.skipif(RUSTC is None, reason="rustc is not installed")
def test_rust_knows_all_sources(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").touch()
    code = rust("other", SOURCES, (IMAGE,), Form(batch=3))
    (label, phase, psi, x), said = ran_in_rust(code, tmp_path)
    check_sources(label, phase, psi, x)
    assert "your values, 0 to 1" in code
    assert said == "image [3]"  # the stand-in gives the inputs back


@pytest.mark.skipif(RUSTC is None, reason="rustc is not installed")
def test_rust_without_noise_has_no_needless_functions(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").touch()
    field = replace(SOURCES[3], name="normal_state")
    (x,), _ = ran_in_rust(rust("other", (field,), (IMAGE,), Form()), tmp_path)
    assert x.shape == (1, 1, 8, 8)


def check_sources(label: Any, phase: Any, psi: Any, x: Any) -> None:
    assert [value.shape for value in (label, phase, psi, x)] == [(3,), (3, 500), (3,), (3, 1, 8, 8)]
    assert set(label) <= {0, 1}
    assert phase.std() == pytest.approx(3**-0.5, abs=0.05)
    assert abs(phase.mean()) < 0.1
    assert set(psi.tolist()) == {np.float32(0.7)}
    assert not x.any()


needs_cpp = pytest.mark.skipif(
    not (CMAKE and OPENVINO), reason="C++ needs cmake, and `pip install openvino` or OpenVINO_DIR"
)


@needs_cpp
@pytest.mark.slow
@pytest.mark.parametrize("name", ["cgan", "wgan-gp"])
def test_cpp_computes_what_onnxruntime_computes(name: str, tmp_path: Path) -> None:
    shutil.copy(EXPORTED / name / "generator.onnx", tmp_path)
    model = ganzoo.load(EXPORTED / name)
    names = [field.name for field in (*model.inputs, *model.outputs)]
    said = ran_in_cpp(cpp("generator", model.inputs, model.outputs, Form()), tmp_path, names)
    assert said == "image [16,1,28,28]\n"
    inputs = {
        field.name: np.fromfile(tmp_path / field.name, field.dtype).reshape(16, *field.shape)
        for field in model.inputs
    }
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx", providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, inputs)
    np.testing.assert_allclose(np.fromfile(tmp_path / "image", np.float32), wanted.ravel(), atol=1e-4)
    assert inputs["z"].std() == pytest.approx(1, abs=0.2)


@needs_cpp
@pytest.mark.slow
def test_cpp_knows_all_sources(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    given = [
        helper.make_tensor_value_info(field.name, kinds[field.dtype], [3, *field.shape]) for field in SOURCES
    ]
    made = [
        helper.make_tensor_value_info(f"{field.name}_again", kinds[field.dtype], [3, *field.shape])
        for field in SOURCES
    ]
    nodes = [helper.make_node("Identity", [field.name], [f"{field.name}_again"]) for field in SOURCES]
    graph = helper.make_graph(nodes, "g", given, made)
    opset = [helper.make_opsetid("", 18)]
    save(helper.make_model(graph, ir_version=8, opset_imports=opset), tmp_path / "other.onnx")
    code = cpp("other", SOURCES, [Field(name="x_again", shape=(1, 8, 8))], Form(batch=3))
    ran_in_cpp(code, tmp_path, [field.name for field in SOURCES])
    check_sources(
        *(np.fromfile(tmp_path / f.name, f.dtype).reshape(3, *f.shape) for f in SOURCES),
    )


def test_nothing_for_shares() -> None:
    field = Field(name="label", dtype="int64", classes=("a", "b"), source="data", shares=(0.9, 0.1))
    assert cpp("generator", (field,), (IMAGE,), Form()) == ""
    assert rust("generator", (field,), (IMAGE,), Form()) == ""
