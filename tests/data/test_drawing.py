"""Samples that are drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganzoo.api import DataError, Field, ItemSource
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import Dataset, of_classes, open_source

PARTS = ItemSource(
    fields=(Field(name="x", shape=(2,)), Field(name="label", dtype="int64", classes=("even", "odd"))),
    drawn_from=(Field(name="whole", shape=(5,)), Field(name="label", dtype="int64", classes=("even", "odd"))),
    items=[str(item) for item in range(11)],
    read=lambda item: whole(item),
    draw=lambda sample, random: part(sample, random),
    fingerprint="1",
)
"""Item i has the numbers 10 i to 10 i + 4; a sample is two neighbours of them. Item 3 is broken."""


def whole(item: int) -> dict[str, Any]:
    if item == 3:
        raise ValueError("broken")
    return {"whole": np.arange(5, dtype=np.float32) + 10 * item, "label": np.asarray(item % 2)}


def part(sample: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    start = random.integers(0, 4)
    return {"x": sample["whole"][start : start + 2], "label": sample["label"]}


def opened(folder: Path, source: ItemSource = PARTS) -> Dataset:
    return open_source(source, cache_folder=folder)


def taken(data: Dataset, starts: range, seed: int = -1) -> np.ndarray[Any, Any]:
    """Samples (n, label and 2 numbers) of those positions, two at a time."""
    batches = Batches(data, seed=seed, device=torch.device("cpu"), resident_bytes=1 << 30)
    found = [batches.take("d", start, 2) for start in starts]
    return np.concatenate([np.column_stack([batch["label"], batch["x"]]) for batch in found])


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    data = opened(tmp_path)
    assert (data.count, len(data.skipped)) == (10, 1)
    many = taken(data, range(0, 600, 2))
    for epoch in many.reshape(60, 10, 3):
        assert sorted(epoch[:, 1] // 10) == [0, 1, 2, *range(4, 11)]
    assert (many[:, 2] - many[:, 1] == 1).all()
    assert (many[:, 0] == many[:, 1] // 10 % 2).all()
    assert set(many[many[:, 1] // 10 == 2][:, 1] % 10) == {0, 1, 2, 3}  # each part of an item comes
    assert (taken(data, range(100, 130, 2)) == many[100:130]).all()  # resumed
    assert (taken(data, range(100, 130, 10)) == many[100:130].reshape(3, 10, 3)[:, :2].reshape(6, 3)).all()
    assert (taken(data, range(0, 600, 2), seed=5) != many).any()


def test_evaluation_has_one_drawing_that_stays(tmp_path: Path) -> None:
    data, again = opened(tmp_path), opened(tmp_path)
    assert (data.arrays["x"] == again.arrays["x"]).all()
    assert data.fingerprint == again.fingerprint
    assert data.arrays["x"].shape == (10, 2)


def test_chosen_classes_keep_their_items(tmp_path: Path) -> None:
    odd = of_classes(opened(tmp_path), ["odd"], [])
    assert odd.count == 4
    assert set(taken(odd, range(0, 40, 2))[:, 1] // 10) == {1, 5, 7, 9}


def test_samples_that_change_their_shape_are_refused(tmp_path: Path) -> None:
    drawn = []

    def growing(sample: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
        drawn.append(sample)
        return {"x": sample["whole"][: 2 + (len(drawn) > 10)], "label": sample["label"]}

    data = opened(tmp_path, replace(PARTS, draw=growing))
    with pytest.raises(DataError, match=r"\(3,\)"):
        taken(data, range(0, 2, 2))
