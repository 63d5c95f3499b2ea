"""Killed at any moment, a run goes on as if nothing had been: promises 1 and 3 of docs/reliability.md.

Each death is real (SIGKILL), in a fork of this process: importing torch would take most of the time.
The long forms are marked slow: `pytest -m slow tests/runs/test_kills.py`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ganzoo.cli import main
from ganzoo.config.plan import Plan
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start, start_or_resume
from ganzoo.util import files
from tests.helpers.faults import FaultyDisk, die, ended, forked

Tiny = Callable[..., Plan]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

INTERVAL = 16
TRACKED = {"train.checkpoint_every": INTERVAL, "train.log_every": 8, "train.sample_every": 40}


def final_state(run: Path) -> bytes:
    return (max((run / "checkpoints").iterdir()) / "state.safetensors").read_bytes()


def lines(run: Path) -> list[tuple[int, str]]:
    """The log as bits: the values of each line, written in hexadecimal."""
    return [
        (
            line["images"],
            " ".join(f"{name}={float(value).hex()}" for name, value in line["values"].items())
            + f" {line.get('sample_spread')}",
        )
        for line in Run.open(run).log()
    ]


class Witness(NullReporter):
    """Writes down how far a run came, where a death does not take it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.handle = os.open(file, os.O_WRONLY | os.O_CREAT)

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        os.pwrite(self.handle, f"{images:012d}".encode(), 0)


def killed_until_done(plan: Plan, folder: Path, seed: int, atomic: bool) -> int:
    """Train with deaths at random moments; how many there were. Half of them inside a write."""
    chance, deaths, run_dir, seen = random.Random(seed), 0, folder / "run", folder / "seen"
    while True:
        at, after = chance.randrange(1, 120), chance.uniform(0.0, 0.25)
        inside = chance.random() < 0.5

        def work(disk: FaultyDisk | None) -> None:
            files.disk = disk or files.disk
            start_or_resume(plan, run_dir, Witness(seen))

        disk = FaultyDisk(at if inside else 10**9, die, atomic=atomic) if inside or not atomic else None
        pid = forked(partial(work, disk), folder / "said")
        if not inside:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        if code == 0:
            return deaths
        assert code == -signal.SIGKILL, (folder / "said").read_text()
        deaths += 1
        assert deaths < 400, "the run does not come to its end"
        came = int(seen.read_text() or 0) if seen.exists() else 0
        lost = came - newest(run_dir)
        assert lost <= INTERVAL, f"{lost} images lost of {came}"


def newest(run_dir: Path) -> int:
    """The images of the newest valid checkpoint, whatever its folder is called."""
    from ganzoo.errors import UsageError
    from ganzoo.runs.checkpoint import read_newest

    try:
        return int(read_newest(run_dir / "checkpoints")[1]["images"])
    except UsageError:
        return 0


def check_kills(plan: Plan, tmp_path: Path, wanted: int, atomic: bool = True) -> int:
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    total = number = 0
    while total < wanted:
        folder = tmp_path / f"killed-{number}"
        folder.mkdir()
        total += killed_until_done(plan, folder, number, atomic)
        assert final_state(folder / "run") == final_state(whole.path)
        assert lines(folder / "run") == lines(whole.path)
        left = [p.name for p in (folder / "run").rglob(".*") if p.name != ".lock"]
        assert not left, "what the dead left is cleared up"
        number += 1
    return total


@pytest.mark.parametrize("atomic", [True, False], ids=["rename", "copies"])
def test_killed_at_random_moments_a_run_goes_on_as_if_nothing_had_been(
    atomic: bool, tiny: Tiny, tmp_path: Path
) -> None:
    check_kills(tiny("vanilla", **TRACKED), tmp_path, 12, atomic)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "kills"), [("vanilla", 120), ("cgan", 40), ("wgan-gp", 40)])
def test_two_hundred_kills(recipe: str, kills: int, tiny: Tiny, tmp_path: Path) -> None:
    print(recipe, check_kills(tiny(recipe, **TRACKED), tmp_path, kills), "kills")


@pytest.mark.slow
def test_a_hundred_kills_without_rename(tiny: Tiny, tmp_path: Path) -> None:
    print(check_kills(tiny("cgan", **TRACKED), tmp_path, 100, atomic=False), "kills")


# --- asked to stop --------------------------------------------------------------------------------


def check_terms(tmp_path: Path, times: int, recipe: list[str]) -> float:
    """SIGTERM at random moments of training; the longest time until the end, in seconds."""
    chance, longest = random.Random(7), 0.0
    for number in range(times):
        run_dir, said = tmp_path / f"run-{number}", tmp_path / f"said-{number}"
        arguments = ["train", *recipe, "--run-dir", str(run_dir), "--json", "--seed", str(number)]
        pid = forked(partial(main, arguments), said)
        deadline = time.monotonic() + 60
        while '"tick"' not in (said.read_text() if said.exists() else "") and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        began = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        code = ended(pid)
        longest = max(longest, time.perf_counter() - began)
        assert code == 75, said.read_text()
        record = Run.open(run_dir).record
        assert record["status"] == "preempted"
        assert newest(run_dir) == record["images"] > 0
    return longest


EMBEDDED = ["dcgan", "--set", "train.log_every=64"]


def test_asked_to_stop_a_run_saves_that_step(tmp_path: Path) -> None:
    assert check_terms(tmp_path, 2, EMBEDDED) < 5


@pytest.mark.slow
def test_asked_to_stop_fifty_times(tmp_path: Path) -> None:
    longest = check_terms(tmp_path, 50, EMBEDDED)
    print(f"50 of 50, the longest took {longest:.2f} s")
    assert longest < 5


def test_asked_to_stop_before_training_nothing_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    from ganzoo.training import session

    def slow(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    monkeypatch.setattr(session, "prepare", slow)
    pid = forked(lambda: main(["train", "vanilla", "--run-dir", str(tmp_path / "run")]), tmp_path / "said")
    assert ended(pid) == 75
    assert "nothing is lost" in (tmp_path / "said").read_text()
    assert not (tmp_path / "run").exists()
