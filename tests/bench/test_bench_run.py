"""`ganzoo bench run`: the figures, their JSON, when there is no row for torch, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from onnx import helper

from ganzoo import runtime
from ganzoo.bench import inference
from ganzoo.bench.inference import Row, core_count, measure
from ganzoo.cli.bench import command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import build, plain
from ganzoo.errors import FailedError, UsageError
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.exporting.from_run import describe
from ganzoo.exporting.onnx_graph import append_uint8
from ganzoo.fields import PIXELS
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.runtime import onnx_file
from ganzoo.util import system
from tests.conftest import FAMILIES
from tests.runtime.test_runtime import IMAGE, ROW, Z, conditional_file, sealed, translating_file

EXPORTED = Path(__file__).parents[2] / "exported"
KEYS = ["engine", "provider", "batch", "p50_ms", "p99_ms", "images_per_second"]
QUICK = ("--seconds", "0.01", "--threads", "1")


def bench(*arguments: Any) -> Result:
    return CliRunner().invoke(command, ["run", *map(str, arguments), *QUICK])


def report_of(*arguments: Any) -> dict[str, Any]:
    done = bench(*arguments, "--json")
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def on_cpu(report: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (row["engine"], row["batch"])
        for row in report["rows"]
        if row["provider"] in ("cpu", "CPUExecutionProvider")
    ]


@pytest.mark.parametrize("recipe", ["vanilla", "dcgan", "cgan", "wgan-gp"])
def test_rows_of_both_engines(recipe: str) -> None:
    threads = torch.get_num_threads()
    report = report_of(EXPORTED / recipe, "--batch", 4, "--batch", 1, "--batch", 4)
    assert on_cpu(report) == [(engine, batch) for batch in (1, 4) for engine in ("onnxruntime", "torch")]
    for row, calls in zip(report["rows"], report["calls"], strict=True):
        assert list(row) == KEYS
        assert 0 < row["p50_ms"] <= row["p99_ms"] < 10_000
        assert row["images_per_second"] == pytest.approx(row["batch"] / row["p50_ms"] * 1e3, rel=0.01)
        assert calls >= 3
    assert report["recipe"] == recipe
    assert report["threads"] == 1
    assert {"ganzoo", "python", "onnxruntime", "torch"} == report["versions"].keys()
    assert not any("torch" in note for note in report["notes"])
    assert torch.get_num_threads() == threads


def test_one_file_alone_as_a_table(tmp_path: Path) -> None:
    file = tmp_path / "lone.onnx"
    shutil.copy(EXPORTED / "vanilla" / "generator.onnx", file)
    done = bench(file, "--batch", 2)
    assert done.exit_code == 0, done.output
    for text in ("p50 (ms)", "p99 (ms)", "samples/s", "CPUExecutionProvider", "torch", "1 CPU thread for"):
        assert text in done.stdout
    assert "measuring" in done.stderr


def test_defaults(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert core_count() >= 1
    monkeypatch.setattr(inference, "core_count", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(system, "busy_cores", lambda: system.cores() + 1.0)
    report = measure(EXPORTED / "vanilla", registry, seconds=0.001)
    assert {row.batch for row in report.rows} == {1, 8, 64}
    assert report.threads == 1
    assert any(note.startswith("other processes used") for note in report.notes)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert inference.default_threads() == 3


WITHOUT_TORCH = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
from ganzoo.cli.bench import command
command(["run", sys.argv[1], "--batch", "2", "--json", "--seconds", "0.01"], standalone_mode=False)
"""


