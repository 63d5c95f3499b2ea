"""Compressed archives that claim far more than they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
