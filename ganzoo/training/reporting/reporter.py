"""The interface through which a run reports its progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ganzoo.config.plan import Plan
from ganzoo.runs.run import Run
from ganzoo.training.state import Training


class Reporter(Protocol):
    """Receives the progress of a run and shows it: on a terminal, to a script, or not at all."""

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Training is about to begin."""

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Called after each cycle; must be cheap."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """A log line was written."""

    def note(self, text: str) -> None:
        """A message for the user."""


class NullReporter:
    """A `Reporter` without output; it keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Do nothing."""

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Do nothing."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """Do nothing: the log file has the line."""

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)
