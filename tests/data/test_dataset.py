"""Checked arrays and the cache of decoded items."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import ArraySource, DataError, Field, ItemSource
from ganzoo.data import dataset as store_module
from ganzoo.data import decode as decode_module
from ganzoo.data.dataset import Dataset, open_source
from ganzoo.util.progress import listening
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder

IMAGE = Field(name="image", shape=(1, 4, 4), range=(-1.0, 1.0))
LABEL = Field(name="label", dtype="int64", classes=("a", "b"))
ROW = Field(name="row", shape=(2,))


def arrays(**given: np.ndarray) -> ArraySource:
    known = {"image": IMAGE, "label": LABEL, "row": ROW}
    return ArraySource(fields=tuple(known[name] for name in given), arrays=given, identity="test")


# --- arrays ---------------------------------------------------------------------------------------


def test_types_are_converted() -> None:
    dataset = open_source(
        arrays(
            image=np.zeros((3, 1, 4, 4), np.uint8), label=np.array([0, 1, 1], np.uint8), row=np.ones((3, 2))
        )
    )
    assert dataset.count == dataset.info.count == 3
    assert {name: array.dtype.name for name, array in dataset.arrays.items()} == {
        "image": "uint8",
        "label": "int64",
        "row": "float32",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": np.zeros((3, 1, 4, 5), np.uint8)}, "shape"),
        ({"image": np.zeros((3, 1, 4, 4), np.uint32)}, "uint32"),
        ({"image": np.full((3, 1, 4, 4), 2.0)}, "outside the range -1..1"),
        ({"row": np.zeros((3, 2), np.uint8)}, "without a range"),
        ({"row": np.array([[0, np.nan]])}, "not finite"),
        ({"row": np.array([[0, np.inf]])}, "not finite"),
        ({"label": np.array([0, 2])}, "values 0..2 for 2 classes"),
        ({"label": np.array([-1, 0])}, "values -1..0"),
        ({"label": np.array([0.0, 1.0])}, "whole numbers"),
        ({"row": np.zeros((0, 2))}, "at least one"),
        ({"row": np.zeros((3, 2)), "label": np.array([0, 1])}, "same number of samples"),
    ],
)
def test_arrays_that_do_not_fit_their_field(given: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(arrays(**given))


def test_fields_and_arrays_have_to_match() -> None:
    with pytest.raises(DataError, match="do not match"):
        open_source(ArraySource(fields=(ROW,), arrays={}))
    with pytest.raises(DataError, match="different names"):
        open_source(ArraySource(fields=(ROW, ROW), arrays={"row": np.zeros((1, 2))}))
    noise = Field(name="z", shape=(2,), source="normal")
    with pytest.raises(DataError, match="declared as random noise"):
        open_source(ArraySource(fields=(noise,), arrays={"z": np.zeros((1, 2))}))


def test_fingerprint_is_of_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2))
    first = open_source(arrays(row=rows)).fingerprint
    assert open_source(ArraySource(fields=(ROW,), arrays={"row": rows}, identity="x")).fingerprint == first
    assert open_source(arrays(row=rows[::-1].copy())).fingerprint != first
    monkeypatch.setattr(store_module, "_HASHED_BYTES", 100)
    large = open_source(arrays(row=rows)).fingerprint
    assert open_source(arrays(row=rows)).fingerprint == large
    assert open_source(arrays(row=rows[:49])).fingerprint != large


def test_memory_mapped_arrays_stay_so(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 1, 4, 4), np.uint8))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert open_source(arrays(image=mapped)).arrays["image"] is mapped


# --- items ----------------------------------------------------------------------------------------


class Items:
    """A source of `count` small images that counts its reads; `bad` indices raise."""

    def __init__(self, count: int = 300, bad: tuple[int, ...] = (), fingerprint: str = "1") -> None:
        self.reads, self.bad, self._lock = 0, bad, threading.Lock()
        self.source = ItemSource(
            fields=(IMAGE, LABEL),
            items=[f"item-{index}" for index in range(count)],
            read=self.read,
            fingerprint=fingerprint,
            identity="items",
        )

    def read(self, index: int) -> dict[str, np.ndarray]:
        with self._lock:
            self.reads += 1
        if index in self.bad:
            raise ValueError("broken")
        image = np.full((1, 4, 4), index % 256, np.uint8)
        return {"image": image, "label": np.asarray(index % 2)}


def test_items_are_decoded_once_in_order(tmp_path: Path) -> None:
    items, seen = Items(), []
    with listening(lambda *now: seen.append(now)):
        dataset = open_source(items.source, cache_folder=tmp_path)
    assert dataset.arrays["image"][:, 0, 0, 0].tolist() == [index % 256 for index in range(300)]
    assert dataset.arrays["label"].tolist() == [index % 2 for index in range(300)]
    assert seen[-1] == ("items decoded", 300, 300)
    assert isinstance(dataset.arrays["image"], np.memmap)
    again = open_source(items.source, cache_folder=tmp_path)
    assert items.reads == 300
    assert again.fingerprint == dataset.fingerprint
    open_source(Items(fingerprint="2").source, cache_folder=tmp_path)
    assert len(list((tmp_path / "decoded").iterdir())) == 2


def test_a_few_bad_items_are_listed(tmp_path: Path) -> None:
    items = Items(bad=(0, 7, 299))
    for _ in range(2):  # from the decoding, then from the cache
        dataset = open_source(items.source, cache_folder=tmp_path)
        assert dataset.count == len(dataset.arrays["image"]) == 297
        assert dataset.skipped == (("item-0", "broken"), ("item-7", "broken"), ("item-299", "broken"))
        assert "3 of 300 items" in dataset.notes[-1]
        assert dataset.notes[-1].endswith("item-0: broken; item-7: broken; item-299: broken")
    assert items.reads == 300
    assert dataset.arrays["image"][-1].max() == 298 % 256


def test_a_note_names_the_first_three_bad_items(tmp_path: Path) -> None:
    dataset = open_source(Items(count=500, bad=(0, 7, 8, 9, 10)).source, cache_folder=tmp_path)
    assert dataset.notes[-1].endswith(
        "item-0: broken; item-7: broken; item-8: broken; and 2 more, all in the run's bad_files.txt"
    )


@pytest.mark.parametrize("count", [1, 37, 300, 1234])
def test_decoding_says_how_far_it_is(tmp_path: Path, count: int) -> None:
    seen: list[tuple[int, int]] = []
    threads = set()

    def progress(what: str, done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.get_ident())

    with listening(progress):
        open_source(Items(count=count).source, cache_folder=tmp_path)
    done = [now for now, _ in seen]
    assert {total for _, total in seen} == {count}
    assert done == sorted(set(done))
    assert done[-1] == count
    assert max(np.diff([0, *done])) <= max(1, count / 100)
    assert threads == {threading.get_ident()}


def test_many_bad_items_stop(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at most 10 may be skipped") as caught:
        open_source(Items(bad=tuple(range(20))).source, cache_folder=tmp_path)
    text = str(caught.value)
    assert "item-9: broken" in text
    assert "item-10" not in text
    assert "and 10 more" in text
    assert not list((tmp_path / "decoded").iterdir())
    with pytest.raises(DataError, match="None of the items"):
        open_source(Items(count=2, bad=(0, 1)).source, cache_folder=tmp_path)


def test_files_that_a_plugin_left_out_are_listed_and_counted() -> None:
    source = replace(
        arrays(row=np.ones((3, 2), np.float32)),
        damaged=(("a.nii.gz", "cut off"),),
        unfit=(("b.png", "no volume"), ("c.png", "no volume"), ("d", "a"), ("e", "b"), ("f", "c")),
        files=16,
    )
    dataset = open_source(source)
    assert len(dataset.skipped) == 6
    assert "6 of 16 items" in dataset.notes[-1]
    skipped = next(row for row in dataset.card if row[0] == "skipped")
    assert skipped[1:] == ("6", "2 .png: no volume; 1 .nii.gz: cut off; 1 a; 2 other reasons")
    with pytest.raises(DataError, match="1 of 9"):
        open_source(replace(source, files=9))


def test_samples_against_the_declaration_are_bad_items(tmp_path: Path) -> None:
    wrong = {
        3: {"image": np.zeros((1, 4, 5), np.uint8), "label": np.asarray(0)},
        4: {"image": np.zeros((1, 4, 4), np.uint8), "label": np.asarray(2)},
        5: {"image": np.zeros((1, 4, 4), np.float32), "label": np.asarray(0)},
        6: {"image": np.zeros((1, 4, 4), np.uint8)},
    }
    items = Items(count=500)
    source = ItemSource(
        fields=items.source.fields,
        items=items.source.items,
        read=lambda index: wrong[index] if index in wrong else items.read(index),
        fingerprint="1",
    )
    dataset = open_source(source, cache_folder=tmp_path)
    assert [item for item, _ in dataset.skipped] == ["item-3", "item-4", "item-5", "item-6"]
    assert dataset.count == 496


@pytest.mark.parametrize("damage", ["cut", "missing", "manifest"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    items = Items()
    dataset = open_source(items.source, cache_folder=tmp_path)
    wanted = dataset.fingerprint
    del dataset
    (entry,) = (tmp_path / "decoded").iterdir()
    if damage == "cut":
        (entry / "0.npy").write_bytes((entry / "0.npy").read_bytes()[:-1])
    elif damage == "missing":
        (entry / "1.npy").unlink()
    else:
        (entry / "manifest.json").write_text("{")
    again = open_source(items.source, cache_folder=tmp_path)
    assert items.reads == 600
    assert again.fingerprint == wanted
    assert "damaged" in again.notes[-1]
    assert open_source(items.source, cache_folder=tmp_path).notes == ()


def test_damaged_keys_of_an_earlier_entry_are_passed_over(tmp_path: Path) -> None:
    """A computer that loses its power may leave an empty file."""
    first, second = Items(fingerprint="1"), Items(fingerprint="2")
    keys = [f"key {index}" for index in range(300)]
    open_source(replace(first.source, keys=keys), cache_folder=tmp_path)
    (file,) = tmp_path.glob("decoded/*/keys.npy")
    file.write_bytes(b"")
    assert open_source(replace(second.source, keys=keys), cache_folder=tmp_path).count == 300
    assert second.reads == 300


def test_without_a_writable_cache_samples_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    dataset = open_source(Items().source, cache_folder=tmp_path / "file")
    assert dataset.count == 300
    assert "stay in memory" in dataset.notes[0]


def test_a_disk_that_fills_up_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    dataset = open_source(Items().source, cache_folder=tmp_path)
    assert dataset.count == 300
    assert "No space left" in dataset.notes[0]
    assert not list((tmp_path / "decoded").iterdir())


def test_cache_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "here"))
    open_source(Items().source)
    (entry,) = (tmp_path / "here" / "decoded").iterdir()
    manifest = json.loads((entry / "manifest.json").read_text())
    assert set(manifest["files"]) == {"0.npy", "1.npy"}


# --- several processes ----------------------------------------------------------------------------

# Writes a line for each item that it reads; reads of a process that is told to hang never end.
OPENED = """
import os, sys, time
from pathlib import Path
import numpy as np
from ganzoo.api import Field, ItemSource
from ganzoo.data.dataset import open_source
folder, hangs = Path(sys.argv[1]), sys.argv[2] == "hang"
reads = os.open(folder / "reads", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def read(index):
    os.write(reads, b"%d %d\\n" % (os.getpid(), index))
    time.sleep(1000 if hangs else 0.002)
    return {"row": np.full(2, index, np.float32)}
source = ItemSource(
    fields=(Field(name="row", shape=(2,)),), items=[str(n) for n in range(400)], read=read, fingerprint="1"
)
print("ready", flush=True)
sys.stdin.readline()
store = open_source(source, cache_folder=folder / "cache")
print(store.count, float(store.arrays["row"].sum()), store.notes, flush=True)
"""


def child(folder: Path, mode: str = "read") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OPENED, str(folder), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def reads(folder: Path) -> list[str]:
    file = folder / "reads"
    return file.read_text().splitlines() if file.exists() else []


def test_of_two_processes_one_decodes(tmp_path: Path) -> None:
    both = [child(tmp_path), child(tmp_path)]
    for process in both:  # started, imported and waiting: now they begin together
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in both]
    assert answers == [f"400 {400.0 * 399} ()\n"] * 2
    assert len(reads(tmp_path)) == 400
    assert len({line.split()[0] for line in reads(tmp_path)}) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_that_was_killed_while_it_decoded_holds_up_nobody(tmp_path: Path) -> None:
    first = child(tmp_path, "hang")
    first.stdin.write("go\n")
    first.stdin.flush()
    until = time.monotonic() + 30
    while not reads(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    assert reads(tmp_path)
    second = child(tmp_path)
    second.stdin.write("go\n")
    second.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)  # it waits for the one that decodes
    assert {line.split()[0] for line in reads(tmp_path)} == {str(first.pid)}
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.communicate(timeout=60)[0] == f"400 {400.0 * 399} ()\n"


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError()])
def test_without_locks_decoding_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    asked = []

    class NoLock:
        def __init__(self, path: Path) -> None:
            asked.append(path)

        def acquire(self, timeout: float) -> None:
            raise error

    monkeypatch.setattr(decode_module, "FileLock", NoLock)
    items = Items()
    assert open_source(items.source, cache_folder=tmp_path).notes == ()
    open_source(items.source, cache_folder=tmp_path)
    assert items.reads == 300
    assert len(asked) == 1


def test_who_waits_too_long_decodes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "_LOCK_TIMEOUT", 0.1)
    items = Items()
    entry = tmp_path / "locks" / f"{decode_module._key(items.source)}.lock"
    with decode_module._locked(entry):
        assert open_source(items.source, cache_folder=tmp_path).count == 300


# --- a folder of images, through the whole path -------------------------------------------------


def images(folder: Path, count: int = 120) -> None:
    for index in range(count):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(folder / f"{index:03}.png")


def opened(folder: Path, cache: Path) -> Dataset:
    return open_source(open_folder(str(folder), FolderConfig()), cache_folder=cache)


def test_folder_through_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    folder.mkdir()
    images(folder)
    first = opened(folder, cache)
    assert first.arrays["image"].shape == (120, 3, 4, 4)
    assert first.arrays["image"][:, 0, 0, 0].tolist() == list(range(120))
    (folder / "000.png").write_text("not an image any more")
    second = opened(folder, cache)
    assert second.count == 119
    assert second.skipped[0][0] == "000.png"
    assert "not an image" in second.skipped[0][1]
    for at in range(1, 11):
        (folder / f"{at:03}.png").write_bytes(b"")
    with pytest.raises(DataError, match="11 of 120; at most 10 may be skipped"):
        opened(folder, cache)
