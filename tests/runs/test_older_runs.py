"""Runs that an older version began."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.exporting.from_run import export_run
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.runs.validation import read_manifest, sealed_manifest
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume


def without(run: Run, *names: str, table: str = "train") -> None:
    """As a version that knew no such settings of that table would have left the run."""
    for checkpoint in run.checkpoints.iterdir():
        record = read_manifest(checkpoint)
        for name in names:
            del record["settings"][table][name]
        (checkpoint / "manifest.json").write_bytes(sealed_manifest(record))
    settings = tomllib.loads(run.settings_file.read_text())
    for name in names:
        del settings[table][name]
    run.settings_file.write_text(tomli_w.dumps(settings))


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


# What version 0.2 brought to architectures, by recipe; a run of 0.1 has their values without naming them.
NEW: dict[str, dict[str, Any]] = {
    "vanilla": {"latent_range": [-1.0, 1.0]},
    "dcgan": {"bottom_activation": True, "slope": 0.2, "spectral_score": True, "norm_eps": 1e-5},
    "biggan": {
        "separate_tables": False,
        "score_bias": True,
        "norm_eps": 1e-5,
        "spectral_eps": 1e-12,
        "block_gain": 2**0.5,
    },
    "fastgan": {"spectral_generator": False},
}
SHRUNK: dict[str, dict[str, Any]] = {
    "vanilla": {"architecture.generator_hidden": [16], "architecture.discriminator_hidden": [16]},
    "dcgan": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
    "biggan": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
    "fastgan": {"architecture.generator_width": 2, "architecture.discriminator_width": 2},
}


@pytest.mark.parametrize("recipe", NEW)
def test_networks_of_an_older_run_stay_as_they_were(recipe: str, registry: Registry, tmp_path: Path) -> None:
    """It is exported and goes on; of `biggan` 0.1 had one layer for gains and shifts, where 0.2 has two."""
    new = {f"architecture.{name}": value for name, value in NEW[recipe].items()}
    length = {"train.device": "cpu", "train.batch_size": 8, "train.images": 48, "train.samples": 10}
    plan = resolve(recipe, registry, overrides={**length, **SHRUNK[recipe], **new})
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=32)
    without(run, *NEW[recipe], table="architecture")
    assert export_run(run, tmp_path / "bundle").path.is_dir()
    reporter = NullReporter()
    _, outcome = resume(run, resolve(str(run.settings_file), registry), reporter)
    assert outcome == "done"
    notes = {note.split()[0] for note in reporter.notes if "did not exist when the run started" in note}
    assert notes == set(new)
