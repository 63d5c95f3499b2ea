"""Scores of trained generators, with their protocol and the caveats that a reader needs.

Owns what is compared with what, and the protocol. Features, classifiers and formulas are plugins. Knows
nothing of training: a run is read from its directory, a bundle through the runtime.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganzoo._version import __version__
from ganzoo.errors import UsageError
from ganzoo.evaluation.baselines import reference_rows
from ganzoo.evaluation.compared_data import compared_data
from ganzoo.evaluation.comparison import (
    Comparison,
    conditions_of,
    feature_space_of,
    reference_samples,
    shown_inputs,
    targets_of,
)
from ganzoo.evaluation.detection import evaluate_scores
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.generators import EvaluatedGenerator, inputs_of, of_bundle, of_run
from ganzoo.evaluation.metrics import Failures, Scorer, check_fitting, chosen_metrics, metrics_for
from ganzoo.evaluation.neighbour_grid import write_neighbours
from ganzoo.evaluation.real_data import FEWEST, MOST, RealData
from ganzoo.evaluation.report import Report, conclusions, too_few
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry
from ganzoo.util.files import storage

if TYPE_CHECKING:
    from ganzoo.runs.load import Which

__all__ = ["Request", "evaluate"]

NAMED = 8  # runs or bundles that a message names when the folder holds several


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate, and how.

    `n`: how many samples to generate; by default the number of held-out samples, at most 10,000.
    `n_real`: how many real samples to compare with; by default `n`, or all if there are fewer. "all" is as in
    papers that compare 50,000 samples with the whole training set (`fid50k_full`).
    `data`: compare with this data instead of the data it was trained on. `metrics`: names of the metrics to
    compute; by default all that apply. `weights`: the weights file of an extractor that needs one. `against`:
    compare with the held-out samples (if there are any) or with the training samples, as papers often do.
    `image`: the file for samples beside their nearest neighbours, for any `metrics`; not written without
    held-out samples, or if the generator was trained on other data.
    """

    source: Path
    data: str | None = None
    against: Literal["held-out", "training"] = "held-out"
    n: int | None = None
    n_real: int | Literal["all"] | None = None
    seed: int = 0
    generator: str = "generator"
    checkpoint: Which = "newest"
    raw: bool = False
    extractor: str = ""
    weights: Path | None = None
    metrics: Sequence[str] = ()
    references: bool = True
    image: Path | None = None
    trust: bool = False
    note: Callable[[str], None] = field(default=lambda _: None)


def evaluate(request: Request, registry: Registry) -> Report:
    """Score a run or a bundle against real samples.

    UsageError when `source` does not exist or there is nothing to compare with, DataError when the data has
    samples of another shape.
    """
    begun = time.perf_counter()
    kinds, evaluated = Kinds(registry), _evaluated(request, registry)
    (field,) = kinds.assign((evaluated.field,))
    fitting = metrics_for(
        registry,
        field,
        given=evaluated.given is not None,
        conditioned=any(read.classes for read in evaluated.reads),
        scores=evaluated.scores,
    )
    metrics = chosen_metrics(registry, request.metrics, fitting=fitting)
    if request.metrics:
        check_fitting(registry, metrics, fitting, field.kind)
    compared = compared_data(evaluated, request, registry)
    if evaluated.scores:
        return evaluate_scores(compared, metrics, kinds, fitting)
    real_data = compared.open(evaluated.field, kinds, reads=evaluated.reads)
    feature_space = feature_space_of(registry, real_data, request.extractor, request.weights, request.note)
    n = request.n or min(real_data.dataset.count, MOST)
    n_real = real_data.dataset.count if request.n_real == "all" else request.n_real or n
    n_real = min(n_real, real_data.dataset.count)
    if (fewest := min(n, n_real)) < FEWEST:
        raise UsageError(
            f"{fewest} samples are too few to score.",
            where=f"{n:,} generated and {n_real:,} real ones",
            fix=f"use {FEWEST} or more of both, better 1,000; more data has more held-out samples",
        )
    inputs = inputs_of(evaluated.reads, n, request.seed, real_data.arrays(n_real, evaluated.reads))
    conditioned = conditions_of(real_data, inputs)
    real, training = reference_samples(feature_space, real_data, n_real)
    learned = training if evaluated.learned_from(real_data.training) else None
    targets = targets_of(real_data, evaluated.reads, n, n_real, request.seed)
    scorer = Scorer(metrics, feature_space, real_data, targets=targets is not None, fitting=fitting)
    scorer.check(conditioned=conditioned is not None, training=learned is not None)
    feature_space.prepare()
    samples = stored(real_data.media, evaluated.field, evaluated.make(inputs), real_data.excluded)
    fake = Sampled(feature_space, samples, conditioned, real=real)
    comparison = Comparison(
        feature_space,
        fake,
        real,
        learned,
        request.seed,
        targets,
        field=real_data.field,
        inputs=shown_inputs(kinds, kinds.assign(evaluated.reads), inputs),
    )
    failures: Failures | None = None
    if not request.metrics:  # a metric that nobody asked for by name does not end the command
        _ = real.features  # an extractor that fails does
        failures = {}
    scores = scorer.scores(comparison, failures=failures)
    if failures and not scores:
        raise next(iter(failures.values()))
    rows = {}
    if request.references:
        rows = reference_rows(scorer, feature_space, real_data, real, training, failures)
    if request.image is not None:
        with storage(request.image):  # delete the file of an earlier evaluation
            request.image.unlink(missing_ok=True)
        write_neighbours(comparison, kinds, request.image)
    notes = [*_caveats(evaluated, real_data, feature_space, n, request), *real_data.notes]
    notes += _about_metrics(scorer, comparison, scores, request)
    notes += [f"the metric '{name}' failed: {error.what}" for name, error in (failures or {}).items()]
    notes += conclusions(scores, rows, n)
    return Report(
        name=evaluated.name,
        n=n,
        protocol=_protocol(evaluated, real_data, feature_space, comparison, request),
        scores=scores,
        reference=rows,
        better=scorer.better(dict.fromkeys([*scores, *(name for row in rows.values() for name in row)])),
        notes=tuple(notes),
        seconds=time.perf_counter() - begun,
    )


