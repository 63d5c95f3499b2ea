"""The order of the data, and batches as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganzoo.api import PIXELS, ArraySource, DataError, Field
from ganzoo.data.batches import Batches, indices, order
from ganzoo.data.dataset import Dataset, open_source

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("resident_bytes", [0, 1 << 30], ids=["host", "resident"])


def make(
    count: int = 10, shape: tuple[int, ...] = (1, 2, 3), span: tuple[float, float] = (-1.0, 1.0)
) -> Dataset:
    """Images in which each pixel is different, and a label that is the sample's own index."""
    size = int(np.prod(shape))
    image = (np.arange(count * size) % 256).astype(np.uint8).reshape(count, *shape)
    classes = tuple(str(value) for value in range(count))
    return open_source(
        ArraySource(
            fields=(
                Field(name="image", shape=shape, range=span, axes=PIXELS),
                Field(name="label", dtype="int64", classes=classes),
            ),
            arrays={"image": image, "label": np.arange(count)},
        )
    )


# --- order ----------------------------------------------------------------------------------------


def test_order_is_a_permutation_that_depends_on_each_argument() -> None:
    first = order(0, "d", 0, 50)
    assert sorted(first) == list(range(50))
    assert first.dtype == np.int64
    np.testing.assert_array_equal(first, order(0, "d", 0, 50))
    for other in (order(1, "d", 0, 50), order(0, "g", 0, 50), order(0, "d", 1, 50), order(-1, "d", 0, 50)):
        assert not np.array_equal(first, other)


def test_order_never_changes_between_releases() -> None:
    assert order(0, "d", 0, 8).tolist() == [7, 0, 2, 5, 3, 1, 6, 4]


def test_order_is_not_biased() -> None:
    first = [order(seed, "d", 0, 5)[0] for seed in range(2000)]
    assert np.bincount(first).min() > 330  # 400 expected, standard deviation 18


@pytest.mark.parametrize("n", [1, 3, 7, 10, 23])
def test_every_epoch_visits_each_index_once(n: int) -> None:
    taken = np.concatenate([indices(5, "d", start, n, 10) for start in range(0, 10 * n, n)])
    assert len(taken) == 10 * n
    for epoch in taken.reshape(-1, 10):
        assert sorted(epoch) == list(range(10))


def test_a_position_decides_whatever_was_taken_before() -> None:
    whole = indices(5, "d", 0, 100, 10)
    for position in (0, 4, 10, 37):
        np.testing.assert_array_equal(indices(5, "d", position, 13, 10), whole[position : position + 13])


def test_impossible_positions() -> None:
    with pytest.raises(ValueError, match="position -1"):
        indices(0, "d", -1, 1, 10)
    with pytest.raises(ValueError, match="n 0"):
        indices(0, "d", 0, 0, 10)


# --- batches --------------------------------------------------------------------------------------


@BOTH
def test_fields_stay_together_and_epochs_are_whole(resident_bytes: int) -> None:
    dataset = make()
    batches = Batches(dataset, seed=3, device=CPU, resident_bytes=resident_bytes)
    assert batches.resident == bool(resident_bytes)
    seen = []
    for position in range(0, 40, 4):
        batch = batches.take("d", position, 4)
        assert batch["image"].shape == (4, 1, 2, 3)
        assert batch["image"].dtype == torch.float32
        assert batch["label"].dtype == torch.int64
        expected = dataset.arrays["image"][batch["label"].numpy()].astype(np.float32) / 127.5 - 1
        np.testing.assert_allclose(batch["image"].numpy(), expected, atol=1e-6)
        np.testing.assert_array_equal(batch["label"].numpy(), indices(3, "d", position, 4, 10))
        seen += batch["label"].tolist()
    assert all(sorted(seen[start : start + 10]) == list(range(10)) for start in range(0, 40, 10))


@BOTH
def test_a_batch_larger_than_the_data(resident_bytes: int) -> None:
    batch = Batches(make(), seed=3, device=CPU, resident_bytes=resident_bytes).take("d", 0, 200)
    assert torch.bincount(batch["label"]).tolist() == [20] * 10


