"""Which metrics apply to a comparison, and their scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganzoo.api.specs import ExtractorSpec, MetricSpec
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.features import VALUES, FeatureSpace
from ganzoo.evaluation.real_data import RealData
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry, calling, made_by
from ganzoo.util.progress import lasting
from ganzoo.util.suggest import suggest

Metric = Item[MetricSpec]

Failures = dict[str, GanzooError]
"""The errors of metrics that failed, by the metric's name."""

# What metrics may need, in words for users. Any other need is a kind of data, or an extractor, named by its
# distance.
NEEDS = {
    "samples": "generated samples",
    "rows": "rows of numbers",
    "labels": "labels in the data",
    "classifier": "labels, and samples that a classifier takes",
    "conditioned": "a generator that reads classes",
    "targets": "pairs, and a generator that makes one side from the other",
    "scores": "a network that gives each sample a score",
    "training": "held-out samples, and a generator that was trained on this data",
}

# Names of needs in 0.1; they are removed in 0.3.
_OLD_NEEDS = {"judge": "classifier", "asked": "conditioned", "answers": "targets"}


def _needs(item: Metric) -> list[str]:
    return [_OLD_NEEDS.get(need, need) for need in item.spec.needs]


def metrics_for(
    registry: Registry, field: Field, *, given: bool = False, conditioned: bool = False, scores: bool = False
) -> list[str]:
    """The names of metrics that are meant for samples of a field, or for `scores` of them.

    `given`: they are made from samples of the data. `conditioned`: they are made for classes.
    """
    kinds, found = Kinds(registry), []
    own = {field.kind, f"field:{field.name}", *(["rows"] if len(field.shape) == 1 else [])}
    own |= {name for name, has in (("targets", given), ("conditioned", conditioned)) if has}
    for item in registry.of_kind(MetricSpec):
        needs = _needs(item)
        special = {
            need
            for need in needs
            if need in ("rows", "targets", "conditioned") or need.startswith("field:") or kinds.knows(need)
        }
        if ("scores" in needs) == scores and special <= own:
            found.append(item.name)
    return sorted(found)


def chosen_metrics(
    registry: Registry, names: Sequence[str], *, quick: bool = False, fitting: Sequence[str] = ()
) -> list[Metric]:
    """The metrics with those names; without names all that are not slow, or with `quick` the quick ones.

    Quick metrics come first, because users read them first. UsageError for an unknown name; it suggests some
    of the `fitting` ones.
    """
    if names:
        named = [_named(registry, name, fitting) for name in names]
        return list({item.qualified: item for item in named}.values())
    every = sorted(registry.of_kind(MetricSpec), key=lambda item: not item.spec.quick)
    return [item for item in every if (item.spec.quick if quick else not item.spec.slow)]


def check_fitting(registry: Registry, metrics: Sequence[Metric], fitting: Sequence[str], kind: str) -> None:
    """UsageError when none of the metrics is among the `fitting` ones, which needs no data.

    `kind` is that of the samples.
    """
    if any(item.name in fitting for item in metrics):
        return
    kinds = Kinds(registry)
    has = {kind, "samples", "labels", "classifier", "training"}
    lacking = ((item.name, [need for need in _needs(item) if need not in has]) for item in metrics)
    needs = ((name, [_in_words(need, kinds) for need in found]) for name, found in lacking)
    raise UsageError(
        "None of the metrics applies to these samples.",
        where=", ".join(f"'{name}' needs {' and '.join(words)}" for name, words in needs if words),
        fix=_advice(fitting),
    )


def _in_words(need: str, kinds: Kinds) -> str:
    if need.startswith("field:"):
        return f"a field '{need.removeprefix('field:')}'"
    return NEEDS.get(need) or (kinds.of(need).nouns if kinds.knows(need) else f"the extractor of {need}")


def _named(registry: Registry, name: str, fitting: Sequence[str]) -> Metric:
    """The metric with that name. UsageError if there is none; for the name of a score it names the metric."""
    if not registry.matches(MetricSpec, name):
        distances = {VALUES, *(item.spec.distance for item in registry.of_kind(ExtractorSpec))}
        for item in registry.of_kind(MetricSpec):
            scores = {score.replace("{distance}", way) for score in item.spec.better for way in distances}
            if name in scores:
                raise UsageError(
                    f"There is no metric '{name}': it is a score of the metric '{item.name}'.",
                    where=item.qualified,
                    fix=f"--metric {item.name}" if item.name in fitting or not fitting else _advice(fitting),
                )
        if fitting:
            raise UsageError(f"There is no metric '{name}'.", fix=suggest(name, fitting) or _advice(fitting))
    return registry.find(MetricSpec, name)


def _advice(fitting: Sequence[str]) -> str:
    return f"metrics for these samples: {', '.join(fitting)}" if fitting else "ganzoo list --kind metric"


