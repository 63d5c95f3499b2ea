"""What a run leaves behind while it trains: log lines, sample pictures, checkpoints, reports.

The recorder decides from the progress of the run what is due after a cycle; it never changes what
is trained.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ganzoo import pictures, sampling
from ganzoo.api import Field
from ganzoo.data.batches import Batches
from ganzoo.errors import DivergedError, StorageError
from ganzoo.files import storage, write_bytes
from ganzoo.networks import apply, noise_fields
from ganzoo.plan import Plan
from ganzoo.runs import Run
from ganzoo.train.checkpoint import write_checkpoint
from ganzoo.train.state import Training

# Without intervals of their own: log lines, grids and checkpoints in a run, whatever its length.
LOGS, GRIDS, CHECKPOINTS = 200, 20, 10

# Samples in a scatter plot or histogram: 64 of them show no distribution.
POINTS = 1000


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


class Recorder:
    """Writes a run's log, samples and checkpoints when they are due."""

    def __init__(
        self,
        run: Run,
        plan: Plan,
        training: Training,
        batches: Batches,
        fields: Mapping[str, Field],
        reporter: Reporter,
    ) -> None:
        self.run = run
        self.plan = plan
        self.training = training
        self.reporter = reporter
        self.fields = fields
        self.inputs = self._fixed_inputs(batches)
        self._batches = batches
        self._started = time.perf_counter() - training.seconds
        self._tick = (time.perf_counter(), training.images)
        self._log = run.path / "log.jsonl"
        self._share = self.share
        self._cut_log()

    @property
    def share(self) -> float:
        """How much of the run is done, in 0..1, by images or minutes, whichever is further."""
        settings = self.plan.train
        share = self.training.images / settings.images if settings.images is not None else 0.0
        if settings.minutes is not None:
            share = max(share, self.elapsed() / (60.0 * settings.minutes))
        return min(1.0, share)

    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return time.perf_counter() - self._started

    def after_cycle(self, images_before: int) -> None:
        """Do what became due since the last call, in a cycle that began after `images_before` images."""
        training, settings = self.training, self.plan.train
        training.seconds = self.elapsed()
        share, before = self.share, self._share
        self._share = share
        span = (before, share, images_before, training.images)
        self.reporter.progress(training.images, settings.images, share, training.seconds)
        if _due(settings.log_every, LOGS, span):
            self._attempt(self.log)
        if _due(settings.sample_every, GRIDS, span):
            self._attempt(self.sample)
        if _due(settings.checkpoint_every, CHECKPOINTS, span) and share < 1.0:
            self._attempt(self.checkpoint)

    def log(self) -> None:
        """Append a line to log.jsonl. DivergedError when a mean is not finite."""
        training = self.training
        now, (then, images) = time.perf_counter(), self._tick
        values = training.meter.read()
        record: dict[str, Any] = {
            "images": training.images,
            "steps": training.steps,
            "seconds": round(training.seconds, 3),
            "images_per_second": round((training.images - images) / max(now - then, 1e-9), 1),
            "memory_mb": round(training.engine.peak_megabytes(), 1),
            "values": values,
        }
        self._tick = (now, training.images)
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise DivergedError(
                f"Training diverged: {bad[0]} is not finite after {training.images} images.",
                where=str(self.run.path),
                fix="lower generator.lr and discriminator.lr; the last sound checkpoint is kept",
            )
        with storage(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.reporter.tick(record)

    def finish(self) -> None:
        """Save the run as it stands. StorageError when the disk does not take the checkpoint."""
        self.training.seconds = self.elapsed()
        self.checkpoint()
        if not self._sample_file(self._first_written).exists():
            self._attempt(self.sample)

    def sample(self) -> None:
        """Draw the generators' pictures of the fixed inputs."""
        for name, values in self._generate().items():
            picture = pictures.draw(
                self.fields[name], values, self._reference(name), columns=self._columns, fit=True
            )
            if picture is not None:
                pictures.save(picture, self._sample_file(name))

    def real(self) -> None:
        """Draw real samples once, to compare with."""
        for field in self.fields.values():
            if field.source == "data" and field.dtype == "float32" and self.training.images == 0:
                values = self._real(field.name, None if field.is_image else POINTS)
                picture = pictures.draw(field, values, values, columns=self._columns, fit=True)
                if picture is not None:
                    pictures.save(picture, self.run.path / "samples" / f"real-{field.name}.png")

    def checkpoint(self) -> None:
        """Write a checkpoint. StorageError when the disk does not take it."""
        training = self.training
        about = {
            "seconds": training.seconds,
            "steps": training.steps,
            "versions": self.run.record["versions"],
        }
        keep = self.plan.train.keep_checkpoints
        write_checkpoint(self.run.checkpoints, training.images, training.tensors(), about, keep)
        self.run.update(images=training.images, seconds=round(training.seconds, 3))

    def _attempt(self, action: Callable[[], None]) -> None:
        """Write something; when the disk does not take it, say so and train on."""
        try:
            action()
        except StorageError as error:
            self.reporter.note(f"training goes on, but: {error.what} ({error.where})")

    # --- samples --------------------------------------------------------------------------------

    def _sample_file(self, name: str) -> Path:
        suffix = "" if name == self._first_written else f"-{name}"
        return self.run.path / "samples" / f"{self.training.images:012d}{suffix}.png"

    @property
    def _first_written(self) -> str:
        return next(iter(self.training.networks.generators.values())).writes[0]

    @property
    def _columns(self) -> int | None:
        labels = [field for name, field in self.fields.items() if name in self.inputs and field.classes]
        return len(labels[0].classes) if labels and len(labels[0].classes) <= 16 else None

    def _fixed_inputs(self, batches: Batches) -> dict[str, Tensor]:
        settings, device = self.plan.train, self.training.engine.device
        nets = self.training.networks.generators.values()
        names = {name for net in nets for name in net.reads if self.fields[name].source == "data"}
        # Whole rows of classes, where a grid has a column for each class.
        classes = max((len(self.fields[name].classes) for name in names), default=0)
        count = settings.samples - (settings.samples % classes if 0 < classes <= settings.samples else 0)
        if not any(self.fields[name].is_image for net in nets for name in net.writes):
            count = max(count, POINTS)
        noise = noise_fields(self.training.networks)
        inputs = {
            name: torch.from_numpy(value).to(device)
            for name, value in sampling.draw(noise, count, settings.seed).items()
        }
        inputs.update(batches.take("samples", 0, count, sorted(names)))
        for name in names:
            if self.fields[name].classes:
                inputs[name] = torch.arange(count, device=device) % len(self.fields[name].classes)
        return inputs

    def _generate(self) -> dict[str, np.ndarray[Any, Any]]:
        written: dict[str, np.ndarray[Any, Any]] = {}
        with evaluating(self.training), torch.no_grad(), self.training.engine.autocast():
            for name, net in self.training.networks.generators.items():
                net = type(net)(module=self.training.ema.modules[name], reads=net.reads, writes=net.writes)
                for key, value in apply(net, self.inputs).items():
                    written[key] = value.float().cpu().numpy()
        return written

    def _real(self, name: str, count: int | None = None) -> np.ndarray[Any, Any]:
        taken = self._batches.take("samples", 0, count or self.plan.train.samples, [name])
        return taken[name].cpu().numpy()

    def _reference(self, name: str) -> np.ndarray[Any, Any] | None:
        """Real points to draw behind generated ones; pictures stand alone."""
        drawn_alone = self.fields[name].is_image or name not in self._batches.names
        return None if drawn_alone else self._real(name, POINTS)

    def _cut_log(self) -> None:
        """Forget log lines of work that a resumed run does again."""
        kept = [line for line in self.run.log() if line["images"] <= self.training.images]
        if self._log.exists():
            write_bytes(self._log, "".join(json.dumps(line) + "\n" for line in kept).encode())


@contextmanager
def evaluating(training: Training) -> Iterator[None]:
    """The averaged generators in eval mode; raw modules go back to training afterwards."""
    modules = training.ema.modules.values()
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        if not training.ema.active:
            for module in modules:
                module.train()


def _due(every: int | None, parts: int, span: tuple[float, float, int, int]) -> bool:
    """Whether a multiple of the interval (in images, or a part of the run) was passed."""
    before, after, images_before, images = span
    if every is not None:
        return images // every > images_before // every
    return math.floor(after * parts) > math.floor(before * parts)
