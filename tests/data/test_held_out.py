"""Samples that training does not see: where each kind of data has them, and where it has none."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from pathlib import Path

import numpy as np
import pytest

from ganzoo.api import DataError, DatasetSpec, SettingsError
from ganzoo.data.dataset import open_source
from ganzoo.registry.registry import Registry, factory_of
from ganzoo_datasets import fashion, idx, toy
from ganzoo_datasets.config import IdxConfig, ToyConfig
from tests.plugins.test_datasets import idx_folder, write_idx
from tools import build_fashion_5k

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def rows(array: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in array}


def test_which_kinds_have_held_out_samples(registry: Registry) -> None:
    kinds = [item for item in registry.of_kind(DatasetSpec) if item.qualified.startswith("ganzoo/")]
    have = {item.name for item in kinds if item.spec.held_out}
    assert {item.name for item in kinds} - have == {"npy", "npz"}
    assert all(callable(factory_of(item, "held_out")) for item in kinds if item.name in have)


# --- fashion-5k -----------------------------------------------------------------------------------


def test_fashion_test_images_are_others() -> None:
    train, held_out = open_source(fashion.open_fashion_5k()), open_source(fashion.open_held_out())
    assert held_out.fields == train.fields
    assert np.bincount(held_out.arrays["label"]).tolist() == [500] * 10
    # The first test image of Fashion-MNIST is an ankle boot.
    assert held_out.info.field("label").classes[held_out.arrays["label"][0]] == "Ankle boot"
    assert not rows(train.arrays["image"]) & rows(held_out.arrays["image"])


def test_damaged_fashion_test_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file of the training images is whole, yet not what belongs here.
    monkeypatch.setattr(fashion, "TEST_FILE", fashion.FILE)
    with pytest.raises(DataError, match="is damaged"):
        fashion.open_held_out()
    monkeypatch.setattr(fashion, "TEST_FILE", tmp_path / "gone.xz")
    with pytest.raises(DataError, match="cannot be read"):
        fashion.open_held_out()
    with pytest.raises(DataError, match="no argument"):
        fashion.open_held_out("x")


def test_one_run_builds_both_fashion_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {}
    for split, count in (("train", 6000), ("t10k", 5500)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        made[split] = np.random.default_rng(count).integers(0, 256, (count, 2, 2), np.uint8)
        for kind, array in (("images-idx3", made[split]), ("labels-idx1", labels)):
            write_idx(tmp_path / f"{split}-{kind}-ubyte.gz", array)
    assert build_fashion_5k.main([str(tmp_path), str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for split, file in (("train", fashion.FILE), ("t10k", fashion.TEST_FILE)):
        raw = lzma.decompress((tmp_path / file.name).read_bytes())
        assert raw == made[split][:5000].tobytes() + bytes(range(10)) * 500
        assert f"{file.name}: sha256 {hashlib.sha256(raw).hexdigest()}" in shown


# --- IDX ------------------------------------------------------------------------------------------


def test_idx_folder_keeps_its_test_images_apart(tmp_path: Path) -> None:
    made = idx_folder(tmp_path)
    held_out = idx.open_held_out(str(tmp_path))
    assert held_out is not None
    np.testing.assert_array_equal(held_out.arrays["image"][:, 0], made["t10k"])
    assert open_source(held_out).fields == idx.open_idx(str(tmp_path)).fields
    for split in ("test", "all"):
        assert idx.open_held_out(str(tmp_path), IdxConfig(split=split)) is None
    assert idx.open_held_out(str(tmp_path / TRAIN_IMAGES)) is None
    (tmp_path / TEST_IMAGES).unlink()
    assert idx.open_held_out(str(tmp_path)) is None


def test_idx_names_classes_that_only_training_saw(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    write_idx(tmp_path / TEST_LABELS, np.zeros(4, np.uint8))
    held_out = idx.open_held_out(str(tmp_path))
    assert held_out is not None
    assert open_source(held_out).info.field("label").classes == ("0", "1", "2")


def test_idx_without_training_labels_has_none_held_out(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    (tmp_path / TRAIN_LABELS).unlink()
    held_out = idx.open_held_out(str(tmp_path))
    assert held_out is not None
    assert [field.name for field in open_source(held_out).fields] == ["image"]


def test_idx_test_images_that_do_not_fit(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    (tmp_path / TEST_LABELS).rename(tmp_path / "kept")
    with pytest.raises(DataError, match="the test images have none") as caught:
        idx.open_held_out(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "kept").rename(tmp_path / TEST_LABELS)
    write_idx(tmp_path / TEST_IMAGES, np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"differ in shape: \(1, 5, 6\) and \(1, 8, 8\)"):
        idx.open_held_out(str(tmp_path))
    (tmp_path / TEST_IMAGES).write_bytes(gzip.compress(b"no IDX"))
    with pytest.raises(DataError, match="two zero bytes"):
        idx.open_held_out(str(tmp_path))


# --- toys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(toy.TOYS))
def test_toys_draw_fresh_points_of_the_same_distribution(name: str) -> None:
    config = ToyConfig(count=4000, seed=3)
    train, held_out = open_source(toy.open_toy(name, config)), open_source(toy.open_held_out(name, config))
    assert (held_out.fields, held_out.count) == (train.fields, train.count)
    # A few numbers of 32 bits come twice by chance.
    assert len(rows(train.arrays["point"]) & rows(held_out.arrays["point"])) < 40
    np.testing.assert_allclose(*(dataset.arrays["point"].std(0) for dataset in (train, held_out)), rtol=0.05)
    assert open_source(toy.open_held_out(name, config)).fingerprint == held_out.fingerprint
    other = open_source(toy.open_held_out(name, ToyConfig(count=4000, seed=4)))
    assert other.fingerprint != held_out.fingerprint


def test_no_seed_trains_on_the_held_out_points() -> None:
    held_out = rows(toy.open_held_out("normal1d", ToyConfig(count=50)).arrays["point"])
    # As NumPy lays out a seed and a spawn key, these are the seeds that could come close.
    for seed in (1, 2, 1 << 32, 1 << 63):
        drawn = rows(toy.open_toy("normal1d", ToyConfig(count=50, seed=seed)).arrays["point"])
        assert not drawn & held_out
    for seed in (-1, 1 << 64, 1 << 128):
        with pytest.raises(SettingsError, match="seed"):
            toy.open_toy("normal1d", ToyConfig(seed=seed))
