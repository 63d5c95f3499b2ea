"""Checks of metrics, extractors and classifiers, on made-up samples."""

from __future__ import annotations

import numpy as np

from ganzoo.errors import PluginError
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.data_targets import ExtractorTarget, MetricTarget
from ganzoo.testing.evidence import WORSE

COUNT = 5
CLOSE = 1e-6  # a relative difference by rounding
FLOOR = 0.01  # how far a score may be from its best value: some real samples are far from their mode


@check("metric")
def needs_exist(target: MetricTarget) -> None:
    """Each of its `needs` is something that data or a comparison can have."""
    demand(
        not target.unknown,
        f"Nothing here is or has {target.unknown}: the metric would never be computed.",
        "see docs/plugins/metrics.md; a kind or a distance comes from an installed plugin",
    )


@check("metric", "needs-exist")
def needs_are_enough(target: MetricTarget) -> None:
    """With what it needs and nothing else, its scores are finite, for samples of each kind that it is for."""
    cases = list(target.evidence())
    demand(bool(cases), "No made-up samples have what it needs.", "name data: --data SOURCE")
    for evidence, scorer in cases:
        try:
            scorer.scores(evidence.comparison())
        except PluginError as error:
            field = evidence.real_data.field
            raise Failed(
                f"For samples of the kind '{field.kind}' and the shape {field.shape}: {error.what}",
                "name what it reads in `needs`, and leave out scores that these samples do not have",
            ) from error


@check("metric", "needs-are-enough")
def same_samples_same_scores(target: MetricTarget) -> None:
    """The same samples give the same scores, and samples, features and labels do not change."""
    for (evidence, scorer), (_, other) in zip(target.evidence(), target.evidence(), strict=True):
        comparison, fresh = evidence.comparison(), evidence.comparison()
        first, again = scorer.scores(comparison), other.scores(fresh)
        advice = "take random numbers from comparison.random"
        demand(first == again, f"The same samples had the scores {first}, then {again}.", advice)
        unused = evidence.comparison()
        for ours, theirs in ((comparison.fake, unused.fake), (comparison.real, unused.real)):
            same = np.array_equal(ours.values, theirs.values) and np.array_equal(
                ours.features, theirs.features
            )
            demand(same, "It changes samples or features, which other metrics read.", "work on a copy")


@check("metric", "needs-are-enough")
def better_is_true(target: MetricTarget) -> None:
    """Each score of `better` exists, is best for the real samples themselves, and worse for worse samples."""
    declared, seen = target.item.spec.better, dict[str, bool]()
    if not declared:
        raise NotApplicable("it does not say which scores are better")
    expected: set[str] = set()
    for evidence, scorer in target.evidence("labels", "classifier", "conditioned", "training"):
        best, *worse = (scorer.scores(evidence.comparison(which)) for which in ("real", *WORSE))
        for name, way in scorer.better(best).items():
            sign, scale = 1 if way == "lower" else -1, max(1, abs(best[name]))
            gaps = [sign * (scores[name] - best[name]) / scale for scores in worse if name in scores]
            seen[name] = seen.get(name, False) or max(gaps, default=0) > CLOSE
            demand(
                way == "higher" or min(gaps, default=0) >= -FLOOR,
                f"'{name}' is {best[name]:.4g} for the real samples themselves, and lower for worse ones.",
                "a distance is lowest where both sets of samples are the same",
            )
        expected |= {name.replace("{distance}", evidence.space.distance) for name in declared}
    missing = expected - seen.keys()
    demand(not missing, f"`better` names {sorted(missing)}, but there is no such score.")
    wrong = [name for name, is_worse in seen.items() if not is_worse]
    demand(
        not wrong,
        f"{wrong}: neither noise, nor one sample again and again, nor copies of training samples are worse "
        "than the real samples themselves.",
        'is it the other way round? `better` says "lower" or "higher" for each score',
    )


@check("extractor")
def features_are_vectors(target: ExtractorTarget) -> None:
    """For samples of any size that it takes, it returns finite features (n, d)."""
    for name in ("identity", "protocol"):
        demand(bool(getattr(target.extractor, name, "")), f"It has no `{name}`.", "say it in a line of text")
    for samples in target.samples(COUNT):
        features = np.asarray(target.extractor(samples))
        demand(
            features.ndim == 2 and len(features) == COUNT and features.dtype == np.float32
            and bool(np.isfinite(features).all()),
            f"For {COUNT} samples of shape {samples.shape[1:]} it returns {features.dtype} {features.shape}.",
            f"return finite float32 ({COUNT}, d)",
        )  # fmt: skip


@check("extractor", "features-are-vectors")
def features_need_no_batch(target: ExtractorTarget) -> None:
    """A sample has the same features alone and in a batch."""
    for samples in target.samples(COUNT):
        alone = np.concatenate([target.extractor(sample[None].copy()) for sample in samples])
        together = target.extractor(samples.copy())
        demand(
            bool(np.allclose(together, alone, rtol=0, atol=1e-3 * float(np.abs(together).max()))),
            "The features of a sample depend on the other samples of the batch.",
            "use the network in eval mode, and no statistics of a batch",
        )


@check("extractor", "features-are-vectors")
def same_samples_same_features(target: ExtractorTarget) -> None:
    """The same samples have the same features, also from a new extractor, and do not change."""
    extractor = target.extractor
    other = extractor if target.item.spec.trained else target.built()
    for samples in target.samples(COUNT):
        given = samples.copy()
        features = extractor(given)
        demand(np.array_equal(given, samples), "It changes the samples that it gets.", "work on a copy")
        demand(
            np.array_equal(other(samples), features),
            "The same samples have other features each time: scores cannot be repeated.",
            "use no random numbers: the cache keeps features under `identity`",
        )
