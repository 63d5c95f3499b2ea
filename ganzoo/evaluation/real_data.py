"""The real samples that generated ones are compared with, and real ones made worse in known ways.

A score means little by itself. Beside it stand those of other real samples (the floor that the number
of samples allows), of blurred and noisy ones, of a part of the classes, and of few pictures repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tabular
from ganzoo.api.evaluation import Lesson
from ganzoo.config.plan import Choice
from ganzoo.data.dataset import Store
from ganzoo.data.open_data import open_dataset, open_held_out
from ganzoo.errors import DataError
from ganzoo.evaluation.features import Lens
from ganzoo.evaluation.samples import Sampled, in_parts, stored
from ganzoo.fields import Field

Array = NDArray[Any]

MOST = 10_000  # real samples to compare with, unless more are asked for
FEWEST = 10  # fewer say nothing
_ORDER = 20_201_121  # seed of the choice of real samples: the same for all models and seeds


@dataclass(frozen=True, kw_only=True)
class Reals:
    """The data of an evaluation: where it comes from, and its rows in the order in which they are used."""

    field: Field
    label: Field | None
    held_out: bool
    stacked: bool
    store: Store
    training: Store
    exam: Store
    name: str
    unpaired: bool = False

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns of a table that have too many values to be compared, see `tables.crowded`."""
        return tabular.crowded(self.field, self.store.count)

    @property
    def notes(self) -> list[str]:
        """A word on each of these."""
        values = {column.name: len(column.values) for column in self.field.columns}
        return [
            f"the column '{name}' has {values[name]:,} values, and there are {self.store.count:,} real rows: "
            "scores leave it out"
            for name in self.left_out
        ]

    @classmethod
    def open(
        cls,
        choice: Choice,
        source: str,
        field: Field,
        *,
        training: Store | None = None,
        against_training: bool = False,
    ) -> Reals:
        """Open the data, unless `training` is it, and its held-out part.

        The samples to compare with are the held-out ones, unless there are none or `against_training`.
        DataError when they have no samples of the field.
        """
        training = open_dataset(choice, source) if training is None else training
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
        if [(c.name, c.values) for c in own.columns] != [(c.name, c.values) for c in field.columns]:
            raise DataError(
                "The generator makes a table with other columns, or other values in them.",
                where=f"{source} has: {', '.join(column.name for column in own.columns)}",
                fix="--data with the table that it was trained on, or one like it",
            )
        labels = [item for item in store.fields if item.dtype == "int64" and item.classes]
        return cls(
            field=own,
            label=labels[0] if labels else None,
            held_out=held_out is not None,
            stacked=choice.item.spec.stacked,
            unpaired=choice.item.spec.unpaired,
            store=store,
            training=training,
            exam=training if exam is None else exam,
            name=f"{'held-out part' if held_out is not None else 'training data'} of {source}",
        )

    def rows(self, n: int) -> Array:
        """The rows of the `n` real samples that are used, of all when there are no more."""
        order = np.random.Generator(np.random.PCG64(_ORDER)).permutation(self.store.count)
        return order[: min(n, self.store.count)]

    def arrays(self, n: int, reads: Sequence[Field]) -> dict[str, Array]:
        """Those fields of the data that a generator reads, of those samples, as its inputs by name.

        DataError when they have another shape than it knows, or more classes.
        """
        rows, there = self.rows(n), {item.name: item for item in self.store.fields}
        found = {}
        for known in reads:
            item = there.get(known.name)
            if known.source != "data" or item is None:
                continue
            if item.shape != known.shape or (known.classes and len(item.classes) > len(known.classes)):
                raise DataError(
                    f"The generator knows '{known.name}' of shape {known.shape} with {len(known.classes)} "
                    f"classes, this data has shape {item.shape} and {len(item.classes)}.",
                    where=self.store.identity,
                    fix="--data with labels that the generator knows",
                )
            values = self.store.arrays[item.name][rows]
            found[item.name] = values.astype(np.int64) if item.dtype == "int64" else as_floats(item, values)
        return found

    def real(self, lens: Lens, n: int) -> Sampled:
        """The samples that generated ones are compared with."""
        return self._take(lens, self.store, self.rows(n), "real", None)

    def trained_on(self, lens: Lens, real: Sampled) -> Sampled | None:
        """As many training samples, if there are so many; None when the real ones are such themselves."""
        if not self.held_out:
            return None
        order = np.random.Generator(np.random.PCG64(_ORDER + 1)).permutation(self.training.count)
        return self._take(lens, self.training, order[: len(real)], "training", real)

    def lesson(self, note: Callable[[str], None]) -> Lesson:
        """What a judge learns from; its exam is the held-out part, where there is one."""
        assert self.label is not None  # noqa: S101
        return Lesson(
            pixels=stored(self.field, self.training.arrays[self.field.name]),
            labels=in_parts(self.training.arrays[self.label.name]),
            exam_pixels=stored(self.field, self.exam.arrays[self.field.name]),
            exam_labels=in_parts(self.exam.arrays[self.label.name]),
            classes=len(self.label.classes),
            stacked=self.stacked,
            note=note,
        )

    def _take(self, lens: Lens, store: Store, rows: Array, part: str, real: Sampled | None) -> Sampled:
        values = stored(self.field, store.arrays[self.field.name][rows], self.left_out)
        labels = None if self.label is None else in_parts(store.arrays[self.label.name][rows])
        key = f"{store.fingerprint} {self.field.name} {part} {len(rows)}"
        return Sampled(lens, values, labels, real=real, key=key)


def as_floats(field: Field, array: Array) -> Array:
    """Values of a float field as a generator reads them."""
    if array.dtype != np.uint8 or field.range is None:
        return array.astype(np.float32)
    low, high = field.range
    return (array.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)).astype(np.float32)
