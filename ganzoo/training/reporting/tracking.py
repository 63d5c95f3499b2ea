"""Passes the log and the samples of a run on to its tracker. A tracker that fails never ends a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from ganzoo.api.tracking import TrackedRun, Tracker
from ganzoo.config.plan import Choice, Plan
from ganzoo.config.settings import layer
from ganzoo.errors import GanzooError
from ganzoo.registry.containment import TookTooLongError, limited
from ganzoo.registry.discovery import time_limit
from ganzoo.registry.registry import calling, factory_of
from ganzoo.runs.run import Run
from ganzoo.training.state import Training
from ganzoo.util.files import write_json

FILE = "tracked.json"
TRIES = 3  # failures in a row after which a tracker is left alone until the run ends


def built_tracker(choice: Choice) -> Tracker:
    """The tracker with its options. SettingsError when a package is missing, PluginError when it fails."""
    factory = factory_of(choice.item)
    with calling(choice.item):
        tracker: Tracker = factory(choice.options)
    return tracker


class Tracking:
    """An `Observer` that sends what the log gets, in the order of images. It ends with the block of `with`.

    tracked.json in the run directory says what was sent to which tracker: nothing is sent twice, and what
    could not be sent, or was logged before the tracker was chosen, is sent when that is possible.
    """

    def __init__(self, choice: Choice) -> None:
        """SettingsError when the tracker lacks a package, PluginError when it cannot be made."""
        self._item, self._tracker = choice.item, built_tracker(choice)
        self.note: Callable[[str], None] = lambda text: None
        self._run: Run | None = None
        self._waiting: list[tuple[int, Mapping[str, float]]] = []
        self._settings: Mapping[str, Any] = {}
        self._open = False
        self._failures = 0
        self._state: dict[str, Any] = {"known_as": "", "lines": -1, "samples": -1}

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Open the run at the tracker, and send what the log has already."""
        self._run = run
        self._state |= _sent(run.path).get(self._item.qualified, {})
        values = layer("", plan.settings()).values
        self._settings = {".".join(path): value for path, value in values.items()}
        self._waiting = [(line["images"], _numbers(line)) for line in run.log()]
        self._attempt(lambda: self._send(run))

    def tick(self, record: Mapping[str, Any]) -> None:
        """Send the line, and new samples."""
        self._waiting.append((record["images"], _numbers(record)))
        if self._run is not None and self._failures < TRIES:
            run = self._run
            self._attempt(lambda: self._send(run))

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *error: object) -> None:
        if self._run is not None:
            run = self._run
            self._attempt(lambda: self._send(run))
            if self._open:
                self._attempt(lambda: self._tracker.end(str(run.record["status"])))

    def _send(self, run: Run) -> None:
        if not self._open:
            folder, known_as = run.path.absolute(), self._state["known_as"]
            tracked = TrackedRun(name=folder.name, folder=folder, settings=self._settings, known_as=known_as)
            self._keep(run, known_as=str(self._tracker.start(tracked)))
            self._open = True
        lines, samples = self._state["lines"], self._state["samples"]
        due: list[tuple[int, int, Any]] = [
            (images, 0, values) for images, values in self._waiting if images > lines
        ]
        due += [(images, 1, files) for images, files in _samples(run.path) if images > samples]
        for images, which, content in sorted(due, key=lambda entry: entry[:2]):
            if which:
                self._tracker.samples(images, content)
                self._keep(run, samples=images)
            else:
                self._tracker.log(images, content)
                self._keep(run, lines=images)
        self._waiting = []

    def _keep(self, run: Run, **state: Any) -> None:
        self._state |= state
        write_json(run.path / FILE, {**_sent(run.path), self._item.qualified: self._state})

    def _attempt(self, action: Callable[[], None]) -> None:
        """Run a tracker's code. What it prints goes to stderr, because stdout is the command's."""
        seconds = time_limit()
        try:
            with calling(self._item), redirect_stdout(sys.stderr), limited(seconds):
                action()
        except (GanzooError, TookTooLongError) as error:
            self._failures += 1
            slow = f"took longer than {seconds:g} s (GANZOO_PLUGIN_TIMEOUT)"
            what = error.what if isinstance(error, GanzooError) else f"The tracker '{self._item.name}' {slow}"
            self.note(f"training continues, and log.jsonl has everything, but: {what}")
        else:
            self._failures = 0


def _samples(folder: Path) -> list[tuple[int, list[Path]]]:
    """The previews in a run directory by the number of images in their names."""
    files = sorted(path for path in (folder / "samples").glob("[0-9]*") if path.stem[:12].isdigit())
    return [(images, list(of)) for images, of in groupby(files, lambda path: int(path.stem[:12]))]


def _sent(folder: Path) -> dict[str, Any]:
    """The content of tracked.json: what each tracker has got. Empty if there is none that can be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a log line by name; those of its tables as `table/name`."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{key}": float(inner) for key, inner in value.items()}
        elif name != "images":
            found[name] = float(value)
    return found
