"""The output of `ganzoo train`: a progress bar on a terminal, plain lines in a pipe, JSON for scripts."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from ganzoo.util.text import Unit

if TYPE_CHECKING:
    from ganzoo.config.plan import Plan
    from ganzoo.runs.run import Run
    from ganzoo.training.state import Training


# The scores of a log line that are shown.
SHOWN = ("fed", "coverage", "modes", "quality", "column_distance")


_Given = ParamSpec("_Given")


def _lasting(method: Callable[_Given, None]) -> Callable[_Given, None]:
    """Lines that a closing terminal refuses are lost, the run goes on: SIGHUP comes later, and saves it."""

    @functools.wraps(method)
    def lasting(*args: _Given.args, **options: _Given.kwargs) -> None:
        try:
            method(*args, **options)
        except OSError as error:
            if error.errno != errno.EIO:
                raise

    return lasting


def _headline(run: Run, plan: Plan, training: Training) -> str:
    record = run.record
    counts = record["parameters"]
    length = plan.train.length(run.unit)
    if "length" in record and training.images == 0:
        about = "about {about_minutes:g} minutes at {images_per_second:,.0f}/s".format(**record["length"])
        length += f" ({about}; --images or --minutes changes it)"
    return (
        f"{plan.name} on {plan.data.source}: {length}, batch {plan.train.batch_size}, "
        f"{counts['generators'] / 1e6:.2f} M + {counts['discriminators'] / 1e6:.2f} M parameters, "
        f"{record['device']} {record['precision']}\n"
        f"run directory: {run.path}"
    )


def _card(run: Run) -> str:
    """What run.json says about the data, a line for each row, and where its real samples are drawn."""
    rows = run.record["data"].get("card") or []
    lines = [
        f"  {name}: {value}{note and f' ({note})'}" for name, value, note in rows if note or len(rows) > 1
    ]
    real = sorted((run.path / "samples").glob("real-*"))
    return "\n".join([*(["data:"] if lines else []), *lines, *(f"real samples: {path}" for path in real)])


def _losses(values: Mapping[str, float]) -> str:
    short = {"loss_discriminator": "D", "loss_generator": "G"}
    parts = [f"{short[name]} {value:.3f}" for name, value in values.items() if name in short]
    extra = [
        f"{name} {value:.3g}"
        for name, value in values.items()
        if name not in short
        and not name.startswith(("score", "gradient_norm", "parameter_rms"))
        and value != 0
    ]
    return "  ".join(parts + extra)


def _shortened(text: str, room: int) -> str:
    """As many of the parts between two spaces as fit, from the first on: rich would cut all columns alike."""
    parts = text.split("  ")
    while len(parts) > 1 and len("  ".join(parts)) > room:
        parts.pop()
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class PlainReporter:
    """One line for about every twentieth of the run, on stderr."""

    parts = 20

    def __init__(self) -> None:
        self._share = 0.0
        self._shown = -1
        self._unit = Unit()
        self._scores = ""

    @_lasting
    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Print what is trained, the run directory, and facts about the data."""
        self._unit = run.unit
        click.echo(_headline(run, plan, training), err=True)
        if card := _card(run):
            click.echo(card, err=True)

    @_lasting
    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Remember how far the run is."""
        self._share = share
        self._left = seconds * (1 - share) / max(share, 1e-9)

    @_lasting
    def tick(self, record: Mapping[str, Any]) -> None:
        """Print a line if the next part of the run has begun."""
        part = int(self._share * self.parts)
        if part > self._shown:
            self._shown = part
            seen = f"{record['images']:>9,} {self._unit.nouns}"
            click.echo(
                f"{self._share:4.0%}  {seen}  {record['images_per_second']:>7,.0f}/s  "
                f"{_losses(record['values'])}{self._score(record)}  {_duration(self._left)} left",
                err=True,
            )

    def _score(self, record: Mapping[str, Any]) -> str:
        """The newest scores, which are shown until there are newer ones."""
        scores = {name: value for name, value in record.get("scores", {}).items() if name != "n"}
        if scores:
            self._scores = "".join(f"  {name} {value:.3g}" for name, value in scores.items() if name in SHOWN)
            self._scores = self._scores or "  {} {:.3g}".format(*next(iter(scores.items())))
        return self._scores

    @_lasting
    def note(self, text: str) -> None:
        """Print a note."""
        click.secho(f"note: {text}", fg="yellow", err=True)

    @_lasting
    def close(self) -> None:
        """Do nothing: nothing is open."""


class BarReporter(PlainReporter):
    """A progress bar with speed, losses and the time left, on stderr."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._bar_width = 24 if console.width >= 100 else 12
        self._bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=self._bar_width),
            TextColumn("{task.fields[text]}"),
            console=console,
            refresh_per_second=4,
            transient=False,
        )
        self._task = self._bar.add_task("", total=1.0, text="starting")
        self._values = ""
        self._mark = (time.perf_counter(), 0)
        self._rate = 0.0

    @_lasting
    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Print what is trained, then open the bar."""
        super().start(run, plan, training)
        self._mark = (time.perf_counter(), training.images)
        self._bar.start()

    @_lasting
    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Move the bar, at most four times a second."""
        now = time.perf_counter()
        then, before = self._mark
        if now - then < 0.25 and share < 1.0:
            return
        self._mark = (now, images)
        fresh = (images - before) / max(now - then, 1e-9)
        self._rate = fresh if not self._rate else 0.8 * self._rate + 0.2 * fresh
        left = seconds * (1 - share) / max(share, 1e-9)
        count = f"{images:,}" + (f"/{total:,}" if total else "")
        text = f"{count} {self._unit.nouns}  {_duration(left)} left  {self._rate:,.0f}/s  {self._values}"
        room = self._bar.console.width - self._bar_width - len("100%  ")
        self._bar.update(self._task, completed=share, text=_shortened(text, room))

    @_lasting
    def tick(self, record: Mapping[str, Any]) -> None:
        """Show the newest losses."""
        self._values = _losses(record["values"]) + self._score(record)

    @_lasting
    def note(self, text: str) -> None:
        """Print a note above the bar."""
        self._bar.console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    @_lasting
    def close(self) -> None:
        """Stop the bar; it stays on the terminal."""
        self._bar.stop()


