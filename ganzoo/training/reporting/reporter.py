"""What is told while a run trains, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ganzoo.config.plan import Plan
from ganzoo.runs.run import Run
from ganzoo.training.state import Training


class Reporter(Protocol):
    """Who is told about a run: a terminal, a script, nobody."""

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Training is about to begin."""

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Called after each cycle; must be cheap."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """A log line was written."""

    def note(self, text: str) -> None:
        """Something that a user should know."""


class NullReporter:
    """Implements `recorder.Reporter` without any output."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Nothing to say."""

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Nothing to say."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """The log file has it."""

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)