def test_without_torch() -> None:
    code = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(EXPORTED / "vanilla")]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert on_cpu(report) == [("onnxruntime", 2)]
    assert report["notes"][-1] == "No rows for torch: torch cannot be imported: torch is blocked."
    assert "torch" not in report["versions"]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of an exported file with another origin in its metadata; what is None is not said there."""

    def make(name: str, /, **about: Any) -> Path:
        model = onnx.load(EXPORTED / name / "generator.onnx")
        kept = {entry.key: entry.value for entry in model.metadata_props}
        record = json.loads(kept[onnx_file.METADATA_KEY])
        record["about"] = {k: v for k, v in (record["about"] | about).items() if v is not None}
        del model.metadata_props[:]
        model.metadata_props.add(key=onnx_file.METADATA_KEY, value=json.dumps(record))
        file = tmp_path / "changed.onnx"
        file.write_bytes(sealed_bytes(model))
        return file

    return make


def test_options_in_the_file_need_no_recipe(changed: Callable[..., Path], registry: Registry) -> None:
    options = plain(resolve("dcgan", registry).architecture.options)
    report = report_of(changed("dcgan", recipe="gone", options=options), "--batch", 2)
    assert on_cpu(report) == [("onnxruntime", 2), ("torch", 2)]


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"architecture": "elsewhere/dcgan"}, "no architecture 'elsewhere/dcgan'"),
        ({"recipe": "gone", "options": None}, "no recipe 'gone'"),
        ({"recipe": "vanilla", "options": None}, "another architecture today"),
        ({"options": {"generator_width": 8}}, "in the file"),
        ({"options": {"latent": -1}}, "has an invalid value"),
        ({"options": {"stages": 1, "latent": 100}}, "in the file"),
    ],
)
def test_why_there_is_no_torch(changed: Callable[..., Path], about: dict[str, Any], reason: str) -> None:
    report = report_of(changed("dcgan", **about), "--batch", 2)
    assert on_cpu(report) == [("onnxruntime", 2)]
    assert report["notes"][-1].startswith("No rows for torch: ")
    assert reason in report["notes"][-1]


def mlp_file(folder: Path, curve: str, *, uint8: bool = False) -> Path:
    """A network of the architecture `mlp` without a norm, so that all weights are there by name."""
    rng = np.random.default_rng(0)
    shapes = {
        "layers.0.weight": (6, 4),
        "layers.0.bias": (6,),
        "layers.2.weight": (64, 6),
        "layers.2.bias": (64,),
    }
    weights = [(name, rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Gemm", ["z", "layers.0.weight", "layers.0.bias"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["positive"]),
        helper.make_node("Gemm", ["positive", "layers.2.weight", "layers.2.bias"], ["flat"], transB=1),
        helper.make_node(curve, ["flat"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "shape"], ["image"]),
    ]
    options = {"latent": 4, "generator_hidden": [6], "generator_norm": "none"}
    changes: dict[str, Any] = {"about": {"architecture": "ganzoo/mlp", "options": options}}
    if uint8:
        changes["outputs"] = [IMAGE.to_json() | {"layout": "uint8-nhwc"}]
    data = sealed(nodes, (Z,), (IMAGE,), [*weights, ("shape", np.array([-1, 1, 8, 8]))], changes)
    if uint8:
        model = onnx.load_model_from_string(data)
        append_uint8(model, (replace(IMAGE, axes=PIXELS),))
        del model.metadata_props[1:]  # the seal
        data = sealed_bytes(model)
    file = folder / "generator.onnx"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("uint8", [False, True])
def test_values_are_compared_where_all_weights_are_known(tmp_path: Path, uint8: bool) -> None:
    same = report_of(mlp_file(tmp_path, "Tanh", uint8=uint8), "--batch", 2)
    assert on_cpu(same) == [("onnxruntime", 2), ("torch", 2)]
    other = report_of(mlp_file(tmp_path, "Softsign", uint8=uint8), "--batch", 2)
    assert on_cpu(other) == [("onnxruntime", 2)]
    assert "other values of 'image'" in other["notes"][-1]


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"recipe": "vanilla"}, "other names"),
        ({"options": {"latent": 5}}, "'mlp' failed"),
        ({"options": {"latent": 4}}, ""),
    ],
)
def test_weights_under_other_names(tmp_path: Path, about: dict[str, Any], reason: str) -> None:
    """Whose options are known need not be recognised by its weights, but it must take the inputs."""
    node, weights = helper.make_node("MatMul", ["z", "w"], ["row"]), [("w", np.ones((4, 5), np.float32))]
    changes = {"about": {"architecture": "ganzoo/mlp", **about}}
    (tmp_path / "generator.onnx").write_bytes(sealed([node], (Z,), (ROW,), weights, changes))
    report = report_of(tmp_path, "--batch", 2)
    assert on_cpu(report) == [("onnxruntime", 2), *([] if reason else [("torch", 2)])]
    assert reason in " ".join(report["notes"])


@pytest.mark.parametrize("data", [conditional_file(), translating_file()])
def test_files_of_unknown_origin(tmp_path: Path, data: bytes) -> None:
    """A label, and an input that nobody draws; the metadata names no architecture."""
    (tmp_path / "generator.onnx").write_bytes(data)
    report = report_of(tmp_path, "--batch", 2)
    assert on_cpu(report) == [("onnxruntime", 2)]
    assert "no architecture ''" in report["notes"][-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", 0], "batch of 0"),
        (["--batch", 8, "--batch", -1], "batch of -1"),
        (["--batch", 10**9], "GiB"),
        (["--generator", "other"], "no generator 'other'"),
    ],
)
def test_refused(arguments: list[Any], message: str) -> None:
    done = bench(EXPORTED / "vanilla", *arguments)
    assert isinstance(done.exception, UsageError), done.output
    assert message in done.exception.what


@pytest.mark.parametrize(
    "wish", [{"threads": 0}, {"threads": 10**6}, {"seconds": 0.0}, {"seconds": float("nan")}, {"batches": []}]
)
def test_wishes_that_nobody_can_fulfil(registry: Registry, wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        measure(EXPORTED / "vanilla", registry, **wish)


def test_a_run_is_to_be_exported_first(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    done = bench(tmp_path)
    assert isinstance(done.exception, UsageError)
    assert done.exception.fix == f"ganzoo export {tmp_path}"


class Clock:
    """Time that passes only in calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[int] = []

    def __call__(self) -> float:
        return self.now

    def row(self, batch: int, seconds: float) -> Row:
        def call() -> dict[str, Any]:
            self.now += seconds
            self.log.append(batch)
            return {}

        return Row("torch", "cpu", batch, call)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    result = Clock()
    monkeypatch.setattr(inference.time, "perf_counter", result)
    return result


