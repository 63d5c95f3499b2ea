"""`ganzoo import` as users type it: bundles, runs, --inspect, and how bad files end."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file

from ganzoo.cli import cli
from ganzoo.errors import GanzooError, UsageError
from ganzoo.runs.run import Run
from ganzoo_dcgan.importer import example
from tests.helpers.importing import tensors

NO_TORCH = """
import sys
sys.modules["torch"] = None
from ganzoo.cli import main
main(sys.argv[1:])
"""


def run(*words: object) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my gan.pth"
    torch.save({**tensors(example()), "epoch": 7, "args": {"lr": 2e-4}}, path)
    return path


def test_inspect_shows_the_networks_and_writes_nothing(file: Path) -> None:
    shown = run("import", file, "--inspect").output
    for text in ("netG", "netD", "dcgan", "8x16x4x4", "image (3, 16, 16)"):
        assert text in shown
    told = json.loads(run("import", file, "--inspect", "--json").stdout)
    assert told["facts"] == {"epoch": 7, "args": {"lr": 2e-4}}
    paths = {network["path"]: network for network in told["networks"]}
    assert {"", "netG", "netD"} <= paths.keys()
    assert paths["netG"]["fits"].startswith("dcgan")
    assert paths["netG"]["arrays"]["main.0.weight"] == [8, 16, 4, 4]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_bundle_is_checked_has_a_card_and_needs_no_torch(file: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    made = json.loads(
        run("import", file, "-o", bundle, "--license", "MIT", "--source", "a friend", "--json").stdout
    )
    assert made["architecture"] == "dcgan"
    assert made["parity"]["batches"] == [1, 2, 7, 64]
    assert made["parity"]["max_abs"] < 1e-5
    card = (bundle / "README.md").read_text()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for text in ('license: "MIT"', "my gan.pth", digest, "a friend", "the range of the pixels", "N(0, 1)"):
        assert text in card
    assert str(tmp_path) not in card
    words = ["generate", str(bundle), "-n", "4", "-o", str(tmp_path / "x.png")]
    subprocess.run([sys.executable, "-c", NO_TORCH, *words], check=True, capture_output=True)
    with Image.open(tmp_path / "x.png") as grid:
        assert grid.size[0] > 16


def test_a_licence_is_never_guessed(file: Path, tmp_path: Path) -> None:
    assert "--license NAME" in run("import", file, "-o", tmp_path / "bundle").output
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert 'license: "unknown"' in card
    assert "ask whoever made the weights" in card


def pictures(folder: Path, side: int = 16) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for at in range(12):
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{at}.png")
    return folder


SHORT = ("--set", "train.images=32", "--set", "train.batch_size=8", "--set", "train.device=cpu")


def test_a_run_begins_with_the_weights_and_goes_on(file: Path, tmp_path: Path) -> None:
    data, folder = pictures(tmp_path / "pictures"), tmp_path / "run"
    made = run("import", file, "--as", "run", "--data", f"folder:{data}", "-o", folder, *SHORT)
    assert f"ganzoo train --resume {folder}" in made.output
    record = Run.open(folder).record
    assert record["status"] == "paused"
    assert record["imported"]["file"] == "my gan.pth"
    state = load_file(folder / "checkpoints" / "000000000000" / "state.safetensors")
    theirs = example()
    for name, ours, key in (
        ("netG", "networks.generator.generator.layers.2.weight", "main.3.weight"),
        ("netD", "networks.discriminator.discriminator.layers.0.weight", "main.0.weight"),
    ):
        np.testing.assert_array_equal(state[ours].numpy(), theirs[name][key])
    run("train", "--resume", folder)
    assert Run.open(folder).record["status"] == "done"
    other = tmp_path / "other"
    run("train", "dcgan+non-saturating", "--from", folder, "--data", f"folder:{data}", "--run-dir", other,
        "--set", "architecture.latent=8", "--set", "architecture.generator_width=8", *SHORT)  # fmt: skip
    assert len(Run.open(other).record["warm_start"]["matched"]) > 4


def test_the_discriminator_may_be_in_another_file(tmp_path: Path) -> None:
    data, folder = pictures(tmp_path / "pictures"), tmp_path / "run"
    for name, state in example().items():
        torch.save(tensors(state), tmp_path / f"{name}.pth")
    words = ["--as", "run", "--data", f"folder:{data}", "-o", folder, *SHORT]
    run("import", tmp_path / "netG.pth", *words, "--discriminator", tmp_path / "netD.pth")
    state = load_file(folder / "checkpoints" / "000000000000" / "state.safetensors")
    found = state["networks.discriminator.discriminator.layers.0.weight"].numpy()
    np.testing.assert_array_equal(found, example()["netD"]["main.0.weight"])
    record = Run.open(folder).record["imported"]
    digest = hashlib.sha256((tmp_path / "netD.pth").read_bytes()).hexdigest()
    assert (record["discriminator_file"], record["discriminator_sha256"]) == ("netD.pth", digest)


@pytest.mark.parametrize("fault", ["another shape", "missing"])
def test_a_discriminator_that_does_not_fit_stops_no_bundle(tmp_path: Path, fault: str) -> None:
    nets = example()
    if fault == "missing":
        del nets["netD"]["main.3.running_var"]
    else:
        nets["netD"]["main.3.running_var"] = np.ones(9, np.float32)
    torch.save(tensors(nets), tmp_path / "both.pth")
    made = run("import", tmp_path / "both.pth", "-o", tmp_path / "bundle")
    assert (tmp_path / "bundle" / "generator.onnx").exists()
    assert ("left out (but without 'main.3.running_var')" in made.output) is (fault == "missing")
    words = ["--as", "run", "--data", f"folder:{pictures(tmp_path / 'pictures')}", "-o", tmp_path / "run"]
    if fault == "missing":
        assert "so new: discriminator" in run("import", tmp_path / "both.pth", *words, *SHORT).output
        torch.save(tensors(nets["netG"]), tmp_path / "G.pth")
        torch.save(tensors(nets["netD"]), tmp_path / "D.pth")
        with pytest.raises(UsageError, match="The file of the discriminator has"):
            run("import", tmp_path / "G.pth", "--discriminator", tmp_path / "D.pth", *words, *SHORT)
    else:
        with pytest.raises(UsageError, match=r"(?s)'discriminator'.*ganzoo train RECIPE --from FILE"):
            run("import", tmp_path / "both.pth", *words, *SHORT)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--as", "run"], "needs data"),
        (["--discriminator", "x.pth"], "--as run"),
        (["--data", "folder:x"], "--as run"),
        (["--architecture", "unet-patch"], "no 'unet-patch'"),
        (["--part", "netD"], "no 'netD'"),
    ],
)
def test_options_that_do_not_go_together(file: Path, words: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        run("import", file, *words)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_data_of_another_size_is_refused_before_a_file_is_written(file: Path, tmp_path: Path) -> None:
    data, folder = pictures(tmp_path / "pictures", 32), tmp_path / "run"
    with pytest.raises(GanzooError, match="do not fit") as caught:
        run("import", file, "--as", "run", "--data", f"folder:{data}", "-o", folder, *SHORT)
    assert "16x16" in str(caught.value) or "(3, 16, 16)" in str(caught.value)
    assert not folder.exists() or not (folder / "run.json").exists()


def test_options_of_the_networks_are_those_of_the_file(file: Path, tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures")
    with pytest.raises(UsageError, match="those of the file"):
        run("import", file, "--as", "run", "--data", f"folder:{data}", "--set", "architecture.latent=4")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda net: net.pop("main.3.weight"), "No importer"),
        (lambda net: net.update({"main.0.weight": np.full((8, 16, 4, 4), np.nan, np.float32)}), "not finite"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, change: Any, text: str) -> None:
    net = dict(example()["netG"])
    change(net)
    torch.save(tensors(net), tmp_path / "a.pth")
    with pytest.raises(UsageError, match=text):
        run("import", tmp_path / "a.pth", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        run("import", tmp_path / "none.pth")
    assert run("import", tmp_path).exit_code == 2
