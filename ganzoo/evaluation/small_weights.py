"""The Frechet distance for exports with smaller weights: of generated samples to others, without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ganzoo.api.specs import MetricSpec
from ganzoo.errors import UsageError
from ganzoo.evaluation.comparison import Comparison, usual_feature_space
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, calling, made_by

Array = NDArray[Any]


def frechet_of(registry: Registry) -> Callable[[Field, Array, Array, Array], tuple[str, float, float]]:
    """A function (field, small, full, others) -> (name, distance of small, distance of full) to the others.

    With the extractor for samples of that kind, else of their values, as `ganzoo evaluate`. UsageError, or
    what the extractor raises, where it cannot be computed.
    """
    kinds = Kinds(registry)

    def measure(field: Field, small: Array, full: Array, others: Array) -> tuple[str, float, float]:
        (known,) = kinds.assign((field,))
        media = kinds.of(known.kind)
        space = usual_feature_space(registry, media, known)
        metric = next((m for m in registry.of_kind(MetricSpec) if "{distance}" in m.spec.better), None)
        if metric is None:
            raise UsageError("No installed metric computes it.")
        reference = Sampled(space, stored(media, known, others), real=None)
        found = []
        for samples in (small, full):
            fake = Sampled(space, stored(media, known, samples), real=reference)
            comparison = Comparison(space, fake, reference, None, 0, field=known)
            with calling(metric):
                found.append(float(made_by(metric)(comparison)[space.distance]))
        return space.distance, found[0], found[1]

    return measure
