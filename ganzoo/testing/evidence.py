"""Made-up samples of any kind, and comparisons of them for metrics."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tabular
from ganzoo.api.evaluation import ClassifierData
from ganzoo.api.media import ARRAY, Media
from ganzoo.api.specs import MediaSpec
from ganzoo.data.dataset import Dataset
from ganzoo.errors import DataError
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.fields import Column, DataInfo, Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry
from ganzoo.testing.synthetic import CLASSES, SYNTHETIC

Array = NDArray[Any]

COUNT = 120  # samples of a comparison: 40 of each class
CLASSIFIER = next(Item(spec, SYNTHETIC) for spec in SYNTHETIC.specs if spec.record == "extractor")
COLUMNS = (
    Column(name="metal", values=("copper", "nickel")),
    Column(name="grams", centres=(3.0, 7.0), widths=(0.2, 0.3), bounds=(2.0, 9.0), decimals=2),
)
# Odd sizes, and as many channels as files may have.
FIELDS = (
    *(Field(name="x", shape=shape, range=(-1.0, 1.0)) for shape in ((1, 7, 5), (3, 8, 11), (4, 6, 6), (6, 3))),
    *(Field(name="x", shape=shape) for shape in ((2,), (1,), (6,), (5, 3))),
    Field(name="x", shape=(5,), range=(-1.0, 1.0), columns=COLUMNS),
)  # fmt: skip


def fields_of_kind(kind: str, kinds: Kinds, data: Sequence[DataInfo] = ()) -> list[Field]:
    """Fields of that kind: those of `data`, then the made-up ones that its media accepts."""
    found = [field for info in data for field in info.fields if field.kind and field.kind == kind]
    for field in FIELDS:
        if field.columns and not kinds.of(kind).claims(field):
            continue
        try:
            found += kinds.assign([replace(field, kind=kind)], api=2)
        except DataError:
            continue
    return found


def ramps(field: Field, n: int, shape: tuple[int, ...] = ()) -> NDArray[np.float32]:
    """Samples (n, *shape), each rising over its values; they touch both ends of the range."""
    shape = shape or field.shape
    low, high = field.range or (-2.0, 2.0)
    rise = np.linspace(0, 1, math.prod(shape))
    offsets = np.linspace(0, 0.5, n)[:, None]
    values = low + (high - low) * np.abs((rise + offsets) % 1)
    return values.astype(np.float32).reshape(n, *shape)


def clusters(field: Field, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Samples and their classes: each class has a centre of its own."""
    random, low, high = np.random.default_rng(seed), *(field.range or (-2.0, 2.0))
    centres = np.random.default_rng(0).uniform(low, high, (len(CLASSES), *field.shape))
    labels = random.permutation(np.arange(COUNT) % len(CLASSES))
    values = centres[labels] + 0.03 * (high - low) * random.standard_normal((COUNT, *field.shape))
    return values.clip(low, high).astype(np.float32), labels


class Evidence:
    """What a metric with these `needs` gets for samples of a field, and nothing else.

    `kind_of` says which of the needs are kinds; any other one is the distance of an extractor.
    """

    def __init__(self, field: Field, kinds: Kinds, needs: Collection[str], distance: str = "") -> None:
        self.field, self.kinds, self.needs = field, kinds, frozenset(needs)
        self.media: Media = kinds.of(field.kind)
        label = Field(name="label", dtype="int64", classes=CLASSES)
        whole = self._whole = self._real_data(label)
        labelled = self.needs & {"labels", "classifier", "conditioned"}
        held_out = "training" in self.needs
        self.real_data = replace(whole, label=label if labelled else None, held_out=held_out)
        self.space = FeatureSpace(
            Item(replace(CLASSIFIER.spec, distance=distance), SYNTHETIC) if distance else None,
            None,
            CLASSIFIER if distance or "classifier" in self.needs else None,
            lambda: self.classifier_data,
            stacked=False,
            widths=() if distance else tabular.widths(field),
        )

    @property
    def classifier_data(self) -> ClassifierData:
        """What a classifier is trained on; it is not kept in the cache."""
        return replace(self._whole.classifier_data(lambda note: None), keep=False)

    def _real_data(self, label: Field) -> RealData:
        held_out, training = (self._dataset(label, seed) for seed in (1, 2))
        return RealData(
            field=self.field, label=label, held_out=True, stacked=False, dataset=held_out, training=training,
            test=held_out, name="made up", media=self.media, kinds=self.kinds,
        )  # fmt: skip

    def _dataset(self, label: Field, seed: int) -> Dataset:
        values, labels = clusters(self.field, seed)
        return Dataset(
            fields=(self.field, label), arrays={self.field.name: values, label.name: labels}, count=COUNT,
            identity="made up", notes=(), skipped=(), fingerprint=f"made up {seed} {self.field}",
        )  # fmt: skip

    def comparison(self, which: str = "other") -> Comparison:
        """Generated samples that are `other` ones of the data, the `real` ones, or worse: see `WORSE`."""
        real_data, rows = self.real_data, self.real_data.rows(COUNT)
        real = real_data.real(self.space, COUNT)
        values, labels = (array[rows] for array in real_data.dataset.arrays.values())
        random, (low, high) = np.random.default_rng(3), self.field.range or (-2.0, 2.0)
        if which == "other":
            values, labels = clusters(self.field, 4)
        elif which == "noise":
            values = random.uniform(low, high, values.shape).astype(np.float32)
        elif which == "alike":
            values = np.repeat(values[:1], COUNT, axis=0)
        elif which == "copies":
            values = real_data.training.arrays[self.field.name]
        made = stored(self.media, self.field, values, real_data.excluded)
        parts = labels[:, None] if "conditioned" in self.needs else None
        return Comparison(
            self.space,
            Sampled(self.space, made, parts, real=real),
            real,
            real_data.trained_on(self.space, real),
            seed=0,
            targets=np.arange(COUNT) if "targets" in self.needs else None,
            field=self.field,
        )


WORSE = ("noise", "alike", "copies")
"""Samples that are worse: random values, one sample again and again, copies of training samples."""


def fields_for(needs: Collection[str], registry: Registry, data: Sequence[DataInfo]) -> Iterator[Field]:
    """A field of each kind that is needed, of every kind if none is, with the names and axes that are needed."""
    kinds = Kinds(registry)
    needed = [need for need in needs if kinds.knows(need)]
    named = [need.removeprefix("field:") for need in needs if need.startswith("field:")]
    every = needed or [ARRAY, *(item.qualified for item in registry.of_kind(MediaSpec) if item.name != ARRAY)]
    for kind in every:
        found = fields_of_kind(kind, kinds, data)
        found = [field for field in found if "rows" not in needs or len(field.shape) == 1]
        # Arrays stand for all kinds that are not here: one for each number of axes.
        ranks = {len(field.shape): field for field in reversed(found)}
        for field in ranks.values() if kind == ARRAY else found[:1]:
            yield replace(field, name=named[0]) if named else field