def test_host_and_resident_give_the_same() -> None:
    dataset = make(count=30, shape=(4, 3, 5))
    one, two = (Batches(dataset, seed=3, device=CPU, flip=True, resident_bytes=size) for size in (0, 1 << 30))
    for position in (0, 25, 7):
        first, second = one.take("d", position, 11), two.take("d", position, 11)
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("span", "middle"), [((-1.0, 1.0), -1 / 255), ((0.0, 1.0), 127 / 255)])
def test_scaling_is_exact(span: tuple[float, float], middle: float) -> None:
    field = Field(name="image", shape=(1, 1, 3), range=span)
    image = np.array([0, 127, 255], np.uint8).reshape(1, 1, 1, 3)
    dataset = open_source(ArraySource(fields=(field,), arrays={"image": image}))
    values = Batches(dataset, seed=0, device=CPU).take("d", 0, 1)["image"].flatten().tolist()
    assert values == [span[0], np.float32(middle), span[1]]


@BOTH
def test_flips_are_per_sample_and_a_function_of_the_position(resident_bytes: int) -> None:
    dataset = make(count=40)
    plain = Batches(dataset, seed=3, device=CPU, resident_bytes=resident_bytes)
    flipping = Batches(dataset, seed=3, device=CPU, flip=True, resident_bytes=resident_bytes)
    before, after = plain.take("d", 0, 80), flipping.take("d", 0, 80)
    assert torch.equal(before["label"], after["label"])
    mirrored = [torch.equal(x.flip(-1), y) for x, y in zip(before["image"], after["image"], strict=True)]
    kept = [torch.equal(x, y) for x, y in zip(before["image"], after["image"], strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 20 < sum(mirrored) < 60
    assert mirrored[:40] != mirrored[40:]
    assert torch.equal(flipping.take("d", 33, 20)["image"], after["image"][33:53])


def test_rows_are_neither_scaled_nor_flipped() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    dataset = open_source(ArraySource(fields=(Field(name="point", shape=(2,)),), arrays={"point": rows}))
    batch = Batches(dataset, seed=0, device=CPU, flip=True).take("d", 0, 6)
    np.testing.assert_array_equal(batch["point"].numpy(), rows[indices(0, "d", 0, 6, 6)])


@BOTH
def test_batches_are_the_callers_own(resident_bytes: int) -> None:
    batches = Batches(make(), seed=0, device=CPU, resident_bytes=resident_bytes)
    batch = batches.take("d", 0, 10)
    kept = {name: values.clone() for name, values in batch.items()}
    for values in batch.values():
        values.zero_()
    again = batches.take("d", 0, 10)
    assert all(torch.equal(again[name], kept[name]) for name in kept)


def test_names_choose_fields() -> None:
    batches = Batches(make(), seed=0, device=CPU)
    assert list(batches.take("d", 0, 2, ["label"])) == ["label"]
    with pytest.raises(DataError, match="no field 'mask'"):
        batches.take("d", 0, 2, ["mask"])


def test_read_only_memory_maps_raise_no_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", make().arrays["image"])
    field = Field(name="image", shape=(1, 2, 3), range=(-1.0, 1.0))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    dataset = open_source(ArraySource(fields=(field,), arrays={"image": mapped}))
    for size in (0, 1 << 30):
        assert (
            Batches(dataset, seed=0, device=CPU, resident_bytes=size).take("d", 0, 4)["image"].shape[0] == 4
        )


def test_many_epochs_are_not_all_kept() -> None:
    batches = Batches(make(), seed=0, device=CPU)
    batches.take("d", 0, 1000)
    assert len(batches._epochs) <= 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_as_the_cpu() -> None:
    dataset = make(count=30, shape=(4, 3, 5))
    host = Batches(dataset, seed=3, device=CPU, flip=True)
    for size in (None, 0):
        there = Batches(dataset, seed=3, device=torch.device("cuda"), flip=True, resident_bytes=size)
        for position in (0, 25, 7):
            first, second = host.take("d", position, 11), there.take("d", position, 11)
            assert all(torch.equal(first[name], second[name].cpu()) for name in first)
