"""Random command lines, and run directories in which files were changed: a message and a documented code.

The default is a short form; `pytest -m slow tests/cli/test_fuzz_cli.py` is the long one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganzoo.cli import main
from ganzoo.errors import ExitCode
from ganzoo.training import session
from ganzoo.training.distributed import launch

SMALL = ["--set=architecture.generator_hidden=[4]", "--set=architecture.discriminator_hidden=[4]"]
SHOWN = Path(__file__).parents[2] / "exported" / "vanilla"

# No command line holds a NUL.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)

# What an option may get: sound values, values at the edge of what can be, and nonsense.
NUMBERS = [
    "0",
    "1",
    "2",
    "-1",
    "64",
    "1.5",
    "1e3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "9" * 30,
    "0x10",
    "1_0",
    "",
]
WORDS = ["", "a", "-", "--", "é", "\u202e", "\x1b[31m", "a" * 300, "null", "{}", "[", '"', "%s", "\n", "€uro"]
PATHS = ["nothing", "empty", "file.txt", "run", "run/run.json", ".", "bundle", "bundle/generator.onnx", ""]
RECIPES = ["vanilla", "dcgan", "cgan", "wgan-gp", "mlp+wgan-gp", "mlp+", "+", "dcgan+wgan-gp+drift", "dgcan"]
RECIPES += ["run/settings.toml", "file.txt", "nothing.toml", "ganzoo/vanilla", "a/b/c"]
SETTINGS = [
    "train.images",
    "train.seed",
    "train.batch_size",
    "generator.lr",
    "generator.betas",
    "ema.half_life",
]
SETTINGS += [
    "architecture.generator_hidden",
    "terms.drift",
    "terms.drift.weight",
    "loss",
    "data.source",
    "x",
    "..",
    '"',
]
SOURCES = [
    "fashion-5k",
    "toy:ring",
    "toy:nothing",
    "folder:empty",
    "folder:.",
    "idx:file.txt",
    "npy:file.txt",
]
SOURCES += ["npz:empty", "idx:", ":", "a:b:c", "folder:\0"]

COMMANDS: dict[str, tuple[list[str], dict[str, list[str] | None]]] = {
    "list": (
        WORDS,
        {
            "--kind": ["recipe", "loss", "x"],
            "--plugin": ["ganzoo", "vanilla", *WORDS],
            "--all": None,
            "--json": None,
        },
    ),
    "info": ([*RECIPES, "wgan", "drift"], {"--kind": ["recipe", "loss", "x"], "--json": None}),
    "train": (
        RECIPES,
        {
            "--data": SOURCES,
            "--images": NUMBERS,
            "--minutes": NUMBERS,
            "--batch-size": NUMBERS,
            "--seed": NUMBERS,
            "--device": ["cpu", "cuda", "meta", *WORDS],
            "--precision": ["fp32", "bf16", "fp8"],
            "--set": [f"{path}={value}" for path in SETTINGS for value in [*NUMBERS, *WORDS]],
            "--run-dir": PATHS,
            "--resume": PATHS,
            "--pause-at": NUMBERS,
            "--auto-resume": None,
            "--on-nan": ["skip", "rollback", "hope"],
            "--stop": ["plateau", "indistinguishable", "end", *WORDS],
            "--devices": NUMBERS,
            "--max-restarts": NUMBERS,
            "--dry-run": None,
            "--explain": None,
            "--json": None,
        },
    ),
    "runs": (
        PATHS,
        {"--json": None, "--sort": ["score", "images"], "--recipe": WORDS, "--status": ["done", *WORDS]},
    ),
    "export": (PATHS, {"--uint8": None, "--checkpoint": ["best", *NUMBERS], "--json": None}),
    "generate": (
        PATHS,
        {
            "-n": NUMBERS,
            "--seed": NUMBERS,
            "--label": [*NUMBERS, *WORDS],
            "--classes": None,
            "--interpolate": NUMBERS,
            "--generator": WORDS,
            "--provider": ["cpu", "auto", "tpu"],
            "--batch-size": NUMBERS,
            "-o": ["x.png", "x.npz", "x.gif", "empty", "x", ""],
            "--columns": NUMBERS,
            "--json": None,
        },
    ),
    "completion": (["bash", "zsh", *WORDS], {}),
    "--version": ([], {}),
    "--no-plugin": (["vanilla", "nothing"], {}),
    "trian": (RECIPES, {}),
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    arguments, options = COMMANDS[name]
    words = [name]
    if arguments:
        words += draw(st.lists(st.sampled_from(arguments), max_size=2))
    for option in draw(st.lists(st.sampled_from(sorted(options)), max_size=4)) if options else []:
        words.append(option)
        values = options[option]
        if values is not None and draw(st.integers(0, 19)):
            words.append(draw(st.sampled_from(values) | TEXT))
    return words


@contextlib.contextmanager
def workplace(run: Path, folder: Path) -> Iterator[None]:
    """A fresh current directory with a run, a bundle, a text file and an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copytree(run, folder / "run")
    shutil.copytree(SHOWN, folder / "bundle")
    (folder / "empty").mkdir()
    (folder / "file.txt").write_text("no image, no settings")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def ends_well(arguments: list[str]) -> int:
    """Run the command in this process; its code, which must be documented, after words and no traceback."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    said = ""
    for stream in (out, err):
        stream.flush()
        said += stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    code = ended.value.code
    assert code in list(ExitCode), (arguments, said)
    assert "Traceback" not in said, (arguments, said)
    assert "please report it" not in said, (arguments, said)
    assert code == 0 or said.strip(), arguments
    return int(code or 0)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    assert ends_well(["train", "vanilla", "--images", "256", *SMALL, "--run-dir", str(folder)]) == 0
    return folder


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the loop itself, which would take its time over sound command lines."""
    monkeypatch.setattr(session, "train_loop", lambda *_: "paused")
    monkeypatch.setattr(launch, "launch", lambda *_: 0)


