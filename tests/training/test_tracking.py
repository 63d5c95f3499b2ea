"""Trackers get what the log gets, once and in order; one that fails never ends a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganzoo.cli import main
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError, UsageError
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume
from tests.conftest import TINY

PLUGIN = """
    import json
    from dataclasses import dataclass
    from ganzoo.api import SettingsError, TrackerSpec, hookimpl

    GANZOO_API_VERSION = 2

    @dataclass(frozen=True, kw_only=True)
    class Options:
        fails: str = ""       # a method that raises ...
        until: int = 10**9    # ... before so many images
        missing: bool = False

    class Diary:
        def __init__(self, options):
            self.options = options
            if options.missing:
                raise SettingsError("The tracker 'diary' needs the package diary.", fix="pip install diary")

        def write(self, name, images, *rest):
            print("a tracker that prints")
            if name == self.options.fails and images < self.options.until:
                raise ConnectionError("no route")
            with open(self.file, "a") as file:
                file.write(json.dumps([name, images, *rest]) + "\\n")

        def start(self, run):
            self.file = run.folder / "diary.jsonl"
            self.write("start", 0, run.known_as, dict(run.settings))
            return run.known_as or f"diary-of-{run.name}"

        def log(self, images, values):
            self.write("log", images, dict(values))

        def samples(self, images, files):
            self.write("samples", images, [file.name for file in files])

        def end(self, status):
            self.write("end", 0, status)

    @hookimpl
    def ganzoo_trackers():
        factory = f"{__name__}:Diary"
        return [TrackerSpec(name="diary", summary="Writes lines.", factory=factory, config=Options)]
