"""One-hot data that is stored as indices: the batches are as if the vectors were stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganzoo.api import ArraySource, Field, as_floats
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import open_source
from ganzoo.errors import DataError

FIELD = Field(name="text", shape=(3, 5), range=(-1.0, 1.0))
INDICES = np.array([[0, 1, 4], [2, 2, 0], [3, 4, 4]])
VECTORS = np.where(INDICES[..., None] == np.arange(5), 1, -1).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
@pytest.mark.parametrize("resident", [0, 1 << 30])
def test_batches_have_one_hot_vectors(dtype: type, resident: int) -> None:
    found = []
    for array in (INDICES.astype(dtype), VECTORS):
        data = open_source(ArraySource(fields=(FIELD,), arrays={"text": array}))
        batches = Batches(data, seed=3, device=torch.device("cpu"), resident_bytes=resident)
        found.append(batches.take("d", 1, 4)["text"])
    assert found[0].dtype == torch.float32
    assert torch.equal(*found)
    assert np.array_equal(as_floats(FIELD, INDICES.astype(dtype)), VECTORS)


@pytest.mark.parametrize("array", [INDICES + 1, INDICES - 1, np.zeros((3, 5), np.uint8)])
def test_indices_that_name_no_place_are_refused(array: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"indices|shape"):
        open_source(ArraySource(fields=(FIELD,), arrays={"text": array.astype(np.int16)}))


def test_a_field_without_a_range_has_no_indices() -> None:
    field = Field(name="text", shape=(3, 5))
    with pytest.raises(DataError, match="shape"):
        open_source(ArraySource(fields=(field,), arrays={"text": INDICES.astype(np.int16)}))
