"""Sample images of a run: generated from the same inputs each time, and real samples once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo import images, sampling
from ganzoo.api.networks import Net
from ganzoo.config.plan import Plan
from ganzoo.data.batches import Batches
from ganzoo.fields import Field
from ganzoo.networks.apply import apply, noise_fields
from ganzoo.training.state import Training, averaged, evaluating

Array = np.ndarray[Any, Any]

# Samples in a scatter plot or histogram: 64 of them show no distribution.
POINTS = 1000


class SampleGrids:
    """Writes images of the averaged generators' samples into a folder, always from the same inputs."""

    def __init__(
        self, folder: Path, plan: Plan, training: Training, batches: Batches, fields: Mapping[str, Field]
    ) -> None:
        self.folder = folder
        self.fields = fields
        self._plan = plan
        self._training = training
        self._batches = batches
        self.inputs = self._fixed_inputs()

    def draw(self) -> float | None:
        """Write the current images; returns the spread of the first field that is written, see `spread`."""
        generated = self._generate()
        for net in self._training.networks.generators.values():
            for name in net.writes:
                values, others = generated[name], self._inputs_and_target(net, name)
                field = self.fields[name]
                if others and field.is_image:
                    shown = [others[0], images.to_pixels(field, values), *others[1:]]
                    image = images.draw(field, images.side_by_side(shown), columns=3, fit=True)
                else:
                    image = images.draw(field, values, self._reference(name), columns=self._columns, fit=True)
                if image is not None:
                    images.save(image, self.file(name))
        return spread(generated[self._first], self._real(self._first, len(generated[self._first])))

    def draw_real(self) -> None:
        """Write images of real samples, to compare with."""
        for field in self.fields.values():
            if field.source == "data" and field.dtype == "float32":
                values = self._real(field.name, None if field.is_image else POINTS)
                if values is None:
                    continue
                image = images.draw(field, values, values, columns=self._columns, fit=True)
                if image is not None:
                    images.save(image, self.folder / f"real-{field.name}.png")

    def file(self, name: str = "") -> Path:
        """The path of the current image: of the field `name`, or of the first one."""
        suffix = "" if name in ("", self._first) else f"-{name}"
        return self.folder / f"{self._training.images:012d}{suffix}.png"

    @property
    def _first(self) -> str:
        return next(iter(self._training.networks.generators.values())).writes[0]

    @property
    def _columns(self) -> int | None:
        labels = [field for name, field in self.fields.items() if name in self.inputs and field.classes]
        return len(labels[0].classes) if labels and len(labels[0].classes) <= 16 else None

    def _fixed_inputs(self) -> dict[str, Tensor]:
        settings, device = self._plan.train, self._training.engine.device
        nets = self._training.networks.generators.values()
        names = {name for net in nets for name in net.reads if self.fields[name].source == "data"}
        # Whole rows, if the grid has a column for each class.
        classes = max((len(self.fields[name].classes) for name in names), default=0)
        count = settings.samples - (settings.samples % classes if 0 < classes <= settings.samples else 0)
        if not any(self.fields[name].is_image for net in nets for name in net.writes):
            count = max(count, POINTS)
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
        training, written = self._training, {}
        with evaluating(training), torch.no_grad(), training.engine.autocast():
            for net in averaged(training):
                for key, value in apply(net, self.inputs).items():
                    written[key] = value.float().cpu().numpy()
        return written

    def _inputs_and_target(self, net: Net, name: str) -> list[Array]:
        """The input images of an image `name`, and the target image if the data has one, as pixels.

        An empty list for generators that read no image.
        """
        read = [key for key in net.reads if self.fields[key].is_image and self.fields[key].source == "data"]
        if not read:
            return []
        # All inputs side by side as one image; the output comes after it.
        given = [images.to_pixels(self.fields[key], self.inputs[key].cpu().numpy()) for key in read]
        shown = [images.side_by_side(given)]
        target = None
        if not self._plan.dataset.item.spec.unpaired:
            target = self._real(name, len(given[0]))
        return [*shown, images.to_pixels(self.fields[name], target)] if target is not None else shown

    def _real(self, name: str, count: int | None = None) -> Array | None:
        if name not in self._batches.names:
            return None
        taken = self._batches.take("samples", 0, count or self._plan.train.samples, [name])
        values: Array = taken[name].cpu().numpy()
        return values

    def _reference(self, name: str) -> Array | None:
        """Real points to draw behind generated points; None for images."""
        return None if self.fields[name].is_image else self._real(name, POINTS)


def spread(generated: Array, real: Array | None) -> float | None:
    """The mean distance between generated samples, divided by that of real ones: 0 when all are alike.

    The mean Euclidean distance over all pairs of the first 64 samples, (n, *shape) each. None without
    real samples to compare with, or when those do not differ.
    """
    if real is None or min(len(real), len(generated)) < 2:
        return None
    apart = _mean_distance(real)
    return _mean_distance(generated) / apart if apart > 0 else None


def _mean_distance(values: Array) -> float:
    return float(torch.pdist(torch.from_numpy(values[:64].reshape(min(len(values), 64), -1))).mean())
