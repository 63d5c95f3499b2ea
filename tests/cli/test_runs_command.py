"""`ganzoo runs`: the scores of an evaluation are shown, and sorted by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganzoo.runs.run import Run
from tests.helpers.evaluating import ganzoo

RECORD = {
    "command": [],
    "seed": 0,
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "versions": {},
    "plugins": [],
    "data": {"count": 10, "fingerprint": "", "fields": []},
    "parameters": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs without scores."""
    for name in ("first", "second"):
        run = Run.create(tmp_path / "runs" / name, "dcgan", RECORD, {"train": {}})
        run.update(status="done")
    return tmp_path / "runs"


def evaluated(run: Path, **scores: float | None) -> None:
    (run / "evaluation").mkdir()
    better = {"precision": "higher", "fed": "lower"}
    report = {"scores": scores, "better": better, "protocol": {}}
    (run / "evaluation" / "evaluation.json").write_text(json.dumps(report))


def test_scores_of_an_evaluation_are_shown_and_sorted_by(folder: Path) -> None:
    evaluated(folder / "first", precision=0.7, fed=0.31, n=500)
    evaluated(folder / "second", precision=0.5, fed=0.22, n=500)
    shown = ganzoo("runs", folder, "--sort", "score")
    assert "fed 0.31" in shown.out
    assert shown.out.index("fed 0.22") < shown.out.index("fed 0.31")
    assert "no run has a score" not in shown.err
    (best, _) = ganzoo("runs", folder, "--sort", "score", "--json").document["runs"]
    assert best["evaluation"]["scores"] == {"precision": 0.5, "fed": 0.22, "n": 500}


def test_without_any_score_sorting_says_so(folder: Path) -> None:
    evaluated(folder / "first", fed=None)  # infinite
    (folder / "second" / "evaluation").mkdir()
    (folder / "second" / "evaluation" / "evaluation.json").write_text("[]")
    shown = ganzoo("runs", folder, "--sort", "score")
    assert shown.code == 0
    assert "no run has a score: ganzoo evaluate RUN" in shown.err
    assert "note" not in ganzoo("runs", folder).err
