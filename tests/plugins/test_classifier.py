"""The classifier: trained on labelled images, the same each time, cached whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganzoo.api import ClassifierData
from ganzoo_extractors import classifier
from tests.plugins.test_extractors import Pixels, damaged


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A classifier with few training steps, and an empty cache: the folder of its files."""
    monkeypatch.setattr(classifier, "STEPS", 25)
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "classifiers"


def shown(labels: np.ndarray[Any, Any], side: int = 8, seed: int = 0) -> Pixels:
    """Labels (n, channels) of three classes as images: dark, with a light upper, middle or lower third."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (len(labels), side, side, labels.shape[1]))
    bands = np.array_split(np.arange(side), 3)
    for image, row in zip(pixels, labels, strict=True):
        for channel, label in enumerate(row):
            image[bands[label], :, channel] += 150
    return pixels.astype(np.uint8)


def labelled(channels: int = 1, seed: int = 0, n: int = 80) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 3, (n, channels))


def classifier_data(channels: int = 1, side: int = 8, **more: Any) -> ClassifierData:
    learned, test = labelled(channels), labelled(channels, seed=1)
    known = {
        "pixels": shown(learned, side),
        "labels": learned,
        "test_pixels": shown(test, side, seed=1),
        "test_labels": test,
        "classes": 3,
    }
    return ClassifierData(**{**known, **more})


def test_the_classifier_learns_the_data_and_is_tested_on_the_test_split(quick: Path) -> None:
    given = classifier_data()
    made = classifier.train(None, given)
    assert made.accuracy == 1
    features, probabilities = made(given.test_pixels), made.probabilities(given.test_pixels)
    assert (features.shape, features.dtype) == ((80, classifier.FEATURES), np.float32)
    assert probabilities.shape == (80, 1, 3)
    np.testing.assert_allclose(probabilities.sum(2), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(2), given.test_labels)
    np.testing.assert_allclose(made.probabilities(given.test_pixels[7:9]), probabilities[7:9], atol=1e-5)
    # The test split has other samples than the training split: wrong labels there lower the accuracy.
    wrong = classifier.train(None, classifier_data(test_labels=(given.test_labels + 1) % 3))
    assert wrong.accuracy == 0


@pytest.mark.parametrize("side", [5, 40])
def test_images_of_other_sizes_and_with_transparency(quick: Path, side: int) -> None:
    given = classifier_data(side=side)
    colour = given.pixels.repeat(4, axis=3), given.test_pixels.repeat(4, axis=3)
    for part in colour:
        part[..., 3] = 255
    made = classifier.train(None, classifier_data(side=side, pixels=colour[0], test_pixels=colour[1]))
    assert made.accuracy > 0.95
    opaque = np.ascontiguousarray(colour[1][..., :3])
    np.testing.assert_array_equal(made.probabilities(opaque), made.probabilities(colour[1]))


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr(classifier.SmallClassifier, "fit", fit)


def test_the_classifier_is_cached(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = classifier_data()
    first = classifier.train(None, given)
    assert [file.suffix for file in quick.iterdir()] == [".classifier"]
    forbid(monkeypatch)
    again = classifier.train(None, given)
    assert (again.accuracy, again.identity) == (first.accuracy, first.identity)
    np.testing.assert_array_equal(again(given.test_pixels), first(given.test_pixels))
    for other in (
        classifier_data(seed=1),
        classifier_data(labels=given.labels[::-1].copy()),
        classifier_data(side=9),
    ):
        with pytest.raises(AssertionError, match="trained again"):
            classifier.train(None, other)


@pytest.mark.parametrize("kind", ["empty", "cut", "garbage", "flipped", "another", "folder"])
def test_a_damaged_cache_file_means_training_again(quick: Path, kind: str) -> None:
    given = classifier_data()
    first = classifier.train(None, given)
    (file,) = quick.iterdir()
    whole = file.read_bytes()
    if kind == "another":
        classifier.train(None, classifier_data(channels=3))
        (other,) = set(quick.iterdir()) - {file}
        shutil.copy(other, file)
    elif kind == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(damaged(kind, whole))
    again = classifier.train(None, given)
    np.testing.assert_array_equal(again(given.test_pixels), first(given.test_pixels))
    assert again.accuracy == first.accuracy
    if kind != "folder":
        assert file.read_bytes() == whole


def test_the_same_data_gives_the_same_classifier_whatever_the_random_state(quick: Path) -> None:
    given = classifier_data()
    state = torch.manual_seed(7).get_state()
    first = classifier.train(None, given)
    assert torch.equal(torch.get_rng_state(), state)
    shutil.rmtree(quick)
    torch.manual_seed(8)
    again = classifier.train(None, given)
    np.testing.assert_array_equal(
        again.probabilities(given.test_pixels), first.probabilities(given.test_pixels)
    )
    other = classifier.train(None, classifier_data(seed=1))
    assert not np.array_equal(other(given.test_pixels), first(given.test_pixels))
    assert other.identity != first.identity


def test_the_streams_of_a_run_on_another_device_go_on(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier may learn in the middle of a run that draws its dropout on CUDA."""
    seeded: list[int] = []
    for device in (torch.cuda, torch.xpu, torch.mps):
        for name in ("manual_seed", "manual_seed_all"):
            monkeypatch.setattr(device, name, seeded.append, raising=False)
    torch.manual_seed(0)
    assert seeded  # that is how torch does it
    seeded.clear()
    classifier.train(None, classifier_data())
    assert not seeded


