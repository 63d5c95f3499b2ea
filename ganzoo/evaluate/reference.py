"""The real samples that generated ones are compared with, and real ones made worse in known ways.

A score means little by itself. Beside it stand those of other real samples (the floor that the number
of samples allows), of blurred and noisy ones, of a part of the classes, and of few pictures repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Lesson
from ganzoo.data.opening import open_dataset, open_held_out
from ganzoo.data.store import Store
from ganzoo.errors import DataError
from ganzoo.evaluate.evidence import Sampled, in_parts, stored
from ganzoo.evaluate.lens import Lens
from ganzoo.plan import Choice

Array = NDArray[Any]

MOST = 10_000  # real samples to compare with, unless more are asked for
BLUR, NOISE = 1.0, 25.0  # pixels, of 255
REPEATED, SHARE = 100, 10  # different samples, and at most one in so many
_ORDER = 20_201_121  # seed of the choice of real samples: the same for all models and seeds


@dataclass(frozen=True, kw_only=True)
class Reals:
    """The data of an evaluation: where it comes from, and its rows in the order in which they are used."""

    field: Field
    label: Field | None
    held_out: bool
    store: Store
    training: Store
    exam: Store
    name: str

    @classmethod
    def open(cls, choice: Choice, source: str, field: Field, *, against_training: bool = False) -> Reals:
        """Open the data and its held-out part. DataError when they have no samples of the field.

        The samples to compare with are the held-out ones, unless there are none or `against_training`.
        """
        training = open_dataset(choice, source)
        exam = open_held_out(choice, source)
        held_out = None if against_training else exam
        store = training if held_out is None else held_out
        there = {item.name: item for item in store.fields}
        own = there.get(field.name)
        if own is None or own.shape != field.shape:
            shapes = ", ".join(f"{item.name} {item.shape}" for item in store.fields)
            raise DataError(
                f"The generator makes '{field.name}' of shape {field.shape}, the data has: {shapes}.",
                where=source,
                fix="--data with samples of the same shape",
            )
        labels = [item for item in store.fields if item.dtype == "int64" and item.classes]
        return cls(
            field=own,
            label=labels[0] if labels else None,
            held_out=held_out is not None,
            store=store,
            training=training,
            exam=training if exam is None else exam,
            name=f"{'held-out part' if held_out is not None else 'training data'} of {source}",
        )

    def rows(self, n: int) -> Array:
        """The rows of the `n` real samples that are used, of all when there are no more."""
        order = np.random.Generator(np.random.PCG64(_ORDER)).permutation(self.store.count)
        return order[: min(n, self.store.count)]

    def arrays(self, n: int) -> dict[str, Array]:
        """Those samples as a generator's inputs, by field name."""
        rows = self.rows(n)
        return {
            item.name: self.store.arrays[item.name][rows].astype(np.int64)
            if item.dtype == "int64"
            else as_floats(item, self.store.arrays[item.name][rows])
            for item in self.store.fields
        }

    def real(self, lens: Lens, n: int) -> Sampled:
        """The samples that generated ones are compared with."""
        return self._take(lens, self.store, self.rows(n), f"real {n}")

    def trained_on(self, lens: Lens, n: int) -> Sampled | None:
        """As many training samples; None when the real ones are such themselves."""
        if not self.held_out:
            return None
        order = np.random.Generator(np.random.PCG64(_ORDER + 1)).permutation(self.training.count)
        return self._take(lens, self.training, order[:n], f"training {n}")

    def lesson(self) -> Lesson:
        """What a judge learns from; its exam is the held-out part, where there is one."""
        assert self.label is not None  # noqa: S101
        return Lesson(
            pixels=stored(self.field, self.training.arrays[self.field.name]),
            labels=in_parts(self.training.arrays[self.label.name]),
            exam_pixels=stored(self.field, self.exam.arrays[self.field.name]),
            exam_labels=in_parts(self.exam.arrays[self.label.name]),
            classes=len(self.label.classes),
        )

    def _take(self, lens: Lens, store: Store, rows: Array, key: str) -> Sampled:
        values = stored(self.field, store.arrays[self.field.name][rows])
        labels = None if self.label is None else in_parts(store.arrays[self.label.name][rows])
        return Sampled(lens, values, labels, f"{store.fingerprint} {key}")


def as_floats(field: Field, array: Array) -> Array:
    """Values of a float field as a generator reads them."""
    if array.dtype != np.uint8 or field.range is None:
        return array.astype(np.float32)
    low, high = field.range
    return (array.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)).astype(np.float32)


def made_worse(lens: Lens, other: Sampled, field: Field, classes: int) -> Mapping[str, Callable[[], Sampled]]:
    """Real samples by the name of their reference row; all but the first are worse in a known way."""
    random = np.random.Generator(np.random.PCG64(_ORDER + 2))

    def blurred() -> Sampled:
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(other.values.astype(np.float32), (0, BLUR, BLUR, 0))
        return Sampled(lens, np.rint(smooth).astype(np.uint8), other.labels, "")

    def noisy() -> Sampled:
        if not field.is_image:
            spread = 0.5 * other.values.std(0)
            return Sampled(lens, other.values + (spread * random.standard_normal(other.values.shape)).astype(
                np.float32
            ), other.labels)  # fmt: skip
        noise = random.normal(0, NOISE, other.values.shape)
        return Sampled(lens, np.rint((other.values + noise).clip(0, 255)).astype(np.uint8), other.labels)

    def few_classes() -> Sampled:
        assert other.labels is not None  # noqa: S101
        rows = np.flatnonzero(other.labels[:, 0] < classes // 2)
        return other.subset(np.resize(rows, len(other)))

    def repeated() -> Sampled:
        few = min(REPEATED, -(-len(other) // SHARE))
        return other.subset(np.arange(len(other)) % few)

    rows: dict[str, Callable[[], Sampled]] = {"real": lambda: other}
    if field.is_image:
        rows["blurred"] = blurred
    rows["noisy"] = noisy
    if other.labels is not None and classes > 1:
        rows["few_classes"] = few_classes
    rows["repeated"] = repeated
    return rows
