"""The page of scores: rows that are measured again replace old ones, poor rows and all seeds are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import quality, quality_report
from ganzoo.api import RecipeSpec
from ganzoo.registry import load_registry


def row(
    recipe: str = "dcgan", seed: int = 0, fed: float = 40.0, suite: str = "fashion-5k"
) -> dict[str, object]:
    trial = quality.Trial(suite=suite, recipe=recipe)
    return {
        "trial": trial.name, "suite": suite, "recipe": recipe, "length": trial.length, "seed": seed,
        "images": 1000, "minutes": 0.5, "threads": 2, "machine": "a machine", "versions": "versions",
        "commit": "abc", "date": "2026-01-01", "load": 0.0, "n": 5000,
        "scores": {"fed": fed, "coverage": 0.5},
        "reference": {"real": {"n": 5000, "fed": 3.25, "coverage": 0.97}},
        "protocol": {
            "n_real": 5000, "split": "held-out part", "weights": "EMA", "seed": 0, "extractor": "network",
            "pictures": "64x64",
        },
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "quality.json")
    monkeypatch.setattr(quality_report, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(quality_report, "GRIDS", tmp_path / "results")
    return tmp_path / "results.md"


def test_seeds_are_shown_as_a_median_with_their_spread(page: Path) -> None:
    for seed, fed in enumerate((40.0, 35.5, 912.0)):
        quality.keep(row(seed=seed, fed=fed))
    quality_report.write(quality.read())
    text = page.read_text(encoding="utf-8")
    assert "40 (35.5 to 912)" in text
    assert "| real | 3.25 |" in text
    assert "FED is not FID" in text


def test_a_row_measured_again_replaces_the_old_one(page: Path) -> None:
    quality.keep(row(fed=40.0))
    quality.keep(row(recipe="cgan", fed=60.0))
    quality.keep(row(fed=30.0))
    assert sorted(old["scores"]["fed"] for old in quality.read()) == [30.0, 60.0]


def test_a_grid_stands_with_what_somebody_saw_in_it(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = page.parent / "seen.toml"
    seen.write_text('fashion-5k-dcgan = "Garments."\n', encoding="utf-8")
    monkeypatch.setattr(quality_report, "SEEN", seen)
    samples = page.parent / "run" / "samples"
    samples.mkdir(parents=True)
    for images in (100, 200):
        (samples / f"{images:012d}.png").write_bytes(str(images).encode())
    quality_report.keep_grid(page.parent / "run", "fashion-5k-dcgan")
    quality.keep(row())
    quality_report.write(quality.read())
    assert (page.parent / "results" / "fashion-5k-dcgan.png").read_bytes() == b"200"
    assert "(results/fashion-5k-dcgan.png)\n\nGarments." in page.read_text(encoding="utf-8")


def test_trials_are_of_recipes_that_there_are() -> None:
    known = {item.name for item in load_registry().of_kind(RecipeSpec)}
    rows = list(quality.trials(list(quality_report.TITLES), []))
    assert {trial.recipe for trial in rows} <= known
    assert len({trial.name for trial in rows}) == len(rows)
