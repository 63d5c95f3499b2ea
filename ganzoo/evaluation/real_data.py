"""The real samples that generated ones are compared with.

Owns which samples of a data source are used, in which order. corruptions.py changes real samples for the
reference rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tabular
from ganzoo.api.evaluation import ClassifierData
from ganzoo.api.media import Media, as_floats
from ganzoo.config.plan import Choice
from ganzoo.data.dataset import Dataset, numbered_as, rows_of
from ganzoo.data.open_data import open_dataset, open_held_out
from ganzoo.errors import DataError
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.samples import Sampled, in_parts, stored
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds

Array = NDArray[Any]

MOST = 10_000  # samples by default
FEWEST = 10  # samples that can be scored
_ORDER = 20_201_121  # seed for the choice of real samples: the same for all models and seeds


@dataclass(frozen=True, kw_only=True)
class RealData:
    """The data of an evaluation: the samples to compare with, the training samples, and the test samples."""

    field: Field
    label: Field | None
    held_out: bool
    stacked: bool
    dataset: Dataset
    training: Dataset
    test: Dataset
    name: str
    media: Media
    kinds: Kinds
    unpaired: bool = False

    @property
    def excluded(self) -> tuple[str, ...]:
        """Columns of a table with too many values to compare, see `tabular.high_cardinality`."""
        return tabular.high_cardinality(self.field, self.dataset.count)

    @property
    def notes(self) -> list[str]:
        """A note about each excluded column."""
        values = {column.name: len(column.values) for column in self.field.columns}
        return [
            f"the column '{name}' has {values[name]:,} values in {self.dataset.count:,} real rows: "
            "scores do not use it"
            for name in self.excluded
        ]

    @classmethod
    def open(
        cls,
        choice: Choice,
        source: str,
        field: Field,
        kinds: Kinds,
        *,
        training: Dataset | None = None,
        against_training: bool = False,
        reads: Sequence[Field] = (),
    ) -> RealData:
        """Open the data and its held-out part; `training` is the training data if it is open already.

        The samples to compare with are the held-out ones, unless there are none or `against_training` is set.
        Labels are numbered as those that the generator `reads`. DataError when the data does not have this
        field with this shape, or has classes that the generator does not know.
        """
        training = open_dataset(choice, source, kinds) if training is None else training
        test = open_held_out(choice, source, kinds)
        for known in (item for item in reads if item.classes):
            training = numbered_as(training, known)
            test = None if test is None else numbered_as(test, known)
        held_out = None if against_training else test
        dataset = training if held_out is None else held_out
        present = {item.name: item for item in dataset.fields}
        own = present.get(field.name)
        if own is None or own.shape != field.shape:
            shapes = ", ".join(f"{item.name} {item.shape}" for item in dataset.fields)
            raise DataError(
                f"The generator writes '{field.name}' of shape {field.shape}, the data has: {shapes}.",
                where=source,
                fix="--data with samples of the same shape",
            )
        if [(c.name, c.values) for c in own.columns] != [(c.name, c.values) for c in field.columns]:
            raise DataError(
                "The generator writes a table with other columns, or with other values in them.",
                where=f"{source} has: {', '.join(column.name for column in own.columns)}",
                fix="--data with the table that it was trained on, or a similar one",
            )
        media = kinds.of(own.kind)
        other = [name for name in media.same_facts if own.facts.get(name) != field.facts.get(name)]
        if other:
            raise DataError(
                f"The generator writes {media.nouns} with another {' and '.join(other)} than the data has.",
                where=source,
                fix="--data with the data that it was trained on",
            )
        labels = [item for item in dataset.fields if item.dtype == "int64" and item.classes]
        return cls(
            field=own,
            media=media,
            kinds=kinds,
            label=labels[0] if labels else None,
            held_out=held_out is not None,
            stacked=choice.item.spec.stacked,
            unpaired=choice.item.spec.unpaired,
            dataset=dataset,
            training=training,
            test=training if test is None else test,
            name=f"{'held-out part' if held_out is not None else 'training data'} of {source}",
        )

    def rows(self, n: int) -> Array:
        """The indices of `n` real samples, or of all if there are fewer."""
        order = np.random.Generator(np.random.PCG64(_ORDER)).permutation(self.dataset.count)
        return order[: min(n, self.dataset.count)]

    def arrays(self, n: int, reads: Sequence[Field]) -> dict[str, Array]:
        """The fields of these samples that a generator reads, as inputs by name.

        DataError when they have another shape or more classes than the generator expects.
        """
        return self.arrays_of(self.rows(n), reads)

    def arrays_of(self, rows: Array, reads: Sequence[Field]) -> dict[str, Array]:
        """The same for samples by their indices."""
        present = {item.name: item for item in self.dataset.fields}
        found = {}
        for known in reads:
            item = present.get(known.name)
            if known.source != "data" or item is None:
                continue
            if item.shape != known.shape or (known.classes and len(item.classes) > len(known.classes)):
                raise DataError(
                    f"The generator expects '{known.name}' of shape {known.shape} with {len(known.classes)} "
                    f"classes; this data has shape {item.shape} and {len(item.classes)} classes.",
                    where=self.dataset.identity,
                    fix="--data with the labels that the generator was trained with",
                )
            values = self.dataset.arrays[item.name][rows]
            found[item.name] = values.astype(np.int64) if item.dtype == "int64" else as_floats(item, values)
        return found

    def real(self, feature_space: FeatureSpace, n: int) -> Sampled:
        """The samples that generated ones are compared with."""
        return self._take(feature_space, self.dataset, self.rows(n), "real", None)

    def trained_on(self, feature_space: FeatureSpace, real: Sampled) -> Sampled | None:
        """As many training samples as `real`, or fewer; None if `real` are training samples themselves."""
        if not self.held_out:
            return None
        order = np.random.Generator(np.random.PCG64(_ORDER + 1)).permutation(self.training.count)
        return self._take(feature_space, self.training, order[: len(real)], "training", real)

    def classifier_data(self, note: Callable[[str], None]) -> ClassifierData:
        """The data of a classifier; without a held-out part to test it on, every fifth sample is."""
        assert self.label is not None  # noqa: S101
        names = (self.field.name, self.label.name)
        pixels, labels = (self.training.arrays[name] for name in names)
        test_pixels, test_labels = (self.test.arrays[name] for name in names)
        if self.test is self.training:
            order = self.rows(self.training.count)
            tested, learned = np.sort(order[::5]), np.delete(np.arange(len(order)), order[::5])
            test_pixels, test_labels = rows_of(pixels, tested), labels[tested]
            pixels, labels = rows_of(pixels, learned), labels[learned]
        return ClassifierData(
            pixels=stored(self.media, self.field, pixels),
            labels=in_parts(labels),
            test_pixels=stored(self.media, self.field, test_pixels),
            test_labels=in_parts(test_labels),
            classes=len(self.label.classes),
            stacked=self.stacked,
            note=note,
        )

    def _take(
        self, feature_space: FeatureSpace, dataset: Dataset, rows: Array, part: str, real: Sampled | None
    ) -> Sampled:
        values = stored(self.media, self.field, dataset.arrays[self.field.name][rows], self.excluded)
        labels = None if self.label is None else in_parts(dataset.arrays[self.label.name][rows])
        key = f"{dataset.fingerprint} {self.field.name} {part} {len(rows)}"
        return Sampled(feature_space, values, labels, real=real, key=key)
