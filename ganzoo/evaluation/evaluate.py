"""Scores of trained generators, with what is needed to believe them.

Owns what is compared with what, and under which protocol. Features, judges and formulas are plugins;
training is not known here: a run is read from its directory, a bundle through the runtime.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ganzoo._version import __version__
from ganzoo.api.specs import DatasetSpec
from ganzoo.config.plan import Choice
from ganzoo.config.settings import build
from ganzoo.errors import DataError, UsageError
from ganzoo.evaluation.baselines import reference_rows
from ganzoo.evaluation.comparison import Case, answers_of, asked_of, lens_for, real_side
from ganzoo.evaluation.features import Lens
from ganzoo.evaluation.generators import Subject, inputs_of, of_bundle, of_run
from ganzoo.evaluation.metrics import Scorer, chosen_metrics
from ganzoo.evaluation.neighbour_grid import nearest_picture
from ganzoo.evaluation.real_data import FEWEST, MOST, Reals
from ganzoo.evaluation.report import Report, judgement, too_few
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.registry.registry import Registry
from ganzoo.util.files import storage

__all__ = ["Request", "evaluate"]

NAMED = 8  # runs or bundles in a message, where a folder of many was given


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate, and how. `n` samples; without it as many as there are held-out ones, 10,000 at most.

    `data`: compare with this in place of what it was trained on. `metrics` names those to compute, all that
    apply without it. `weights` is the file of an extractor that needs one. `against`: the held-out samples,
    where there are such, or those of the training, as papers often do. `picture`: where to draw samples
    beside their nearest neighbours, whichever metrics are asked for; nowhere where nothing is held out, or
    where it learned from other data.
    """

    source: Path
    data: str | None = None
    against: Literal["held-out", "training"] = "held-out"
    n: int | None = None
    seed: int = 0
    generator: str = "generator"
    checkpoint: Any = "newest"
    raw: bool = False
    extractor: str = ""
    weights: Path | None = None
    metrics: Sequence[str] = ()
    references: bool = True
    picture: Path | None = None
    trust: bool = False
    note: Callable[[str], None] = field(default=lambda _: None)


def evaluate(request: Request, registry: Registry) -> Report:
    """Score a run or a bundle against real samples.

    UsageError when there is no such thing or nothing to compare it with, DataError when the data has
    samples of another shape.
    """
    begun = time.perf_counter()
    metrics = chosen_metrics(registry, request.metrics)
    subject = _subject(request, registry)
    reals = _reals(subject, request, registry)
    lens = lens_for(registry, reals, request.extractor, request.weights, request.note)
    n = request.n or min(reals.store.count, MOST)
    if (fewest := min(n, reals.store.count)) < FEWEST:
        raise UsageError(f"{fewest} samples say nothing.", fix="1,000 or more, real ones as well")
    inputs = inputs_of(subject.reads, n, request.seed, reals.arrays(n, subject.reads))
    asked = asked_of(reals, inputs)
    real, training = real_side(lens, reals, n)
    learned = training if subject.learned_from(reals.training) else None
    answers = answers_of(reals, subject.reads, n, request.seed)
    scorer = Scorer(metrics, lens, reals, answers=answers is not None)
    scorer.check(asked=asked is not None, training=learned is not None)
    lens.prepare()
    samples = stored(subject.field, subject.make(inputs), reals.left_out)
    fake = Sampled(lens, samples, asked, real=real)
    case = Case(lens, fake, real, learned, request.seed, answers)
    scores = scorer.scores(case)
    rows = reference_rows(scorer, lens, reals, real, training) if request.references else {}
    if request.picture is not None:
        with storage(request.picture):  # no picture of an earlier evaluation stays beside these scores
            request.picture.unlink(missing_ok=True)
        nearest_picture(case, reals.field, request.picture)
    notes = [*_doubts(subject, reals, lens, n, request), *reals.notes]
    notes += _about_metrics(scorer, case, scores, request)
    notes += judgement(scores, rows)
    return Report(
        name=subject.name,
        n=n,
        protocol=_protocol(subject, reals, lens, case, request),
        scores=scores,
        reference=rows,
        better=scorer.better(dict.fromkeys([*scores, *(name for row in rows.values() for name in row)])),
        notes=tuple(notes),
        seconds=time.perf_counter() - begun,
    )


