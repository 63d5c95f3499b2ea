"""`data.only` and `data.without`: samples of some classes of any data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo.api import ArraySource, Field
from ganzoo.config.resolve import resolve
from ganzoo.data import dataset as dataset_module
from ganzoo.data.dataset import numbered_as, of_classes, open_source
from ganzoo.data.open_data import open_data, open_held_out
from ganzoo.errors import DataError
from ganzoo.registry.registry import load_registry

LABEL = Field(name="label", dtype="int64", classes=("cat", "dog", "fox"))


def source(**more: Any) -> ArraySource:
    arrays = {"point": np.arange(12, dtype=np.float32).reshape(6, 2), "label": np.array([0, 1, 2, 0, 1, 2])}
    return ArraySource(fields=(Field(name="point", shape=(2,)), LABEL), arrays=arrays, identity="x", **more)


def test_labels_keep_their_numbers_and_weights_their_samples() -> None:
    data = open_source(source(weights=np.arange(6) + 1.0))
    kept = of_classes(data, (), ("dog",))
    assert kept.arrays["label"].tolist() == [0, 2, 0, 2]
    assert kept.arrays["point"][:, 0].tolist() == [0, 4, 6, 10]
    assert kept.weights is not None
    assert kept.weights.tolist() == [1, 3, 4, 6]
    assert (kept.count, kept.fields) == (4, data.fields)
    assert kept.fingerprint != data.fingerprint
    assert kept.card[-1][1] == "4 samples of 2 classes"
    assert of_classes(data, ("fox",), ()).arrays["label"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("only", "without", "match"),
    [(("cta",), (), "no class 'cta'"), ((), ("cow",), "no class 'cow'"), (("cat",), ("cat",), "No sample")],
)
def test_what_is_not_there_is_refused(only: tuple[str, ...], without: tuple[str, ...], match: str) -> None:
    with pytest.raises(DataError, match=match):
        of_classes(open_source(source()), only, without)


def test_classes_of_other_data_may_be_missing() -> None:
    data = open_source(source())
    assert of_classes(data, (), ("cow", "dog"), lenient=True).arrays["label"].tolist() == [0, 2, 0, 2]
    assert of_classes(data, ("cow", "dog"), (), lenient=True).arrays["label"].tolist() == [1, 1]
    with pytest.raises(DataError, match="no class 'cow'"):
        of_classes(data, ("cow",), (), lenient=True)
    plain = open_source(
        ArraySource(fields=data.fields[:1], arrays={"point": data.arrays["point"]}, identity="x")
    )
    assert of_classes(plain, (), ("cow",), lenient=True) is plain


def test_labels_get_the_numbers_of_a_generator_by_name() -> None:
    data = open_source(source())
    known = replace(LABEL, classes=("fox", "cow", "dog", "cat"))
    renumbered = numbered_as(data, known)
    assert renumbered.arrays["label"].tolist() == [3, 2, 0, 3, 2, 0]
    assert renumbered.fields[1].classes == known.classes
    assert data.arrays["label"].tolist() == [0, 1, 2, 0, 1, 2]
    assert numbered_as(data, replace(LABEL, classes=("a", "b", "c"))) is data
    assert numbered_as(data, replace(known, name="other")) is data
    for classes in (("cat", "dog"), ("cow", "cat", "dog")):
        with pytest.raises(DataError, match="does not know the class 'fox'"):
            numbered_as(data, replace(LABEL, classes=classes))


def test_an_empty_choice_says_what_is_there() -> None:
    with pytest.raises(DataError, match=r"data\.without names them, too") as caught:
        of_classes(open_source(source()), ("cat",), ("cat",))
    assert caught.value.fix == "classes with samples: dog, fox"
    assert caught.value.where == "data.only=cat, data.without=cat"


def test_large_data_stays_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(dataset_module, "_HASHED_BYTES", 64)
    monkeypatch.setattr(dataset_module, "_HASHED_SAMPLES", 3)
    np.save(tmp_path / "points.npy", np.arange(400, dtype=np.float32).reshape(200, 2))
    given = source().arrays | {
        "point": np.load(tmp_path / "points.npy", mmap_mode="r"), "label": np.arange(200) % 3
    }  # fmt: skip
    data = open_source(replace(source(), arrays=given))
    kept = of_classes(data, ("dog",), ())
    assert isinstance(kept.arrays["point"], np.memmap)
    assert kept.arrays["point"].tolist() == data.arrays["point"][1::3].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["points.npy"]
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "not" / "there"))
    assert of_classes(data, ("dog",), ()).arrays["point"].tolist() == kept.arrays["point"].tolist()


def test_data_without_labels_has_no_classes() -> None:
    plain = ArraySource(fields=(Field(name="x", shape=(1,)),), arrays={"x": np.zeros((3, 1), np.float32)},
                        identity="x")  # fmt: skip
    with pytest.raises(DataError, match="no class 'cat'") as caught:
        of_classes(open_source(plain), ("cat",), ())
    assert "none" in str(caught.value.fix)


def test_training_and_held_out_samples_are_chosen_alike(tmp_path: Path) -> None:
    plan = resolve("dcgan", load_registry(), overrides={"data.only": "Bag", "data.source": "fashion-5k"})
    held_out = open_held_out(plan.dataset, plan.data.source, plan.kinds)
    assert held_out is not None
    for data in (open_data(plan), held_out):
        assert data.count == 500
        assert set(data.arrays["label"].tolist()) == {8}
    assert plan.settings()["data"]["only"] == ["Bag"]
