"""The formulas of the metrics of points and rows: modes, quality, columns and pairs of columns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganzoo_datasets.config import ToyConfig
from ganzoo_datasets.toy import open_held_out, open_toy
from tests.plugins.test_metrics import Array, normal, scores

RING = 2.0 * np.array([[math.cos(a), math.sin(a)] for a in np.arange(8) * math.pi / 4])
GRID = np.array([[x, y] for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)])


def around(centres: Array, sigma: float) -> dict[str, Array]:
    """Four points about each centre, so that the standard deviation is exactly `sigma`."""
    corners = sigma * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    points = (centres[:, None] + corners).reshape(-1, 2)
    return {"values": points.astype(np.float32), "labels": np.repeat(np.arange(len(centres)), 4)[:, None]}


def found_modes(points: Array, real: dict[str, Array], **options: float) -> dict[str, float]:
    return scores("modes", {"values": points.astype(np.float32)}, real, **options)


@pytest.mark.parametrize("centres", [RING, GRID], ids=["ring", "grid"])
def test_modes_and_quality(centres: Array) -> None:
    real, count = around(centres, 0.02), len(centres)
    perfect = found_modes(centres, real)
    assert perfect == pytest.approx({"quality": 1, "modes": count, "reverse_kl": 0}, abs=1e-6)
    few = found_modes(centres[[0, 0, 1, 1, 3]], real)
    shares = [0.4, 0.4, 0.2]
    kl = sum(share * math.log(share * count) for share in shares)
    assert few == pytest.approx({"quality": 1, "modes": 3, "reverse_kl": kl})
    # A point is good up to three standard deviations from a centre, in whichever direction.
    for way in (np.array([1.0, 0.0]), np.array([0.6, 0.8])):
        near, far = centres + 2.9 * 0.02 * way, centres + 3.1 * 0.02 * way
        assert found_modes(near, real)["quality"] == 1
        assert found_modes(far, real) == {"quality": 0, "modes": 0}
        assert found_modes(far, real, reach=3.2)["quality"] == 1
        mixed = found_modes(np.concatenate([near[:3], far]), real)
        assert mixed["quality"] == pytest.approx(3 / (3 + count))
        assert mixed["modes"] == 3


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_new_points_of_the_toy_data_have_the_quality_of_a_gaussian(name: str, modes: int) -> None:
    """In two dimensions a share of 1 - exp(-9 / 2) is within three standard deviations."""
    config = ToyConfig(count=20_000)
    train, held_out = open_toy(name, config), open_held_out(name, config)
    real = {"values": held_out.arrays["point"], "labels": held_out.arrays["label"][:, None]}
    found = found_modes(train.arrays["point"], real)
    assert found["quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert found["modes"] == modes
    assert found["reverse_kl"] < 0.01


def marginals(fake: Array, real: Array) -> dict[str, float]:
    return scores("marginals", {"values": fake}, {"values": real})


def test_the_distance_of_shifted_columns_is_the_shift() -> None:
    real = normal(0, 400, 2) * [1.0, 50.0] + [3.0, -7.0]
    assert marginals(real[::-1], real) == pytest.approx(
        {"column_distance": 0, "column_ks": 0, "pair_correlation": 0}, abs=1e-12
    )
    moved = marginals(real + 0.5 * real.std(0) * [1, 0], real)
    assert moved["column_distance"] == pytest.approx(0.5 / 2)  # of one column of two
    assert moved["pair_correlation"] == pytest.approx(0, abs=1e-12)
    assert 0.1 < moved["column_ks"] < 0.3
    away = marginals(real + 10 * real.std(0), real)
    assert (away["column_distance"], away["column_ks"]) == (pytest.approx(10), 1)


def test_correlations_of_columns() -> None:
    x = normal(0, 300, 1)
    along, against = np.concatenate([x, x], 1), np.concatenate([x, -x], 1)
    found = marginals(against, along)
    assert found["pair_correlation"] == pytest.approx(2)
    constant = np.concatenate([x, np.ones_like(x)], 1)  # has no correlation: counts as 0
    assert marginals(constant, along)["pair_correlation"] == pytest.approx(1)
    assert "pair_correlation" not in marginals(x, x)


def test_a_constant_column_is_not_divided() -> None:
    """The mean distance is half of its own, because that of the other column is 0."""
    x = normal(0, 300, 1)
    real, fake = (np.concatenate([x, np.full_like(x, level)], 1) for level in (0.1, 0.11))
    assert marginals(fake, real)["column_distance"] == pytest.approx(0.01 / 2)