"""
SETTINGS = {
    **TINY["vanilla"], "train.device": "cpu", "train.batch_size": 8, "train.images": 160, "train.samples": 10,
    "train.log_every": 16, "train.sample_every": 40,
}  # fmt: skip


@pytest.fixture
def known(install: Callable[..., Path]) -> Registry:
    install("lab-diary", "diary", PLUGIN)
    return load_registry()


def trained(
    registry: Registry, folder: Path, pause_at: int | None = None, **more: Any
) -> tuple[Run, list[str]]:
    reporter = NullReporter()
    if (folder / "run.json").exists():
        plan = resolve(str(folder / "settings.toml"), registry, overrides=more)
        run, _ = resume(Run.open(folder), plan, reporter, pause_at)
    else:
        run, _ = start(
            resolve("vanilla", registry, overrides={**SETTINGS, **more}), folder, reporter, pause_at
        )
    return run, reporter.notes


def diary(run: Run, name: str = "") -> list[list[Any]]:
    lines = [json.loads(line) for line in (run.path / "diary.jsonl").read_text().splitlines()]
    return [line for line in lines if name in ("", line[0])]


def logged(run: Run) -> list[int]:
    return [line["images"] for line in run.log()]


def test_a_tracker_gets_settings_lines_samples_and_the_end(known: Registry, tmp_path: Path) -> None:
    run, _ = trained(known, tmp_path / "run", **{"track.name": "diary"})
    (began,) = diary(run, "start")
    assert began[2] == ""
    assert began[3]["train.batch_size"] == 8
    lines = diary(run, "log")
    assert [images for _, images, _ in lines] == logged(run)
    last = run.log()[-1]
    values = lines[-1][2]
    assert values["values/loss_generator"] == last["values"]["loss_generator"]
    assert values["images_per_second"] == last["images_per_second"]
    assert [files for _, _, files in diary(run, "samples")] == [
        [f"{images:012d}.png"] for images in (40, 80, 120, 160)
    ]
    images = [line[1] for line in diary(run) if line[0] in ("log", "samples")]
    assert images == sorted(images)
    assert diary(run)[-1] == ["end", 0, "done"]


def test_a_resumed_run_goes_on_without_doubled_points(known: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(known, folder, pause_at=72, **{"track.name": "diary"})
    # As if the process had been killed after more lines than its last checkpoint has.
    state = json.loads((folder / "tracked.json").read_text())
    state["lab-diary/diary"]["lines"] = 96
    (folder / "tracked.json").write_text(json.dumps(state))
    run, _ = trained(known, folder)
    assert [line[2] for line in diary(run, "start")] == ["", "diary-of-run"]
    assert [line[2] for line in diary(run, "end")] == ["paused", "done"]
    images = [line[1] for line in diary(run, "log")]
    assert images == [at for at in logged(run) if at not in (80, 96)]
    samples = [line[1] for line in diary(run, "samples")]
    assert samples == sorted(set(samples))


def test_a_tracker_that_is_chosen_later_gets_the_whole_log(known: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run, _ = trained(known, folder, pause_at=80)
    assert not (folder / "tracked.json").exists()
    run, _ = trained(known, folder, **{"track.name": "diary"})
    assert [line[1] for line in diary(run, "log")] == logged(run)
    run, _ = trained(known, folder, **{"track.name": "none", "train.images": 240})
    assert diary(run, "log")[-1][1] < logged(run)[-1]


def test_a_tracker_does_not_change_the_run(known: Registry, tmp_path: Path) -> None:
    plain, _ = trained(known, tmp_path / "plain")
    tracked, _ = trained(known, tmp_path / "tracked", **{"track.name": "diary"})
    states = [(max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes() for run in (plain, tracked)]
    assert states[0] == states[1]


@pytest.mark.parametrize("method", ["start", "log", "samples", "end"])
def test_a_tracker_that_fails_is_a_note(method: str, known: Registry, tmp_path: Path) -> None:
    options = {"track.name": "diary", "track.fails": method}
    run, notes = trained(known, tmp_path / "run", **options)
    assert run.record["status"] == "done"
    assert logged(run)[-1] == 160
    failed = {text for text in notes if "no route" in text}
    what = "The tracker 'diary' failed: ConnectionError: no route"
    assert failed == {f"training continues, and log.jsonl has everything, but: {what}"}
    assert sum("no route" in note["text"] for note in run.notes()) == 1


def test_what_could_not_be_sent_is_sent_later(known: Registry, tmp_path: Path) -> None:
    options = {"track.name": "diary", "track.fails": "log", "track.until": 1}
    run, _ = trained(known, tmp_path / "run", pause_at=80, **{**options, "track.until": 10**9})
    assert diary(run, "log") == []
    run, _ = trained(known, tmp_path / "run", **options)
    assert [line[1] for line in diary(run, "log")] == logged(run)


def test_a_slow_tracker_is_left(known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_PLUGIN_TIMEOUT", "0.05")
    monkeypatch.setattr("ganzoo.training.reporting.tracking.Tracking._send", lambda self, run: time.sleep(5))
    run, notes = trained(known, tmp_path / "run", **{"track.name": "diary"})
    assert run.record["status"] == "done"
    assert any("took longer than 0.05 s (GANZOO_PLUGIN_TIMEOUT)" in text for text in notes)


def test_errors_before_anything_is_written(known: Registry, tmp_path: Path) -> None:
    for options, error in (
        ({"track.name": "dairy"}, UsageError),
        ({"track.name": "diary", "track.missing": True}, SettingsError),
        ({"track.name": "diary", "track.color": "red"}, SettingsError),
        ({"track.color": "red"}, SettingsError),
    ):
        with pytest.raises(error):
            trained(known, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_the_setting_has_an_origin_and_no_influence_on_the_directory(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plans = [
        resolve("vanilla", known, overrides={**SETTINGS, **more}) for more in ({}, {"track.name": "diary"})
    ]
    assert plans[1].origin(("track", "name")) == "overrides"
    assert plans[1].origin(("track", "until")) == "tracker diary"
    first, _ = start_or_resume(plans[0], None, NullReporter(), pause_at=80)
    second, _ = start_or_resume(plans[1], None, NullReporter())
    assert first.path == second.path
    assert second.settings()["track"]["name"] == "lab-diary/diary"


def test_stdout_is_the_commands(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "vanilla", "--track", "diary", "--images", "16", "--batch-size", "8", "--json"]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--run-dir", str(tmp_path / "run")])
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events[0] == "start"
    assert events[-1] == "done"
    assert (tmp_path / "run" / "diary.jsonl").exists()
