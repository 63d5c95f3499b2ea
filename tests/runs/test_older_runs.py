"""Runs that an older version began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.runs.validation import read_manifest, sealed_manifest
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume


def without(run: Run, *names: str) -> None:
    """As a version that knew no such settings of [train] would have left the run."""
    for checkpoint in run.checkpoints.iterdir():
        record = read_manifest(checkpoint)
        for name in names:
            del record["settings"]["train"][name]
        (checkpoint / "manifest.json").write_bytes(sealed_manifest(record))
    lines = run.settings_file.read_text().splitlines(keepends=True)
    run.settings_file.write_text("".join(line for line in lines if line.split(" ")[0] not in names))


def test_settings_that_a_newer_version_brings_do_not_stop_a_run(
    tiny: Callable[..., Plan], registry: Registry, tmp_path: Path
) -> None:
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    known = run.settings_file.read_text()
    without(run, "pack", "replay")
    packed = resolve(str(run.settings_file), registry, overrides={"train.pack": 2})
    with pytest.raises(UsageError, match=r"would change train\.pack"):
        resume(Run.open(run.path), packed, NullReporter())
    reporter = NullReporter()
    _, outcome = start_or_resume(plan, run.path, reporter)
    assert outcome == "done"
    new = [note for note in reporter.notes if "did not exist when the run started" in note]
    assert [note.split()[0] for note in new] == ["train.pack", "train.replay"]
    assert run.settings_file.read_text() == known
    _, again = start_or_resume(plan, run.path, NullReporter())
    assert again == "done"
