"""The page of scores: rows that are measured again replace old ones, poor rows and all seeds are shown."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.quality import report, run, suite, suite_page
from benchmarks.quality.suite import state
from ganzoo.api import RecipeSpec
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry


def row(
    recipe: str = "dcgan", seed: int = 0, fed: float = 40.0, suite: str = "fashion-5k"
) -> dict[str, object]:
    trial = run.Trial(suite=suite, recipe=recipe)
    return {
        "trial": trial.name, "suite": suite, "recipe": recipe, "length": "its own", "seed": seed,
        "images": 1000, "minutes": 0.5, "threads": 2, "machine": "a machine", "versions": "versions",
        "commit": "abc", "date": "2026-01-01", "load": 0.0, "n": 5000,
        "scores": {"fed": fed, "coverage": 0.5},
        "reference": {"real": {"n": 5000, "fed": 3.25, "coverage": 0.97}},
        "protocol": {
            "n_real": 5000, "split": "held-out part", "weights": "EMA", "seed": 0, "extractor": "network",
            "preprocessing": "64x64",
        },
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "quality.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(report, "GRIDS", tmp_path / "results")
    return tmp_path / "results.md"


def test_seeds_are_shown_as_a_median_with_their_spread(page: Path) -> None:
    for seed, fed in enumerate((40.0, 35.5, 912.0)):
        run.keep(row(seed=seed, fed=fed))
    report.write(run.read())
    text = page.read_text(encoding="utf-8")
    assert "40 (35.5 to 912)" in text
    assert "| real | 3.25 |" in text
    assert "FED is not FID" in text


def test_a_row_measured_again_replaces_the_old_one(page: Path) -> None:
    run.keep(row(fed=40.0))
    run.keep(row(recipe="cgan", fed=60.0))
    run.keep(row(fed=30.0))
    assert sorted(old["scores"]["fed"] for old in run.read()) == [30.0, 60.0]


def test_rows_that_come_at_once_are_all_kept(page: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: run.keep(row(seed=seed)), range(40)))
    assert [old["seed"] for old in run.read()] == list(range(40))


class Commands(run.Bench):
    """A bench whose commands only leave what they would leave behind."""

    def _ganzoo(self, *words: str) -> str:
        if "--explain" in words:
            return json.dumps({"settings": [{"path": "train.images", "value": 1000}]})
        if words[0] == "train":
            run_dir = Path(words[words.index("--run-dir") + 1])
            if not run_dir.exists():
                (run_dir / "samples").mkdir(parents=True)
                (run_dir / "samples" / "000000001000.png").write_bytes(b"")
                versions = {"ganzoo": "0.1.0", "torch": "2.9.0", "numpy": "2.0", "python": "3.11.7"}
                record = {
                    "images": 1000,
                    "seconds": 90.0,
                    "threads": 3,
                    "parameters": {},
                    "versions": versions,
                }
                (run_dir / "run.json").write_text(json.dumps(record))
            return ""
        return json.dumps({name: row()[name] for name in ("n", "scores", "reference", "protocol")})


def test_scores_made_again_say_how_it_was_trained(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, said = run.Trial(suite="fashion-5k", recipe="dcgan"), []
    for commit, place, threads in (("old", "then", 3), ("new", "now", 1)):
        monkeypatch.setattr(run.machine, "commit", lambda commit=commit: commit)
        monkeypatch.setattr(run.machine, "describe", lambda place=place: place)
        Commands(page.parent / "work", {"fashion-5k": "fashion-5k"}, threads).run(trial, 0)
        said.append(run.read()[0])
    for name in ("commit", "machine", "date", "load", "threads", "versions", "minutes"):
        assert said[0][name] == said[1][name]
    assert (said[1]["commit"], said[1]["scored_by"], said[1]["machine"]) == ("old", "new", "then")
    assert (said[1]["threads"], said[1]["minutes"]) == (3, 1.5)
    assert said[1]["versions"] == "Python 3.11.7, ganzoo 0.1.0, torch 2.9.0, numpy 2.0"
    report.write(run.read())
    assert "commits old (scored by new)." in page.read_text(encoding="utf-8")
    # A run of which no row tells: nothing is made up.
    run.RESULTS.unlink()
    Commands(page.parent / "work", {"fashion-5k": "fashion-5k"}, 1).run(trial, 0)
    (found,) = run.read()
    assert (found["commit"], found["scored_by"]) == ("unknown", "new")


def test_settings_beside_the_recipe_s_own_are_shown(page: Path) -> None:
    run.keep({**row(), "settings": ["terms.r1.every=1"]})
    run.keep({**row(recipe="cgan"), "length": "long: 5/3 of its own"})
    report.write(run.read())
    text = page.read_text(encoding="utf-8")
    assert "| dcgan (terms.r1.every=1) |" in text
    assert "| cgan (long) |" in text


def test_a_grid_stands_with_what_somebody_saw_in_it(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = page.parent / "seen.toml"
    seen.write_text('fashion-5k-dcgan = "Garments."\n', encoding="utf-8")
    monkeypatch.setattr(report, "SEEN", seen)
    samples = page.parent / "run" / "samples"
    samples.mkdir(parents=True)
    for images in (100, 200):
        (samples / f"{images:012d}.png").write_bytes(str(images).encode())
    report.keep_grid(page.parent / "run", "fashion-5k-dcgan")
    run.keep(row())
    report.write(run.read())
    assert (page.parent / "results" / "fashion-5k-dcgan.png").read_bytes() == b"200"
    assert "(results/fashion-5k-dcgan.png)\n\nGarments." in page.read_text(encoding="utf-8")


def test_the_page_in_docs_is_made_from_the_kept_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = report.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", tmp_path / "results.md")
    report.write(run.read())
    assert report.PAGE.read_text(encoding="utf-8") == kept


def test_trials_are_of_recipes_that_there_are() -> None:
    known = {item.name for item in load_registry().of_kind(RecipeSpec)}
    rows = list(run.trials(list(report.TITLES), []))
    assert {trial.recipe for trial in rows} <= known
    for trial in rows:
        settings = dict(setting.split("=") for setting in trial.settings)
        plan = resolve(trial.recipe, load_registry(), overrides={k: int(v) for k, v in settings.items()})
        assert all(plan.terms[name.split(".")[1]].every == 1 for name in settings)
    assert len({trial.name for trial in rows}) == len(rows)


def test_a_place_on_this_machine_stays_here() -> None:
    text = '{"split": "held-out part of ganzoo/idx:/some/where/mnist"}'
    assert run.without_places(text, "idx:/some/where/mnist") == text.replace("/some/where/", "")
    assert run.without_places(text, "fashion-5k") == text


def log_of(auc: list[float], spread: list[float], gradient: float = 1.0) -> list[dict[str, Any]]:
    """A log of 10 lines for each number; `gradient` is the last norm of D's gradients, the first is 1."""
    count = len(auc)
    return [
        {
            "values": {
                "score_real": auc[at // 10],
                "score_fake": 0.5,
                "score_auc": auc[at // 10],
                "gradient_norm_generator": 1.0,
                "gradient_norm_discriminator": gradient if at >= 5 * count else 1.0,
            },
            **({"sample_spread": spread[at // 10]} if at % 10 == 0 else {}),
        }
        for at in range(10 * count)
    ]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (log_of([1, 0.9, 0.7, 0.6], [0.1, 0.5, 0.8, 0.9]), "alive"),
        (log_of([1, 0.6, 0.5, 0.51], [0.1, 0.5, 0.8, 0.9]), "alive"),  # a critic's scores have no scale
        (log_of([1, 0.6, 0.6, 0.6], [0.1, 0.5, 0.8, 0.9], gradient=0.001), "dead"),
        (log_of([1, 1, 1, 1], [0.1, 0.5, 0.8, 0.9], gradient=0.001), "dead"),
        (log_of([1, 0.5, 0.5, 0.5], [0.1, 0.5, 0.8, 0.9]), "dead"),  # all scores are equal
        (log_of([1, 0.5, 0.2, 0.2], [0.1, 0.8, 0.7, 0.65]), "inverted"),
        (log_of([1, 0.2, 0.3, 0.48], [0.1, 0.8, 0.8, 0.8]), "alive"),  # it came back
        (log_of([0.8, 0.9, 1, 1], [0.8, 0.7, 0.02, 0.002]), "collapsed"),  # white images are told at once
        (log_of([0.8, 0.9, 1, 1], [0.2, 0.2, 0.2, 0.2]), "collapsed"),
        (log_of([1, 1, 0.9, 1], [0.18, 0.11, 0.14, 0.21]), "young"),  # rpgan on photographs
    ],
)
def test_what_became_of_a_run(log: list[dict[str, Any]], expected: str) -> None:
    found = state(log)
    assert (found["state"], found["alive"]) == (expected, expected == "alive")
    assert found["gap"] == pytest.approx(log[-1]["values"]["score_auc"] - 0.5), "with its sign"
    assert found["spread"] == log[-10]["sample_spread"]


def test_rows_of_an_older_rule_are_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those whose run is still there: a later run of the same cell has the same folder."""
    monkeypatch.setattr(suite, "RESULTS", tmp_path / "suite.json")
    old = {
        "set": "flags", "side": 32, "recipe": "wgan-gp", "seed": 0, "settings": [], "images": 3000,
        "cpu_seconds": 10.0, "alive": True, "scores": {"fed": 600.0},
    }  # fmt: skip
    rows = [old, {**old, "images": 9600}, {**old, "seed": 1}, {**old, "settings": ["generator.lr=0.1"]}]
    suite.RESULTS.write_text(json.dumps(rows))
    run_dir = suite.run_folder(tmp_path, "wgan-gp", "flags", 32, 0)
    run_dir.mkdir(parents=True)
    (run_dir / "settings.toml").write_text("[train]\nimages = 3000\n[generator]\nlr = 0.01\n")
    lines = log_of([1, 0.5, 0.2, 0.2], [0.1, 0.8, 0.7, 0.65])
    (run_dir / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    said = CliRunner().invoke(suite.main, ["judge", "--work", str(tmp_path)], catch_exceptions=False).output
    judged, *others = json.loads(suite.RESULTS.read_text())
    assert (judged["state"], judged["alive"], judged["scores"]) == ("inverted", False, {"fed": 600.0})
    assert others == rows[1:]
    assert "no state -> inverted" in said
    assert "1 of 4 rows" in said


def test_the_page_says_what_became_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_page, "PAGE", tmp_path / "suite.md")
    base = {
        "set": "flags", "side": 32, "recipe": "dcgan", "settings": [], "images": 3000, "cpu_seconds": 9.0,
        "scores": {"fed": 9.0, "fed_lite2": 9.0, "coverage": 0.1, "kid": 1.0}, "commit": "a", "machine": "m",
    }  # fmt: skip
    logs = [
        log_of([1, 0.9, 0.7, 0.6], [0.1, 0.5, 0.8, 0.9]),
        log_of([1, 0.5, 0.2, 0.2], [0.1, 0.8, 0.7, 0.65]),
    ]
    suite_page.write([{**base, "seed": seed, **state(log)} for seed, log in enumerate(logs)], None)
    page = suite_page.PAGE.read_text()
    assert "1/2, 1 inverted" in page
    assert "`dcgan` on flags with seed 1 (inverted: AUC 0.20: D prefers generated samples)" in page


def test_recipes_with_labels_have_tables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite_page, "PAGE", tmp_path / "suite.md")
    base = {
        "set": "mnist", "side": 28, "settings": [], "images": 3000, "cpu_seconds": 9.0, "seed": 0,
        "alive": True, "scores": {}, "commit": "a", "machine": "m",
    }  # fmt: skip
    suite_page.write([{**base, "recipe": "dcgan"}, {**base, "recipe": "cgan"}], None)
    without, _, labelled = suite_page.PAGE.read_text().partition("## At 32x32 pixels, recipes with labels")
    assert "| `dcgan` | 1/1 |" in without
    assert "cgan` |" not in without.replace("`dcgan` |", "")
    assert "| `cgan` | 1/1 |" in labelled


def test_a_set_with_classes_keeps_their_folders(tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked" / "small"
    for name in ("p/units/elves/a.png", "p/units/elves/more/b.png", "p/units/trolls/c.png", "p/units/d.png"):
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(name.encode())
    wanted = suite.PictureSet(
        name="small", package="", archive="small-", path="units/", licence="", shows="", classes=True
    )
    assert suite.make(wanted, tmp_path / "small-1.tgz", tmp_path) == 3
    assert sorted(path.parent.name for path in (tmp_path / "small").rglob("*.png")) == [
        "elves",
        "elves",
        "trolls",
    ]
