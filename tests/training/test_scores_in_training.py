"""Scores while a run trains: in its log, by which the best checkpoint is kept, and of no influence on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ganzoo.api import Field
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.dataset import Dataset
from ganzoo.data.open_data import open_data
from ganzoo.errors import DataError, DivergedError, SettingsError, UsageError
from ganzoo.evaluation.during_training import scoring
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.fields import PIXELS
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.training import phases, scores
from ganzoo.training.reporting import recorder
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.scores import Make, ScoringFactory
from ganzoo.training.session import resume, start
from ganzoo_extractors import classifier, weights
from tests.helpers.evaluating import few_images, ganzoo
from tests.training.test_length_and_threads import Clock, Timed
from tests.training.test_training import final_state

Tiny = Callable[..., Plan]
SCORES = {"n", "fed", "precision", "recall", "density", "coverage"}
TOLD = ("architecture.generator_hidden=[16]", "architecture.discriminator_hidden=[16]")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few_images(tmp_path_factory.mktemp("data") / "few", train=100, test=60)


@pytest.fixture(scope="module")
def scored(tiny: Tiny, data: str) -> Callable[..., Plan]:
    """160 images; scores of 50 samples after every 40."""

    def plan(**more: Any) -> Plan:
        settings = {"data.source": data, "train.eval_every": 40, "train.eval_samples": 50}
        return tiny("vanilla", **{**settings, "train.precision": "fp32", **more})

    return plan


@pytest.fixture(scope="module")
def run(scored: Callable[..., Plan], registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = scored()
    path = tmp_path_factory.mktemp("runs") / "scored"
    return start(plan, path, NullReporter(), scoring=scoring(plan, registry))[0]


def scores_of(run: Run) -> dict[int, dict[str, float]]:
    return {line["images"]: line["scores"] for line in run.log() if "scores" in line}


def scripted(
    values: Sequence[float],
    name: str = "fed",
    seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> ScoringFactory:
    """A judging that gives these scores, one after another."""
    left: Iterator[float] = iter(values)

    def classifier_used(
        reads: Sequence[Field], field: Field, dataset: Dataset
    ) -> Callable[[Make], Mapping[str, float]]:
        def score(make: Make) -> Mapping[str, float]:
            sleep(seconds)
            return {"n": 10, name: next(left)}

        return score

    return classifier_used


# --- the log ----------------------------------------------------------------------------------------


def test_scores_are_in_the_log(run: Run) -> None:
    found = scores_of(run)
    assert list(found) == [40, 80, 120, 160]
    for row in found.values():
        assert row.keys() == SCORES
        assert row["n"] == 50
    assert len({row["fed"] for row in found.values()}) == 4
    lines = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines if "scores" in line] == list(found)
    assert len(lines) > 4  # lines without scores, too


def test_they_are_those_of_an_evaluation_afterwards(run: Run, registry: Registry) -> None:
    report = evaluate(Request(source=run.path, n=50, metrics=("frechet", "prdc"), references=False), registry)
    last = scores_of(run)[160]
    assert report.scores == pytest.approx({name: last[name] for name in SCORES - {"n"}}, rel=1e-5)


@pytest.mark.parametrize("half_life", [20_000, 0], ids=["averaged", "raw"])
def test_training_is_the_same_to_the_byte_with_and_without(
    scored: Callable[..., Plan], registry: Registry, tmp_path: Path, half_life: int
) -> None:
    """Without an average the network that is scored is the one that trains, with its batch norms."""
    states = []
    for every in (40, None):
        plan = scored(**{"train.eval_every": every, "ema.half_life": half_life})
        classifier_used = scoring(plan, registry) if every else None
        states.append(
            final_state(start(plan, tmp_path / str(every), NullReporter(), scoring=classifier_used)[0])
        )
    assert states[0] == states[1]


def test_resumed_runs_have_the_same_scores(
    scored: Callable[..., Plan], run: Run, registry: Registry, tmp_path: Path
) -> None:
    plan = scored()
    classifier_used = scoring(plan, registry)
    for stop in (56, 80):  # between two scores, and at one
        path = tmp_path / str(stop)
        part, outcome = start(plan, path, NullReporter(), pause_at=stop, scoring=classifier_used)
        assert outcome == "paused"
        assert list(scores_of(part)) == [images for images in (40, 80) if images <= stop]
        torch.rand(3)
        again, _ = resume(
            Run.open(path),
            resolve(str(part.settings_file), registry),
            NullReporter(),
            scoring=classifier_used,
        )
        assert scores_of(again) == scores_of(run)
        assert final_state(again) == final_state(run)


def test_more_scores_can_be_had_when_a_run_goes_on(
    scored: Callable[..., Plan], run: Run, registry: Registry, tmp_path: Path
) -> None:
    part, _ = start(scored(**{"train.eval_every": None}), tmp_path / "run", NullReporter(), pause_at=80)
    more = {"train.eval_every": 80, "train.eval_samples": 20}
    plan = resolve(str(part.settings_file), registry, overrides=more)
    again, _ = resume(Run.open(part.path), plan, NullReporter(), scoring=scoring(plan, registry))
    assert [(images, row["n"]) for images, row in scores_of(again).items()] == [(160, 20)]
    assert final_state(again) == final_state(run)


def test_points_are_scored_without_an_extractor(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    settings = {"data.source": "toy:ring", "train.eval_every": 80, "train.eval_samples": 40}
    plan = tiny("vanilla", **settings)
    done, _ = start(plan, tmp_path / "run", NullReporter(), scoring=scoring(plan, registry))
    assert list(scores_of(done)) == [80, 160]
    assert {"frechet", "quality", "modes", "column_distance"} <= scores_of(done)[160].keys()


def test_the_training_data_is_opened_once(
    scored: Callable[..., Plan], run: Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganzoo.evaluation.real_data.open_dataset", lambda *_: pytest.fail("it is open"))
    plan = scored()
    done = start(plan, tmp_path / "run", NullReporter(), scoring=scoring(plan, registry))[0]
    assert scores_of(done) == scores_of(run)


JUDGED = """
from ganzoo.api import MetricSpec, hookimpl

