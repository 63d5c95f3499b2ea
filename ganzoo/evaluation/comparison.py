"""Which network looks at samples of some data, and the evidence that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import tabular
from ganzoo.api.distances import nearest
from ganzoo.api.specs import ExtractorSpec
from ganzoo.config.settings import build
from ganzoo.errors import UsageError
from ganzoo.evaluation.features import Lens
from ganzoo.evaluation.generators import shuffled
from ganzoo.evaluation.real_data import Reals
from ganzoo.evaluation.samples import Labels, Sampled, in_parts
from ganzoo.fields import Field
from ganzoo.registry.registry import Registry

EXTRACTOR, JUDGE = "efficientnet-lite0", "judge"


def lens_for(
    registry: Registry,
    reals: Reals,
    extractor: str = "",
    weights: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Lens:
    """The lens for samples of this data: an extractor for pictures, a judge where there are labels.

    `note` is told when a judge learns. UsageError for an extractor that cannot look at them, and for
    `weights` that nothing reads.
    """
    if not reals.field.is_image:
        if extractor or weights is not None:
            raise UsageError(
                f"An extractor looks at pictures: of '{reals.field.name}' values are compared.",
                where=extractor or str(weights),
                fix="leave --extractor and --fid-weights out",
            )
        widths = tabular.widths(reals.field, reals.left_out)
        return Lens(None, None, None, None, stacked=reals.stacked, widths=widths)
    item = registry.find(ExtractorSpec, extractor or EXTRACTOR)
    options = None
    if item.spec.config is not None:
        given = {"weights": str(weights)} if weights is not None else {}
        options = build(item.spec.config, given, f"extractor {item.name}", {})
    elif weights is not None:
        raise UsageError(f"The extractor '{item.name}' reads no file of weights.", where=str(weights))
    judges = [found for found in registry.of_kind(ExtractorSpec) if found.spec.trained]
    named = [found for found in judges if found.name == JUDGE] or judges
    labelled = reals.label is not None and bool(named)
    if item.spec.trained:
        if not labelled:
            raise UsageError(f"The extractor '{item.name}' learns from labels: this data has none.")
        named = [item]  # one judge for features and opinions
    judge, lesson = (named[0], partial(reals.lesson, note)) if labelled else (None, None)
    return Lens(item, options, judge, lesson, stacked=reals.stacked)


def asked_of(reals: Reals, inputs: Mapping[str, Any]) -> Labels | None:
    """The classes among a generator's inputs, (n, parts); None where it is asked for none."""
    asked = inputs.get(reals.label.name) if reals.label is not None else None
    return None if asked is None else in_parts(asked)


def answers_of(reals: Reals, reads: Sequence[Field], n: int, seed: int) -> NDArray[np.intp] | None:
    """Of `n` samples the real ones that they should be; see `ganzoo.api.Evidence`."""
    there = {field.name for field in reals.store.fields}
    made_of = [field for field in reads if field.source == "data" and field.dtype == "float32"]
    if reals.unpaired or not made_of or any(field.name not in there for field in made_of):
        return None
    return shuffled(len(reals.rows(n)), n, seed)


def real_side(lens: Lens, reals: Reals, n: int) -> tuple[Sampled, Sampled | None]:
    """The samples to compare with, and as many of the training; None when these are such themselves."""
    real = reals.real(lens, n)
    return real, reals.trained_on(lens, real)


class Case:
    """Samples to be judged and those that they are compared with: `ganzoo.api.Evidence`."""

    def __init__(
        self,
        lens: Lens,
        fake: Sampled,
        real: Sampled,
        training: Sampled | None,
        seed: int,
        answers: NDArray[np.intp] | None = None,
    ) -> None:
        self._lens, self._seed = lens, seed
        self.answers = answers
        self.fake, self.real, self.training = fake, real, training
        self.distance, self.stacked = lens.distance, lens.stacked

    @property
    def random(self) -> np.random.Generator:
        """The same stream each time that it is asked for."""
        return np.random.Generator(np.random.PCG64(self._seed))

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]] | None:
        """See `ganzoo.api.Evidence`. Among more samples the nearest is nearer: so there are equally many."""
        if self.training is None:
            return None
        count = min(len(self.training), len(self.real))
        ours, to_training = nearest(self.fake.features, self.training.features[:count])
        others, to_others = nearest(self.fake.features, self.real.features[:count])
        # A copy of samples in both, as rows of few values often are, says nothing either way.
        ratio = np.where(to_training == to_others, 1, to_training / np.maximum(to_others, 1e-12))
        return ours, others, ratio.astype(np.float32)

    def examine(self, pixels: NDArray[np.uint8], labels: Labels) -> float:
        """Train a judge on these; its accuracy on the whole held-out part."""
        lesson = replace(self._lens.lesson(), pixels=pixels, labels=labels, keep=False)
        return self._lens.taught(lesson).accuracy