def _subject(request: Request, registry: Registry) -> Subject:
    path = request.source
    _check_folder(path)
    if (path / "run.json").is_file() or (path / "checkpoints").is_dir():
        return of_run(path, request.generator, registry, request.checkpoint, request.note, raw=request.raw)
    if request.raw or request.checkpoint != "newest":
        raise UsageError("A bundle holds one set of weights: no checkpoint can be chosen.", where=str(path))
    return of_bundle(path, request.generator, trust=request.trust)


def _check_folder(path: Path) -> None:
    """UsageError for a folder of runs or bundles: it names them."""
    with storage(path):
        if not path.is_dir() or _is_one(path):
            return
        inside = [str(child) for child in sorted(path.iterdir()) if child.is_dir() and _is_one(child)]
    if inside:
        more = f" ... ({len(inside):,} in all)" if len(inside) > NAMED else ""
        raise UsageError(
            "This folder holds runs or bundles: one of them can be evaluated.",
            where=str(path),
            fix=f"one of {', '.join(inside[:NAMED])}{more}",
        )


def _is_one(path: Path) -> bool:
    return any((path / name).exists() for name in ("run.json", "checkpoints")) or any(path.glob("*.onnx"))


def _reals(subject: Subject, request: Request, registry: Registry) -> Reals:
    source = request.data or subject.data
    if not source:
        raise UsageError("The file does not say what it was trained on.", fix="--data SOURCE")
    item = registry.find(DatasetSpec, source.partition(":")[0])
    options = None
    if item.spec.config is not None:
        # Other data of the same kind is opened as its own was: with the same size of pictures, say.
        same_kind = subject.data.partition(":")[0] in (item.name, item.qualified)
        own = subject.data_options if same_kind else {}
        options = build(item.spec.config, own, "data", {})
    try:
        training = request.against == "training"
        return Reals.open(Choice(item, options), source, subject.field, against_training=training)
    except DataError as error:
        if request.data is not None:
            raise
        raise DataError(
            f"What it was trained on cannot be compared with: {error.what}",
            where=error.where,
            fix="--data SOURCE, if it is elsewhere now",
        ) from error


def _doubts(subject: Subject, reals: Reals, lens: Lens, n: int, request: Request) -> list[str]:
    """What a reader should know before believing the figures."""
    doubts = []
    if subject.status != "done":
        doubts.append(f"the run is not complete (status: {subject.status}): these are scores on its way")
    learned = subject.learned_from(reals.training)
    if not learned:
        why = "it was trained on other data" if request.data else "the training data is not what it was"
        doubts.append(f"{why}: nothing is said about memorisation")
    elif not subject.fingerprint:
        doubts.append("the file does not say what it was trained on: memorisation is of this data, if it was")
    if not reals.held_out:
        why = "as was asked" if request.against == "training" else "this data has no held-out part"
        rewards = ", which rewards copying it" if learned else ""
        doubts.append(
            f"{why}: the samples are compared with the training data itself{rewards}; the reference columns "
            "compare its halves, so mind their n"
        )
    if lens.judged and reals.exam is reals.training:
        doubts.append("judge_accuracy is on the pictures that the judge learned from: none are held out")
    if n > reals.store.count:
        doubts.append(f"there are only {reals.store.count:,} real samples: reference rows have so many")
    return doubts


def _about_metrics(scorer: Scorer, case: Case, scores: Mapping[str, float], request: Request) -> list[str]:
    """What was asked for and is not there, and a distance of too few samples."""
    left_out = scorer.left_out(asked=case.fake.labels is not None, training=case.training is not None)
    notes = [f"a metric was left out: {text}" for text in left_out] if request.metrics else []
    if case.distance in scores:
        few = min(len(case.fake), len(case.real))
        notes += too_few(case.distance, few, case.real.features.shape[1])
    return notes


def _protocol(subject: Subject, reals: Reals, lens: Lens, case: Case, request: Request) -> dict[str, Any]:
    extractor = lens.extractor
    protocol: dict[str, Any] = {
        "n": len(case.fake),
        "n_real": len(case.real),
        "split": reals.name,
        "data": reals.store.identity,
        "fingerprint": reals.store.fingerprint,
        "extractor": "the values themselves" if extractor is None else extractor.identity,
        "pictures": "" if extractor is None else extractor.protocol,
        "scale": f"each {'column' if lens.widths else 'feature'} divided by its standard deviation over the "
        "real samples"
        if lens.scaled
        else "as they are",
        "truncation": "none",
        "seed": request.seed,
        **subject.about,
        "ganzoo": __version__,
    }
    if lens.judged:
        protocol |= {"judge": lens.judge.identity, "judge_accuracy": round(lens.judge.accuracy, 4)}
    return protocol
