"""What metrics see: generated and real samples, looked at through one lens."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Lesson
from ganzoo.errors import DivergedError
from ganzoo.evaluate.lens import Lens
from ganzoo.pictures import to_pixels

Array = NDArray[Any]
Labels = NDArray[np.int64]


class Sampled:
    """Samples with their features and the judge's opinion, each computed once: `ganzoo.api.Samples`."""

    def __init__(self, lens: Lens, values: Array, labels: Labels | None = None, key: str = "") -> None:
        self._lens, self._key = lens, key
        self.values = values
        self.labels = labels

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def raw_features(self) -> NDArray[np.float32]:
        """Features before they are scaled."""
        return self._lens.raw_features(self.values, self._key)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(n, d), each dimension in standard deviations of the real samples."""
        scaled: NDArray[np.float32] = self.raw_features / self._lens.scale
        return scaled

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The judge's opinion, (n, parts, classes)."""
        return self._lens.judge.probabilities(self.values)

    @cached_property
    def guesses(self) -> NDArray[np.float32]:
        """The extractor's opinion, (n, classes), where it is a classifier."""
        return self._lens.guesses(self.values)

    def subset(self, rows: Array | slice) -> Sampled:
        """Some of the samples, with what is known of them already."""
        labels = None if self.labels is None else self.labels[rows]
        part = Sampled(self._lens, self.values[rows], labels)
        part.__dict__["raw_features"] = self.raw_features[rows]
        if "probabilities" in self.__dict__:
            part.__dict__["probabilities"] = self.probabilities[rows]
        return part


class Case:
    """Samples to be judged and those that they are compared with: `ganzoo.api.Evidence`."""

    def __init__(self, lens: Lens, fake: Sampled, real: Sampled, training: Sampled | None, seed: int) -> None:
        self._lens, self._seed = lens, seed
        self.fake, self.real, self.training = fake, real, training
        self.distance = lens.distance

    @property
    def random(self) -> np.random.Generator:
        """The same stream each time that it is asked for."""
        return np.random.Generator(np.random.PCG64(self._seed))

    def examine(self, pixels: NDArray[np.uint8], labels: Labels) -> float:
        """Train a judge on these; its accuracy on the real samples."""
        known = self._lens.lesson()
        lesson = Lesson(
            pixels=pixels,
            labels=labels,
            exam_pixels=known.exam_pixels,
            exam_labels=known.exam_labels,
            classes=known.classes,
            seed=known.seed,
        )
        return self._lens.taught(lesson).accuracy


def stored(field: Field, array: Array) -> Array:
    """Samples (n, *shape) as metrics take them: pictures as uint8 (n, h, w, c), others as float32.

    DivergedError for numbers that are not finite: no score of theirs would mean anything.
    """
    if array.dtype != np.uint8 and not np.isfinite(array).all():
        raise DivergedError("Generated samples are not finite numbers.", where=f"field '{field.name}'")
    if not field.is_image:
        return np.asarray(array, np.float32)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return to_pixels(field, array)


def in_parts(labels: Array) -> Labels:
    """Labels (n,) or (n, parts) as (n, parts)."""
    return labels.reshape(len(labels), -1).astype(np.int64)
