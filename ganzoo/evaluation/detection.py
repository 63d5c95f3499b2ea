"""Evaluation of a network that gives each sample a score, such as an anomaly detector.

Its scores of held-out samples of all classes are compared: those of the classes that it was trained on, and
those of the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ganzoo._version import __version__
from ganzoo.data.dataset import SCORING
from ganzoo.errors import UsageError
from ganzoo.evaluation.compared_data import ComparedData
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.metrics import Metric, Scorer
from ganzoo.evaluation.real_data import FEWEST, MOST, Array, RealData
from ganzoo.evaluation.report import Report
from ganzoo.evaluation.samples import Sampled, in_parts
from ganzoo.registry.kinds import Kinds

if TYPE_CHECKING:
    from ganzoo.evaluation.evaluate import Request

SCORES = "scores"  # what metrics of scores need


def evaluate_scores(
    compared: ComparedData, metrics: Sequence[Metric], kinds: Kinds, fitting: Sequence[str]
) -> Report:
    """Score a detector. UsageError without samples of classes that it was not trained on.

    `fitting`: names of metrics that fit.
    """
    begun = time.perf_counter()
    evaluated, request = compared.evaluated, compared.request
    given = evaluated.given
    assert given is not None  # noqa: S101  (`evaluated.scores`)
    real_data = compared.open(given, kinds, all_classes=True)
    names = real_data.label.classes if real_data.label is not None else ()
    only, without = evaluated.classes
    known = np.array([(name in only if only else name not in without) for name in names], bool)
    rows = _rows(real_data, known, request)
    feature_space = FeatureSpace(None, None, None, None, stacked=False)
    scorer = Scorer(metrics, feature_space, real_data, has={SCORES}, fitting=fitting)
    scorer.check(conditioned=False, training=False)
    inputs = real_data.arrays_of(rows, evaluated.reads)
    assert real_data.label is not None  # noqa: S101
    labels = in_parts(real_data.dataset.arrays[real_data.label.name][rows])
    samples = Sampled(feature_space, evaluated.make(inputs), labels, real=None)
    comparison = Comparison(
        feature_space, samples, samples, None, request.seed, field=evaluated.field, known=known
    )
    scores = scorer.scores(comparison)
    normal = int(known[labels[:, 0]].sum())
    return Report(
        name=evaluated.name,
        n=len(rows),
        protocol={
            "n": len(rows),
            "normal": normal,
            "abnormal": len(rows) - normal,
            "trained_on": ", ".join(name for name, is_known in zip(names, known, strict=True) if is_known),
            "split": real_data.name,
            "data": real_data.dataset.identity,
            "fingerprint": real_data.dataset.fingerprint,
            **evaluated.about,
            "ganzoo": __version__,
        },
        scores=scores,
        reference={},
        better=scorer.better(scores),
        notes=() if real_data.held_out else ("normal samples are those that it was trained on",),
        seconds=time.perf_counter() - begun,
    )


def _rows(real_data: RealData, known: Array, request: Request) -> Array:
    """Which samples: of the known classes those that calibrate no export; of other data all."""
    if not known.any() or known.all():
        raise UsageError(
            "There are no abnormal samples: it was trained on all classes of this data."
            if known.any()
            else "The data has no labels that say which samples are normal.",
            where=real_data.name,
            fix="train with data.only or data.without; or --data with sub-folders of both",
        )
    assert real_data.label is not None  # noqa: S101
    normal = known[real_data.dataset.arrays[real_data.label.name]]
    kept = np.flatnonzero(normal)
    if real_data.held_out and request.data is None:
        kept = kept[SCORING]
    rows = np.concatenate([kept, np.flatnonzero(~normal)])
    order = np.random.Generator(np.random.PCG64(request.seed)).permutation(len(rows))
    found: Array = rows[order[: request.n or MOST]]
    if len(found) < FEWEST or normal[found].all() or not normal[found].any():
        raise UsageError("There are too few samples to score, or only those of one side.")
    return found
