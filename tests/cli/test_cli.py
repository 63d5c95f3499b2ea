"""The command line: what users type, what comes back, and how bad input ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo import __version__
from ganzoo.cli.common import table

SMALL = ["--set", "architecture.generator_hidden=[16]", "--set", "architecture.discriminator_hidden=[16]"]


def ganzoo(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ganzoo", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    result = ganzoo("train", "vanilla", "--images", "640", *SMALL, "--run-dir", "run", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[0]["event"] == "start"
    assert {"event", "run", "images", "seconds", "images_per_second"} == events[-1].keys()
    assert events[-1] | {"seconds": 0, "images_per_second": 0} == {
        "event": "done",
        "run": "run",
        "images": 640,
        "seconds": 0,
        "images_per_second": 0,
    }
    return folder / "run"


def test_help_and_version_name_every_command() -> None:
    shown = ganzoo("--help")
    assert shown.returncode == 0
    for name in ("list", "info", "train", "runs", "export", "generate", "doctor", "completion"):
        assert name in shown.stdout
        assert ganzoo(name, "--help").returncode == 0
    assert ganzoo("--version").stdout.strip().endswith(__version__)


def test_list_is_short_and_names_recipes_by_their_data() -> None:
    shown = ganzoo("list").stdout
    assert len(shown.splitlines()) < 40
    rows = {line.split("  ")[0].strip(): line for line in shown.splitlines() if "  " in line.strip()}
    for needed, name in (
        ("image", "dcgan,"),
        ("image, label", "cgan,"),
        ("row", "ctgan"),
        ("any field", "vanilla"),
    ):
        assert name in rows[needed]
    everything = json.loads(ganzoo("list", "--json").stdout)["items"]
    for recipe in (item["name"] for item in everything if item["kind"] == "recipe"):
        assert re.search(rf"(?<![\w-]){re.escape(recipe)}(?![\w-])", shown)
    losses = sum(item["kind"] == "loss" for item in everything)
    assert f"{losses} losses" in shown


def test_list_is_a_table_of_the_kinds() -> None:
    shown = ganzoo("list", "--all").stdout
    for title in ("recipes", "architectures", "losses", "terms", "datasets"):
        assert f"{title}\n" in shown.replace(" \n", "\n").replace("  ", "") or title in shown
    assert "wgan-gp" in shown
    only = ganzoo("list", "--kind", "loss", "--json")
    assert {item["kind"] for item in json.loads(only.stdout)["items"]} == {"loss"}
    one = json.loads(ganzoo("list", "--plugin", "dcgan", "--json").stdout)
    assert {item["name"] for item in one["items"]} >= {"dcgan"}
    assert json.loads(ganzoo("list", "--plugin", "ganzoo/dcgan", "--json").stdout) == one
    assert "dcgan offers no metric" in ganzoo("list", "--plugin", "dcgan", "--kind", "metric").stdout


def test_info_shows_options_and_where_things_come_from() -> None:
    shown = ganzoo("info", "wgan-gp")
    assert "Gulrajani" in shown.stdout
    assert "terms.gradient-penalty" in shown.stdout
    entries = json.loads(ganzoo("info", "dcgan", "--json").stdout)["items"]
    assert [entry["kind"] for entry in entries] == ["recipe", "architecture", "importer"]
    assert "discriminator_norm" in entries[1]["options"]
    assert "dcgan-paper" in entries[1]["used by"]
    assert entries[0]["origins"]["architecture.generator_width"] == "recipe dcgan"
    assert entries[0]["origins"]["architecture.output"] == "architecture dcgan"
    assert "train.device" not in entries[0]["settings"]
    assert "fields" not in entries[0]


def test_info_says_what_options_mean() -> None:
    (entry,) = json.loads(ganzoo("info", "csv", "--json").stdout)["items"]
    about = " ".join(entry["about options"])
    assert all(f"`{name}`" in about for name in entry["options"])
    shown = " ".join(ganzoo("info", "csv").stdout.split())
    assert all(" ".join(text.split()) in shown for text in entry["about options"])


def test_info_of_a_dataset_has_the_options_of_all_data_and_what_0_means() -> None:
    (entry,) = json.loads(ganzoo("info", "folder", "--json").stdout)["items"]
    assert entry["options"]["height"] == 0
    assert {"flip", "only", "without"} < entry["options"].keys()
    assert "height 0 chosen from the images" in " ".join(ganzoo("info", "folder").stdout.split())


def test_info_shows_networks_when_asked() -> None:
    (recipe,) = json.loads(ganzoo("info", "dcgan-paper", "--networks", "--json").stdout)["items"]
    assert {field["name"]: field["source"] for field in recipe["fields"]}["z"] == "uniform"
    assert recipe["tags"] == ["batch-norm-in-discriminator"]
    assert "term gradient-penalty" in [row["what"] for row in recipe["does not go with"]]
    shown = ganzoo("info", "conditional-conv", "--networks").stdout
    assert "z, label" in shown
    assert "image, label" in shown


def test_dry_run_and_explain_train_nothing(tmp_path: Path) -> None:
    plan = json.loads(ganzoo("train", "wgan-gp", "--dry-run", "--json", cwd=tmp_path).stdout)
    estimate = plan["estimate"]
    assert estimate["parameters"]["generators"] > 10_000
    assert estimate["flops_per_image"] > 1e6
    assert estimate["memory_mb"] > 1
    assert estimate["minutes"] == pytest.approx(
        230_000 / estimate["images_per_second"] / 60, rel=0.01, abs=0.01
    )
    shown = ganzoo("train", "mlp+non-saturating", *SMALL, "--data", "toy:ring", "--dry-run", cwd=tmp_path)
    assert "MFLOP" in shown.stdout
    assert re.search(
        r"time +about 10 minutes: [\d,]+ points at [\d,]+/s; --minutes or --images", shown.stdout
    )
    rows = json.loads(ganzoo("train", "dcgan", "--seed", "3", "--explain", "--json", cwd=tmp_path).stdout)
    origins = {row["path"]: row["origin"] for row in rows["settings"]}
    assert origins["train.seed"] == "command line"
    assert origins["generator.lr"] == "recipe dcgan"
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_complete_run_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["train", "mlp+non-saturating", *SMALL, "--data", "toy:ring", "--images", "64"]
    assert ganzoo(*words, "--run-dir", "my run", cwd=tmp_path).returncode == 0
    refused = ganzoo("train", "--resume", "my run", "--dry-run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "This run is complete" in refused.stderr
    assert "--resume 'my run' --images N" in refused.stderr
    longer = ganzoo("train", "--resume", "my run", "--images", "128", "--dry-run", cwd=tmp_path)
    assert re.search(r"done +64 points, in my run", longer.stdout)
    again = ganzoo(*words, "--run-dir", "my run", "--auto-resume", "--dry-run", cwd=tmp_path)
    assert "complete already" in again.stderr
    assert "--resume 'my run' --images N" in again.stderr


def test_dry_run_counts_work_exactly(tmp_path: Path) -> None:
    # A linear generator (z 3 -> 2) and critic (2 -> 1) on 2-D points, batch b, in multiply-adds x 2:
    # D step: G forward 12b, two D forwards 4b + 4b, their weight gradients 4b + 4b.
    # G step: G forward 12b, D forward 4b, D input gradient 4b, G weight gradient 12b.
    arguments = ["--set", "architecture.generator_hidden=[]", "--set", "architecture.discriminator_hidden=[]"]
    arguments += ["--set", "architecture.latent=3", "--data", "toy:ring", "--dry-run", "--json"]
    result = ganzoo("train", "mlp+non-saturating", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["estimate"]["flops_per_image"] == 28 + 32


def test_a_run_says_what_it_was_asked_for(tmp_path: Path) -> None:
    """Less than a cycle; and a time, where the data is not the recipe's own."""
    short = ganzoo("train", "vanilla", "--images", "16", *SMALL, "--run-dir", "short", cwd=tmp_path)
    assert re.search(r"^64 images in .*; 16 were asked for, one cycle is 64$", short.stderr, re.MULTILINE)
    timed = [
        "train",
        "mlp+non-saturating",
        *SMALL,
        "--data",
        "toy:ring",
        "--set",
        "train.about_minutes=0.001",
    ]
    said = ganzoo(*timed, "--run-dir", "timed", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    wanted = (
        r"toy:ring: ([\d,]+) points \(about 0.001 minutes at [\d,]+/s; --images or --minutes changes it\)"
    )
    found = re.search(wanted, said.stderr)
    assert found is not None
    assert "were asked for" not in said.stderr
    images = int(found[1].replace(",", ""))
    assert tomllib.loads((tmp_path / "timed" / "settings.toml").read_text())["train"]["images"] == images


def test_runs_lists_what_was_trained(run: Path) -> None:
    rows = json.loads(ganzoo("runs", str(run.parent), "--json").stdout)["runs"]
    assert rows[0]["recipe"] == "vanilla"
    assert rows[0]["status"] == "done"
    assert "vanilla" in ganzoo("runs", str(run.parent)).stdout
    assert "no runs" in ganzoo("runs", str(run / "samples")).stdout


def test_train_export_generate(run: Path) -> None:
    folder = run.parent
    result = ganzoo("export", "run", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert Path(last["bundle"]) == folder / "exported" / "vanilla"
    assert last["parity"]["max_abs"] < 1e-4
    assert {1, 2, 7} <= set(last["parity"]["batches"])
    assert all(Path(file).exists() for file in last["files"])
    assert str(folder) not in (folder / "exported/vanilla/README.md").read_text()
    result = ganzoo("generate", "exported/vanilla", "-n", "5", "--seed", "7", "-o", "out.npz", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "CPUExecutionProvider" in result.stderr
    assert np.load(folder / "out.npz")["image"].shape == (5, 1, 28, 28)


def test_an_export_leaves_the_bundle_of_another_run(run: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        shutil.copytree(run, tmp_path / name)
    for name, expected in (("first", "vanilla"), ("second", "vanilla-2"), ("second", "vanilla-2")):
        result = ganzoo("export", name, "--json", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert Path(json.loads(result.stdout)["bundle"]) == tmp_path / "exported" / expected


def test_piped_output_is_plain_lines(run: Path) -> None:
    result = ganzoo("train", "vanilla", "--images", "640", *SMALL, "--run-dir", "plain", cwd=run.parent)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout + result.stderr
    assert "images" in result.stderr
    assert "ganzoo export plain" in result.stdout


@pytest.mark.parametrize("words", [(), ("plugin",), ("bench",), ("cache",)])
def test_no_summary_of_a_command_is_cut_off(words: tuple[str, ...]) -> None:
    _, heading, commands = ganzoo(*words, "--help").stdout.partition("Commands:")
    assert heading
    assert "..." not in commands


def test_tables_without_names_of_columns_have_no_empty_head(capsys: pytest.CaptureFixture[str]) -> None:
    table("facts", ("", ""), [("a", "b")])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["facts", "", "a   b", ""]


def test_doctor_and_completion() -> None:
    report = json.loads(ganzoo("doctor", "--json").stdout)
    assert report["problems"] == []
    assert report["packages"]["torch"]
    assert ganzoo("doctor").returncode == 0
    assert "_GANZOO_COMPLETE" in ganzoo("completion", "bash").stdout
    completed = ganzoo(_GANZOO_COMPLETE="bash_complete", COMP_WORDS="ganzoo train wgan", COMP_CWORD="2")
    assert "wgan-gp" in completed.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "did you mean train"),
        (["train"], 2, "Which recipe"),
        (["train", "wgan-pg"], 2, "did you mean wgan-gp"),
        (["train", "dcgan", "--batch-size", "0"], 2, "batch-size"),
        (["train", "dcgan", "--set", "train.imagse=3"], 2, "did you mean images"),
        (["train", "dcgan", "--set", "nonsense"], 2, "path=value"),
        (["train", "dcgan", "--data", "folder:missing"], 3, "missing"),
        (["train", "dcgan", "--data", "folder:empty"], 3, "PNG"),
        (["train", "dcgan", "--data", "toy:ring"], 3, "image"),
        (["train", "cgan", "--data", "npy:gray.npy"], 3, "label"),
        (["train", "dcgan", "--data", "npy:small.npy"], 3, "8"),
        (["train", "dcgan", "--device", "cuda:77"], 2, "cuda:77"),
        (["train", "dcgan+wgan-gp", "--set", "architecture.discriminator_norm=batch"], 2, "BatchNorm"),
        (["train", "--resume", "empty"], 2, "not a run directory"),
        (["train", "dcgan", "--resume", "empty"], 2, "--resume"),
        (["export", "empty"], 2, "not a run directory"),
        (["generate", "empty"], 2, "empty"),
        (["generate", "broken.onnx"], 2, "broken.onnx"),
        (["info", "dcgam"], 2, "did you mean dcgan"),
        (["list", "--kind", "nothing"], 2, "nothing"),
        (["list", "--plugin", "stylgan2"], 2, "did you mean stylegan2"),
        (["list", "--plugin", "nonsense"], 2, "No plugin 'nonsense' is installed"),
        (["train", "mlp+drift"], 2, "'drift' is a term: name a loss before it"),
    ],
)
def test_bad_input_ends_with_a_message_and_a_code(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.onnx").write_bytes(b"not an onnx file at all")
    np.save(tmp_path / "gray.npy", np.zeros((20, 28, 28), np.uint8))
    np.save(tmp_path / "small.npy", np.zeros((20, 5, 5), np.uint8))
    before = sorted(tmp_path.iterdir())
    result = ganzoo(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = ganzoo("train", "vanilla", "--images", "64", *SMALL, cwd=tmp_path)
    assert result.returncode == 1
    assert "Permission" in result.stderr


def test_a_run_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = ganzoo("train", "vanilla", "--images", "64", *SMALL, "--run-dir", "file/run", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_full_disk_is_said_and_leaves_the_log_and_images(tmp_path: Path) -> None:
    import resource

    def small_files() -> None:
        # 100 kB a file: log and images fit, checkpoints do not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "ganzoo", "train", "vanilla", "--images", "1280", "--run-dir", "run"]
    command += ["--set", "train.samples=4"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, preexec_fn=small_files, check=False
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "training continues, but" in result.stderr
    assert "File too large" in result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 20


def test_divergence_ends_with_code_4(tmp_path: Path) -> None:
    result = ganzoo(
        "train",
        "vanilla",
        "--images",
        "6400",
        *SMALL,
        "--run-dir",
        "run",
        "--set",
        "generator.lr=1e30",
        cwd=tmp_path,
    )
    assert result.returncode == 4, result.stderr
    assert "not finite" in result.stderr


def test_an_export_that_fails_its_checks_ends_with_code_5(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganzoo.cli import main
    from ganzoo.exporting import verify

    monkeypatch.setattr(verify, "TOLERANCE", -1.0)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), "-o", str(tmp_path / "bundle")])
    assert ended.value.code == 5
    assert not (tmp_path / "bundle").exists()


def test_resuming_in_another_process_is_exact(tmp_path: Path) -> None:
    start = ["train", "vanilla", "--images", "1280", *SMALL, "--device", "cpu"]
    assert ganzoo(*start, "--run-dir", "whole", cwd=tmp_path).returncode == 0
    paused = ganzoo(*start, "--run-dir", "parts", "--pause-at", "600", cwd=tmp_path)
    assert paused.returncode == 0
    assert "--resume parts" in paused.stdout
    result = ganzoo("train", "--resume", "parts", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    name = "checkpoints/000000001280/state.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    result = ganzoo("train", "--resume", "parts", cwd=tmp_path)
    assert result.returncode == 2
    assert "complete" in result.stderr


def test_killed_runs_resume_exactly(tmp_path: Path) -> None:
    arguments = ["train", "vanilla", "--images", "6400", *SMALL, "--device", "cpu"]
    assert ganzoo(*arguments, "--run-dir", "whole", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "ganzoo", *arguments, "--run-dir", "parts", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("images", 0) >= 2000:
                process.kill()
                break
    assert ganzoo("train", "--resume", "parts", cwd=tmp_path).returncode == 0
    name = "checkpoints/000000006400/state.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_reader_that_goes_away_does_not_cost_the_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganzoo", "train", "vanilla", "--images", "6400", *SMALL]
    with subprocess.Popen(
        [*command, "--run-dir", "run", "--json"], stdout=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"


def test_training_twice_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ganzoo as package

    monkeypatch.chdir(tmp_path)
    small = {"architecture.generator_hidden": [8], "architecture.discriminator_hidden": [8]}
    runs = [package.train("vanilla", images=64, settings=small, run_dir=f"run-{i}") for i in range(2)]
    assert [run.record["status"] for run in runs] == ["done", "done"]
    assert package.open_run("run-1").settings() == runs[1].settings()


def test_the_python_interface_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    snippet = readme.split("```python\n")[1].split("```")[0]
    assert "ganzoo.train(" in snippet
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(snippet.replace("20_000", "640"), scope)  # noqa: S102 - this is the README's own code
    assert scope["images"].shape == (64, 1, 28, 28)


def test_the_deployment_code_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    snippet = (root / "README.md").read_text().split("```py\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(snippet.replace("exported/", f"{root}/exported/"), scope)  # noqa: S102
    assert scope["image"].shape == (16, 1, 28, 28)
    assert (tmp_path / "sneaker.png").exists()


def test_the_data_decides_without_a_recipe(tmp_path: Path) -> None:
    """The recipe that suits it, and settings that follow from its shape; torch is not needed to see them."""
    np.save(tmp_path / "small.npy", np.zeros((30, 30, 30, 3), np.uint8))
    np.save(tmp_path / "points.npy", np.zeros((30, 2), np.float32))
    shown = ganzoo("train", "--data", "npy:small.npy", "--explain", "--json", cwd=tmp_path)
    assert "recipe dcgan suits this data best;" in shown.stderr
    explained = json.loads(shown.stdout)
    assert explained["recipe"] == "dcgan"
    origins = {row["path"]: row["origin"] for row in explained["settings"]}
    assert origins["discriminator.lr"] == "for 30x30x3, 30 samples"
    points = ganzoo("train", "auto", "--data", "npy:points.npy", "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(points.stdout)["recipe"] == "wgan-gp-mlp"
    missing = ganzoo("train", "dcgan", "--data", "npy:gone.npy", "--explain", cwd=tmp_path)
    assert missing.returncode == 0
    assert "settings that depend on the data are not shown" in missing.stderr


def test_an_export_for_deployment(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ganzoo.cli import main

    words = ["--fp16", "--batch", "2", "--license", "cc-by-4.0", "--author", "A. Painter"]
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), "-o", str(tmp_path / "b"), "--triton", str(tmp_path / "models"), *words])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "weights in float16: 0." in shown
    assert "largest difference from torch" in shown
    assert "at batch sizes 2\n" in shown
    assert (tmp_path / "models" / "b" / "1" / "model.onnx").is_file()
    card = (tmp_path / "b" / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\n')
    assert "| author | A. Painter |" in card
