"""The space in which samples are compared: an extractor's features, and a classifier's probabilities."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api.evaluation import Classifier, ClassifierData, Extractor
from ganzoo.api.specs import ExtractorSpec
from ganzoo.errors import PluginError
from ganzoo.registry.registry import Item, calling, factory_of
from ganzoo.util.cache import keep_cached, read_cached
from ganzoo.util.progress import lasting

Array = NDArray[Any]

VALUES = "frechet"  # the name of the Frechet distance between the values themselves


class FeatureSpace:
    """Features and class probabilities for samples of one field.

    `extractor` is None for samples that no extractor takes: their values are the features. `scaled`: features
    are divided by their standard deviations over the real samples. `stacked`: see `DatasetSpec`. `widths`:
    how many features each column of a table has, which are scaled together; () if each is scaled alone.
    """

    def __init__(
        self,
        item: Item[ExtractorSpec] | None,
        options: Any,
        classifier: Item[ExtractorSpec] | None,
        classifier_data: Callable[[], ClassifierData] | None,
        *,
        stacked: bool,
        widths: tuple[int, ...] = (),
    ) -> None:
        self._item, self._options, self._classifier, self._classifier_data = (
            item,
            options,
            classifier,
            classifier_data,
        )
        self.distance = VALUES if item is None else item.spec.distance
        self.has_classifier = classifier is not None and classifier_data is not None
        self.scaled = item is None or item.spec.scaled
        self.stacked = stacked
        self.widths = widths

    @cached_property
    def extractor(self) -> Extractor | None:
        """The extractor, built on first use."""
        if self._item is None:
            return None
        if self._item.spec.trained:
            return self.classifier
        made: Extractor = self._call(self._item, self._options)
        return made

    def prepare(self) -> None:
        """Build the extractor now, so that a broken one fails before samples are generated."""
        _ = self.extractor

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier for this data, trained on first use."""
        return self.fitted(self.classifier_data())

    @property
    def classifier_used(self) -> bool:
        """Whether the classifier has been trained and used."""
        return "classifier" in self.__dict__

    def fitted(self, classifier_data: ClassifierData) -> Classifier:
        """A classifier trained on this data: `classifier_data()`, or a changed copy of it."""
        assert self._classifier is not None  # noqa: S101
        with lasting("training a classifier"):
            made: Classifier = self._call(self._classifier, None, classifier_data)
        return made

    def classifier_data(self) -> ClassifierData:
        """The data that the classifier is trained on. PluginError if there is none."""
        if self._classifier_data is None:
            raise PluginError(
                "There is no classifier for this data.", fix="name `classifier` in the metric's needs"
            )
        return self._classifier_data()

    def raw_features(self, values: Array, key: str = "") -> NDArray[np.float32]:
        """Features (n, d) from the extractor, not scaled. With a `key`, they are cached on disk."""
        if self._item is None:
            return values.reshape(len(values), -1).astype(np.float32)
        extractor = self.extractor
        assert extractor is not None  # noqa: S101
        if not key:
            return self._extracted(extractor, values)
        facts = f"{extractor.identity}\n{extractor.protocol}\n{key}"
        name = f"{hashlib.sha256(facts.encode()).hexdigest()}.features"
        kept = _read_kept(name)
        if kept is None or len(kept) != len(values):
            kept = self._extracted(extractor, values)
            _keep(name, kept)
        return kept

    def extractor_probabilities(self, values: Array) -> NDArray[np.float32]:
        """Class probabilities of the extractor itself."""
        result: NDArray[np.float32] = self.extractor.probabilities(values)  # type: ignore[union-attr]
        return result[:, 0]

    def _extracted(self, extractor: Extractor, values: Array) -> NDArray[np.float32]:
        assert self._item is not None  # noqa: S101
        with calling(self._item), lasting(f"computing features of {len(values):,} samples"):
            features = np.asarray(extractor(values), np.float32)
        if features.ndim != 2 or len(features) != len(values):
            raise PluginError(
                f"The extractor '{self._item.name}' returned features of shape {features.shape}.",
                where=self._item.qualified,
                fix=f"return ({len(values)}, d)",
            )
        if not np.isfinite(features).all():
            raise PluginError(
                f"The extractor '{self._item.name}' returned features that are not finite.",
                where=self._item.qualified,
            )
        return features

    @staticmethod
    def _call(item: Item[ExtractorSpec], *arguments: Any) -> Any:
        factory = factory_of(item)
        with calling(item):
            return factory(*arguments)


def _read_kept(name: str) -> NDArray[np.float32] | None:
    content = read_cached("features", name)
    return None if content is None else np.load(io.BytesIO(content), allow_pickle=False)


def _keep(name: str, features: NDArray[np.float32]) -> None:
    content = io.BytesIO()
    np.save(content, features)
    keep_cached("features", name, content.getvalue())
