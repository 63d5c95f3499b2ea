"""What a tracker receives: a run, the lines of its log, its samples.

Part of `ganzoo.api`. Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The run that is about to train.

    `folder` is its directory and `name` the name of that. `settings` are all settings by dotted path.
    `known_as` is what `Tracker.start` returned when this run was first tracked; empty for a new one.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]
    known_as: str = ""


class Tracker(Protocol):
    """Passes a run on to a program that shows and compares runs. The core sends everything once, in order.

    Any exception is a note for the user, and the same is sent again later; training goes on.
    """

    def start(self, run: TrackedRun) -> str:
        """Open the run there; returns what finds it again. With `run.known_as`, continue that one."""
        ...

    def log(self, images: int, values: Mapping[str, float]) -> None:
        """A line of the log, after so many images: `values/loss_generator`, `scores/fed`, `seconds` ..."""
        ...

    def samples(self, images: int, files: Sequence[Path]) -> None:
        """Previews of samples after so many images, in files of the kinds that the media records write."""
        ...

    def end(self, status: str) -> None:
        """Training ended: `done`, `paused`, `interrupted`, `preempted`, `diverged` or `failed`."""
        ...
