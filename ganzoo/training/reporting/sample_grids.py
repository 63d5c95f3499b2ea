"""Previews of a run's samples: generated from the same inputs each time, and real samples once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo import sampling
from ganzoo.api.networks import Net
from ganzoo.config.plan import Plan
from ganzoo.data.batches import Batches
from ganzoo.errors import GanzooError
from ganzoo.fields import Field
from ganzoo.networks.apply import apply, noise_fields
from ganzoo.training.state import Training, averaged, evaluating
from ganzoo.util.files import write_bytes

Array = np.ndarray[Any, Any]

SPREAD = 64
"""Samples whose distances are measured."""


class SampleGrids:
    """Writes previews of the averaged generators' samples into a folder, always from the same inputs."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        training: Training,
        batches: Batches,
        fields: Mapping[str, Field],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder, self.note = folder, note
        self._failed: set[str] = set()
        self.fields = fields
        self._plan = plan
        self._training = training
        self._batches = batches
        self.inputs = self._fixed_inputs()

    def draw(self) -> float | None:
        """Write the current previews; returns the spread of the first field that is written, see `spread`.

        None if it is made from samples of the data: it can be as they are, and none is missing.
        """
        generated = self._generate()
        for net in self._training.networks.generators.values():
            for name in (key for key in net.writes if key in generated):
                field, beside = self.fields[name], self._read_beside(net, name)
                values = generated[name][: self._count(field)]
                unrelated = bool(beside) and self._plan.dataset.item.spec.unpaired
                real = None if unrelated else self._real(name, len(values))
                self._write(field, values, self._stem(name), real=real, beside=beside, columns=self._columns)
        if self._from_samples:
            return None
        first = generated[self._first]
        return spread(first, self._real(self._first, min(len(first), SPREAD)))

    def draw_real(self) -> None:
        """Write previews of real samples, to compare with."""
        for field in self.fields.values():
            if field.source == "data" and field.kind and field.name in self._batches.names:
                values = self._real(field.name, self._count(field))
                self._write(field, values, f"real-{field.name}", real=values, columns=self._columns)

    def _write(self, field: Field, values: Any, stem: str, **options: Any) -> None:
        """Write a preview. One that fails is noted once: it never ends a run."""
        try:
            found = self._plan.kinds.of(field.kind).preview(field, values, **options)
        except GanzooError as error:
            if field.name not in self._failed:
                self._failed.add(field.name)
                self.note(f"training continues without previews of '{field.name}': {error.what}")
            return
        for suffix, data in (found.files if found is not None else {}).items():
            write_bytes(self.folder / f"{stem}{suffix}", data)

    @property
    def drawn(self) -> bool:
        """Whether the current state has a preview."""
        return any(self.folder.glob(f"{self._stem(self._first)}.*"))

    def _stem(self, name: str) -> str:
        """The name of a current preview without its ending."""
        suffix = "" if name == self._first else f"-{name}"
        return f"{self._training.images:012d}{suffix}"

    def _count(self, field: Field) -> int:
        return self._plan.kinds.of(field.kind).count or self._samples

    @property
    def _first(self) -> str:
        return next(iter(self._training.networks.generators.values())).writes[0]

    @property
    def _from_samples(self) -> bool:
        net = next(iter(self._training.networks.generators.values()))
        read = [self.fields[name] for name in net.reads if name in self._batches.names]
        return any(self._plan.kinds.knows(field.kind) for field in read)

    @property
    def _columns(self) -> int | None:
        labels = [field for name, field in self.fields.items() if name in self.inputs and field.classes]
        return len(labels[0].classes) if labels and len(labels[0].classes) <= 16 else None

    def _fixed_inputs(self) -> dict[str, Tensor]:
        settings, device = self._plan.train, self._training.engine.device
        nets = self._training.networks.generators.values()
        names = {name for net in nets for name in net.reads if name in self._batches.names}
        # Whole rows, if the grid has a column for each class.
        classes = max((len(self.fields[name].classes) for name in names), default=0)
        count = settings.samples - (settings.samples % classes if 0 < classes <= settings.samples else 0)
        self._samples = count
        count = max(count, *(self._count(self.fields[name]) for net in nets for name in net.writes))
        noise = noise_fields(self._training.networks)
        inputs = {
            name: torch.from_numpy(value).to(device)
            for name, value in sampling.draw(noise, count, settings.seed).items()
        }
        inputs.update(self._batches.take("samples", 0, count, sorted(names)))
        for name in names:
            if self.fields[name].classes:
                inputs[name] = torch.arange(count, device=device) % len(self.fields[name].classes)
        return inputs

    def _generate(self) -> dict[str, Array]:
        training = self._training
        written: dict[str, Array] = {}
        with evaluating(training), torch.no_grad(), training.engine.autocast():
            batch, waiting = dict(self.inputs), list(averaged(training))
            while ready := [net for net in waiting if batch.keys() >= set(net.reads)]:
                for net in ready:
                    made = apply(net, batch)
                    written |= {key: value.float().cpu().numpy() for key, value in made.items()}
                    batch = {**made, **batch}  # what a network reads stays the run's own inputs
                waiting = [net for net in waiting if net not in ready]
        return written

    def _read_beside(self, net: Net, name: str) -> list[tuple[Field, Array]]:
        """The data of the same kind that the generator makes the field `name` from."""
        fields = [self.fields[key] for key in net.reads]
        kind = self.fields[name].kind
        count = self._count(self.fields[name])
        return [
            (field, self.inputs[field.name][:count].cpu().numpy())
            for field in fields
            if field.kind == kind and field.source == "data"
        ]

    def _real(self, name: str, count: int) -> Array | None:
        if name not in self._batches.names:
            return None
        values: Array = self._batches.take("samples", 0, count, [name])[name].cpu().numpy()
        return values


def spread(generated: Array, real: Array | None) -> float | None:
    """The mean distance between generated samples, divided by that of real ones: 0 when all are alike.

    The mean Euclidean distance over all pairs of the first `SPREAD` samples, (n, *shape) each. None without
    real samples to compare with, or when those do not differ.
    """
    if real is None or min(len(real), len(generated)) < 2:
        return None
    apart = _mean_distance(real)
    return _mean_distance(generated) / apart if apart > 0 else None


def _mean_distance(values: Array) -> float:
    return float(torch.pdist(torch.from_numpy(values[:SPREAD].reshape(min(len(values), SPREAD), -1))).mean())
