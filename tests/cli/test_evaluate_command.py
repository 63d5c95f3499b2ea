"""`ganzoo evaluate` as a user meets it: threads, names of folders, notes, what is not ready, the image."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganzoo.config.plan import Plan
from ganzoo.errors import UsageError
from ganzoo.runs.lock import only_process
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.util import system
from ganzoo_extractors import classifier
from tests.helpers.evaluating import Said, few_images, ganzoo

Tiny = Callable[..., Plan]
EXPORTED = Path(__file__).parents[2] / "exported"
QUICK = ("--n", "60", "--no-reference")
FRECHET = (*QUICK, "--metric", "frechet")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def quick_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 20)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few_images(tmp_path_factory.mktemp("data") / "few", train=120, test=100)


@pytest.fixture(scope="module")
def run(tiny: Tiny, data: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = tiny("vanilla", **{"data.source": data})
    return start(plan, tmp_path_factory.mktemp("runs") / "run", NullReporter())[0]


# --- threads ----------------------------------------------------------------------------------------


def seen_threads(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """How many threads an evaluation finds, as torch and the libraries' variable say."""

    def evaluate(*_: Any) -> None:
        raise UsageError(f"found {torch.get_num_threads()} {os.environ.get('OMP_NUM_THREADS')}")

    monkeypatch.setattr("ganzoo.evaluation.evaluate.evaluate", evaluate)
    said = ganzoo("evaluate", EXPORTED / "dcgan", *arguments)
    return next(line for line in said.err.splitlines() if "found" in line).split()[-2:]


def test_threads_as_asked_and_as_the_machine_can_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(torch.get_num_threads())
    monkeypatch.setattr(system, "cores", lambda: 8)
    monkeypatch.setattr(system, "fair_share", lambda threads: threads // 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert seen_threads(monkeypatch, "--threads", "3") == ["3", "3"]
    assert seen_threads(monkeypatch) == [own, "5"]  # the user's own choice
    assert os.environ["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert seen_threads(monkeypatch) == ["4", "4"]
    assert "OMP_NUM_THREADS" not in os.environ
    assert str(torch.get_num_threads()) == own
    monkeypatch.setattr(system, "fair_share", lambda threads: threads)
    assert seen_threads(monkeypatch) == [own, "None"]  # a quiet machine


def test_other_processes_keep_their_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "cores", lambda: 8)
    assert system.fair_share(8, lambda: 0.0) == 8
    assert system.fair_share(8, lambda: 1.0) == 7
    assert system.fair_share(1, lambda: 1.0) == 1


def test_a_judge_s_lesson_is_announced(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    first, second = (ganzoo("evaluate", run.path, *QUICK, "--metric", "classes") for _ in range(2))
    assert "note: the classifier is trained on the data, once" in first.err
    assert "classifier is trained" not in second.err


# --- notes ------------------------------------------------------------------------------------------


def notes(*arguments: str | Path) -> list[str]:
    found: list[str] = ganzoo("evaluate", *arguments, "--json", "-o", "out").document["notes"]
    return found


def test_what_was_asked_for_and_does_not_apply_is_said(run: Run) -> None:
    found = notes(run.path, *FRECHET, "--metric", "cas", "--metric", "modes")
    assert "a metric was left out: 'cas' needs a generator that reads classes" in found
    assert "a metric was left out: 'modes' needs points" in found
    assert not any("left out" in note for note in notes(run.path, *QUICK))  # nobody asked for them


def test_too_few_samples_for_a_distance(run: Run) -> None:
    few = "fed is not reliable with 60 samples, fewer than its 320 features: use more"
    assert few in notes(run.path, *FRECHET)
    assert not any("is not reliable" in note for note in notes(run.path, *QUICK, "--metric", "prdc"))
    # 100 real samples: as many generated ones as anybody likes do not help.
    assert any("with 100 samples" in note for note in notes(run.path, *FRECHET, "--n", "400"))


def test_a_run_on_its_way(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    begun = Run.open(tmp_path / "run")
    begun.update(status="paused")
    assert any("not complete (status: paused)" in note for note in notes(begun.path, *FRECHET))
    assert not any("not complete" in note for note in notes(run.path, *FRECHET))
    begun.update(status="training")
    shutil.rmtree(begun.checkpoints)
    for which in ("newest", "best", "80"):
        with only_process(begun.path):
            said = ganzoo("evaluate", begun.path, *FRECHET, "--checkpoint", which)
        assert said.code == 2
        assert "This run has no checkpoint yet" in said.err
        assert "later" in said.err
    said = ganzoo("evaluate", begun.path, *FRECHET)  # it was killed
    assert "no valid checkpoint" in said.err


# --- folders ----------------------------------------------------------------------------------------


def test_a_folder_of_runs_or_bundles(run: Run) -> None:
    for folder, inside in ((run.path.parent, str(run.path)), (EXPORTED, str(EXPORTED / "dcgan"))):
        said = ganzoo("evaluate", folder)
        assert said.code == 2
        assert "holds runs or bundles" in said.err
        assert inside in said.err


def test_bundles_do_not_share_a_folder(data: str, tmp_path: Path) -> None:
    for name in ("a/dcgan", "b/dcgan"):
        shutil.copytree(EXPORTED / "dcgan", tmp_path / name)
    shutil.copy(EXPORTED / "vanilla" / "generator.onnx", tmp_path / "loose.onnx")

    def folder(source: str) -> str:
        document = ganzoo("evaluate", source, "--data", data, *FRECHET, "--json").document
        return Path(document["files"][0]).parent.name

    assert folder("a/dcgan") == "evaluation-dcgan"
    assert folder("b/dcgan") == "evaluation-dcgan-2"
    assert folder("a/dcgan/generator.onnx") == "evaluation-dcgan"
    assert folder("b/dcgan/generator.onnx") == "evaluation-dcgan-2"
    assert folder("loose.onnx") == "evaluation-loose.onnx"
    shutil.copy(tmp_path / "a/dcgan/generator.onnx", tmp_path / "a/dcgan/other.onnx")
    assert folder("a/dcgan/other.onnx") == "evaluation-dcgan-other"
    (tmp_path / "evaluation-dcgan" / "evaluation.json").write_text("torn")
    assert folder("a/dcgan") == "evaluation-dcgan"


# --- the image ------------------------------------------------------------------------------------


def test_the_image_says_what_it_shows(run: Run) -> None:
    said: Said = ganzoo("evaluate", run.path, *QUICK, "-o", "out")
    assert said.code == 0, said.err
    pixels = np.asarray(Image.open("out/nearest.png").convert("L"))
    height, width = 3 * (56 + 2) + 2, 20 * (56 + 2) + 2
    words, columns = pixels[: pixels.shape[0] - height], pixels[:, : pixels.shape[1] - width]
    for part in (words[:, columns.shape[1] :], *np.array_split(columns[len(words) :], 3)):
        assert (part < 128).any()
        assert (part > 128).mean() > 0.9
