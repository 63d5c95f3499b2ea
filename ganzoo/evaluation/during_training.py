"""Quick scores while a run trains: the same data, lens and formulas as afterwards, with fewer samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ganzoo.config.plan import Plan
from ganzoo.data.dataset import Store
from ganzoo.errors import GanzooError
from ganzoo.evaluation.comparison import Case, answers_of, asked_of, lens_for, real_side
from ganzoo.evaluation.generators import inputs_of
from ganzoo.evaluation.metrics import Metric, Scorer, chosen_metrics
from ganzoo.evaluation.real_data import Reals
from ganzoo.evaluation.report import too_few
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.fields import Field
from ganzoo.registry.registry import Registry
from ganzoo.training.scores import Judging, Make


def judging(plan: Plan, registry: Registry, note: Callable[[str], None] = lambda _: None) -> Judging:
    """What a session is given for `train.eval_every`.

    Errors when there is nothing to compare with come before training: DataError, UsageError. Scores of
    samples that are not finite are a DivergedError. A metric that fails is left out: `note` is told once.
    """
    broken: set[str] = set()

    def failed(item: Metric, error: GanzooError) -> None:
        if item.qualified not in broken:
            broken.add(item.qualified)
            where = f" ({error.where})" if error.where else ""
            note(f"training goes on without the scores of '{item.name}': {error.what}{where}")

    def opened(reads: Sequence[Field], field: Field, store: Store) -> Callable[[Make], Mapping[str, float]]:
        n, seed = plan.train.eval_samples, plan.train.seed
        reals = Reals.open(plan.dataset, plan.data.source, field, training=store)
        lens = lens_for(registry, reals, note=note)
        answers = answers_of(reals, reads, n, seed)
        scorer = Scorer(chosen_metrics(registry, (), quick=True), lens, reals, answers=answers is not None)
        inputs = inputs_of(reads, n, seed, reals.arrays(n, reads))
        labels = asked_of(reals, inputs)
        real, training = real_side(lens, reals, n)
        scorer.check(asked=labels is not None, training=training is not None)
        features = real.features  # an extractor that does not work here is noticed before training
        for text in [*reals.notes, *too_few(lens.distance, min(n, len(real)), features.shape[1])]:
            note(text)

        def score(make: Make) -> Mapping[str, float]:
            fake = Sampled(lens, stored(field, make(inputs), reals.left_out), labels, real=real)
            case = Case(lens, fake, real, training, seed, answers)
            return {"n": len(case.fake), **scorer.scores(case, failed=failed)}

        return score

    return opened
