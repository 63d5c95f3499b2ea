"""Compressed archives that claim far more than they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganzoo.errors import UsageError
from ganzoo.foreign.read import read_file


def test_a_zip_bomb_of_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, weight=np.zeros(2**26, np.float32))
    assert path.stat().st_size < 2**20
    with pytest.raises(UsageError, match="many times more bytes"):
        read_file(path)


def test_compressed_weights_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    values = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    np.savez_compressed(path, weight=values, zeros=np.zeros(1000, np.float32))
    assert np.array_equal(read_file(path).tree["weight"].read(), values)


class Subclass(torch.Tensor):
    """torch saves tensors of subclasses by another function than plain ones."""


def test_tensors_of_a_subclass_are_read(tmp_path: Path) -> None:
    plain = torch.arange(6.0).reshape(2, 3)
    torch.save({"weight": plain.as_subclass(Subclass)}, tmp_path / "x.pth")
    assert np.array_equal(read_file(tmp_path / "x.pth").tree["weight"].read(), plain.numpy())
