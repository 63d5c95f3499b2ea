"""Which metrics apply to a case, and their scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganzoo.errors import PluginError, UsageError
from ganzoo.evaluate.evidence import Case
from ganzoo.evaluate.lens import Lens
from ganzoo.evaluate.reference import Reals
from ganzoo.registry import Item, Registry, calling, factory_of
from ganzoo.specs import MetricSpec


def chosen_metrics(
    registry: Registry, names: Sequence[str], *, quick: bool = False
) -> list[Item[MetricSpec]]:
    """The metrics of those names; without names all that are not slow, or those that are quick.

    Quick ones come first: they are what is looked at first.
    """
    if names:
        return [registry.find(MetricSpec, name) for name in names]
    every = sorted(registry.of_kind(MetricSpec), key=lambda item: not item.spec.quick)
    return [item for item in every if (item.spec.quick if quick else not item.spec.slow)]


class Scorer:
    """Computes the metrics that apply to samples of this data."""

    def __init__(self, metrics: Sequence[Item[MetricSpec]], lens: Lens, reals: Reals) -> None:
        self.metrics = metrics
        self._lens = lens
        self._has = _abilities(lens, reals)
        self._functions: dict[str, Any] = {}

    @property
    def identity(self) -> list[str]:
        """What decides the scores of given samples: the metrics' names and versions."""
        return [f"{item.qualified} {item.plugin.version}" for item in self.metrics]

    @property
    def needs_judge(self) -> bool:
        """Whether any of the metrics that apply asks a judge."""
        return "judge" in self._has and any("judge" in item.spec.needs for item in self.metrics)

    def better(self, scores: Iterable[str]) -> dict[str, str]:
        """Which way is good, `lower` or `higher`, for those of these scores of which the metrics say so."""
        ways = {
            name.replace("{distance}", self._lens.distance): way
            for item in self.metrics
            for name, way in item.spec.better.items()
        }
        return {name: ways[name] for name in scores if name in ways}

    def check(self, *, asked: bool, training: bool) -> None:
        """UsageError when none of the metrics applies to samples of this data.

        `asked`: they are asked for classes; `training`: there are training samples beside the real ones.
        """
        if not any(self._applies(item, asked, training) for item in self.metrics):
            raise self._none_applies()

    def scores(self, case: Case, *, reference: bool = False) -> dict[str, float]:
        """The scores of a case; for a reference row only those that are meant for one.

        PluginError when a metric fails or gives no numbers, UsageError when none applies to generated ones.
        """
        asked, training = case.fake.labels is not None, case.training is not None
        found: dict[str, float] = {}
        for item in self.metrics:
            if not self._applies(item, asked, training) or (reference and not item.spec.reference):
                continue
            with calling(item):
                values = self._function(item)(case)
            if not isinstance(values, Mapping):
                raise PluginError(
                    f"The metric '{item.name}' gave {type(values).__name__}, not scores by name.",
                    where=item.qualified,
                )
            found |= {str(name): _number(item, name, value) for name, value in values.items()}
        if not found and not reference:
            raise self._none_applies()
        return found

    def _applies(self, item: Item[MetricSpec], asked: bool, training: bool) -> bool:
        needs = set(item.spec.needs) - ({"asked"} if asked else set()) - ({"training"} if training else set())
        return needs <= self._has

    def _none_applies(self) -> UsageError:
        return UsageError(
            "None of the metrics applies to these samples.",
            where=", ".join(item.name for item in self.metrics),
            fix="ganzoo list --kind metric",
        )

    def _function(self, item: Item[MetricSpec]) -> Any:
        if item.qualified not in self._functions:
            spec = item.spec
            self._functions[item.qualified] = factory_of(item)(spec.config() if spec.config else None)
        return self._functions[item.qualified]


def _number(item: Item[MetricSpec], name: str, value: Any) -> float:
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


def _abilities(lens: Lens, reals: Reals) -> set[str]:
    """What metrics may ask for, whatever the samples."""
    shape = reals.field.shape
    has = {lens.distance} | ({"image"} if reals.field.is_image else set())
    has |= {"points"} if shape in ((1,), (2,)) else set()
    has |= {"rows"} if len(shape) == 1 else set()
    has |= {"labels"} if reals.label is not None else set()
    has |= {"judge"} if lens.has_judge else set()
    return has