def test_the_same_classifier_for_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 25)
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / str(threads)))
            found.add(classifier.train(None, classifier_data(side=28)).identity)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_other_weights_have_another_identity(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same data, as with another processor or another torch."""
    first = classifier.train(None, classifier_data())
    shutil.rmtree(quick)
    monkeypatch.setattr(classifier, "RATE", 4e-3)
    monkeypatch.setattr(classifier, "_fingerprint", lambda _: first.name)
    assert classifier.train(None, classifier_data()).identity != first.identity


def test_a_note_says_when_a_classifier_is_trained(quick: Path) -> None:
    said: list[str] = []
    seconds = classifier.train(None, classifier_data(note=said.append)).steps // classifier.PER_SECOND
    assert said == [f"the classifier is trained on the data, once: about {seconds} s of one core"]
    classifier.train(None, classifier_data(note=said.append))
    assert len(said) == 1
    classifier.train(None, classifier_data(seed=1, keep=False, note=said.append))
    assert said[1].startswith("another classifier is trained on the samples")


def test_stacked_images_are_classified_channel_by_channel(quick: Path) -> None:
    given = classifier_data(channels=3, stacked=True)
    made = classifier.train(None, given)
    assert made.accuracy == 1
    probabilities, features = made.probabilities(given.test_pixels), made(given.test_pixels)
    assert probabilities.shape == (80, 3, 3)
    assert features.shape == (80, 3 * classifier.FEATURES)
    turned = np.ascontiguousarray(given.test_pixels[..., [2, 0, 1]])
    np.testing.assert_allclose(made.probabilities(turned), probabilities[:, [2, 0, 1]], atol=1e-5)


def test_several_labels_of_one_image(quick: Path) -> None:
    """Labels of the whole image are learned, however many channels it has."""
    learned, test = labelled(1), labelled(1, seed=1)
    both = [np.concatenate([labels, 2 - labels], axis=1) for labels in (learned, test)]
    made = classifier.train(None, classifier_data(labels=both[0], test_labels=both[1]))
    assert made.accuracy == 1
    assert made.probabilities(shown(test)).shape == (80, 2, 3)
    # Three labels of a colour image, each for another channel than the one with its number.
    given = classifier_data(channels=3)
    turned = [labels[:, [2, 0, 1]] for labels in (given.labels, given.test_labels)]
    made = classifier.train(None, replace(given, labels=turned[0], test_labels=turned[1]))
    stacked = classifier.train(None, replace(given, labels=turned[0], test_labels=turned[1], stacked=True))
    assert made.accuracy > 0.9
    assert stacked.accuracy < 0.5
    assert made.identity != stacked.identity


def test_a_cache_that_cannot_be_written_is_no_error(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file"))
    assert classifier.train(None, classifier_data()).accuracy == 1


def test_few_samples_take_fewer_steps() -> None:
    def steps(count: int, parts: int = 1, stacked: bool = False) -> int:
        pixels, labels = np.zeros((count, 8, 8, parts), np.uint8), np.zeros((count, parts), np.int64)
        given = classifier_data(pixels=pixels, labels=labels, stacked=stacked)
        return classifier._steps(given)

    assert [steps(count) for count in (20, 402, 1_919, 1_920, 5_000)] == [200, 251, 1_199, 1_200, 1_200]
    assert steps(640, 3, stacked=True) == 1_200
