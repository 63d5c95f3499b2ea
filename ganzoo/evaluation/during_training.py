"""Quick scores while a run trains: with the same data, features and formulas, but fewer samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ganzoo.config.plan import Plan
from ganzoo.data.dataset import Dataset
from ganzoo.evaluation.comparison import (
    Comparison,
    conditions_of,
    feature_space_of,
    reference_samples,
    targets_of,
)
from ganzoo.evaluation.generators import Make, inputs_of
from ganzoo.evaluation.metrics import Failures, Scorer, chosen_metrics
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.report import too_few
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.fields import Field
from ganzoo.registry.registry import Registry

Score = Callable[[Make], Mapping[str, float]]


def scoring(
    plan: Plan, registry: Registry, note: Callable[[str], None] = lambda _: None
) -> Callable[[Sequence[Field], Field, Dataset], Score]:
    """The scoring factory that a training session needs for `train.eval_every`.

    DataError or UsageError before training when there is nothing to compare with. DivergedError when samples
    are not finite. A metric that fails is left out, and `note` gets one message about it.
    """
    broken: set[str] = set()

    def opened(reads: Sequence[Field], field: Field, dataset: Dataset) -> Score:
        n, seed = plan.train.eval_samples, plan.train.seed
        real_data = RealData.open(plan.dataset, plan.data.source, field, plan.kinds, training=dataset)
        feature_space = feature_space_of(registry, real_data, note=note)
        targets = targets_of(real_data, reads, n, n, seed)
        scorer = Scorer(
            chosen_metrics(registry, (), quick=True), feature_space, real_data, targets=targets is not None
        )
        inputs = inputs_of(reads, n, seed, real_data.arrays(n, reads))
        labels = conditions_of(real_data, inputs)
        real, training = reference_samples(feature_space, real_data, n)
        scorer.check(conditioned=labels is not None, training=training is not None)
        features = real.features  # an extractor that does not work here fails before training
        for text in [
            *real_data.notes,
            *too_few(feature_space.distance, min(n, len(real)), features.shape[1]),
        ]:
            note(text)

        def score(make: Make) -> Mapping[str, float]:
            made = stored(real_data.media, field, make(inputs), real_data.excluded)
            fake = Sampled(feature_space, made, labels, real=real)
            comparison = Comparison(feature_space, fake, real, training, seed, targets, field=real_data.field)
            failures: Failures = {}
            scores = scorer.scores(comparison, failures=failures)
            for name in (name for name in failures if name not in broken):
                where = f" ({failures[name].where})" if failures[name].where else ""
                note(f"training continues without the scores of '{name}': {failures[name].what}{where}")
            broken.update(failures)
            return {"n": len(comparison.fake), **scores}

        return score

    return opened
