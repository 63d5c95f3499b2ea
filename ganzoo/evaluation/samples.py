"""What metrics read: generated and real samples, with their features in one feature space."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api.media import Media
from ganzoo.errors import DivergedError
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.fields import Field

Array = NDArray[Any]
Labels = NDArray[np.int64]


class Sampled:
    """Samples with features and class probabilities, each computed once on first use: `ganzoo.api.Samples`.

    Features are divided by their standard deviations over `real`; None means over these samples themselves.
    With a `key`, their features are cached on disk.
    """

    def __init__(
        self,
        feature_space: FeatureSpace,
        values: Array,
        labels: Labels | None = None,
        *,
        real: Sampled | None,
        key: str = "",
    ) -> None:
        self._feature_space, self._real, self._key = feature_space, real, key
        self.values = values
        self.labels = labels

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def raw_features(self) -> NDArray[np.float32]:
        """Features before scaling."""
        return self._feature_space.raw_features(self.values, self._key)

    @cached_property
    def spread(self) -> NDArray[np.float32]:
        """The standard deviation of each feature before scaling, (d,); 1 for a constant feature.

        The features of one table column share one value. So a category counts as much as a number, however
        many values it has, and two rows that differ in it are as far apart for a rare value as for a frequent
        one.
        """
        variance = self.raw_features.var(0, dtype=np.float64)
        if widths := self._feature_space.widths:
            starts = np.cumsum((0, *widths[:-1]))
            variance = np.add.reduceat(variance, starts).repeat(widths)
        spread = np.sqrt(variance).astype(np.float32)
        return np.where(spread > 0, spread, np.float32(1))

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(n, d), in standard deviations of the real samples if the feature space is scaled."""
        if not self._feature_space.scaled:
            return self.raw_features
        return self.raw_features / self._scaled_by.spread

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities from the classifier, (n, parts, classes)."""
        return self._feature_space.classifier.probabilities(self.values)

    @cached_property
    def extractor_probabilities(self) -> NDArray[np.float32]:
        """Class probabilities from the extractor, (n, classes), if it is a classifier."""
        return self._feature_space.extractor_probabilities(self.values)

    @property
    def guesses(self) -> NDArray[np.float32]:
        """Deprecated, gone in 0.3: `extractor_probabilities`."""
        return self.extractor_probabilities

    def changed(self, values: Array) -> Sampled:
        """The same samples with other values."""
        return Sampled(self._feature_space, values, self.labels, real=self._scaled_by)

    def subset(self, rows: Array | slice) -> Sampled:
        """Some of the samples; features and probabilities are computed for all of them together."""
        return _Subset(self, rows)

    @property
    def _scaled_by(self) -> Sampled:
        return self if self._real is None else self._real


class _Subset(Sampled):
    """Some rows of other samples, whose features are computed already or are needed anyway."""

    def __init__(self, whole: Sampled, rows: Array | slice) -> None:
        labels = None if whole.labels is None else whole.labels[rows]
        super().__init__(whole._feature_space, whole.values[rows], labels, real=whole._scaled_by)
        self._whole, self._rows = whole, rows

    @cached_property
    def raw_features(self) -> NDArray[np.float32]:
        return self._whole.raw_features[self._rows]

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        return self._whole.probabilities[self._rows]

    @cached_property
    def extractor_probabilities(self) -> NDArray[np.float32]:
        return self._whole.extractor_probabilities[self._rows]


def stored(media: Media, field: Field, array: Array, excluded: Collection[str] = ()) -> Array:
    """Samples (n, *shape) in the form for metrics, see `Media.metric_values`.

    DivergedError for numbers that are not finite: their scores would mean nothing.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DivergedError("Generated samples are not finite numbers.", where=f"field '{field.name}'")
    return media.metric_values(field, array, excluded)


def in_parts(labels: Array) -> Labels:
    """Labels (n,) or (n, parts) as (n, parts)."""
    return labels.reshape(len(labels), -1).astype(np.int64)