class Scorer:
    """Computes the metrics that apply to samples of this data."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        feature_space: FeatureSpace,
        real_data: RealData,
        *,
        targets: bool = False,
        has: set[str] | None = None,
        fitting: Sequence[str] = (),
    ) -> None:
        """`targets`: whether comparisons will have targets. `has`: what metrics may need, if not found.

        `fitting`: names of metrics that an error suggests when none of these applies.
        """
        self._fitting = fitting
        self.metrics = metrics
        self._feature_space = feature_space
        self._kinds = real_data.kinds
        self._has = has or _abilities(feature_space, real_data) | ({"targets"} if targets else set())
        self._functions: dict[str, Any] = {}

    @property
    def identity(self) -> list[str]:
        """Names and versions of the metrics, which decide the scores of given samples."""
        return [f"{item.qualified} {item.plugin.version}" for item in self.metrics]

    @property
    def needs_classifier(self) -> bool:
        """Whether any of the metrics that apply needs a classifier."""
        return "classifier" in self._has and any("classifier" in _needs(item) for item in self.metrics)

    def better(self, scores: Iterable[str]) -> dict[str, str]:
        """Which direction is good, `lower` or `higher`, for each of these scores whose metric says so."""
        ways = {
            name.replace("{distance}", self._feature_space.distance): way
            for item in self.metrics
            for name, way in item.spec.better.items()
        }
        return {name: ways[name] for name in scores if name in ways}

    def check(self, *, conditioned: bool, training: bool) -> None:
        """UsageError when none of the metrics applies to samples of this data.

        `conditioned`: the generator reads classes. `training`: there are training samples and held-out ones.
        """
        if all(self._lacking(item, conditioned, training) for item in self.metrics):
            raise self._none_applies(conditioned, training)

    def excluded(self, *, conditioned: bool, training: bool) -> list[str]:
        """The metrics that do not apply, and what each of them needs, in words."""
        lacking = {item.name: self._lacking(item, conditioned, training) for item in self.metrics}
        return [
            f"'{name}' needs {' and '.join(_in_words(need, self._kinds) for need in needs)}"
            for name, needs in lacking.items()
            if needs
        ]

    def scores(
        self,
        comparison: Comparison,
        *,
        reference: bool = False,
        failures: Failures | None = None,
    ) -> dict[str, float]:
        """The scores of a comparison; for a `reference` row only the metrics that are meant for one.

        PluginError when a metric fails, returns no finite numbers, or uses the score name of another metric.
        With `failures`, the error goes there instead, and the metric is left out. UsageError when no
        metric applies.
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
                if failures is None:
                    raise
                failures.setdefault(item.name, error)
                continue
            found |= values
            owners |= dict.fromkeys(values, item)
        if not found and not reference and failures is None:
            raise self._none_applies(conditioned, training)
        return found

    def _lacking(self, item: Metric, conditioned: bool, training: bool) -> list[str]:
        has = self._has | ({"conditioned"} if conditioned else set()) | ({"training"} if training else set())
        needs = _needs(item) or ["samples"]
        return [need for need in needs if need not in has]

    def _none_applies(self, conditioned: bool, training: bool) -> UsageError:
        return UsageError(
            "None of the metrics applies to these samples.",
            where=", ".join(self.excluded(conditioned=conditioned, training=training)),
            fix=_advice(self._fitting),
        )

    def _values(self, item: Metric, comparison: Comparison) -> dict[str, float]:
        with calling(item), lasting(f"computing the metric '{item.name}'"):
            if item.qualified not in self._functions:
                self._functions[item.qualified] = made_by(item)
            values = self._functions[item.qualified](comparison)
        if not isinstance(values, Mapping):
            raise PluginError(
                f"The metric '{item.name}' returned {type(values).__name__}, not scores by name.",
                where=item.qualified,
            )
        return {str(name): _number(item, name, value) for name, value in values.items()}


def _check_names(item: Metric, names: Iterable[str], owners: Mapping[str, Metric]) -> None:
    """PluginError when a score has the same name as a score of another metric."""
    for name in names:
        if name == "n":
            raise PluginError(
                f"The metric '{item.name}' returns a score 'n', but 'n' is the number of samples.",
                where=item.qualified,
                fix="its author must choose another name; choose other metrics with --metric",
            )
        if other := owners.get(name):
            raise PluginError(
                f"The metrics '{other.name}' and '{item.name}' both return a score '{name}'.",
                where=f"{other.qualified} and {item.qualified}",
                fix="leave one of them out: choose metrics with --metric",
            )


def _number(item: Metric, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise PluginError(
            f"The metric '{item.name}' returned no finite number as '{name}': {value!r:.100}.",
            where=item.qualified,
            fix="leave a score out where these samples do not have it",
        )
    return number


def _abilities(feature_space: FeatureSpace, real_data: RealData) -> set[str]:
    """The needs of metrics that this data and its feature space meet, for any samples."""
    field = real_data.field
    has = {"samples", feature_space.distance, field.kind, f"field:{field.name}"}
    has |= {"rows"} if len(field.shape) == 1 else set()
    has |= {"labels"} if real_data.label is not None else set()
    has |= {"classifier"} if feature_space.has_classifier else set()
    return has
