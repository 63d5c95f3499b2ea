"""Warm start: a run begins with the weights of another one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import ganzoo
from ganzoo.cli.train import command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import prepare
from ganzoo.training.warm_start import warm_start

Tiny = Callable[..., Plan]
NARROW = {"architecture.generator_hidden": [16, 8]}
ONE_STEP = {"train.images": 8, "train.batch_size": 8}


class Notes(NullReporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def first(tiny: Tiny, tmp_path: Path) -> Run:
    return start(tiny("vanilla", **{"ema.half_life": 50}), tmp_path / "first", NullReporter())[0]


def test_equal_networks_begin_with_all_weights_and_their_average(tiny: Tiny, first: Run) -> None:
    setup = prepare(tiny("vanilla", **{"ema.half_life": 50, "train.seed": 5}))
    notes: list[str] = []
    table = warm_start(setup.training, first.path, notes.append)
    saved, now = read_newest(first.checkpoints)[0], setup.training.tensors()
    names = [name for name in now if name.startswith(("networks.", "ema."))]
    assert any(name.startswith("ema.") for name in names)
    assert all(torch.equal(now[name], saved[name]) for name in names)
    assert len(table["matched"]) == sum(name.startswith("networks.") for name in names)
    assert not table["other_shape"] + table["left_out"] + table["fresh"]
    assert len(notes) == 1
    assert f"{len(table['matched'])} matched" in notes[0]


def test_the_average_of_a_run_without_one_begins_with_its_weights(tiny: Tiny, tmp_path: Path) -> None:
    plain, _ = start(tiny("vanilla", **{"ema.half_life": 0}), tmp_path / "plain", NullReporter())
    setup = prepare(tiny("vanilla", **{"ema.half_life": 50, "train.seed": 5}))
    warm_start(setup.training, plain.path, print)
    now = setup.training.tensors()
    for name in [name for name in now if name.startswith("ema.")]:
        assert torch.equal(now[name], now[f"networks.generator.{name.removeprefix('ema.')}"])


def test_what_does_not_fit_stays_and_is_said(tiny: Tiny, first: Run, tmp_path: Path) -> None:
    reporter = Notes()
    plan = tiny("vanilla", **NARROW, **ONE_STEP, **{"train.warm_start": str(first.path)})
    run, _ = start(plan, tmp_path / "second", reporter)
    table = json.loads((run.path / "run.json").read_text())["warm_start"]
    assert table["from"] == str(first.path)
    assert table["images"] == 160
    assert all(name.startswith("networks.generator") for name in table["other_shape"])
    assert table["other_shape"]
    assert any(name.startswith("networks.discriminator") for name in table["matched"])
    assert sum("starts with the weights" in note for note in reporter.notes) == 1


def test_few_weights_that_fit_are_said_with_the_settings_of_the_source(
    tiny: Tiny, first: Run, tmp_path: Path
) -> None:
    reporter = Notes()
    wide = {"architecture.generator_hidden": [64, 16], "architecture.discriminator_hidden": [64]}
    start(
        tiny("vanilla", **wide, **ONE_STEP, **{"train.warm_start": str(first.path)}),
        tmp_path / "wide",
        reporter,
    )
    (said,) = [note for note in reporter.notes if note.startswith("only ")]
    found = re.findall(r"--set '(.*?)=(.*?)'", said)
    settings = {path: json.loads(value) for path, value in found}
    assert sorted(settings) == sorted(wide)
    again = Notes()
    plan = tiny("vanilla", **settings, **ONE_STEP, **{"train.warm_start": str(first.path)})
    start(plan, tmp_path / "same", again)
    assert not [note for note in again.notes if note.startswith("only ")]


def test_nothing_that_fits_is_refused_before_anything_is_written(
    tiny: Tiny, first: Run, tmp_path: Path
) -> None:
    plan = tiny("dcgan", **{"train.warm_start": str(first.path)})
    with pytest.raises(UsageError, match="Nothing in that run"):
        start(plan, tmp_path / "second", NullReporter())
    assert not (tmp_path / "second" / "run.json").exists()
    with pytest.raises(UsageError):
        start(tiny("vanilla", **{"train.warm_start": str(tmp_path)}), tmp_path / "third", NullReporter())


def test_a_resumed_run_does_not_load_again(tiny: Tiny, first: Run, tmp_path: Path) -> None:
    plan = tiny("vanilla", **{"train.warm_start": str(first.path), "train.seed": 3})
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=80)
    first.path.rename(tmp_path / "moved")
    plan = resolve(str(parts.settings_file), load_registry())
    parts, outcome = resume(Run.open(parts.path), plan, NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    assert parts.record["warm_start"]["matched"]


def test_the_command_and_the_function(tiny: Tiny, first: Run, tmp_path: Path) -> None:
    words = ["vanilla", "--from", str(first.path), "--images", "8", "--batch-size", "8", "--device", "cpu"]
    for option, values in TINY_WORDS.items():
        words += ["--set", f"{option}={json.dumps(values)}"]
    result = CliRunner().invoke(command, [*words, "--run-dir", str(tmp_path / "second")], obj=())
    assert result.exit_code == 0, result.output
    assert Run.open(tmp_path / "second").record["warm_start"]["matched"]
    run = ganzoo.train(
        "vanilla",
        images=8,
        batch_size=8,
        device="cpu",
        run_dir=tmp_path / "third",
        warm_start=first.path,
        settings=TINY_WORDS,
    )
    assert run.record["warm_start"]["matched"]


TINY_WORDS: dict[str, Any] = {
    "architecture.generator_hidden": [16, 16],
    "architecture.discriminator_hidden": [16, 16],
}
