"""The benchmark of anomalies: it writes the tables of its page, from what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganzoo
from benchmarks.anomalies import area_at, by_nearest, records, scored, table
from ganzoo_datasets.fashion import CLASSES

PAGE = Path(__file__).parents[2] / "docs" / "kinds" / "anomalies.md"


def test_the_page_shows_what_the_script_writes() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    lines = [*table(records()).splitlines(), *by_nearest(records()).splitlines()]
    assert len(lines) == 13 + 6
    assert [line for line in lines if line not in page] == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # notes of a run of 64 images
def test_other_shares_of_the_nearest_image_are_of_the_same_networks(tmp_path: Path) -> None:
    settings = {
        "train.device": "cpu", "train.batch_size": 32, "architecture.generator_width": 4,
        "architecture.discriminator_width": 4, "data.without": ["Bag"],
    }  # fmt: skip
    run = ganzoo.train("f-anogan", images=64, settings=settings, run_dir=tmp_path / "run")
    found = scored(run, tmp_path / "bundle").scores["auc"]
    assert area_at(run, 0.5, tmp_path / "same") == found  # the share of the recipe
    assert area_at(run, 0.0, tmp_path / "residuals") != found


def test_a_row_has_the_score_of_residuals_beside_the_other() -> None:
    row = {"auc": 0.9, "auc_of_residuals": 0.8, "detected_95": 0.5, "false_alarms_95": 0.04}
    lines = table({"only Bag": row}).splitlines()
    assert lines[10].startswith("| Bag | 0.900 | 0.800 | 50 % | 4.0 % |")
    assert set(lines[-1]) <= set("| *mean")  # no mean of one class
    short = {f"only {name} 512": {"auc_by_nearest": [0.5] * 5} for name in CLASSES}
    assert "| all ten garments, each alone | 0.500 |" in by_nearest(short, 512)