def test_rows_take_turns(clock: Clock) -> None:
    rows = [clock.row(1, 0.001), clock.row(2, 0.05), clock.row(3, 1.0)]
    assert inference._take_turns(rows, 2.0, []) == rows
    changes = [batch for batch, before in zip(clock.log, [0, *clock.log], strict=False) if batch != before]
    assert changes[3:12] == [1, 2, 3] * 3  # after the warm-up, until the slow row has its calls
    assert sum(rows[0].seconds) == pytest.approx(2, rel=0.05)
    assert sum(rows[1].seconds) == pytest.approx(2, rel=0.2)
    assert [row.to_json()["p50_ms"] for row in rows] == pytest.approx([1, 50, 1000])
    assert rows[2].to_json()["images_per_second"] == 3


@pytest.mark.parametrize(("seconds", "calls"), [(0.05, 20), (1.0, 3)])
def test_fewest_calls(clock: Clock, seconds: float, calls: int) -> None:
    row = clock.row(1, seconds)
    inference._take_turns([row], 0.001, [])
    assert len(row.seconds) == calls


def test_p99_is_that_of_all_calls(clock: Clock) -> None:
    row = clock.row(1, 0.001)
    row.seconds = [0.001] * 98 + [0.1] * 2
    assert row.to_json()["p99_ms"] == pytest.approx(100)
    assert row.to_json()["p50_ms"] == pytest.approx(1)


def test_a_row_that_fails_is_a_note(clock: Clock) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("out of memory\nmuch more text")

    notes: list[str] = []
    good = clock.row(1, 0.1)
    assert inference._take_turns([Row("torch", "cuda", 64, fail), good], 0.1, notes) == [good]
    assert notes == ["No row for torch on cuda at batch 64: out of memory"]
    with pytest.raises(FailedError):
        inference._take_turns([Row("torch", "cuda", 64, fail)], 0.1, [])


def test_cuda_that_comes_up_is_measured_beside_the_cpu(
    monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    """Stands in for CUDA: a session that says so. What `auto` believes is the test of runtime.py."""
    real = runtime.from_bytes

    def with_cuda(data: bytes, **more: Any) -> runtime.Generator:
        generator = real(data, provider="cpu")
        generator.provider = "CUDAExecutionProvider"
        return generator

    monkeypatch.setattr(runtime, "from_bytes", with_cuda)
    report = measure(EXPORTED / "vanilla", registry, batches=[2], threads=1, seconds=0.01)
    assert [(row.engine, row.provider) for row in report.rows][:2] == [
        ("onnxruntime", "CPUExecutionProvider"),
        ("onnxruntime", "CUDAExecutionProvider"),
    ]


@pytest.mark.parametrize("recipe", FAMILIES)
def test_export_notes_the_options(tiny: Callable[..., Plan], recipe: str) -> None:
    plan = tiny(recipe)
    record = {
        "data": {"count": 5, "fingerprint": "f"},
        "seed": 0,
        "command": [],
        "precision": "fp32",
        "plugins": [],
        "versions": {},
    }
    options = json.loads(json.dumps(describe(Run(Path("run"), record), plan)["options"]))
    config = plan.architecture.item.spec.config
    assert config is not None
    assert build(config, options, "architecture", {}) == plan.architecture.options
