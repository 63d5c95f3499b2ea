"""The built-in data sets, each on small files: what is read, chosen and refused."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field, ItemSource, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.data import open_data as opening
from ganzoo.data.dataset import Dataset, open_source
from ganzoo.data.open_data import open_data
from ganzoo.errors import PluginError
from ganzoo.registry.registry import Registry, load_registry
from ganzoo_datasets import fashion, ganzoo_datasets
from ganzoo_datasets.arrays import open_npy, open_npz
from ganzoo_datasets.config import IdxConfig, NpzConfig, ToyConfig
from ganzoo_datasets.idx import open_idx
from ganzoo_datasets.toy import TOYS, open_toy


def fields(source: ArraySource | ItemSource) -> dict[str, Field]:
    return {field.name: field for field in source.fields}


# --- opening --------------------------------------------------------------------------------------

SOURCE = """
    from dataclasses import replace

    import numpy as np
    from ganzoo.api import ArraySource, DatasetSpec, Field, ItemSource, hookimpl

    ROW = Field(name="row", shape=(2,))

    def refused(index):
        raise PermissionError(13, "Permission denied", "/data/secret")

    def items(read):
        return ItemSource(fields=(ROW,), items=["one"], read=read, fingerprint="1", identity="items")

    def build(argument, config):
        return {made}

    @hookimpl
    def ganzoo_datasets():
        return [DatasetSpec(name="odd", summary="For a test.", factory=f"{{__name__}}:build")]