def _evaluated(request: Request, registry: Registry) -> EvaluatedGenerator:
    path = request.source
    _check_folder(path)
    if (path / "run.json").is_file() or (path / "checkpoints").is_dir():
        return of_run(path, request.generator, registry, request.checkpoint, request.note, raw=request.raw)
    if request.raw or request.checkpoint != "newest":
        raise UsageError("A bundle has one set of weights: no checkpoint can be chosen.", where=str(path))
    return of_bundle(path, request.generator, trust=request.trust)


def _check_folder(path: Path) -> None:
    """UsageError for a folder that holds runs or bundles; the message names them."""
    with storage(path):
        if not path.is_dir() or _is_one(path):
            return
        inside = [str(child) for child in sorted(path.iterdir()) if child.is_dir() and _is_one(child)]
    if inside:
        more = f" ... ({len(inside):,} in total)" if len(inside) > NAMED else ""
        raise UsageError(
            "This folder holds runs or bundles: evaluate one of them.",
            where=str(path),
            fix=f"one of {', '.join(inside[:NAMED])}{more}",
        )


def _is_one(path: Path) -> bool:
    return any((path / name).exists() for name in ("run.json", "checkpoints")) or any(path.glob("*.onnx"))


def _caveats(
    evaluated: EvaluatedGenerator, real_data: RealData, feature_space: FeatureSpace, n: int, request: Request
) -> list[str]:
    """What a reader should know about these scores."""
    caveats = []
    if evaluated.status != "done":
        caveats.append(f"the run is not complete (status: {evaluated.status}): scores may still change")
    learned = evaluated.learned_from(real_data.training)
    if not learned:
        why = "it was trained on other data" if request.data else "the training data has changed"
        caveats.append(f"{why}: memorisation is not measured")
    elif not evaluated.fingerprint:
        caveats.append(
            "the file does not say what it was trained on: memorisation is valid only if it was this data"
        )
    if not real_data.held_out:
        why = "as requested" if request.against == "training" else "this data has no held-out part"
        rewards = ", which rewards copies" if learned else ""
        caveats.append(
            f"{why}: the samples are compared with the training data itself{rewards}; the reference columns "
            "compare halves of it, so their n is smaller"
        )
    if feature_space.classifier_used and real_data.test is real_data.training:
        caveats.append(
            "this data has no held-out part: the classifier learned from four fifths of the training data, "
            "and classifier_accuracy is that on the others; label_accuracy of real samples is too high"
        )
    wanted = n if request.n_real is None else request.n_real
    if wanted != "all" and wanted > real_data.dataset.count:
        caveats.append(
            f"there are only {real_data.dataset.count:,} real samples: reference rows have at most that many"
        )
    return caveats


def _about_metrics(
    scorer: Scorer, comparison: Comparison, scores: Mapping[str, float], request: Request
) -> list[str]:
    """Notes about requested metrics that do not apply, and about too few samples for a distance."""
    excluded = scorer.excluded(
        conditioned=comparison.fake.labels is not None, training=comparison.training is not None
    )
    notes = [f"a metric was left out: {text}" for text in excluded] if request.metrics else []
    if comparison.distance in scores:
        few = min(len(comparison.fake), len(comparison.real))
        notes += too_few(comparison.distance, few, comparison.real.features.shape[1])
    return notes


def _protocol(
    evaluated: EvaluatedGenerator,
    real_data: RealData,
    feature_space: FeatureSpace,
    comparison: Comparison,
    request: Request,
) -> dict[str, Any]:
    extractor = feature_space.extractor
    protocol: dict[str, Any] = {
        "n": len(comparison.fake),
        "n_real": len(comparison.real),
        "split": real_data.name,
        "data": real_data.dataset.identity,
        "fingerprint": real_data.dataset.fingerprint,
        "extractor": "the values themselves" if extractor is None else extractor.identity,
        "preprocessing": "" if extractor is None else extractor.protocol,
        "scale": f"each {'column' if feature_space.widths else 'feature'} divided by its standard deviation "
        "over the real samples"
        if feature_space.scaled
        else "as they are",
        "truncation": "none",
        "seed": request.seed,
        **evaluated.about,
        "ganzoo": __version__,
    }
    if feature_space.classifier_used:
        protocol |= {
            "classifier": feature_space.classifier.identity,
            "classifier_accuracy": round(feature_space.classifier.accuracy, 4),
        }
    return protocol
