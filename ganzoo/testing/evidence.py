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
from ganzoo.api.media import ARRAY
from ganzoo.api.specs import MediaSpec
from ganzoo.data.dataset import Dataset
from ganzoo.errors import DataError
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.detection import SCORES
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.fields import Column, DataInfo, Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry
from ganzoo.testing.synthetic import CLASSES, CLASSIFIER, SYNTHETIC

Array = NDArray[Any]

COUNT = 120  # samples of a comparison: 40 of each class
WORSE = ("noise", "alike", "copies")  # one sample again and again; training samples
COLUMNS = (
    Column(name="metal", values=("copper", "nickel")),
    Column(name="grams", centres=(3.0, 7.0), widths=(0.2, 0.3), bounds=(2.0, 9.0), decimals=2),
)
RANGED, FREE = ((1, 7, 5), (3, 8, 11), (4, 6, 6), (6, 3)), ((2,), (1,), (6,), (5, 3))
FIELDS = (
    *(Field(name="x", shape=shape, range=(-1.0, 1.0)) for shape in RANGED),
    *(Field(name="x", shape=shape) for shape in FREE),
    Field(name="x", shape=(5,), range=(-1.0, 1.0), columns=COLUMNS),
)
"""Odd sizes, and as many channels as files may have."""


def fields_of_kind(kind: str, kinds: Kinds, data: Sequence[DataInfo] = ()) -> Iterator[Field]:
    """Fields of that kind: those of `data`, then the made-up ones that its media accepts."""
    names = (kind, kind.rpartition("/")[2])
    yield from (field for info in data for field in info.fields if field.kind and field.kind in names)
    for field in FIELDS:
        try:
            if not field.columns or kinds.of(kind).claims(field):
                yield from kinds.assign([replace(field, kind=kind)], api=2)
        except DataError:
            continue


def fields_for(needs: Collection[str], registry: Registry, data: Sequence[DataInfo]) -> Iterator[Field]:
    """Fields of each kind that is needed, of every kind if none is, with the name that is needed.

    Those of the `data`, or else one that is made up: a score may depend on what only some data has.
    """
    kinds = Kinds(registry)
    named = [need.removeprefix("field:") for need in needs if need.startswith("field:")]
    every = [ARRAY, *(item.qualified for item in registry.of_kind(MediaSpec) if item.name != ARRAY)]
    for kind in [need for need in needs if kinds.knows(need)] or every:
        found = [
            item for item in fields_of_kind(kind, kinds, data) if "rows" not in needs or len(item.shape) == 1
        ]
        # Arrays stand for all kinds that are not here: one for each number of axes.
        ranks = {len(field.shape): field for field in reversed(found)}
        given = sum(field.kind == kind.rpartition("/")[2] for info in data for field in info.fields)
        for field in ranks.values() if kind == ARRAY else found[: max(given, 1)]:
            yield replace(field, name=named[0]) if named else field


def ramps(field: Field, n: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Samples (n, *shape) that rise over their values and touch both ends of the range."""
    low, high = field.range or (-2.0, 2.0)
    rise = (np.linspace(0, 1, math.prod(shape)) + np.linspace(0, 0.5, n)[:, None]) % 1
    return (low + (high - low) * rise).astype(np.float32).reshape(n, *shape)


def clusters(field: Field, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Samples and their classes: each class has a centre of its own."""
    random, (low, high) = np.random.default_rng(seed), field.range or (-2.0, 2.0)
    centres = np.random.default_rng(0).uniform(low, high, (len(CLASSES), *field.shape))
    labels = random.permutation(np.arange(COUNT) % len(CLASSES))
    values = centres[labels] + 0.03 * (high - low) * random.standard_normal((COUNT, *field.shape))
    return values.clip(low, high).astype(np.float32), labels


class Evidence:
    """What a metric with these `needs` gets for samples of a field, and nothing else.

    `distance` is that of the extractor which is needed, if any.
    """

    def __init__(self, field: Field, kinds: Kinds, needs: Collection[str], distance: str = "") -> None:
        self.needs, label = frozenset(needs), Field(name="label", dtype="int64", classes=CLASSES)
        held_out, training = (
            Dataset(
                fields=(field, label),
                arrays=dict(zip((field.name, "label"), clusters(field, seed), strict=True)),
                count=COUNT, identity="made up", notes=(), skipped=(), fingerprint=f"made up {seed} {field}",
            )
            for seed in (1, 2)
        )  # fmt: skip
        self._whole = RealData(
            field=field, label=label, held_out=True, stacked=False, dataset=held_out, training=training,
            test=held_out, name="made up", media=kinds.of(field.kind), kinds=kinds,
        )  # fmt: skip
        labelled = self.needs & {"labels", "classifier", "conditioned"}
        self.real_data = replace(
            self._whole, label=label if labelled else None, held_out="training" in self.needs
        )
        self.space = FeatureSpace(
            Item(replace(CLASSIFIER, distance=distance), SYNTHETIC) if distance else None,
            None,
            Item(CLASSIFIER, SYNTHETIC) if distance or "classifier" in self.needs else None,
            lambda: self.classifier_data,
            stacked=False,
            widths=() if distance else tabular.widths(field),
        )

    @property
    def classifier_data(self) -> ClassifierData:
        """What a classifier is trained on; it is not kept in the cache."""
        return replace(self._whole.classifier_data(lambda note: None), keep=False)

    def comparison(self, which: str = "other") -> Comparison:
        """Generated samples: `other` ones of the classes, the `real` ones themselves, or one of `WORSE`."""
        if SCORES in self.needs:
            return self._scored(which)
        data, field = self.real_data, self.real_data.field
        real = data.real(self.space, COUNT)
        values, labels = (array[data.rows(COUNT)] for array in data.dataset.arrays.values())
        if which == "other":
            values, labels = clusters(field, 4)
        elif which == "noise":
            values = np.random.default_rng(3).uniform(*(field.range or (-2.0, 2.0)), values.shape)
        elif which == "alike":
            values = np.repeat(values[:1], COUNT, axis=0)
        elif which == "copies":
            values = data.training.arrays[field.name]
        made = stored(data.media, field, values.astype(np.float32), data.excluded)
        conditions = labels[:, None] if "conditioned" in self.needs else None
        fake, targets = Sampled(self.space, made, conditions, real=real), np.arange(COUNT)
        training = data.trained_on(self.space, real)
        given = targets if "targets" in self.needs else None
        return Comparison(self.space, fake, real, training, seed=0, targets=given, field=field)

    def _scored(self, which: str) -> Comparison:
        """Scores of samples of known classes and another one: they tell it from the others, or do not."""
        labels, known = clusters(self.real_data.field, 4)[1], np.arange(len(CLASSES)) > 0
        scores = np.random.default_rng(3).normal(size=COUNT) * (which != "alike")
        scores += {"real": 6, "other": 1}.get(which, 0) * ~known[labels]
        samples = Sampled(self.space, scores.astype(np.float32), labels[:, None], real=None)
        field = Field(name="score", facts={"threshold_95": 2.0})
        return Comparison(self.space, samples, samples, None, seed=0, field=field, known=known)