def fuzz_commands(examples: int, run: Path, folder: Path) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(command_lines())
    def check(arguments: list[str]) -> None:
        with workplace(run, folder / "here"):
            ends_well(arguments)

    check()


def test_random_command_lines(small_run: Path, no_training: None, tmp_path: Path) -> None:
    fuzz_commands(120, small_run, tmp_path)


@pytest.mark.slow
def test_many_random_command_lines(small_run: Path, no_training: None, tmp_path: Path) -> None:
    fuzz_commands(3000, small_run, tmp_path)


# --- changed files --------------------------------------------------------------------------------

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FILES = ["run.json", "settings.toml", "log.jsonl", "checkpoints/000000000256/manifest.json"]
FILES += ["checkpoints/000000000256/state.safetensors"]
USES = [
    ["runs", "."],
    ["train", "--resume", "run", "--images", "512"],
    ["train", "vanilla", "--images", "512", *SMALL, "--run-dir", "run", "--auto-resume"],
]


@st.composite
def changed(draw: st.DrawFn, files: dict[str, bytes]) -> tuple[str, bytes | None]:
    """A file of a run, and what it holds now; None when it is gone."""
    name = draw(st.sampled_from(FILES))
    content = files[name]
    kind = draw(st.sampled_from(["gone", "cut", "flip", "bytes", "value"]))
    if kind == "gone":
        return name, None
    if kind == "cut":
        return name, content[: draw(st.integers(0, len(content)))]
    if kind == "flip":
        where = draw(st.integers(0, len(content) - 1))
        return name, content[:where] + bytes([content[where] ^ draw(st.integers(1, 255))]) + content[
            where + 1 :
        ]
    if kind == "value" and name.endswith(".json"):
        record: dict[str, Any] = json.loads(content)
        record[draw(st.sampled_from(sorted(record)))] = draw(NESTED)
        return name, json.dumps(record).encode()
    return name, draw(st.binary(max_size=64) | NESTED.map(lambda value: json.dumps(value).encode()))


def fuzz_files(examples: int, run: Path, folder: Path) -> None:
    files = {name: (run / name).read_bytes() for name in FILES}

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(changed(files), st.sampled_from(USES))
    def check(change: tuple[str, bytes | None], use: list[str]) -> None:
        with workplace(run, folder / "here"):
            name, content = change
            if content is None:
                Path("run", name).unlink()
            else:
                Path("run", name).write_bytes(content)
            ends_well(use)

    check()


def test_changed_run_directories(small_run: Path, no_training: None, tmp_path: Path) -> None:
    fuzz_files(80, small_run, tmp_path)


@pytest.mark.slow
def test_many_changed_run_directories(small_run: Path, no_training: None, tmp_path: Path) -> None:
    fuzz_files(2000, small_run, tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_an_export_of_a_changed_run(
    name: str, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganzoo.exporting import from_run as exporting

    monkeypatch.setattr(
        exporting, "export_generators", lambda *_, **__: pytest.fail("nothing sound to export")
    )
    with workplace(small_run, tmp_path / "here"):
        for checkpoint in Path("run/checkpoints").iterdir():
            if checkpoint.name != "000000000256":
                shutil.rmtree(checkpoint)
        Path("run", name).write_bytes(b"\xff{")
        if name in ("settings.toml", "run.json", "log.jsonl"):
            shutil.rmtree("run/checkpoints")
        assert ends_well(["export", "run"]) == ExitCode.USAGE
