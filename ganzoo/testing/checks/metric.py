"""Checks of metrics, on made-up samples: real ones, other ones of the same classes, and worse ones."""

from __future__ import annotations

import numpy as np

from ganzoo.errors import PluginError
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.data_targets import MetricTarget
from ganzoo.testing.evidence import WORSE

CLOSE = 1e-6  # relative
FLOOR = 0.01  # a score may miss its best value by that: a sample of the tails is far from its mode


@check("metric")
def needs_exist(target: MetricTarget) -> None:
    """Each of its `needs` is something that data or a comparison can have."""
    unknown = target.unknown
    demand(
        not unknown,
        f"Nothing here is or has '{unknown[0] if unknown else ''}': the metric would never be computed.",
        "see docs/plugins/metrics.md; a kind or a distance comes from an installed plugin",
    )


@check("metric", "needs-exist")
def needs_are_enough(target: MetricTarget) -> None:
    """With what it needs and nothing else, its scores are finite, for samples of each kind that it is for."""
    seen = 0
    for evidence in target.evidence():
        seen += 1
        try:
            target.scorer(evidence).scores(evidence.comparison())
        except PluginError as error:
            field = evidence.field
            raise Failed(
                f"For samples of the kind '{field.kind}' and the shape {field.shape}: {error.what}",
                "name what it reads in `needs`, and leave out scores that these samples do not have",
            ) from error
    demand(seen > 0, "No made-up samples have what it needs.", "name data: --data SOURCE")


@check("metric", "needs-are-enough")
def same_samples_same_scores(target: MetricTarget) -> None:
    """The same samples give the same scores."""
    for evidence in target.evidence():
        scorers = (target.scorer(evidence), target.scorer(evidence))
        first, again = (scorer.scores(evidence.comparison()) for scorer in scorers)
        demand(
            first == again,
            f"The same samples had the scores {first}, then {again}.",
            "take random numbers from comparison.random",
        )


@check("metric", "needs-are-enough")
def leaves_comparisons_alone(target: MetricTarget) -> None:
    """It does not change samples, features or labels, which other metrics read after it."""
    for evidence in target.evidence():
        comparison = evidence.comparison()
        parts = [part for part in (comparison.fake, comparison.real, comparison.training) if part is not None]
        arrays = [array for part in parts for array in (part.values, part.features, part.labels)]
        before = [None if array is None else array.copy() for array in arrays]
        target.scorer(evidence).scores(comparison)
        same = all(
            array is None or np.array_equal(array, old) for array, old in zip(arrays, before, strict=True)
        )
        demand(same, "It changes the samples, features or labels that it gets.", "work on a copy")


@check("metric", "needs-are-enough")
def better_is_true(target: MetricTarget) -> None:
    """Each score of `better` exists, is best for the real samples themselves, and worse for worse samples."""
    declared = target.item.spec.better
    if not declared:
        raise NotApplicable("it does not say which scores are better")
    found: dict[str, list[bool]] = {}
    for evidence in target.evidence("labels", "classifier", "conditioned", "training"):
        scorer = target.scorer(evidence)
        best, *worse = (scorer.scores(evidence.comparison(which)) for which in ("real", *WORSE))
        for name, way in scorer.better(best).items():
            sign = 1 if way == "lower" else -1
            gaps = [sign * (scores[name] - best[name]) for scores in worse if name in scores]
            found.setdefault(name, []).append(any(gap > CLOSE * max(1, abs(best[name])) for gap in gaps))
            demand(
                way == "higher" or min(gaps, default=0) >= -FLOOR * max(1, abs(best[name])),
                f"'{name}' is {best[name]:.4g} for the real samples themselves, and lower for worse ones.",
                "a distance is lowest where both sets of samples are the same",
            )
    names = {name.replace("{distance}", evidence.space.distance) for name in declared}
    demand(
        names <= {*found} or not found,
        f"It says what is better for {sorted(names - {*found})}, but returns no such score.",
        "use the names of the scores in `better`",
    )
    wrong = sorted(name for name, seen in found.items() if not any(seen))
    demand(
        not wrong,
        f"'{wrong[0] if wrong else ''}' is as good for noise, for one sample again and again, and for copies of "
        "training samples as for the real samples themselves.",
        'is it the other way round? `better` says "lower" or "higher" for each score',
    )