class JsonReporter:
    """JSON lines on stdout: `start`, `tick` and `note` events; the command adds `done`."""

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Write the first event, with the run directory."""
        length = {"length": {"images": plan.train.images, "minutes": plan.train.minutes}}
        card = run.record["data"].get("card", [])
        about = {**length, **run.record["parameters"]}
        self._event("start", run=str(run.path), recipe=plan.name, card=card, **about)

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        """Do nothing: scripts read the ticks."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """Write a log line as an event."""
        self._event("tick", **record)

    def note(self, text: str) -> None:
        """Write a note as an event."""
        self._event("note", text=text)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    @staticmethod
    def _event(event: str, **values: Any) -> None:
        try:
            click.echo(json.dumps({"event": event, **values}))
        except BrokenPipeError:
            # The reader has closed the pipe (`| head -1`); the run must continue.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class WithReport:
    """Another reporter, and a page of the run that is written again when there are new samples."""

    def __init__(self, reporter: PlainReporter | JsonReporter, better: Mapping[str, str]) -> None:
        """For `better` see `ganzoo.registry.directions`."""
        self._reporter, self._better = reporter, better
        self._run: Run | None = None
        self._written = 0
        self.progress, self.note = reporter.progress, reporter.note

    def start(self, run: Run, plan: Plan, training: Training) -> None:
        """Training is about to begin."""
        self._run = run
        self._reporter.start(run, plan, training)

    def tick(self, record: Mapping[str, Any]) -> None:
        """Write the page if a file was added to the samples since the last time."""
        self._reporter.tick(record)
        with suppress(OSError):
            self._write((self._run.path / "samples").stat().st_mtime_ns if self._run else 0)

    def close(self) -> None:
        """Write the page of the whole run."""
        self._write(-1)
        self._reporter.close()

    def _write(self, state: int) -> None:
        """Write the page unless that was done in the same state. It never ends a run."""
        from ganzoo.report.page import write_page

        if self._run is None or state == self._written:
            return
        self._written = state
        try:
            write_page([self._run], self._run.path / "report.html", self._better)
        except Exception as error:
            self.note(f"there is no new report: {error}")
            self._run = None
