"""Weights & Biases."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganzoo.api import SettingsError, TrackedRun, optional_package
from ganzoo_trackers.config import WandbConfig
from ganzoo_trackers.previews import previews

FAILED = 1  # the exit code of a run that did not end well


class Wandb:
    """A run of Weights & Biases. Its steps are images; its files are in the run directory."""

    def __init__(self, config: WandbConfig) -> None:
        self._wandb = optional_package("wandb", "wandb", "The tracker 'wandb'", raises=SettingsError)
        self._config = config
        kinds = {self._wandb.Image: (".png", ".gif", ".jpg"), self._wandb.Audio: (".wav",)}
        kinds[self._wandb.Html] = (".html", ".svg")
        self._kinds = {suffix: kind for kind, suffixes in kinds.items() for suffix in suffixes}

    def start(self, run: TrackedRun) -> str:
        """Open the run there, under an identifier of its own."""
        known_as = run.known_as or secrets.token_hex(4)
        self._run = self._wandb.init(
            id=known_as,
            name=run.name,
            project=self._config.project,
            entity=self._config.entity or None,
            mode=self._config.mode or None,
            dir=str(run.folder),
            config=dict(run.settings),
            resume="allow",
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        return known_as

    def log(self, images: int, values: Mapping[str, float]) -> None:
        """A step."""
        self._run.log(dict(values), step=images)

    def samples(self, images: int, files: Sequence[Path]) -> None:
        """Pictures, sounds and pages; other kinds are left out."""
        if found := previews(files, self._kinds):
            self._run.log(found, step=images)

    def end(self, status: str) -> None:
        """Wait until all is written or sent."""
        self._run.finish(exit_code=FAILED if status in ("failed", "diverged") else 0)
