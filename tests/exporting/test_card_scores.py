"""Scores that a run has are in its bundle and card, and the Hub's own reader takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ganzoo
from ganzoo.config.plan import Plan
from ganzoo.evaluation.report import Report
from ganzoo.exporting.card_scores import index
from ganzoo.exporting.form import Form
from ganzoo.exporting.from_run import scores_of
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.util.files import append_line

REPORT = Report(
    name="/home/me/run",
    n=500,
    protocol={
        "n": 500,
        "n_real": 400,
        "split": "held-out part of folder:/home/me/faces",
        "data": "faces: 400 held-out images",
        "fingerprint": "ab12",
        "extractor": "EfficientNet-Lite0",
        "preprocessing": "",
        "seed": 3,
        "generator": "generator",
        "weights": "EMA",
        "images": 160,
    },
    scores={"fed": 41.5, "coverage": 0.75, "broken": math.nan},
    reference={},
    better={"fed": "lower"},
    notes=(),
    seconds=1.0,
)
ABOUT: dict[str, Any] = {
    "ema": True, "images": 160, "data": "fashion-5k", "seed": 0, "versions": {"ganzoo": "0.2.0"},
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", "vanilla", {}, {})


def evaluated(run: Run, report: Report) -> None:
    (run.path / "evaluation").mkdir(exist_ok=True)
    (run.path / "evaluation" / "evaluation.json").write_text(json.dumps(report.to_json()))


def logged(run: Run, images: int, **scores: float) -> None:
    line = {"images": images, "values": {}} | ({"scores": scores} if scores else {})
    append_line(run.path / "log.jsonl", json.dumps(line))


def test_no_scores(run: Run, registry: Registry) -> None:
    logged(run, 80)
    assert scores_of(run, ABOUT, registry) == {}


def test_the_last_scores_of_training_before_these_weights(run: Run, registry: Registry) -> None:
    logged(run, 80, n=1000, coverage=0.4, odd=1)
    logged(run, 120)
    logged(run, 200, n=1000, coverage=0.9)
    found = scores_of(run, ABOUT, registry)
    assert found["values"] == {"coverage": 0.4, "odd": 1}
    assert found["better"] == {"coverage": "higher"}
    assert found["protocol"].items() >= {"n": 1000, "images": 80, "data": "fashion-5k"}.items()


def test_an_evaluation_of_these_weights_comes_first(run: Run, registry: Registry) -> None:
    logged(run, 160, n=1000, coverage=0.4)
    evaluated(run, REPORT)
    found = scores_of(run, ABOUT, registry)
    assert found["values"] == {"fed": 41.5, "coverage": 0.75}  # what is not a number is left out
    assert found["protocol"]["extractor"] == "EfficientNet-Lite0"
    assert "/home" not in json.dumps(found)


@pytest.mark.parametrize("change", [{"images": 80}, {"weights": "raw"}])
def test_an_evaluation_of_other_weights_is_left_out(
    change: dict[str, Any], run: Run, registry: Registry
) -> None:
    evaluated(run, replace(REPORT, protocol={**REPORT.protocol, **change}))
    assert scores_of(run, ABOUT, registry) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"scores": 1, "protocol": 2}', '{"protocol": {}}'])
def test_a_damaged_evaluation(text: str, run: Run, registry: Registry) -> None:
    evaluated(run, REPORT)
    (run.path / "evaluation" / "evaluation.json").write_text(text)
    assert scores_of(run, ABOUT, registry) == {}


@pytest.mark.parametrize(
    "form", [{"watermark": "a long secret"}, {"weights": "int8"}, {"weights": "float16"}]
)
def test_a_file_with_other_samples_has_not_the_scores_of_the_run(
    form: dict[str, Any], run: Run, registry: Registry
) -> None:
    evaluated(run, REPORT)
    logged(run, 160, n=1000, coverage=0.4)
    assert scores_of(run, ABOUT, registry, Form(uint8=True))
    assert scores_of(run, ABOUT, registry, Form(**form)) == {}


def test_scores_without_a_number_are_none(run: Run, registry: Registry) -> None:
    evaluated(run, replace(REPORT, scores={"fed": math.nan, "kid": math.inf}))
    assert scores_of(run, ABOUT, registry) == {}


@pytest.mark.parametrize(
    ("written", "split", "name"),
    [
        ("held-out part of fashion-5k", "held-out", "fashion-5k"),
        ("training data of ganzoo/folder:/home/me/my faces", "training", "ganzoo/folder:my faces"),
    ],
)
def test_the_split_and_the_data_of_the_scores(
    written: str, split: str, name: str, run: Run, registry: Registry
) -> None:
    evaluated(run, replace(REPORT, protocol={**REPORT.protocol, "split": written}))
    about = {**ABOUT, "scores": scores_of(run, ABOUT, registry)}
    (result,) = index("title", "other", about)[0]["results"]
    assert result["dataset"]["name"] == name
    assert result["metrics"][0]["args"]["split"] == split


def test_a_bundle_with_smaller_weights_has_no_scores(tiny: Callable[..., Plan], tmp_path: Path) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter())
    evaluated(run, REPORT)
    bundle = ganzoo.export(run, tmp_path / "bundle", weights="int8")
    assert "scores" not in json.loads((bundle.path / "bundle.json").read_text())["about"]
    assert "model-index" not in (bundle.path / "README.md").read_text()


def test_the_hub_reads_the_scores_of_the_card(tiny: Callable[..., Plan], tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter())
    evaluated(run, REPORT)
    bundle = ganzoo.export(run, tmp_path / "bundle")
    listing = json.loads((bundle.path / "bundle.json").read_text())
    assert listing["about"]["scores"]["values"] == {"fed": 41.5, "coverage": 0.75}
    card = hub.ModelCard.load(bundle.path / "README.md")
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["fed"].metric_value == 41.5
    assert results["fed"].metric_args["n"] == 500
    assert results["fed"].task_type == "unconditional-image-generation"
    assert results["fed"].dataset_name == "folder:faces"  # not what it was trained on
    assert results["fed"].dataset_type == "folder-faces"
    card.data.license = "mit"  # as `ganzoo push` writes it
    again = hub.ModelCard(str(card))
    assert again.data.eval_results == card.data.eval_results
    assert "| fed ↓ | 41.5 |" in card.text
    assert "extractor EfficientNet-Lite0" in card.text
