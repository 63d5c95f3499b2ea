"""Which metrics apply to a case, and their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ganzoo.api.specs import ExtractorSpec, MetricSpec
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.features import VALUES, FeatureSpace
from ganzoo.evaluation.real_data import RealData
from ganzoo.registry.registry import Item, Registry, calling, factory_of

Metric = Item[MetricSpec]

# What metrics may need, as it is said to users; any other need is an extractor, named by its distance.
NEEDS = {
    "image": "images",
    "points": "points of one or two numbers",
    "rows": "rows of numbers",
    "labels": "labels in the data",
    "classifier": "images with labels",
    "conditioned": "a generator that is asked for classes",
    "targets": "pairs of images, and a generator that makes one of the other",
    "training": "held-out samples, and a generator that learned from this data",
}

# The names that needs had in 0.1; gone in 0.3.
_OLD_NEEDS = {"judge": "classifier", "asked": "conditioned", "answers": "targets"}


def _needs(item: Metric) -> list[str]:
    return [_OLD_NEEDS.get(need, need) for need in item.spec.needs]


def chosen_metrics(registry: Registry, names: Sequence[str], *, quick: bool = False) -> list[Metric]:
    """The metrics of those names; without names all that are not slow, or those that are quick.

    Quick ones come first: they are what is looked at first.
    """
    if names:
        named = [_named(registry, name) for name in names]
        return list({item.qualified: item for item in named}.values())
    every = sorted(registry.of_kind(MetricSpec), key=lambda item: not item.spec.quick)
    return [item for item in every if (item.spec.quick if quick else not item.spec.slow)]


def _named(registry: Registry, name: str) -> Metric:
    """The metric of that name. UsageError, also for a score of that name: it says whose it is."""
    if not registry.matches(MetricSpec, name):
        distances = {VALUES, *(item.spec.distance for item in registry.of_kind(ExtractorSpec))}
        for item in registry.of_kind(MetricSpec):
            scores = {score.replace("{distance}", way) for score in item.spec.better for way in distances}
            if name in scores:
                raise UsageError(
                    f"There is no metric '{name}': it is a score of the metric '{item.name}'.",
                    where=item.qualified,
                    fix=f"--metric {item.name}",
                )
    return registry.find(MetricSpec, name)


class Scorer:
    """Computes the metrics that apply to samples of this data."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        feature_space: FeatureSpace,
        real_data: RealData,
        *,
        targets: bool = False,
    ) -> None:
        """`targets`: the evidence will have those."""
        self.metrics = metrics
        self._feature_space = feature_space
        self._has = _abilities(feature_space, real_data) | ({"targets"} if targets else set())
        self._functions: dict[str, Any] = {}

    @property
    def identity(self) -> list[str]:
        """What decides the scores of given samples: the metrics' names and versions."""
        return [f"{item.qualified} {item.plugin.version}" for item in self.metrics]

    @property
    def needs_classifier(self) -> bool:
        """Whether any of the metrics that apply asks a classifier."""
        return "classifier" in self._has and any("classifier" in _needs(item) for item in self.metrics)

    def better(self, scores: Iterable[str]) -> dict[str, str]:
        """Which way is good, `lower` or `higher`, for those of these scores of which the metrics say so."""
        ways = {
            name.replace("{distance}", self._feature_space.distance): way
            for item in self.metrics
            for name, way in item.spec.better.items()
        }
        return {name: ways[name] for name in scores if name in ways}

    def check(self, *, conditioned: bool, training: bool) -> None:
        """UsageError when none of the metrics applies to samples of this data.

        `conditioned`: the generator reads classes. `training`: there are training samples beside real ones.
        """
        if all(self._lacking(item, conditioned, training) for item in self.metrics):
            raise self._none_applies(conditioned, training)

    def excluded(self, *, conditioned: bool, training: bool) -> list[str]:
        """The metrics that do not apply, each with what it needs, in words."""
        lacking = {item.name: self._lacking(item, conditioned, training) for item in self.metrics}
        return [
            f"'{name}' needs {' and '.join(NEEDS.get(need, f'the extractor of {need}') for need in needs)}"
            for name, needs in lacking.items()
            if needs
        ]

    def scores(
        self,
        comparison: Comparison,
        *,
        reference: bool = False,
        failed: Callable[[Metric, GanzooError], None] | None = None,
    ) -> dict[str, float]:
        """The scores of a case; for a reference row only those that are meant for one.

        PluginError when a metric fails, gives no numbers or a score of another one's name; `failed`, where
        it is given, is told instead, and the metric is left out. UsageError when none applies.
        """
        conditioned, training = comparison.fake.labels is not None, comparison.training is not None
        found: dict[str, float] = {}
        owners: dict[str, Metric] = {}
        for item in self.metrics:
            without_target = comparison.targets is None and "targets" in _needs(item)
            if (
                self._lacking(item, conditioned, training)
                or without_target
                or (reference and not item.spec.reference)
            ):
                continue
            try:
                values = self._values(item, comparison)
                _check_names(item, values, owners)
            except GanzooError as error:
                if failed is None:
                    raise
                failed(item, error)
                continue
            found |= values
            owners |= dict.fromkeys(values, item)
        if not found and not reference and failed is None:
            raise self._none_applies(conditioned, training)
        return found

    def _lacking(self, item: Metric, conditioned: bool, training: bool) -> list[str]:
        has = self._has | ({"conditioned"} if conditioned else set()) | ({"training"} if training else set())
        return [need for need in _needs(item) if need not in has]

    def _none_applies(self, conditioned: bool, training: bool) -> UsageError:
        return UsageError(
            "None of the metrics applies to these samples.",
            where=", ".join(self.excluded(conditioned=conditioned, training=training)),
            fix="ganzoo list --kind metric",
        )

    def _values(self, item: Metric, comparison: Comparison) -> dict[str, float]:
        with calling(item):
            values = self._function(item)(comparison)
        if not isinstance(values, Mapping):
            raise PluginError(
                f"The metric '{item.name}' gave {type(values).__name__}, not scores by name.",
                where=item.qualified,
            )
        return {str(name): _number(item, name, value) for name, value in values.items()}

    def _function(self, item: Metric) -> Any:
        if item.qualified not in self._functions:
            spec = item.spec
            self._functions[item.qualified] = factory_of(item)(spec.config() if spec.config else None)
        return self._functions[item.qualified]