def make(config):
    return lambda evidence: {"sure": evidence.fake.probabilities.max(2).mean()}

@hookimpl
def ganzoo_metrics():
    factory = f"{__name__}:make"
    return [MetricSpec(name="sure", summary="A test.", factory=factory, needs=("classifier",), quick=True)]
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_quick_metric_may_need_a_judge(
    scored: Callable[..., Plan],
    install: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
) -> None:
    """It learns while the run trains, with gradients and in a precision of its own."""
    install("sure-dist", "sure", JUDGED)
    monkeypatch.setattr(classifier, "STEPS", 5)
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    plan = scored(**{"train.precision": precision, "train.eval_every": 80})
    done, _ = start(plan, tmp_path / "run", NullReporter(), scoring=scoring(plan, load_registry()))
    assert [0.1 < row["sure"] <= 1 for row in scores_of(done).values()] == [True, True]


BROKEN = """
from ganzoo.api import MetricSpec, hookimpl

def make(config):
    calls = []

    def score(evidence):
        calls.append(1)
        return {{"odd": {later} if len(calls) in (2, 3) else 1.0}}

    return score

@hookimpl
def ganzoo_metrics():
    return [MetricSpec(name="odd", summary="A test.", factory=f"{{__name__}}:make", quick=True)]
"""


@pytest.mark.parametrize(
    ("later", "said"), [("1 / 0", "ZeroDivisionError"), ("float('nan')", "no finite number as 'odd'")]
)
def test_a_metric_that_fails_does_not_end_the_training(
    scored: Callable[..., Plan], install: Callable[..., Path], tmp_path: Path, later: str, said: str
) -> None:
    install("odd-dist", "odd", BROKEN.format(later=later))
    notes: list[str] = []
    classifier_used = scoring(scored(), load_registry(), notes.append)
    done, outcome = start(scored(), tmp_path / "run", NullReporter(), scoring=classifier_used)
    assert outcome == "done"
    found = scores_of(done)
    assert [row.keys() - SCORES for row in found.values()] == [{"odd"}, set(), set(), {"odd"}]
    assert all(row.keys() >= SCORES for row in found.values())
    (note,) = [note for note in notes if "continues without the scores of 'odd'" in note]
    assert said in note
    assert "odd-dist" in note


