"""Trackio."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganzoo.api import SettingsError, TrackedRun, optional_package
from ganzoo_trackers.config import TrackioConfig
from ganzoo_trackers.previews import previews


class Trackio:
    """A run of Trackio. Its steps are images."""

    def __init__(self, config: TrackioConfig) -> None:
        if config.folder:
            os.environ["TRACKIO_DIR"] = config.folder  # the package reads it when it is imported
        self._trackio = optional_package("trackio", "trackio", "The tracker 'trackio'", raises=SettingsError)
        self._config = config
        self._kinds = {".png": self._trackio.Image, ".gif": self._trackio.Image, ".wav": self._trackio.Audio}

    def start(self, run: TrackedRun) -> str:
        """Open the run of that name in the project."""
        self._run = self._trackio.init(
            project=self._config.project,
            name=run.known_as or run.name,
            space_id=self._config.space or None,
            config=dict(run.settings),
            resume="allow" if run.known_as else "never",
            embed=False,
        )
        return str(self._run.name)

    def log(self, images: int, values: Mapping[str, float]) -> None:
        """A step."""
        self._run.log(dict(values), step=images)

    def samples(self, images: int, files: Sequence[Path]) -> None:
        """Pictures and sounds; other kinds are left out."""
        if found := previews(files, self._kinds):
            self._run.log(found, step=images)

    def end(self, status: str) -> None:
        """Wait until all is written or sent."""
        self._trackio.finish()
