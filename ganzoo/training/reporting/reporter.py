"""The interface through which a run reports its progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ganzoo.config.plan import Plan
from ganzoo.errors import StorageError
from ganzoo.runs.run import Run
from ganzoo.training.state import Training


class Observer(Protocol):
    """Receives the log of a run."""

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Training is about to begin."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """A log line was written."""


class Reporter(Observer, Protocol):
    """Receives the progress of a run and shows it: on a terminal, to a script, or not at all."""

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Called after each cycle; must be cheap."""

    def note(self, text: str) -> None:
        """A message for the user."""


class KeptNotes:
    """Passes everything on to a reporter, and keeps the notes in the run. `observers` get the log, too.

    `say` is a note that matters at this moment only: it is not kept.
    """

    def __init__(self, reporter: Reporter, run: Run, training: Training) -> None:
        self._reporter, self._run, self._training = reporter, run, training
        self.progress, self.say = reporter.progress, reporter.note
        self.observers: Sequence[Observer] = ()

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Training is about to begin."""
        for observer in (self._reporter, *self.observers):
            observer.start(run, plan, training)

    def tick(self, record: Mapping[str, Any]) -> None:
        """A log line was written."""
        for observer in (self._reporter, *self.observers):
            observer.tick(record)

    def note(self, text: str) -> None:
        """Pass the note on, and append it to notes.jsonl once; a full disk does not matter here.

        A resumed run says again what it has to say of its data.
        """
        self._reporter.note(text)
        with suppress(StorageError):
            if all(text != known["text"] for known in self._run.notes()):
                self._run.add_note(text, self._training.images)


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
