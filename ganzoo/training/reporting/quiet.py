"""The reporter of runs started from Python: it keeps what it hears and prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.config.plan import Plan
from ganzoo.runs.run import Run
from ganzoo.training.state import Training


class Quiet:
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
