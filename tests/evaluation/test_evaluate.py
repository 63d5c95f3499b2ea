"""`ganzoo evaluate`: scores of runs and bundles with their protocol, and reference rows beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo import train
from ganzoo.config.plan import Plan
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.metrics import Scorer
from ganzoo.evaluation.report import conclusions
from ganzoo.exporting.form import Form
from ganzoo.exporting.from_run import export_run
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_datasets import fashion
from ganzoo_extractors import classifier
from ganzoo_extractors.weights import LITE0
from tests.helpers.evaluating import few_images, ganzoo
from tests.meta.test_deploy import BLOCKED

ROOT = Path(__file__).parents[2]
PRDC = {"precision", "recall", "density", "coverage"}
ROWS = ["real", "blurred", "noisy", "few_classes", "repeated"]
Tiny = Callable[..., Plan]


@pytest.fixture(scope="module", autouse=True)
def quick_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 20)
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few_images(tmp_path_factory.mktemp("data") / "few")


@pytest.fixture(scope="module")
def run(tiny: Tiny, data: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An MLP whose averaged weights lag behind, with three checkpoints of which an early one is the best."""
    settings = {
        "data.source": data,
        "generator.lr": 0.02,
        "ema.ramp": 9.0,
        "ema.half_life": 100,
        "train.checkpoint_every": 80,
        "train.keep_best": "min:loss_discriminator",
    }
    return start(tiny("vanilla", **settings), tmp_path_factory.mktemp("runs") / "run", NullReporter())[0]


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, tmp_path_factory.mktemp("bundles") / "bundle").path


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The document of a whole evaluation, and the folder that was written."""
    folder = tmp_path_factory.mktemp("whole")
    return ganzoo("evaluate", run.path, "--n", "200", "--json", "-o", folder).document, folder


def scored(source: Path, *arguments: str | Path) -> dict[str, Any]:
    quick = ("--n", "200", "--no-reference", "--json", "-o", "out")
    return ganzoo("evaluate", source, *quick, *arguments).document


# --- the document -----------------------------------------------------------------------------------


def test_a_document_says_under_which_protocol(whole: tuple[dict[str, Any], Path], data: str) -> None:
    document, _ = whole
    protocol = document["protocol"]
    assert document["n"] == protocol["n"] == protocol["n_real"] == 200
    assert protocol["split"].startswith("held-out part of")
    assert protocol["split"].endswith(data)
    assert f"sha256:{LITE0.sha256}" in protocol["extractor"]
    assert "64x64 bicubic" in protocol["preprocessing"]
    assert "standard deviation" in protocol["scale"]
    assert (protocol["weights"], protocol["images"], protocol["recipe"]) == ("EMA", 160, "vanilla")
    assert (protocol["seed"], protocol["truncation"]) == (0, "none")
    assert 0 < protocol["classifier_accuracy"] <= 1
    assert protocol["classifier"].startswith("3 convolutions")
    assert len(protocol["fingerprint"]) == 64


def test_a_document_has_scores_and_reference_rows(whole: tuple[dict[str, Any], Path]) -> None:
    document, _ = whole
    scores, reference = document["scores"], document["reference"]
    classifier_used = {"modes", "reverse_kl", "classifier_score"}
    assert scores.keys() == PRDC | classifier_used | {"fed", "kid", "memorisation", "copied"}
    assert document["better"].keys() >= scores.keys()
    assert list(reference) == ROWS
    for name, row in reference.items():
        assert row["n"] == 200 if name != "few_classes" else 80 < row["n"] < 120
        # Classes are not asked of a generator without labels, but known of real samples.
        assert PRDC | classifier_used | {"fed", "kid", "label_accuracy"} <= row.keys()
    real, *worse = reference.values()
    assert all(row["fed"] > real["fed"] for row in (*worse, scores))
    assert reference["repeated"]["coverage"] < real["coverage"]
    assert reference["few_classes"]["reverse_kl"] > real["reverse_kl"]


def test_what_is_written_beside_the_document(whole: tuple[dict[str, Any], Path]) -> None:
    document, folder = whole
    files = [str(folder / "evaluation.json"), str(folder / "nearest.png")]
    assert document == {**json.loads((folder / "evaluation.json").read_text()), "files": files}
    assert (folder / "nearest.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_for_people(run: Run, whole: tuple[dict[str, Any], Path]) -> None:
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    said = ganzoo("evaluate", run.path, "--n", "200")
    assert said.code == 0, said.err
    for text in (
        "these samples",
        "few classes",
        "fed ↓",
        "coverage ↑",
        "n: 200",
        LITE0.sha256,
        "weights: EMA",
    ):
        assert text in said.out
    assert "collapsed, or not realistic at all" in said.out
    assert "memorisation check" not in said.out  # it would pass, and mean nothing
    assert "held-out" in said.out
    # Without -o it goes into the run, of which nothing else is touched.
    new = [file for file in run.path.rglob("*") if file.is_file() and file not in before]
    assert sorted(file.name for file in new) == ["evaluation.json", "nearest.png"]
    assert all(file.read_bytes() == content for file, content in before.items())
    shutil.rmtree(run.path / "evaluation")


def test_scores_repeat_and_depend_on_the_seed(run: Run, whole: tuple[dict[str, Any], Path]) -> None:
    again, other = scored(run.path), scored(run.path, "--seed", "1")
    assert again["scores"] == whole[0]["scores"]
    assert again["reference"] == {}
    assert other["protocol"]["seed"] == 1
    assert other["scores"]["fed"] != again["scores"]["fed"]


# --- what is evaluated ------------------------------------------------------------------------------


def test_a_run_and_its_bundles_have_the_same_scores(
    run: Run, bundle: Path, data: str, whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    small = export_run(run, tmp_path / "pixels", form=Form(uint8=True)).path
    expected = whole[0]["scores"]
    for path in (bundle, small):
        document = scored(path, "--data", data)
        assert document["scores"] == pytest.approx(expected, rel=0.02, abs=0.01)
        known = {"file": "generator.onnx", "split": f"held-out part of {data}"}
        assert document["protocol"] == whole[0]["protocol"] | known


def test_a_bundle_writes_into_the_folder_where_one_stands(bundle: Path, data: str, tmp_path: Path) -> None:
    inside = sorted(file.name for file in bundle.iterdir())
    arguments = ("--data", data, "--n", "60", "--metric", "frechet", "--no-reference")
    assert ganzoo("evaluate", bundle, *arguments).code == 0
    assert (tmp_path / "evaluation-bundle" / "evaluation.json").is_file()
    assert sorted(file.name for file in bundle.iterdir()) == inside


def test_which_weights(run: Run) -> None:
    averaged, raw = (scored(run.path, "--metric", "frechet", *more) for more in ((), ("--raw",)))
    assert raw["protocol"]["weights"] == "raw"
    assert raw["scores"]["fed"] != averaged["scores"]["fed"]
    assert averaged["protocol"]["images"] == 160
    first = scored(run.path, "--metric", "frechet", "--checkpoint", "80")
    assert first["protocol"]["images"] == 80
    assert first["scores"]["fed"] != averaged["scores"]["fed"]
    best = scored(run.path, "--metric", "frechet", "--checkpoint", "best")
    losses = {line["images"]: line["values"]["loss_discriminator"] for line in run.log()}
    assert best["protocol"]["images"] == min((80, 160), key=losses.__getitem__)


def test_only_the_metrics_that_were_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any) -> None:
        raise AssertionError("nobody asked for a classifier")

    monkeypatch.setattr(classifier, "STEPS", 21)  # none of those is kept
    monkeypatch.setattr(classifier.SmallClassifier, "fit", fit)
    document = scored(run.path, "--metric", "prdc", "--metric", "kid")
    assert document["scores"].keys() == PRDC | {"kid"}
    assert "classifier" not in document["protocol"]


def test_another_extractor(run: Run) -> None:
    found = scored(run.path, "--metric", "frechet", "--extractor", "efficientnet-lite0-mid")
    assert found["scores"].keys() == {"fed_mid"}
    found = scored(run.path, "--metric", "frechet", "--extractor", "classifier")
    assert found["scores"].keys() == {"frechet_classifier"}
    assert found["protocol"]["extractor"] == found["protocol"]["classifier"]


def test_bundles_without_torch(own_cache: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", str(ROOT / "exported" / "dcgan"), "--n", "60", "--json"]
    arguments += ["--metric", "frechet", "--metric", "prdc", "-o", str(tmp_path / "out")]
    code = BLOCKED.format(blocked={"torch", "onnxscript", "safetensors"}, arguments=arguments)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["scores"].keys() == PRDC | {"fed"}
    assert list(document["reference"]) == ROWS
    assert document["reference"]["real"]["fed"] < document["reference"]["blurred"]["fed"]


# --- what it is compared with -----------------------------------------------------------------------


def test_reference_rows_are_kept(
    run: Run, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(own_cache, tmp_path / "cache")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "references"
    if folder.exists():
        shutil.rmtree(folder)

    def rows(n: int = 30) -> dict[str, Any]:
        only = ("--metric", "frechet", "--metric", "prdc")
        document = ganzoo("evaluate", run.path, "--n", str(n), *only, "--json", "-o", "out").document
        assert document["better"]["fed"] == "lower"
        return document["reference"]

    first = rows()
    (file,) = folder.iterdir()
    content = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("ganzoo.evaluation.baselines.corrupted", lambda *_: pytest.fail("they were made again"))
        assert rows() == first
    for damage in (content[:40], b'{"rows": {"real": {"n": "many"}}, "better": {}}'):
        file.write_bytes(damage)
        assert rows() == first
    assert file.read_bytes() == content
    assert rows(20)["real"]["fed"] != first["real"]["fed"]
    assert len(list(folder.iterdir())) == 2


def test_a_damaged_cache_of_features_changes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    only = ("--n", "40", "--metric", "frechet")
    first = scored(run.path, *only)["scores"]
    (file,) = (tmp_path / "cache" / "features").iterdir()
    content = file.read_bytes()
    middle = len(content) // 2
    for damage in (
        content[:-9],
        b"",
        bytes(len(content)),
        content[:middle] + bytes(99) + content[middle + 99 :],
    ):
        file.write_bytes(damage)
        assert scored(run.path, *only)["scores"] == first
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file"))
    assert scored(run.path, *only)["scores"] == first


def test_data_without_a_held_out_part(tiny: Tiny, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 12, 12), np.uint8)
    np.save(tmp_path / "own.npy", pixels)
    plan = tiny("vanilla", **{"data.source": f"npy:{tmp_path / 'own.npy'}"})
    run = start(plan, tmp_path / "run", NullReporter())[0]
    document = ganzoo("evaluate", run.path, "--n", "120", "--json").document
    assert document["protocol"]["split"].startswith("training data of")
    assert any("no held-out part" in note and "rewards copies" in note for note in document["notes"])
    assert document["scores"].keys() == PRDC | {"fed", "kid"}  # nothing of copies, nothing of classes
    assert list(document["reference"]) == ["real", "blurred", "noisy", "repeated"]
    real, repeated = (document["reference"][name] for name in ("real", "repeated"))
    assert real["n"] == 60  # one half of the data against the other
    assert repeated["coverage"] < real["coverage"]  # few of so few
    assert [Path(file).name for file in document["files"]] == ["evaluation.json"]


def test_against_the_training_data_as_papers_do(run: Run) -> None:
    document = scored(run.path, "--against", "training", "--metric", "frechet")
    assert document["protocol"]["split"].startswith("training data of")
    assert any("as requested" in note and "rewards copies" in note for note in document["notes"])
    assert document["scores"]["fed"] != scored(run.path, "--metric", "frechet")["scores"]["fed"]
    said = ganzoo("evaluate", run.path, "--n", "20", "--against", "training", "--metric", "memorisation")
    assert said.code == 2
    assert "None of the metrics applies" in said.err


def test_all_real_samples_whatever_the_number_of_generated_ones(run: Run) -> None:
    """As `fid50k_full`: so many samples against the whole training set."""
    only = ("--against", "training", "--metric", "frechet")
    every = scored(run.path, *only, "--n-real", "all")
    assert (every["n"], every["protocol"]["n_real"]) == (200, 300)
    assert not any("only" in note for note in every["notes"])
    some = scored(run.path, *only, "--n-real", "50")
    assert (some["n"], some["protocol"]["n_real"]) == (200, 50)
    usual = scored(run.path, *only)
    assert usual["protocol"]["n_real"] == 200
    assert len({document["scores"]["fed"] for document in (every, some, usual)}) == 3
    # Of held-out samples, more than there are.
    more = scored(run.path, "--metric", "frechet", "--n-real", "1000")
    assert more["protocol"]["n_real"] == 250
    assert any("only 250 real samples" in note for note in more["notes"])
    for wrong in ("9", "none", "-1"):
        said = ganzoo("evaluate", run.path, "--n-real", wrong)
        assert said.code == 2
        assert "neither 'all' nor a number of at least 10" in said.err


def test_no_image_of_an_earlier_evaluation_stays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "nearest.png").write_bytes(b"old")
    document = scored(run.path, "--metric", "frechet")
    assert [Path(file).name for file in document["files"]] == ["evaluation.json"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["evaluation.json"]


def test_more_samples_than_there_are_real_ones(run: Run) -> None:
    document = scored(run.path, "--n", "260", "--metric", "frechet")
    assert (document["n"], document["protocol"]["n_real"]) == (260, 250)
    assert any("only 250 real samples" in note for note in document["notes"])


def test_other_data_than_it_was_trained_on(run: Run, data: str, tmp_path: Path) -> None:
    other = few_images(tmp_path / "other", train=200)
    document = scored(run.path, "--data", other, "--metric", "frechet")
    assert document["protocol"]["split"].endswith(other)
    assert not any("the training data has changed" in note for note in document["notes"])
    # The files were changed since: what is said of copies does not hold.
    folder, kept = Path(data.partition(":")[2]), tmp_path / "kept"
    shutil.copytree(folder, kept)
    try:
        few_images(folder, train=200)
        notes = scored(run.path, "--metric", "frechet")["notes"]
        assert any("the training data has changed" in note for note in notes)
    finally:
        shutil.copytree(kept, folder, dirs_exist_ok=True)


# --- what is no image; classes that are asked for -------------------------------------------------


@pytest.mark.parametrize(("toy", "modes"), [("ring", 8), ("grid", 25)])
def test_points_need_no_extractor(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: str, modes: int
) -> None:
    def unwanted(*_: Any) -> None:
        raise AssertionError("points are looked at without a network")

    monkeypatch.setattr("ganzoo_extractors.efficientnet.EfficientNet", unwanted)
    monkeypatch.setattr(classifier, "SmallClassifier", unwanted)
    run = start(tiny("vanilla", **{"data.source": f"toy:{toy}"}), tmp_path / "run", NullReporter())[0]
    document = ganzoo("evaluate", run.path, "--n", "300", "--json").document
    assert document["protocol"]["extractor"] == "the values themselves"
    scores, real = document["scores"], document["reference"]["real"]
    assert {"frechet", "quality", "modes", "column_distance", "memorisation"} | PRDC <= scores.keys()
    assert real["quality"] > 0.95
    assert real["modes"] == modes
    assert scores["quality"] < real["quality"]
    assert scores["column_distance"] > real["column_distance"]
    assert list(document["reference"]) == ["real", "noisy", "few_classes", "repeated"]
    assert document["reference"]["few_classes"]["modes"] == modes // 2


def test_a_conditional_generator_is_asked_for_classes(tiny: Tiny, data: str, tmp_path: Path) -> None:
    run = start(tiny("cgan", **{"data.source": data}), tmp_path / "run", NullReporter())[0]
    scores = ganzoo("evaluate", run.path, "--n", "100", "--json", "--no-reference").document["scores"]
    assert 0 <= scores["label_accuracy"] <= 1
    assert 0 <= scores["cas"] <= 1


def test_other_data_with_fewer_classes_is_compared_by_their_names(
    tiny: Tiny, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(tiny("cgan", **{"data.source": data}), tmp_path / "run", NullReporter())[0]
    images = fashion.open_held_out().arrays
    for name in ("3", "7"):
        (tmp_path / "fewer" / name).mkdir(parents=True)
        for at in np.flatnonzero(images["label"] == int(name))[:20]:
            Image.fromarray(images["image"][at, 0]).save(tmp_path / "fewer" / name / f"{at}.png")
    seen: list[Comparison] = []
    monkeypatch.setattr(Scorer, "scores", lambda _, comparison, **__: seen.append(comparison) or {"fed": 1.0})
    asked = ("--n", "30", "--json", "--no-reference", "-o", tmp_path / "out")
    ganzoo("evaluate", run.path, "--data", f"folder:{tmp_path / 'fewer'}", *asked)
    for samples in (seen[0].fake, seen[0].real):
        assert samples.labels is not None
        assert set(samples.labels.ravel()) == {3, 7}


def test_what_the_scores_say_in_words() -> None:
    rows = {"repeated": {"coverage": 0.6}, "few_classes": {"modes": 5}, "real": {"modes": 10}}
    good = {"coverage": 0.9, "density": 1.0, "modes": 10, "memorisation": 1.0, "copied": 0.0}
    (said,) = conclusions(good, rows)
    assert said.startswith("memorisation check passed")
    copies = conclusions(good | {"memorisation": 0.1, "copied": 0.8}, rows)
    assert "FAILED" in copies[-1]
    assert "80.0%" in copies[-1]
    four, five = ({"memorisation": 1.0, "copied": count / 81} for count in (4, 5))
    assert "undecided" in conclusions(four, {}, 81)[-1]  # so many more on one side happen by chance
    assert "passed" in conclusions({"memorisation": 1.0, "copied": 0.0}, {}, 81)[-1]
    assert "FAILED" in conclusions(five, {}, 81)[-1]
    assert "FAILED" in conclusions({"memorisation": 1.0, "copied": 0.011}, {}, 10_000)[-1]
    rows["real"] = {"modes": 10, "coverage": 0.97}
    assert conclusions(good, rows)[0] == "the samples cover 90% of the real ones; other real ones cover 97%"
    collapsed = good | {"coverage": 0.1, "modes": 4}
    plain, repeated, dense, modes = conclusions(collapsed, rows)
    assert "cover 10% of the real ones" in plain
    assert "a few repeated real samples cover more, 60%" in repeated
    assert "mode collapse" in dense
    assert "4 of 10 (half of the classes)" in modes
    assert "FAILED" in conclusions(collapsed | {"copied": 0.8}, rows)[-1]
    assert conclusions({"fed": 3.0}, {}) == []


def test_a_bundle_whose_data_is_elsewhere_now(bundle: Path, run: Run, data: str) -> None:
    folder = Path(data.partition(":")[2])
    away = folder.rename(folder.with_name("away"))
    try:
        for source in (bundle, run.path):
            said = ganzoo("evaluate", source, "--n", "20")
            assert said.code == 3
            assert "path does not exist" in said.err
            assert f"ganzoo evaluate {source} --data ganzoo/idx:/PATH/TO/few" in said.err
            assert "Traceback" not in said.err
        assert scored(bundle, "--data", f"idx:{away}", "--metric", "frechet")["n"] == 200
    finally:
        away.rename(folder)


def test_other_data_in_the_place_of_a_bundle_s_is_not_taken_for_it(
    bundle: Path, data: str, tmp_path: Path
) -> None:
    """A bundle knows the last part of the path only, and something of that name is here by chance."""
    few_images(tmp_path / "few", train=200)
    said = ganzoo("evaluate", bundle, "--n", "20")
    assert said.code == 3
    assert "'ganzoo/idx:few' of this folder is not the data that the bundle was trained on" in said.err
    assert f"ganzoo evaluate {bundle} --data ganzoo/idx:/PATH/TO/few" in said.err
    assert "--data ganzoo/idx:few to compare with this one" in said.err
    for source, note in (("idx:few", True), (data, False)):
        notes = scored(bundle, "--data", source, "--metric", "frechet")["notes"]
        assert any("trained on other data" in text for text in notes) is note
    shutil.rmtree(tmp_path / "few")
    shutil.copytree(data.partition(":")[2], tmp_path / "few")
    assert scored(bundle, "--metric", "frechet")["protocol"]["split"] == "held-out part of ganzoo/idx:few"


def test_data_without_the_class_of_a_generator_names_it_and_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of a bundle has not typed `data.only`: its message says whose it is."""
    for folder, classes in (("there", ("cat", "dog")), ("here", ("dog", "owl"))):
        for name in classes:
            (tmp_path / folder / "few" / name).mkdir(parents=True)
            for at in range(16):
                Image.new("RGB", (16, 16), (at, 0, len(name))).save(
                    tmp_path / folder / "few" / name / f"{at}.png"
                )
    settings = {"train.images": 16, "train.batch_size": 8, "train.device": "cpu", "data.only": ["cat"]}
    run = train("dcgan", data=f"folder:{tmp_path / 'there' / 'few'}", settings=settings,
                       run_dir=tmp_path / "run")  # fmt: skip
    bundle = export_run(run, tmp_path / "bundle").path
    monkeypatch.chdir(tmp_path / "here")
    said = ganzoo("evaluate", bundle, "--n", "16")
    assert said.code == 3
    found = " ".join(said.err.split())
    assert (
        "not the data that the bundle was trained on: it has no class 'cat', its classes are: dog, owl."
        in found
    )
    assert "data.only, data.without" not in found
    for source in (run.path, bundle):
        said = ganzoo("evaluate", source, "--n", "16", "--data", f"folder:{tmp_path / 'here' / 'few'}")
        assert said.code == 3
        assert "where: folder:" in said.err
        assert "the generator was trained with data.only=cat" in " ".join(said.err.split())