def test_too_few_samples_for_a_distance_are_noted(scored: Callable[..., Plan], registry: Registry) -> None:
    notes: list[str] = []
    plan = scored()
    image, z = (
        Field(name="image", shape=(1, 28, 28), range=(-1.0, 1.0), kind="image", axes=PIXELS),
        Field(name="z", shape=(4,), source="normal"),
    )
    scoring(plan, registry, notes.append)([z], image, open_data(plan))
    assert notes == ["fed is not reliable with 50 samples, fewer than its 320 features: use more"]


# --- the command ------------------------------------------------------------------------------------


def test_the_progress_line_shows_them(data: str, tmp_path: Path) -> None:
    given = [part for setting in (*TOLD, "train.eval_samples=20") for part in ("--set", setting)]
    given += ["--data", data, "--images", "640", "--eval-every", "320", "--device", "cpu"]
    said = ganzoo("train", "vanilla", *given, "--run-dir", tmp_path / "plain")
    assert said.code == 0, said.err
    fed = [f"fed {row['fed']:.3g}" for row in scores_of(Run.open(tmp_path / "plain")).values()]
    assert len(fed) == 2
    lines = [line for line in said.err.splitlines() if " images " in line and "left" in line]
    assert [[text in line for text in fed] for line in lines[:4]] == [[False, False]] * 4
    assert fed[0] in next(line for line in lines if " 384 images" in line)  # until there are newer ones
    assert fed[1] in lines[-1]
    assert "coverage" in lines[-1]
    said = ganzoo("train", "vanilla", *given, "--run-dir", tmp_path / "json", "--json")
    events = [json.loads(line) for line in said.out.splitlines()]
    rows = {event["images"]: event["scores"] for event in events if "scores" in event}
    assert rows.keys() == {320, 640}
    assert all(row.keys() == SCORES for row in rows.values())


def test_the_best_is_kept_and_exported(data: str, tmp_path: Path) -> None:
    given = [part for setting in TOLD for part in ("--set", setting)]
    given += ["--set", "train.eval_samples=30", "--set", "train.keep_checkpoints=1"]
    given += ["--data", data, "--images", "640", "--eval-every", "128", "--keep-best", "max:fed"]
    said = ganzoo("train", "vanilla", *given, "--device", "cpu", "--run-dir", tmp_path / "run")
    assert said.code == 0, said.err
    assert "no effect" not in said.err
    found = scores_of(Run.open(tmp_path / "run"))
    best = max(found, key=lambda images: found[images]["fed"])
    said = ganzoo("export", tmp_path / "run", "--checkpoint", "best", "-o", tmp_path / "bundle", "--json")
    assert said.code == 0, said.err
    listing = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert listing["about"]["images"] == best


# --- the best checkpoint ----------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "best"), [("min:fed", 80), ("max:fed", 120)])
def test_the_best_checkpoint_stays(
    scored: Callable[..., Plan], registry: Registry, tmp_path: Path, way: str, best: int
) -> None:
    plan = scored(**{"train.keep_best": way, "train.keep_checkpoints": 1})
    done, _ = start(plan, tmp_path / "run", NullReporter(), scoring=scripted([3.0, 1.0, 4.0, 2.0]))
    assert sorted(int(path.name) for path in done.checkpoints.iterdir()) == [best, 160]
    request = Request(source=done.path, n=20, metrics=("frechet",), references=False, checkpoint="best")
    assert evaluate(request, registry).protocol["images"] == best


def test_a_best_checkpoint_that_was_never_scored_is_not_missed(
    scored: Callable[..., Plan], tmp_path: Path
) -> None:
    """A pause comes before the first scores: nobody knows yet what names there will be."""
    reporter = NullReporter()
    plan = scored(**{"train.keep_best": "min:fed"})
    start(plan, tmp_path / "run", reporter, pause_at=24, scoring=scripted([]))
    assert not any("no effect" in note for note in reporter.notes)


def test_a_name_that_nothing_has_is_noted_once(scored: Callable[..., Plan], tmp_path: Path) -> None:
    reporter = NullReporter()
    plan = scored(**{"train.keep_best": "min:fdd", "train.checkpoint_every": 40})
    start(plan, tmp_path / "run", reporter, scoring=scripted([1.0] * 4))
    (said,) = [note for note in reporter.notes if "no effect" in note]
    assert "'fdd'" in said
    assert "fed" in said
    assert "loss_generator" in said