def _check_names(item: Metric, names: Iterable[str], owners: Mapping[str, Metric]) -> None:
    """PluginError when a score has the name of another metric's, which it would replace."""
    for name in names:
        if name == "n":
            raise PluginError(
                f"The metric '{item.name}' gives a score 'n', which is the number of samples.",
                where=item.qualified,
                fix="its author has to choose another name; --metric names those to compute",
            )
        if other := owners.get(name):
            raise PluginError(
                f"The metrics '{other.name}' and '{item.name}' both give a score '{name}'.",
                where=f"{other.qualified} and {item.qualified}",
                fix="leave one of them out: --metric names those to compute",
            )


def _number(item: Metric, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise PluginError(
            f"The metric '{item.name}' gave no finite number as '{name}': {value!r:.100}.",
            where=item.qualified,
            fix="leave out a score that these samples do not have",
        )
    return number


def _abilities(feature_space: FeatureSpace, real_data: RealData) -> set[str]:
    """What metrics may ask for, whatever the samples."""
    shape = real_data.field.shape
    has = {feature_space.distance} | ({"image"} if real_data.field.is_image else set())
    has |= {"points"} if shape in ((1,), (2,)) else set()
    has |= {"rows"} if len(shape) == 1 else set()
    has |= {"labels"} if real_data.label is not None else set()
    has |= {"classifier"} if feature_space.has_classifier else set()
    return has
