"""Checks of a tracker: it takes a short run, continues it, and leaves the run's own files alone."""

from __future__ import annotations

import math

from ganzoo.testing.check import check, demand
from ganzoo.testing.targets import TrackerTarget

VALUES = {"values/loss_generator": 0.5, "scores/fed": 12.0, "seconds": 1.0, "values/worst": math.inf}


@check("tracker")
def takes_a_run(target: TrackerTarget) -> None:
    """It takes log lines, also with values that are not finite, and files of any kind, and names the run."""
    tracker = target.tracker()
    known_as = tracker.start(target.run())
    demand(isinstance(known_as, str) and bool(known_as), f"`start` returned {known_as!r}, not a text.")
    tracker.log(8, dict(VALUES))
    tracker.samples(8, target.samples)
    tracker.samples(16, [])
    tracker.end("paused")


@check("tracker", "takes-a-run")
def continues_a_run(target: TrackerTarget) -> None:
    """Another instance continues the run that `known_as` names, and calls it the same."""
    first = target.tracker()
    known_as = first.start(target.run())
    first.end("interrupted")
    second = target.tracker()
    again = second.start(target.run(known_as))
    demand(again == known_as, f"The run was {known_as!r}, then {again!r}.", "return run.known_as")
    second.log(24, dict(VALUES))
    second.end("done")


@check("tracker", "takes-a-run")
def leaves_the_run_alone(target: TrackerTarget) -> None:
    """It changes neither the files of the run nor its settings."""
    files, run, values = target.samples, target.run(), dict(VALUES)
    before, settings = [file.read_bytes() for file in files], dict(run.settings)
    tracker = target.tracker()
    tracker.start(run)
    tracker.log(8, values)
    tracker.samples(8, files)
    tracker.end("done")
    demand(target.samples == files, "It adds or removes files in samples/.", "use a folder of its own")
    demand([file.read_bytes() for file in files] == before, "It changes files in samples/.")
    demand(
        (dict(run.settings), values) == (settings, VALUES), "It changes the settings or values that it gets."
    )