"""


def opened(install: Callable[..., Path], made: str) -> Dataset:
    install("odd-dist", "odd", SOURCE.format(made=made))
    return open_data(resolve("vanilla-ring", load_registry(), overrides={"data.source": "odd"}))


def test_unreadable_files_are_data_errors(install: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="Permission denied") as caught:
        opened(install, "refused(0)")
    assert caught.value.exit_code == 3
    assert "/data/secret" in caught.value.where
    assert "author" not in str(caught.value)


@pytest.mark.parametrize("ending", ["", ".zip"])
@pytest.mark.parametrize("name", ["idx", "folder", "npy", "npz"])
def test_a_path_that_the_system_refuses(registry: Registry, name: str, ending: str) -> None:
    plan = resolve("vanilla", registry, overrides={"data.source": f"{name}:/{'x' * 3000}{ending}"})
    with pytest.raises(DataError, match="too long"):
        open_data(plan)


def test_a_folder_that_cannot_be_listed(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match="Permission denied") as caught:
        open_data(resolve("vanilla", registry, overrides={"data.source": f"folder:{tmp_path}"}))
    assert str(tmp_path / "closed") in caught.value.where


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("1 / 0", "division by zero"),
        ("None", "returned None"),
        ("ArraySource(fields=(ROW,), arrays={'row': [[0.0, 1.0]]})", "NumPy arrays"),
        ("items(lambda index: {}['row'])", "KeyError"),
        ("replace(items(lambda index: {}), keys=['one', 'two', 'three', 'four'])", "returned 4 keys for"),
        ("items(lambda index: np.zeros(2))", "returned ndarray for an item"),
    ],
)
def test_mistakes_of_a_dataset_plugin_name_it(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, message: str
) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(PluginError, match=message) as caught:
        opened(install, made)
    assert "odd" in str(caught.value)


def test_items_that_the_system_refuses_are_unusable_ones(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="None of the items") as caught:
        opened(install, "items(refused)")
    assert "Permission denied" in caught.value.where


def test_mistakes_of_the_core_are_not_blamed_on_a_plugin(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Dataset:
        raise ZeroDivisionError

    monkeypatch.setattr(opening, "open_source", broken)
    with pytest.raises(ZeroDivisionError):
        open_data(resolve("vanilla", registry))


# --- the hook -------------------------------------------------------------------------------------


def test_hook_module_imports_no_heavy_package() -> None:
    code = (
        "import sys, ganzoo_datasets; ganzoo_datasets.ganzoo_datasets();"
        "print(sorted({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_every_factory_can_be_imported() -> None:
    for spec in ganzoo_datasets():
        module, _, name = spec.factory.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


# --- fashion-5k -----------------------------------------------------------------------------------


def test_fashion_is_balanced_and_labelled() -> None:
    dataset = open_source(fashion.open_fashion_5k())
    assert dataset.arrays["image"].shape == (5000, 1, 28, 28)
    assert np.bincount(dataset.arrays["label"]).tolist() == [500] * 10
    assert dataset.info.field("label").classes[:2] == ("T-shirt/top", "Trouser")
    # The first training image of Fashion-MNIST is an ankle boot.
    assert dataset.info.field("label").classes[dataset.arrays["label"][0]] == "Ankle boot"


def test_damaged_fashion_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "fashion_5k.xz"
    copy.write_bytes(fashion.FILE.read_bytes()[:-1000])
    monkeypatch.setattr(fashion, "FILE", copy)
    with pytest.raises(DataError, match="cannot be read"):
        fashion.open_fashion_5k()
    copy.write_bytes(lzma.compress(b"other"))
    with pytest.raises(DataError, match="is damaged"):
        fashion.open_fashion_5k()


def test_fashion_takes_no_argument() -> None:
    with pytest.raises(DataError, match="no argument"):
        fashion.open_fashion_5k("x")


# --- IDX ------------------------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray, kind: int = 8) -> None:
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = head + array.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def idx_folder(folder: Path, suffix: str = ".gz", mark: str = "-") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for split, count in (("train", 7), ("t10k", 4)):
        made[split] = rng.integers(0, 256, (count, 5, 6), np.uint8)
        write_idx(folder / f"{split}-images{mark}idx3-ubyte{suffix}", made[split])
        write_idx(folder / f"{split}-labels{mark}idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8) % 3)
    return made


@pytest.mark.parametrize(("suffix", "mark"), [(".gz", "-"), ("", "-"), ("", "."), (".gz", ".")])
def test_idx_folder(tmp_path: Path, suffix: str, mark: str) -> None:
    made = idx_folder(tmp_path, suffix, mark)
    source = open_idx(str(tmp_path))
    assert fields(source)["image"].shape == (1, 5, 6)
    assert fields(source)["label"].classes == ("0", "1", "2")
    np.testing.assert_array_equal(source.arrays["image"][:, 0], made["train"])
    assert open_source(open_idx(str(tmp_path), IdxConfig(split="test"))).count == 4
    both = open_idx(str(tmp_path), IdxConfig(split="all"))
    np.testing.assert_array_equal(both.arrays["image"][:, 0], np.concatenate([made["train"], made["t10k"]]))


def test_idx_single_file_finds_its_labels(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    assert len(open_idx(str(tmp_path / "t10k-images-idx3-ubyte.gz")).arrays["label"]) == 4
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    alone = open_idx(str(tmp_path / "t10k-images-idx3-ubyte.gz"))
    assert "label" not in fields(alone)
    assert "no labels file" in alone.notes[0]


def test_idx_with_colour(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    write_idx(tmp_path / "train-images-idx4-ubyte", array)
    source = open_idx(str(tmp_path))
    assert fields(source)["image"].shape == (3, 4, 5)
    np.testing.assert_array_equal(source.arrays["image"], array.transpose(0, 3, 1, 2))


def test_idx_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train images"):
        open_idx(str(tmp_path))
    with pytest.raises(DataError, match="needs a path"):
        open_idx("")
    with pytest.raises(DataError, match="path does not exist"):
        open_idx(str(tmp_path / "absent"))
    images = tmp_path / "train-images-idx3-ubyte"
    good = np.zeros((3, 4, 4), np.uint8)
    images.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(DataError, match="two zero bytes"):
        open_idx(str(images))
    write_idx(images, good, kind=0x0D)
    with pytest.raises(DataError, match="0x0d"):
        open_idx(str(images))
    write_idx(images, good)
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match="47 values, but its header says 48"):
        open_idx(str(images))
    write_idx(images, good)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match="labels have shape"):
        open_idx(str(images))
    cut = tmp_path / "cut-images-idx3-ubyte.gz"
    write_idx(cut, np.random.default_rng(0).integers(0, 256, (9, 9, 9), np.uint8))
    cut.write_bytes(cut.read_bytes()[:-50])
    with pytest.raises(DataError, match="cannot be read"):
        open_idx(str(cut))


# --- npy and npz ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sample"),
    [
        ((5, 6, 7), (1, 6, 7)),
        ((5, 6, 7, 1), (1, 6, 7)),
        ((5, 6, 7, 3), (3, 6, 7)),
        ((5, 4, 6, 7), (4, 6, 7)),
    ],
)
def test_npy_images(tmp_path: Path, shape: tuple[int, ...], sample: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", array)
    dataset = open_source(open_npy(str(tmp_path / "a.npy")))
    assert dataset.info.signal.shape == sample
    expected = np.moveaxis(array, 3, 1) if shape[-1] in (1, 3) else array
    np.testing.assert_array_equal(dataset.arrays["image"], expected.reshape(5, *sample))


@pytest.mark.parametrize(("shape", "dtype"), [((5,), np.float64), ((5, 3), np.float32), ((5, 3), np.float16)])
def test_npy_rows(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    array: NDArray[Any] = np.random.default_rng(0).normal(size=shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    dataset = open_source(open_npy(str(tmp_path / "a.npy")))
    assert dataset.arrays["vector"].dtype == np.float32
    assert dataset.info.signal.range is None
    np.testing.assert_array_equal(dataset.arrays["vector"], array.reshape(5, -1).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), "their range of values is unknown"),
        (np.zeros((2, 8, 8, 2), np.uint8), "cannot have the shape"),
        (np.zeros((2, 8), np.int32), "neither images nor rows"),
        (np.zeros((0, 8, 8), np.uint8), "empty"),
        (np.array(3.0), "empty"),
    ],
)
def test_npy_refusals(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        open_npy(str(tmp_path / "a.npy"))


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="plain arrays"):
        open_npy(str(tmp_path / "a.npy"))
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="plain arrays"):
        open_npz(str(tmp_path / "a.npz"))


def test_npz_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    images = np.zeros((6, 8, 8), np.uint8)
    np.savez(path, x_train=images, y_train=np.array([0, 1, 2, 0, 1, 2], np.uint8), extra=images)
    dataset = open_source(open_npz(str(path)))
    assert dataset.info.field("label").classes == ("0", "1", "2")
    assert dataset.arrays["label"].dtype == np.int64
    assert open_npz(str(path), NpzConfig(images_key="extra")).identity.startswith("a.npz [extra+y_train]")
    with pytest.raises(DataError, match="no array 'z'"):
        open_npz(str(path), NpzConfig(images_key="z"))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1]),
        np.eye(3, dtype=np.int64),
        np.array([0.0, 1.0, 2.0]),
        np.array([1, 2, 3]),
        np.array([0, 2, 2]),
    ],
)
def test_npz_bad_labels(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 8, 8), np.uint8), labels=labels)
    with pytest.raises(DataError, match="Labels"):
        open_npz(str(tmp_path / "a.npz"))


def test_npy_and_npz_name_each_other(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="single"):
        open_npz(str(tmp_path / "a.npy"))
    with pytest.raises(DataError, match="npz archive"):
        open_npy(str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="plain arrays"):
        open_npz(str(tmp_path / "a.npz"))


# --- toys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TOYS))
def test_toys(name: str) -> None:
    dataset = open_source(open_toy(name, ToyConfig(count=500)))
    assert dataset.count == 500
    assert dataset.info.signal.shape == ((1,) if name.endswith("1d") else (2,))
    assert ("label" in dataset.info) == (name in ("ring", "grid", "mixture1d"))
    assert open_source(open_toy(name, ToyConfig(count=500))).fingerprint == dataset.fingerprint
    assert open_source(open_toy(name, ToyConfig(count=500, seed=1))).fingerprint != dataset.fingerprint


def test_toy_moments() -> None:
    assert open_toy("normal1d").arrays["point"].mean() == pytest.approx(4, abs=0.05)
    assert open_toy("normal1d").arrays["point"].std() == pytest.approx(1.25, abs=0.05)
    ring = open_toy("ring")
    centres = np.stack([ring.arrays["point"][ring.arrays["label"] == k].mean(0) for k in range(8)])
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2, atol=0.01)
    assert len(fields(open_toy("grid"))["label"].classes) == 25


def test_toy_errors() -> None:
    with pytest.raises(DataError, match="spiral") as caught:
        open_toy("spiral")
    assert "toy:ring" in str(caught.value)
    with pytest.raises(SettingsError, match="count"):
        open_toy("ring", ToyConfig(count=0))
