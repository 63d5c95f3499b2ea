"""The command `ganzoo generate`: grids, rows, arrays, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganzoo import runtime
from ganzoo.cli.generate import command
from ganzoo.errors import UsageError
from ganzoo.runtime import Generator, ort_session
from tests.runtime.test_runtime import conditional_file, row_file


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


def run(*arguments: object, provider: str = "cpu") -> Result:
    return CliRunner().invoke(command, [*(str(item) for item in arguments), "--provider", provider])


def test_cli_grid(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "grid.png"
    done = run(folder, "-n", 6, "--columns", 3, "--label", "dog", "-o", target, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "output": str(target),
        "n": 6,
        "seed": 0,
        "provider": "CPUExecutionProvider",
        "shape": [6, 1, 8, 8],
    }
    assert done.stderr.startswith("onnxruntime ")
    with Image.open(target) as image:
        assert image.size == (3 * 58 + 2, 2 * 58 + 2)


def test_cli_classes_and_walks(folder: Path, tmp_path: Path) -> None:
    for arguments, size in ((["--classes", "-n", 5], (5, 3)), (["--interpolate", 6, "-n", 2], (6, 2))):
        target = tmp_path / "grid.png"
        done = run(folder, *arguments, "-o", target)
        assert done.exit_code == 0, done.output
        with Image.open(target) as image:
            assert image.size == (size[0] * 58 + 2, size[1] * 58 + 2)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_cli_walk(folder: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"walk{suffix}"
    done = run(folder, "--walk", 8, "-n", 4, "--label", "dog", "-o", target)
    assert done.exit_code == 0, done.output
    with Image.open(target) as image:
        assert image.size == (2 * 58 + 2, 2 * 58 + 2)
        assert image.n_frames == 8
        assert image.info["loop"] == 0
        frames = []
        for number in range(8):
            image.seek(number)
            frames.append(np.asarray(image.convert("L"), np.float32))
    for number in range(1, 4):  # there and back, in steps
        assert np.abs(frames[number] - frames[8 - number]).mean() < 3
        assert np.abs(frames[0] - frames[number]).mean() > 6
    assert np.abs(frames[0] - frames[4]).mean() > np.abs(frames[0] - frames[1]).mean()


def test_cli_walk_of_samples_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "rows.onnx").write_bytes(row_file())
    done = run(tmp_path / "rows.onnx", "--walk", 4, "-o", tmp_path / "walk.gif")
    assert isinstance(done.exception, UsageError)
    assert "cannot be animated" in str(done.exception)
    assert not (tmp_path / "walk.gif").exists()


def test_cli_folder_has_a_file_for_each_sample(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "images"
    done = run(folder, "-n", 12, "--seed", 3, "-o", target, "--json")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in target.iterdir()) == [f"{at:02}.png" for at in range(12)]
    assert json.loads(done.stdout)["files"] == [str(target / f"{at:02}.png") for at in range(12)]
    run(folder, "-n", 12, "--seed", 3, "-o", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as arrays, Image.open(target / "07.png") as image:
        wanted = np.rint((arrays["image"][7] + 1) * 127.5).clip(0, 255).transpose(1, 2, 0)
        assert np.abs(np.asarray(image).reshape(wanted.shape) - wanted).max() <= 1
    walk = run(folder, "--interpolate", 4, "-n", 2, "-o", tmp_path / "walk")
    assert walk.exit_code == 0, walk.output
    assert len([*(tmp_path / "walk").iterdir()]) == 8


def test_cli_arrays(folder: Path, tmp_path: Path, generator: Generator) -> None:
    target = tmp_path / "out.npz"
    assert run(folder, "-n", 5, "--seed", 9, "-o", target).exit_code == 0
    with np.load(target, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["image", "label", "seed"]
        assert arrays["seed"] == 9
        assert np.array_equal(arrays["image"], generator.generate(5, seed=9))
        assert np.array_equal(arrays["label"], generator.draw_inputs(5, seed=9)["label"])


def test_cli_rows_become_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.onnx").write_bytes(row_file())
    assert run("rows.onnx", "-n", 3).exit_code == 0
    with np.load("generated.npz", allow_pickle=False) as arrays:
        assert arrays["row"].shape == (3, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", 0], "not a number of samples"),
        (["-n", 10_001], "10,001 images"),
        (["--label", "dgo"], "no class 'dgo'"),
        (["--classes", "--label", "1"], "--classes"),
        (["--columns", 0], "columns"),
        (["-o", "x.gif.gz"], "cannot be written as"),
        (["--interpolate", 1], "interpolations"),
        (["--walk", 4, "--classes"], "--walk"),
        (["--walk", 4, "-o", "x.png"], "no animation"),
        (["--length", 4], "sizes of this generator are fixed"),
        (["--seed", -1], "seed"),
    ],
)
def test_cli_errors(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(folder, *arguments)
    assert isinstance(done.exception, UsageError), done.output
    assert message in done.exception.what
    assert list(tmp_path.iterdir()) == []


def test_onnxruntime_without_cuda(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ort_session, "_has_driver", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    done = run(folder, "-n", 2, provider="auto")
    assert done.exit_code == 0, done.output
    first, second = done.stderr.splitlines()
    assert first.endswith(", CPUExecutionProvider")
    assert "built without it" in second
    assert done.stdout == "wrote generated.png\n"
