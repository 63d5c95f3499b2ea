"""Grids that would be too large: fewer whole rows, fewer columns, or one image shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from ganzoo import images
from ganzoo.api import Field
from ganzoo.errors import UsageError


def numbered(count: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    values = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return np.broadcast_to(values, (count, height, width, channels))


def test_only_whole_rows_that_fit_are_drawn() -> None:
    arrays = numbered(12, 60, 60)
    whole = images.grid(arrays, columns=4)
    assert whole.size == (4 * 62 + 2, 3 * 62 + 2)
    assert images.grid(arrays, columns=4, limit=250 * 188).tobytes() == whole.tobytes()
    fewer = images.grid(arrays, columns=4, limit=250 * 188 - 1)
    assert fewer.size == (250, 2 * 62 + 2)
    assert fewer.tobytes() == whole.crop((0, 0, *fewer.size)).tobytes()


def test_a_row_that_does_not_fit_gets_fewer_columns() -> None:
    sheet = np.asarray(images.grid(numbered(12, 60, 60), columns=12, limit=2 * 64 * 64))
    assert sheet.shape == (64, 2 * 62 + 2)
    assert [int(sheet[30, 30]), int(sheet[30, 92])] == [0, 1]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(100, 200), (4, 4), (1, 5000)])
def test_one_image_is_shrunk_when_even_it_is_too_large(channels: int, height: int, width: int) -> None:
    arrays = numbered(3, height, width, channels) + np.uint8(9)
    arrays[..., 3:] = 255
    sheet = images.grid(arrays, limit=3000)
    assert 0 < sheet.size[0] * sheet.size[1] <= 3000
    assert np.asarray(sheet).reshape(sheet.size[1], sheet.size[0], channels)[2, 2, 0] == 9


def test_draw_fits_on_demand_and_else_refuses() -> None:
    field = Field(name="image", shape=(1, 4000, 4000), range=(-1.0, 1.0))
    values = numbered(9, 4000, 4000)
    with pytest.raises(UsageError, match="pixels large"):
        images.image_grid(field, values)
    sheet = images.image_grid(field, values, fit=True)
    assert sheet.size == (3 * 4002 + 2, 4002 + 2)
