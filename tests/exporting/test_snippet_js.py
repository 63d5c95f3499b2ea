"""JavaScript of the model card in node, with a stand-in for onnxruntime-web; the inputs are then run here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import ganzoo
from ganzoo.exporting.form import Form
from ganzoo.exporting.snippet_js import javascript
from ganzoo.fields import Field

NODE = shutil.which("node")
EXPORTED = Path(__file__).parents[2] / "exported"
STAND_IN = """
import { existsSync } from "node:fs";
const types = { float32: Float32Array, int64: BigInt64Array };
export class Tensor {
  constructor(type, data, dims) {
    if (!(data instanceof types[type])) throw Error(`not of the type ${type}`);
    if (data.length !== dims.reduce((a, b) => a * b, 1)) throw Error(`not of the shape ${dims}`);
    Object.assign(this, { type, data, dims });
  }
}
export const InferenceSession = {
  async create(path) {
    if (!existsSync(path)) throw Error(path);
    return { run: async (inputs) => {
      const plain = Object.entries(inputs).map(([name, { type, data, dims }]) =>
        [name, { type, dims, data: [...data].map(Number) }]);
      console.log(JSON.stringify(Object.fromEntries(plain)));
      return new Proxy({}, { get: (_, name) => name === "then" ? undefined : { dims: name } });
    } };
  },
};
"""
Z = Field(name="z", shape=(32,), source="normal")
LABEL = Field(name="label", dtype="int64", classes=("cat", "dog"), source="data")
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0))


def run_in_node(code: str, folder: Path) -> tuple[dict[str, Any], str]:
    """The inputs that the code gives to a session, and the rest of what it prints."""
    package = folder / "node_modules" / "onnxruntime-web"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "onnxruntime-web", "type": "module", "main": "index.js"}')
    (package / "index.js").write_text(STAND_IN)
    (folder / "card.mjs").write_text(code)
    done = subprocess.run(
        [str(NODE), "card.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    inputs = {
        name: np.array(entry["data"], entry["type"]).reshape(entry["dims"])
        for name, entry in json.loads(first).items()
    }
    return inputs, rest


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("name", ["cgan", "wgan-gp"])
def test_the_graph_takes_what_the_javascript_draws(name: str, tmp_path: Path) -> None:
    shutil.copy(EXPORTED / name / "generator.onnx", tmp_path)
    model = ganzoo.load(EXPORTED / name)
    inputs, printed = run_in_node(javascript("generator", model.inputs, model.outputs, Form()), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx", providers=["CPUExecutionProvider"])
    (image,) = session.run(None, inputs)
    assert image.shape[0] == 16
    assert np.ptp(image, axis=0).max() > 0.5
    assert re.match(r"image \S*image", printed)
    drawn = inputs["z"].ravel()
    assert abs(drawn.mean()) < 0.25
    assert drawn.std() == pytest.approx(1, abs=0.2)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript_knows_all_sources(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"")
    fields = (
        LABEL,
        Field(name="phase", shape=(500,), source="uniform"),
        Field(name="psi", source="constant", default=0.7),
        Field(name="x-y", shape=(1, 8, 8), range=(0.0, 1.0)),
    )
    code = javascript("other", fields, (IMAGE,), Form(batch=3))
    inputs, _ = run_in_node(code, tmp_path)
    assert {name: value.shape for name, value in inputs.items()} == {
        "label": (3,), "phase": (3, 500), "psi": (3,), "x-y": (3, 1, 8, 8),
    }  # fmt: skip
    assert set(inputs["label"]) <= {0, 1}
    assert inputs["phase"].std() == pytest.approx(3**-0.5, abs=0.05)
    assert set(inputs["psi"].tolist()) == {np.float32(0.7)}
    assert "your values, 0 to 1" in code


def test_no_javascript_for_shares() -> None:
    field = Field(name="label", dtype="int64", classes=("a", "b"), source="data", shares=(0.9, 0.1))
    assert javascript("generator", (Z, field), (IMAGE,), Form()) == ""
