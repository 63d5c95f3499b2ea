"""The feature space for some data, and what metrics compare: generated, real and training samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tabular
from ganzoo.api.distances import nearest
from ganzoo.api.media import Media
from ganzoo.api.specs import ExtractorSpec
from ganzoo.config.settings import build
from ganzoo.errors import UsageError
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.generators import shuffled
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.samples import Labels, Sampled, in_parts
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry

EXTRACTOR, CLASSIFIER = "efficientnet-lite0", "classifier"


def _usable(registry: Registry, media: Media, field: Field) -> list[Item[ExtractorSpec]]:
    """The extractors that take samples of a field."""
    found = [item for item in registry.of_kind(ExtractorSpec) if field.kind in item.spec.kinds]
    return found if media.extractable(field) else []


def _fixed(usable: Sequence[Item[ExtractorSpec]]) -> list[Item[ExtractorSpec]]:
    """Those that are not trained on the data, the usual one first."""
    fixed = (item for item in usable if not item.spec.trained)
    return sorted(fixed, key=lambda item: item.name != EXTRACTOR)


def usual_feature_space(registry: Registry, media: Media, field: Field) -> FeatureSpace:
    """The feature space of `feature_space_of` for samples without data beside them: no classifier."""
    for item in _fixed(_usable(registry, media, field)):
        options = build(item.spec.config, {}, f"extractor {item.name}", {}) if item.spec.config else None
        return FeatureSpace(item, options, None, None, stacked=False)
    return FeatureSpace(None, None, None, None, stacked=False, widths=tabular.widths(field, ()))


def feature_space_of(
    registry: Registry,
    real_data: RealData,
    extractor: str = "",
    weights: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> FeatureSpace:
    """The feature space for this data: an extractor for its kind, and a classifier if there are labels.

    Without an extractor for that kind, the values are compared.

    `note` gets a message when a classifier is trained. UsageError for an extractor that cannot be used with
    this data, and for `weights` that the extractor does not read.
    """
    field = real_data.field
    usable = _usable(registry, real_data.media, field)
    chosen = registry.find(ExtractorSpec, extractor).qualified if extractor else ""
    fixed = _fixed(usable)
    able = [item for item in usable if item.qualified == chosen] if extractor else fixed
    if not able:
        if extractor or weights is not None:
            raise UsageError(
                f"No such extractor is for {real_data.media.nouns}. "
                f"Here the values of '{field.name}' are compared.",
                where=extractor or str(weights),
                fix="leave --extractor and --fid-weights out",
            )
        widths = tabular.widths(field, real_data.excluded)
        return FeatureSpace(None, None, None, None, stacked=real_data.stacked, widths=widths)
    item = able[0]
    options = None
    if item.spec.config is not None:
        given = {"weights": str(weights)} if weights is not None else {}
        options = build(item.spec.config, given, f"extractor {item.name}", {})
    elif weights is not None:
        raise UsageError(f"The extractor '{item.name}' reads no weights file.", where=str(weights))
    classifiers = [found for found in usable if found.spec.trained]
    named = [found for found in classifiers if found.name == CLASSIFIER] or classifiers
    labelled = real_data.label is not None and bool(named)
    if item.spec.trained:
        if not labelled:
            raise UsageError(f"The extractor '{item.name}' needs labels to train, and this data has none.")
        named = [item]  # one classifier for both features and class probabilities
    classifier, classifier_data = (
        (named[0], partial(real_data.classifier_data, note)) if labelled else (None, None)
    )
    return FeatureSpace(item, options, classifier, classifier_data, stacked=real_data.stacked)


def conditions_of(real_data: RealData, inputs: Mapping[str, Any]) -> Labels | None:
    """The classes among a generator's inputs, (n, parts); None for an unconditional generator."""
    conditioned = inputs.get(real_data.label.name) if real_data.label is not None else None
    return None if conditioned is None else in_parts(conditioned)


def targets_of(
    real_data: RealData, reads: Sequence[Field], n: int, n_real: int, seed: int
) -> NDArray[np.intp] | None:
    """For each of `n` samples, the index of its target among `n_real` real ones; None without targets."""
    present = {field.name for field in real_data.dataset.fields}
    inputs = [field for field in reads if field.source == "data" and field.dtype == "float32"]
    if real_data.unpaired or not inputs or any(field.name not in present for field in inputs):
        return None
    return shuffled(len(real_data.rows(n_real)), n, seed)


def shown_inputs(
    kinds: Kinds, reads: Sequence[Field], inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The samples of the data that a generator reads, in the form for metrics."""
    return {
        field.name: kinds.of(field.kind).metric_values(field, inputs[field.name])
        for field in reads
        if field.source == "data" and field.dtype == "float32"
    }


def reference_samples(
    feature_space: FeatureSpace, real_data: RealData, n: int
) -> tuple[Sampled, Sampled | None]:
    """The samples to compare with, and as many training samples; None if the first are training samples."""
    real = real_data.real(feature_space, n)
    return real, real_data.trained_on(feature_space, real)


class Comparison:
    """Generated samples and the samples they are compared with: `ganzoo.api.Comparison`."""

    def __init__(
        self,
        feature_space: FeatureSpace,
        fake: Sampled,
        real: Sampled,
        training: Sampled | None,
        seed: int,
        targets: NDArray[np.intp] | None = None,
        *,
        field: Field,
        known: NDArray[np.bool_] | None = None,
        inputs: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._feature_space, self._seed = feature_space, seed
        self.field = field
        self.targets, self.known, self.inputs = targets, known, inputs or {}
        self.fake, self.real, self.training = fake, real, training
        self.distance, self.stacked = feature_space.distance, feature_space.stacked

    @property
    def random(self) -> np.random.Generator:
        """A new generator with the same seed each time."""
        return np.random.Generator(np.random.PCG64(self._seed))

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]] | None:
        """See `ganzoo.api.Comparison`. Both sets have equal size: in a larger set the nearest is nearer."""
        if self.training is None:
            return None
        count = min(len(self.training), len(self.real))
        ours, to_training = nearest(self.fake.features, self.training.features[:count])
        others, to_others = nearest(self.fake.features, self.real.features[:count])
        # A sample that is as near to both sets (rows with few values often are) counts as 1.
        ratio = np.where(to_training == to_others, 1, to_training / np.maximum(to_others, 1e-12))
        return ours, others, ratio.astype(np.float32)

    @property
    def answers(self) -> NDArray[np.intp] | None:
        """Deprecated, gone in 0.3: `targets`."""
        return self.targets

    def examine(self, pixels: NDArray[np.uint8], labels: Labels) -> float:
        """Deprecated, gone in 0.3: `classifier_accuracy`."""
        return self.classifier_accuracy(pixels, labels)

    def classifier_accuracy(self, pixels: NDArray[np.uint8], labels: Labels) -> float:
        """Train a classifier on these samples; returns its accuracy on all held-out samples."""
        classifier_data = replace(
            self._feature_space.classifier_data(), pixels=pixels, labels=labels, keep=False
        )
        return self._feature_space.fitted(classifier_data).accuracy
