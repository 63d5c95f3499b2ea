"""What metrics see: generated and real samples, looked at through one lens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tables
from ganzoo.api import Field
from ganzoo.errors import DivergedError
from ganzoo.evaluate.lens import Lens
from ganzoo.pairs import nearest
from ganzoo.pictures import to_pixels

Array = NDArray[Any]
Labels = NDArray[np.int64]


class Sampled:
    """Samples with features and opinions, each computed once, when it is asked for: `ganzoo.api.Samples`.

    Features are divided by their standard deviations over `real`; None stands for these samples themselves.
    Under `key` their features are kept on disk.
    """

    def __init__(
        self, lens: Lens, values: Array, labels: Labels | None = None, *, real: Sampled | None, key: str = ""
    ) -> None:
        self._lens, self._real, self._key = lens, real, key
        self.values = values
        self.labels = labels

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def raw_features(self) -> NDArray[np.float32]:
        """Features before they are scaled."""
        return self._lens.raw_features(self.values, self._key)

    @cached_property
    def spread(self) -> NDArray[np.float32]:
        """The standard deviation of each feature before scaling, (d,); 1 where there is none.

        Those of one column count together: a category is then as important as a number, whichever number of
        values it has, and two rows that differ in it are as far apart for a rare value as for a frequent one.
        """
        variance = self.raw_features.var(0, dtype=np.float64)
        if widths := self._lens.widths:
            starts = np.cumsum((0, *widths[:-1]))
            variance = np.add.reduceat(variance, starts).repeat(widths)
        spread = np.sqrt(variance).astype(np.float32)
        return np.where(spread > 0, spread, np.float32(1))

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(n, d), each dimension in standard deviations of the real samples where the lens scales them."""
        if not self._lens.scaled:
            return self.raw_features
        return self.raw_features / self._measure.spread

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The judge's opinion, (n, parts, classes)."""
        return self._lens.judge.probabilities(self.values)

    @cached_property
    def guesses(self) -> NDArray[np.float32]:
        """The extractor's opinion, (n, classes), where it is a classifier."""
        return self._lens.guesses(self.values)

    def changed(self, values: Array) -> Sampled:
        """Other values in place of these."""
        return Sampled(self._lens, values, self.labels, real=self._measure)

    def subset(self, rows: Array | slice) -> Sampled:
        """Some of the samples; what is computed of them is computed of all."""
        return _Part(self, rows)

    @property
    def _measure(self) -> Sampled:
        return self if self._real is None else self._real


class _Part(Sampled):
    """Some rows of other samples, which computed them already, or will need the rest of them anyway."""

    def __init__(self, whole: Sampled, rows: Array | slice) -> None:
        labels = None if whole.labels is None else whole.labels[rows]
        super().__init__(whole._lens, whole.values[rows], labels, real=whole._measure)
        self._whole, self._rows = whole, rows

    @cached_property
    def raw_features(self) -> NDArray[np.float32]:
        return self._whole.raw_features[self._rows]

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        return self._whole.probabilities[self._rows]

    @cached_property
    def guesses(self) -> NDArray[np.float32]:
        return self._whole.guesses[self._rows]


class Case:
    """Samples to be judged and those that they are compared with: `ganzoo.api.Evidence`."""

    def __init__(
        self,
        lens: Lens,
        fake: Sampled,
        real: Sampled,
        training: Sampled | None,
        seed: int,
        answers: NDArray[np.intp] | None = None,
    ) -> None:
        self._lens, self._seed = lens, seed
        self.answers = answers
        self.fake, self.real, self.training = fake, real, training
        self.distance, self.stacked = lens.distance, lens.stacked

    @property
    def random(self) -> np.random.Generator:
        """The same stream each time that it is asked for."""
        return np.random.Generator(np.random.PCG64(self._seed))

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]] | None:
        """See `ganzoo.api.Evidence`. Among more samples the nearest is nearer: so there are equally many."""
        if self.training is None:
            return None
        count = min(len(self.training), len(self.real))
        ours, to_training = nearest(self.fake.features, self.training.features[:count])
        others, to_others = nearest(self.fake.features, self.real.features[:count])
        # A copy of samples in both, as rows of few values often are, says nothing either way.
        ratio = np.where(to_training == to_others, 1, to_training / np.maximum(to_others, 1e-12))
        return ours, others, ratio.astype(np.float32)

    def examine(self, pixels: NDArray[np.uint8], labels: Labels) -> float:
        """Train a judge on these; its accuracy on the whole held-out part."""
        lesson = replace(self._lens.lesson(), pixels=pixels, labels=labels, keep=False)
        return self._lens.taught(lesson).accuracy


def stored(field: Field, array: Array, left_out: Collection[str] = ()) -> Array:
    """Samples (n, *shape) as metrics take them: pictures as uint8 (n, h, w, c), others as float32.

    Rows of a table are read, without the columns `left_out`: see `tables.as_numbers`.

    DivergedError for numbers that are not finite: no score of theirs would mean anything.
    """
    if array.dtype != np.uint8 and not np.isfinite(array).all():
        raise DivergedError("Generated samples are not finite numbers.", where=f"field '{field.name}'")
    if field.columns:
        return tables.as_numbers(field, array, left_out)
    if not field.is_image:
        return np.asarray(array, np.float32)
    if array.dtype == np.uint8:
        return array.transpose(0, 2, 3, 1)
    return to_pixels(field, array)


def in_parts(labels: Array) -> Labels:
    """Labels (n,) or (n, parts) as (n, parts)."""
    return labels.reshape(len(labels), -1).astype(np.int64)
