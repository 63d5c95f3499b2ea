"""What generated samples are compared with: equally many, of data that they know, and only what is needed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import PIXELS, ArraySource, DataError, DatasetSpec, Field
from ganzoo.config.plan import Choice, Plan
from ganzoo.data.dataset import Dataset, open_source
from ganzoo.data.open_data import open_dataset
from ganzoo.errors import UsageError
from ganzoo.evaluation import comparison as comparison_module
from ganzoo.evaluation.baselines import reference_rows
from ganzoo.evaluation.comparison import EXTRACTOR, Comparison, feature_space_of, reference_samples
from ganzoo.evaluation.corruptions import corrupted
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.metrics import Scorer, chosen_metrics
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.samples import Sampled
from ganzoo.exporting.from_run import export_run
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.util.cache import cache_folder
from ganzoo_extractors import classifier
from ganzoo_extractors.efficientnet import EfficientNet
from ganzoo_media.image import NOISE
from tests.helpers.evaluating import few_images, ganzoo
from tests.plugins.test_datasets import write_idx

Tiny = Callable[..., Plan]
POINT = Field(name="point", shape=(2,), kind="points")
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image", axes=PIXELS)
LABEL = Field(name="label", dtype="int64", classes=("a", "b", "c", "d"))


@pytest.fixture(scope="module", autouse=True)
def quick_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 20)
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds nothing yet."""
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few_images(tmp_path_factory.mktemp("data") / "few", train=120, test=100)


