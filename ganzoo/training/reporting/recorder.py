"""What a run writes while it trains: log lines, samples, checkpoints, reports.

The recorder decides from the progress of the run what is due after a cycle; it never changes training.
With several ranks, the main one writes; the others take part in what needs all of them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ganzoo.config.plan import Plan
from ganzoo.config.schedule import options_at
from ganzoo.errors import DivergedError, StorageError
from ganzoo.runs.checkpoint import has_any, on_host, write_checkpoint
from ganzoo.runs.run import Run
from ganzoo.training.reporting.diagnostics import Diagnostics, Finding
from ganzoo.training.reporting.reporter import KeptNotes
from ganzoo.training.reporting.sample_grids import SampleGrids
from ganzoo.training.scores import RunScores
from ganzoo.training.state import Training
from ganzoo.util.files import append_line, write_bytes
from ganzoo.util.text import typed

# Log lines, sample grids and checkpoints in a run of any length, if the settings have no intervals.
LOGS, GRIDS, CHECKPOINTS = 200, 20, 10

# A note says so when evaluation takes a larger share of the time.
EVALUATION_SHARE = 0.03

# Means are checked for values that are not finite after each log line, and every 100 cycles.
CHECK_EVERY = 100


# Seconds after the first cycle of a process, which is a slow one, until the user is told how long it takes.
SPEED_AFTER = 5.0
# A speed that was announced when the run began is not said again unless it differs by more than this share.
SPEED_DIFFERS = 0.2


class Recorder:
    """Writes a run's log, samples and checkpoints when they are due."""

    def __init__(
        self,
        run: Run,
        plan: Plan,
        training: Training,
        samples: SampleGrids,
        reporter: KeptNotes,
        evaluation: RunScores | None = None,
    ) -> None:
        self.run = run
        self.plan = plan
        self.training = training
        self.samples = samples
        self.reporter = reporter
        self.evaluation = evaluation
        self._noted: set[str] = set()
        self._score_names: set[str] = set()
        self._is_main = training.engine.ranks.is_main
        self._log = run.path / "log.jsonl"
        self._begun = (training.images, training.seconds)
        self._pace: tuple[float, int] | None = None
        self.rewind()

    def rewind(self) -> None:
        """Continue from the state of `training`: after a resume and after a rollback."""
        training = self.training
        self._started = time.perf_counter() - training.seconds
        self._tick = (time.perf_counter(), training.images)
        self._share = self.share
        self._spread: float | None = None
        self._scores: Mapping[str, float] = {}
        self._moved = dict.fromkeys(("generator", "discriminator"), training.steps)
        past = [line for line in self.run.log() if line["images"] <= training.images]
        known = self.run.record.get("findings", [])
        self._found = [note for note in known if note["images"] <= training.images]
        if len(self._found) < len(known):
            self.run.update(findings=self._found)
        self._diagnostics = Diagnostics(
            self.plan, past, (note["kind"] for note in self._found), self.run.unit
        )
        self._values: Mapping[str, float] = past[-1]["values"] if past else {}
        if self._is_main and self._log.exists():
            # Remove lines that will be written again, and a line that a crash cut off.
            write_bytes(self._log, "".join(json.dumps(line) + "\n" for line in past).encode())

    @property
    def share(self) -> float:
        """How much of the run is done, in 0..1."""
        return self.plan.train.share(self.training.images, self.training.seconds)

    @property
    def stopped(self) -> str:
        """The value of `train.stop`, if the run should end because of it."""
        return self.plan.train.stop if self._diagnostics.ends else ""

    def elapsed(self) -> float:
        """Seconds of training, including those before a resume; the same on all ranks if they end the run."""
        seconds = time.perf_counter() - self._started
        return self.training.engine.ranks.largest(seconds)[0] if self.plan.train.minutes else seconds

    def after_cycle(self, images_before: int) -> None:
        """Do what became due in this cycle, which began after `images_before` images."""
        training, settings = self.training, self.plan.train
        training.seconds = self.elapsed()
        self._spread, self._scores = None, {}
        share, before = self.share, self._share
        self._share = share
        span = (before, share, images_before, training.images)
        self.reporter.progress(training.images, settings.images, share, training.seconds)
        self._tell_duration()
        if _due(settings.sample_every, GRIDS, span):
            self.attempt(self.sample)
        scored = settings.eval_every is not None and (_due(settings.eval_every, 1, span) or share == 1.0)
        if scored:
            self.evaluate()
        if scored or _due(settings.log_every, LOGS, span):
            self.attempt(self.log)
        elif training.steps % CHECK_EVERY == 0:
            self._check(training.meter.means())
        # Scores are of the current weights: a checkpoint that is kept for its score needs the same weights.
        best = scored and settings.keep_best and settings.best_name not in self._values
        if (best or _due(settings.checkpoint_every, CHECKPOINTS, span)) and share < 1.0:
            self.attempt(self.checkpoint)

    def _tell_duration(self) -> None:
        """Say once how long the run takes at the speed of its first seconds."""
        now, images = time.perf_counter(), self.training.images
        if self._pace is None:
            self._pace = (now, images)
        elif now - self._pace[0] >= SPEED_AFTER and images > self._pace[1]:
            rate = (images - self._pace[1]) / (now - self._pace[0])
            announced = self.run.record.get("length", {}).get("images_per_second")
            if self._begun[0] or not announced or abs(rate / announced - 1) > SPEED_DIFFERS:
                self.reporter.say(self.plan.train.forecast(rate, self.run.unit, *self._begun))
            self._pace = (math.inf, images)

    def log(self) -> None:
        """Append a line to log.jsonl. DivergedError when a mean is not finite."""
        training = self.training
        now, (then, images) = time.perf_counter(), self._tick
        values = training.meter.read()
        for role in ("generator", "discriminator"):
            values[f"parameter_rms_{role}"] = float(getattr(training, role).rms())
        self._check(values)
        record: dict[str, Any] = {
            "images": training.images,
            "steps": training.steps,
            "seconds": round(training.seconds, 3),
            "images_per_second": round((training.images - images) / max(now - then, 1e-9), 1),
            "memory_mb": round(training.engine.peak_megabytes(), 1),
            "values": values,
        }
        self._tick, self._values = (now, training.images), values
        if self._spread is not None:  # only of samples drawn in this cycle, so a resumed run logs the same
            record["sample_spread"] = round(self._spread, 4)
        if self._scores:
            record["scores"] = dict(self._scores)
        found = self._diagnostics.look(record)
        if self._is_main:
            append_line(self._log, json.dumps(record))
        self.reporter.tick(record)
        self._note_all(found)

    def finish(self) -> None:
        """Save the run. StorageError when the checkpoint cannot be written."""
        self.training.seconds = self.elapsed()
        self.checkpoint()
        if self._is_main and not self.samples.drawn:
            self.attempt(self.sample)

    def sample(self) -> None:
        """Write previews of the generators' samples for the fixed inputs."""
        if self._is_main:
            self._spread = self.samples.draw()
            self._note_all(self._diagnostics.look_at_samples(self._share, self.training.steps, self._spread))

    def evaluate(self) -> None:
        """Score the generator's samples; the scores go into the log line of this cycle.

        DivergedError, on all ranks, when the samples are not finite.
        """
        diverged = ""
        if self.evaluation is not None:
            try:
                self._scores = self.evaluation()
            except DivergedError as error:
                diverged = error.what
        # The other ranks do not see the samples, and must not wait for the main rank later.
        diverged = self.training.engine.ranks.broadcast(diverged.encode()).decode()
        if diverged:
            raise self._diverged(diverged)
        if self.evaluation is None:
            return
        self._score_names |= set(self._scores)
        then, images = self._tick
        self._tick = (then + self.evaluation.last, images)  # evaluation is not training time
        # Both of this session: the times of earlier evaluations are not known after a resume.
        since = self.training.seconds - self._begun[1]
        share = self.evaluation.seconds / (since + self.evaluation.last)
        if share > EVALUATION_SHARE and self._share > 0.5:
            self._once(
                "slow evaluation",
                f"evaluation takes {share:.0%} of the time: a larger --eval-every or fewer "
                "train.eval_samples make it faster",
            )

    def real(self) -> None:
        """Write previews of real samples once, to compare with."""
        if self._is_main and self.training.images == 0:
            self.attempt(self.samples.draw_real)

    def checkpoint(self) -> None:
        """Write a checkpoint. StorageError when it cannot be written."""
        training, settings = self.training, self.plan.train
        tensors = training.tensors()
        about = {
            "seconds": training.seconds,
            "steps": training.steps,
            "versions": self.run.record["versions"],
            "record": self.run.record,
            "settings": self.plan.settings(),
        }
        score = settings.score({**self._values, **self._scores})
        known = {**self._values, **dict.fromkeys(self._score_names)}
        waits = settings.eval_every is not None and not self._score_names
        if settings.keep_best and known and settings.best_name not in known and not waits:
            self._once(
                "best",
                f"train.keep_best has no effect: the log has no value '{settings.best_name}'; it has "
                f"{', '.join(known)}",
            )
        try:
            if not self._is_main:
                on_host(tensors, training.images)
                return
            write_checkpoint(
                self.run.checkpoints, training.images, tensors, about, settings.keep_checkpoints, score
            )
        except DivergedError as error:
            raise self._diverged(error.what) from error
        self.run.update(images=training.images, seconds=round(training.seconds, 3))

    def _check(self, values: Mapping[str, float]) -> None:
        """DivergedError when a mean is not finite, or when all recent steps were skipped."""
        bad = next((name for name, value in values.items() if not math.isfinite(value)), None)
        stuck = None
        for role in ("generator", "discriminator"):
            if values.get(f"skipped_{role}", 0) < 1:
                self._moved[role] = self.training.steps
            elif self.training.steps - self._moved[role] >= CHECK_EVERY:
                stuck = role
        if bad is None and stuck is None:
            return
        seen = f"{bad} is not finite" if bad else f"{CHECK_EVERY} steps of the {stuck} in a row were skipped"
        raise self._diverged(f"Training diverged: {seen} after {self.run.unit.count(self.training.images)}.")

    def _diverged(self, what: str) -> DivergedError:
        here = self._share, self.training.images
        rates = [options_at(side, *here).lr for side in (self.plan.generator, self.plan.discriminator)]
        lower = "--set generator.lr={:g} --set discriminator.lr={:g}".format(*(rate / 10 for rate in rates))
        fix = f"start again with lower learning rates, for example {lower}"
        if not self.training.rollbacks and has_any(self.run.checkpoints):
            fix += (
                "; or continue from the last sound checkpoint at half the rates: "
                f"ganzoo train --resume {typed(self.run.path)} --on-nan rollback"
            )
        return DivergedError(
            what,
            where=str(self.run.path),
            fix=fix,
        )

    def _once(self, kind: str, text: str) -> None:
        if kind not in self._noted:
            self._noted.add(kind)
            self.reporter.note(text)

    def _note_all(self, found: list[Finding]) -> None:
        """Tell the user, and keep it in run.json for the commands that come later."""
        for finding in found:
            self.reporter.note(f"after {self.run.unit.count(self.training.images)} {finding}")
            self._found.append({"images": self.training.images, **asdict(finding)})
        if found:
            self.run.update(findings=self._found)

    def attempt(self, action: Callable[[], None]) -> None:
        """Write something; if it cannot be written, note that and continue training."""
        try:
            action()
        except StorageError as error:
            self.reporter.note(f"training continues, but: {error.what} ({error.where})")


def _due(every: int | None, parts: int, span: tuple[float, float, int, int]) -> bool:
    """Whether the cycle passed a multiple of the interval: `every` images, or 1/`parts` of the run."""
    before, after, images_before, images = span
    if every is not None:
        return images // every > images_before // every
    return math.floor(after * parts) > math.floor(before * parts)