def test_a_score_without_an_evaluation_is_refused(data: str, tmp_path: Path) -> None:
    given = ["--data", data, "--run-dir", tmp_path / "run", "--device", "cpu"]
    said = ganzoo("train", "vanilla", *given, "--keep-best", "min:fed")
    assert said.code == 2
    assert "train.keep_best compares 'fed'" in said.err
    assert "--eval-every" in said.err
    assert not (tmp_path / "run").exists()


def test_what_every_log_line_has(scored: Callable[..., Plan], run: Run) -> None:
    found = {name for line in run.log() for name in line["values"]}  # a lazy penalty is not in each line
    assert found == {*phases.MEASURED, *scored().terms}


# --- what goes wrong --------------------------------------------------------------------------------


def test_scores_that_take_long_are_noted_once(
    scored: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = NullReporter(), NullReporter()
    start(scored(), tmp_path / "slow", slow, scoring=scripted([1.0] * 4, seconds=0.1))
    (said,) = [note for note in slow.notes if "of the time" in note]
    assert "--eval-every" in said
    assert int(said.split("takes ")[1].split("%")[0]) > 3
    monkeypatch.setattr(recorder, "EVALUATION_SHARE", 1.0)
    start(scored(), tmp_path / "quick", quick, scoring=scripted([1.0] * 4))
    assert not any("of the time" in note for note in quick.notes)


def test_the_share_of_the_time_is_that_of_this_session(
    scored: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds for a cycle and for an evaluation after every fifth; the clock lags a cycle behind."""
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    monkeypatch.setattr(scores, "time", clock)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    first, second = Timed(clock), Timed(clock)
    slow = scripted([1.0] * 4, seconds=2.0, sleep=sleep)
    run, _ = start(scored(), tmp_path / "run", first, pause_at=120, scoring=slow)
    resume(Run.open(run.path), scored(), second, scoring=slow)
    for reporter, share in ((first, 6 / (14 * 2 + 6)), (second, 2 / (4 * 2 + 2))):
        (said,) = [note for note in reporter.notes if "of the time" in note]
        assert said.startswith(f"evaluation takes {share:.0%} of the time")


def before_training(plan: Plan, registry: Registry, path: Path) -> Path:
    """Start it, and see that nothing was trained."""
    try:
        start(plan, path, NullReporter(), scoring=scoring(plan, registry))
    finally:
        assert not (path / "log.jsonl").exists()
        assert not list(path.glob("checkpoints/*"))
    return path


def test_nothing_to_compare_with_is_noticed_before_training(
    scored: Callable[..., Plan], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = scored()
    with pytest.raises(UsageError, match="None of the metrics applies"):
        before_training(plan, load_registry(block=["metrics"]), tmp_path / "metrics")
    replaced = tmp_path / "weights.pth"
    replaced.write_bytes(b"other weights")
    other = SimpleNamespace(locate_file=lambda file: replaced)
    monkeypatch.setattr(weights, "distribution", lambda name: other)
    with pytest.raises(SettingsError, match="not the ones that scores are defined with"):
        before_training(plan, registry, tmp_path / "weights")


def test_held_out_samples_of_another_shape(
    scored: Callable[..., Plan], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of one data set, and the held-out samples of another."""
    from ganzoo.data import dataset
    from ganzoo.evaluation import real_data
    from ganzoo_datasets.toy import open_toy

    monkeypatch.setattr(real_data, "open_held_out", lambda *_: dataset.open_source(open_toy("ring")))
    with pytest.raises(DataError, match="shape"):
        before_training(scored(), registry, tmp_path / "run")


def test_samples_that_are_not_finite_are_divergence(
    scored: Callable[..., Plan], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = scored()
    image, z = (
        Field(name="image", shape=(1, 28, 28), range=(-1.0, 1.0), kind="image", axes=PIXELS),
        Field(name="z", shape=(4,), source="normal"),
    )
    score = scoring(plan, registry)([z], image, open_data(plan))
    with pytest.raises(DivergedError, match="not finite"):
        score(lambda inputs: np.full((len(inputs["z"]), 1, 28, 28), np.nan, np.float32))
    assert score(lambda inputs: np.zeros((len(inputs["z"]), 1, 28, 28), np.float32)).keys() == SCORES