@pytest.fixture(scope="module")
def run(tiny: Tiny, data: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = tiny("vanilla", **{"data.source": data})
    return start(plan, tmp_path_factory.mktemp("runs") / "run", NullReporter())[0]


@pytest.fixture(scope="module")
def conditioned(tiny: Tiny, data: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose generator is asked for classes."""
    plan = tiny("cgan", **{"data.source": data})
    return start(plan, tmp_path_factory.mktemp("runs") / "asked", NullReporter())[0]


def scored(source: Path, *arguments: str | Path) -> dict[str, Any]:
    return ganzoo("evaluate", source, "--n", "60", "--json", "-o", "out", *arguments).document


KINDS = Kinds(load_registry())


def store_of(fields: dict[Field, Any]) -> Dataset:
    arrays = {field.name: array for field, array in fields.items()}
    return open_source(ArraySource(fields=tuple(fields), arrays=arrays))


def reals_of(fields: dict[Field, Any], field: Field, *, held_out: bool = False) -> RealData:
    dataset = store_of(fields)
    label = next((one for one in fields if one.dtype == "int64"), None)
    parts = {"dataset": dataset, "training": dataset, "test": dataset}
    return RealData(
        field=field,
        label=label,
        held_out=held_out,
        stacked=False,
        name="these",
        media=KINDS.of(field.kind),
        kinds=KINDS,
        **parts,
    )


def points(*sizes: int) -> list[Any]:
    return [
        np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32) for seed, n in enumerate(sizes)
    ]


def values_themselves() -> FeatureSpace:
    return FeatureSpace(None, None, None, None, stacked=False)


def pixels(n: int, side: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, 1, side, side), np.uint8)


# --- training samples beside the held-out ones ------------------------------------------------------


def test_nothing_is_said_of_copies_of_what_it_never_saw(run: Run, data: str, tmp_path: Path) -> None:
    known = scored(run.path, "--no-reference")
    assert {"memorisation", "copied"} <= known["scores"].keys()
    assert any("memorisation check" in note for note in known["notes"])
    assert len(known["files"]) == 2
    other = few_images(tmp_path / "other", train=110, test=100)
    document = scored(run.path, "--data", other)
    assert not {"memorisation", "copied"} & document["scores"].keys()
    assert not any("memorisation check" in note for note in document["notes"])
    assert any("trained on other data" in note for note in document["notes"])
    assert [Path(file).name for file in document["files"]] == ["evaluation.json"]
    assert {"real", "repeated"} <= document["reference"].keys()
    said = ganzoo("evaluate", run.path, "--n", "60", "--data", other, "--metric", "memorisation")
    assert said.code == 2
    # The same images at another place are what it learned from.
    same = few_images(tmp_path / "same", train=120, test=100)
    assert scored(run.path, "--data", same, "--no-reference")["scores"] == known["scores"]


def test_copies_are_looked_for_among_equally_many() -> None:
    """Among ten times as many held-out ones the nearest is nearer: copying would look rarer than it is."""
    training, held_out, fresh = points(40, 400, 300)
    feature_space = values_themselves()
    real = Sampled(feature_space, held_out, real=None)
    comparison = Comparison(
        feature_space,
        Sampled(feature_space, fresh, real=real),
        real,
        Sampled(feature_space, training, real=real),
        0,
        field=POINT,
    )
    assert comparison.neighbours is not None
    ours, others, ratio = comparison.neighbours
    assert max(ours.max(), others.max()) < 40
    assert np.median(ratio) == pytest.approx(1, abs=0.1)


def test_features_do_not_depend_on_which_are_asked_for_first() -> None:
    wide, narrow = points(50, 30)
    feature_space = values_themselves()
    real = Sampled(feature_space, 4 * wide, real=None)
    fake = Sampled(feature_space, narrow, real=real)
    np.testing.assert_allclose(fake.features, narrow / (4 * wide.std(0)), rtol=1e-5)
    part = real.subset(slice(5))  # in the measure of all of them
    np.testing.assert_array_equal(part.features, real.features[:5])
    np.testing.assert_array_equal(part.changed(narrow).features, fake.features)


def test_a_metric_of_generated_samples_alone_has_no_columns(run: Run) -> None:
    document = scored(run.path, "--metric", "memorisation")
    assert document["scores"].keys() == {"memorisation", "copied"}
    assert document["reference"] == {}


# --- data that it was not trained on ----------------------------------------------------------------


def images_in(folder: Path, seed: int, n: int = 30) -> str:
    """Two sub-folders of n images of 16x16, which become labels."""
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(pixels(n, 16, seed)[:, 0] // 2):
            shown = image + 128 * (name == "light")
            Image.fromarray(shown.astype(np.uint8)).save(folder / name / f"{number}.png")
    return f"folder:{folder}"


def test_other_data_of_the_same_kind_is_opened_in_the_same_way(tiny: Tiny, tmp_path: Path) -> None:
    options = {"data.source": images_in(tmp_path / "own", 0), "data.height": 12, "data.width": 12}
    run = start(tiny("vanilla", **options), tmp_path / "run", NullReporter())[0]
    other = images_in(tmp_path / "other", 1)
    bundle = export_run(run, tmp_path / "bundle").path
    for source in (run.path, bundle):
        document = scored(source, "--data", other, "--no-reference")
        assert document["n"] == 60
        assert any("no held-out part: the classifier learned from four" in note for note in document["notes"])
    held_out = few_images(tmp_path / "few", train=60, test=60)
    assert ganzoo("evaluate", run.path, "--data", held_out).code == 3  # 28x28: the options were another's


def test_without_a_held_out_part_the_classifier_is_tested_on_what_it_did_not_learn(tmp_path: Path) -> None:
    registry = load_registry()
    kinds, source = Kinds(registry), images_in(tmp_path / "own", 0)
    choice = Choice(registry.find(DatasetSpec, "folder"), None)
    opened = open_dataset(choice, source, kinds)
    data = RealData.open(choice, source, opened.info.field("image"), kinds, training=opened)
    given = data.classifier_data(lambda _: None)
    assert (len(given.pixels), len(given.test_pixels)) == (48, 12)
    learned, tested = ({image.tobytes() for image in part} for part in (given.pixels, given.test_pixels))
    assert not learned & tested


def test_more_classes_than_it_knows(conditioned: Run, data: str, tmp_path: Path) -> None:
    more = few_images(tmp_path / "more", train=120, test=100)
    write_idx(tmp_path / "more" / "train-labels-idx1-ubyte", np.arange(120, dtype=np.uint8) % 12)
    write_idx(tmp_path / "more" / "t10k-labels-idx1-ubyte", np.arange(100, dtype=np.uint8) % 12)
    bundle = export_run(conditioned, tmp_path / "bundle").path
    for source in (conditioned.path, bundle):
        said = ganzoo("evaluate", source, "--data", more, "--n", "60")
        assert said.code == 3
        assert "does not know the class '10' of this data" in said.err
        assert "data whose classes have these names: 0, 1, 2" in said.err
    assert "label_accuracy" in scored(bundle, "--data", data, "--metric", "classes")["scores"]


def test_only_fields_that_a_generator_reads_become_its_inputs() -> None:
    real_data = reals_of({IMAGE: pixels(20), LABEL: np.arange(20) % 4}, IMAGE)
    noise = Field(name="z", shape=(3,), source="normal")
    assert real_data.arrays(20, [noise]) == {}
    assert real_data.arrays(20, [noise, LABEL]).keys() == {"label"}
    assert real_data.arrays(20, [noise, IMAGE])["image"].dtype == np.float32
    for other in (Field(name="label", dtype="int64", classes=("a",)), Field(name="image", shape=(1, 9, 9))):
        with pytest.raises(DataError, match="The generator expects"):
            real_data.arrays(20, [other])


# --- real samples that are made worse ---------------------------------------------------------------


def labelled(labels: Any) -> Sampled:
    values = points(len(labels))[0]
    return Sampled(values_themselves(), values, np.asarray(labels)[:, None], real=None)


def test_few_classes_are_those_samples_and_no_others() -> None:
    other = labelled(np.arange(80) % 4)
    reals = reals_of({POINT: points(80)[0], LABEL: np.arange(80) % 4}, POINT)
    few = corrupted(other, reals)["few_classes"]()
    assert len(few) == 40
    assert len(np.unique(few.values, axis=0)) == 40
    assert set(few.labels[:, 0].tolist()) == {0, 1}  # type: ignore[index]
    # Where nothing, next to nothing or everything is left the row would say nothing.
    for labels in (np.full(80, 3), np.arange(80) // 5 + 1, np.zeros(80, int)):
        assert list(corrupted(labelled(labels), reals)) == ["real", "noisy", "repeated"]


def test_noise_takes_little_memory_and_is_the_same_in_blocks() -> None:
    values = np.ascontiguousarray(pixels(3000, 28).transpose(0, 2, 3, 1))
    other = Sampled(values_themselves(), values, real=None)
    make = corrupted(other, reals_of({IMAGE: pixels(3)}, IMAGE))["noisy"]
    tracemalloc.start()
    try:
        worse = make().values
        assert tracemalloc.get_traced_memory()[1] < 3 * values.nbytes
    finally:
        tracemalloc.stop()
    difference = (worse.astype(int) - values)[(values > 90) & (values < 165)]
    assert difference.std() == pytest.approx(NOISE, rel=0.02)
    assert len(np.unique(worse.reshape(3000, -1) - values.reshape(3000, -1), axis=0)) == 3000


# --- what is kept -----------------------------------------------------------------------------------


def test_two_fields_of_images_are_kept_apart(own_folder: Path, registry: Registry) -> None:
    depth = Field(name="depth", shape=(1, 8, 8), range=(0.0, 1.0), kind="image", axes=PIXELS)
    fields = {IMAGE: pixels(30), depth: pixels(30, seed=1) // 2}
    seen: list[Any] = []
    for field in (IMAGE, depth):
        real_data = reals_of(fields, field)
        feature_space = feature_space_of(registry, real_data)
        real, training = reference_samples(feature_space, real_data, 30)
        scorer = Scorer(chosen_metrics(registry, ["kid"]), feature_space, real_data)
        seen.append(
            (real.raw_features, reference_rows(scorer, feature_space, real_data, real, training)["noisy"])
        )
    assert not np.allclose(seen[0][0], seen[1][0])
    assert seen[0][1] != seen[1][1]


def test_which_way_is_good_is_said_of_the_scores_that_there_are(
    run: Run, conditioned: Run, own_folder: Path
) -> None:
    """Columns that were kept by the evaluation of another generator say nothing of this one's scores."""
    for source in (conditioned.path, run.path):
        document = scored(source)
        names = {name for row in document["reference"].values() for name in row} | document["scores"].keys()
        assert document["better"].keys() == names - {"n"}
    assert "cas" not in document["better"]


def test_a_judge_that_learned_from_generated_samples_is_not_kept(conditioned: Run, own_folder: Path) -> None:
    for _ in range(2):
        document = scored(conditioned.path, "--metric", "classes", "--metric", "cas")
        assert "cas" in document["scores"]
        assert len(list((cache_folder() / "classifiers").iterdir())) == 1


# --- only what is needed ----------------------------------------------------------------------------


def test_nothing_is_computed_that_no_metric_asks_for(
    run: Run, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EfficientNet, "__call__", lambda *_: pytest.fail("nobody asked for features"))
    document = scored(run.path, "--metric", "classes")
    assert document["reference"].keys() == {"real", "blurred", "noisy", "few_classes", "repeated"}


def test_neighbours_are_looked_for_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    known, calls = comparison_module.nearest, []
    monkeypatch.setattr(comparison_module, "nearest", lambda *pair: calls.append(1) or known(*pair))  # type: ignore[func-returns-value]
    assert len(scored(run.path, "--no-reference")["files"]) == 2
    assert len(calls) == 2  # among training images, among held-out ones


def test_a_image_is_drawn_whenever_it_is_asked_for(run: Run, registry: Registry, tmp_path: Path) -> None:
    image = tmp_path / "new" / "nearest.png"
    request = {"source": run.path, "n": 60, "metrics": ["frechet"], "references": False}
    assert evaluate(Request(**request, image=image), registry).scores.keys() == {"fed"}
    assert image.read_bytes().startswith(b"\x89PNG")
    evaluate(Request(**request), registry)
    assert image.exists()


def test_an_extractor_that_would_not_be_used(registry: Registry, tiny: Tiny, tmp_path: Path) -> None:
    run = start(tiny("vanilla", **{"data.source": "toy:ring"}), tmp_path / "run", NullReporter())[0]
    for arguments in (["--extractor", "inception"], ["--fid-weights", "gone.pt"]):
        said = ganzoo("evaluate", run.path, "--n", "60", *arguments)
        assert said.code == 2
        assert "No such extractor is for points" in said.err
    real_data = reals_of({IMAGE: pixels(20)}, IMAGE)
    with pytest.raises(UsageError, match="reads no weights file"):
        feature_space_of(registry, real_data, weights=Path("some.pt"))
    assert f"[{EXTRACTOR} for images]" in " ".join(ganzoo("evaluate", "--help").out.split())


def test_the_protocol_names_the_generator(run: Run, data: str, tmp_path: Path) -> None:
    bundle = export_run(run, tmp_path / "bundle").path
    for source in (run.path, bundle):
        protocol = scored(source, "--data", data, "--metric", "frechet", "--no-reference")["protocol"]
        assert protocol["generator"] == "generator"
