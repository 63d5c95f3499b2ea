"""Random inputs: fixed numbers, prefixes, chunks, moments, walks."""

from __future__ import annotations

import hashlib
import math
import tracemalloc

import numpy as np
import pytest

from ganzoo.api import Field
from ganzoo.errors import UsageError
from ganzoo.sampling import _log, _sine, draw, interpolate

Z = Field(name="z", shape=(3,), source="normal")
U = Field(name="u", shape=(2, 2), source="uniform")
LABEL = Field(name="label", dtype="int64", classes=tuple("abcdefghij"))
FIELDS = (Z, U, LABEL)

# Fixed for ever: an exported generator must give the same image for a seed in every version.
GOLDEN_Z = [0.9528691172599792, -0.48952803015708923, 0.6341456770896912]
GOLDEN_U = [0.4384065270423889, -0.8281333446502686, -0.5311440229415894, 0.7651206851005554]
GOLDEN_LABEL = [6, 0, 9, 5]
GOLDEN_MILLION = "821aa73b6375d470f1dc13bedf8ad307a1e1d25ba9f68bdca3e7e979f45a2d5b"


def test_golden_values() -> None:
    rows = draw(FIELDS, 4, seed=7)
    assert rows["z"][0].tolist() == GOLDEN_Z
    assert rows["u"][0].ravel().tolist() == GOLDEN_U
    assert rows["label"].tolist() == GOLDEN_LABEL


def test_every_bit_of_many_values() -> None:
    z = draw([Field(name="z", shape=(100,), source="normal")], 10_000, seed=1)["z"]
    assert hashlib.sha256(z.astype("<f4").tobytes()).hexdigest() == GOLDEN_MILLION


def test_logarithm_and_sine() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random(10_000), 2.0 ** -np.arange(54), 1 - 2.0 ** -np.arange(1, 54)])
    np.testing.assert_allclose(_log(x), np.log(x), rtol=1e-14)
    turns = np.concatenate([rng.random(10_000), np.arange(6) / 4])
    np.testing.assert_allclose(_sine(turns), np.sin(2 * np.pi * turns), atol=2e-15)


def test_tails() -> None:
    z = np.abs(draw([Field(name="z", shape=(1000,), source="normal")], 2000, seed=2)["z"])
    for limit in (1.0, 2.0, 3.0, 4.0):
        expected = z.size * math.erfc(limit / math.sqrt(2))
        assert abs(np.count_nonzero(z > limit) - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("source", ["normal", "uniform"])
def test_little_more_memory_than_the_result(source: str) -> None:
    tracemalloc.start()
    rows = draw([Field(name="z", shape=(100,), source=source)], 100_000, seed=0)["z"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes + 8 * 2**20


def test_shapes_and_types() -> None:
    rows = draw(FIELDS, 5, seed=0)
    assert {name: (rows[name].shape, rows[name].dtype.name) for name in rows} == {
        "z": ((5, 3), "float32"),
        "u": ((5, 2, 2), "float32"),
        "label": ((5,), "int64"),
    }
    assert draw(FIELDS, 0, seed=0)["u"].shape == (0, 2, 2)


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    short, long = draw(FIELDS, 16, seed=3), draw(FIELDS, 64, seed=3)
    assert all(np.array_equal(short[name], long[name][:16]) for name in short)


def test_blocks_change_nothing() -> None:
    """Three rows fill more than two blocks, a hundred thousand narrow ones several."""
    for size, n in ((30_000, 3), (3, 100_000)):
        field = Field(name="z", shape=(size,), source="normal")
        whole = draw([field], n, 5)["z"]
        assert np.array_equal(whole[-1], draw([field], 1, 5, start=n - 1)["z"][0])
        assert np.array_equal(whole[: n // 2], draw([field], n // 2, 5)["z"])


@pytest.mark.parametrize("size", [1, 3, 4, 5, 128])
def test_chunks_join_to_the_whole(size: int) -> None:
    field = Field(name="z", shape=(size,), source="normal")
    parts = [draw([field], 10, 5, start=start)["z"] for start in (0, 10, 20)]
    assert np.array_equal(np.concatenate(parts), draw([field], 30, 5)["z"])


def test_other_fields_change_nothing() -> None:
    assert np.array_equal(draw([Z], 8, 1)["z"], draw([LABEL, U, Z], 8, 1)["z"])


def test_seeds_and_names_differ() -> None:
    same = Field(name="other", shape=(3,), source="normal")
    streams = [draw([Z], 100, seed)["z"].tobytes() for seed in (0, 1, 2**63, 2**64 - 1)]
    streams.append(draw([same], 100, 0)["other"].tobytes())
    assert len(set(streams)) == 5


def test_moments() -> None:
    rows = draw([Field(name="z", shape=(10,), source="normal"), U, LABEL], 20_000, seed=11)
    z, u = rows["z"].astype(np.float64), rows["u"].astype(np.float64)
    assert abs(z.mean()) < 0.01  # 4.5 standard errors at 200,000 values
    assert abs(z.std() - 1) < 0.01
    assert abs((z**4).mean() - 3) < 0.1
    assert np.abs(np.corrcoef(z.T) - np.eye(10)).max() < 0.04
    assert np.abs(u).max() <= 1
    assert abs(u.mean()) < 0.012
    assert abs(u.std() - 1 / np.sqrt(3)) < 0.01
    counts = np.bincount(rows["label"], minlength=10)
    assert ((counts - 2000) ** 2 / 2000).sum() < 33.7  # chi-squared, 9 degrees, p = 1e-4


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(UsageError, match="seed"):
        draw([Z], 1, seed)


@pytest.mark.parametrize("field", [Field(name="a", shape=(2,)), Field(name="b", dtype="int64")])
def test_fields_that_nobody_draws(field: Field) -> None:
    with pytest.raises(UsageError, match="is not random"):
        draw([field], 1, 0)


def test_spherical_walk_keeps_the_length() -> None:
    a, b = np.array([3.0, 0, 0], np.float32), np.array([0, 3.0, 0], np.float32)
    walk = interpolate(a, b, 5, "normal")
    assert walk.shape == (5, 3)
    assert walk.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 3, rtol=1e-6)
    assert np.array_equal(walk[0], a)
    assert np.array_equal(walk[-1], b)


def test_long_walk_is_the_same_in_blocks() -> None:
    a, b = draw([Field(name="z", shape=(1000,), source="normal")], 2, 0)["z"]
    walk = interpolate(a, b, 101, "normal")
    angle = math.acos(float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b)))
    middle = (a.astype(np.float64) + b) * math.sin(angle / 2) / math.sin(angle)
    np.testing.assert_allclose(walk[50], middle, atol=1e-5)
    assert np.isfinite(walk).all()


def test_linear_walk_and_parallel_vectors() -> None:
    a, b = np.array([[0.0, 1.0]], np.float32), np.array([[1.0, 3.0]], np.float32)
    np.testing.assert_allclose(interpolate(a, b, 3, "uniform")[1], [[0.5, 2.0]])
    np.testing.assert_allclose(interpolate(a, 2 * a, 3, "normal")[1], 1.5 * a)
    assert np.isfinite(interpolate(a, -a, 3, "normal")).all()
    assert np.isfinite(interpolate(0 * a, a, 3, "normal")).all()


def test_bad_walks() -> None:
    a = np.zeros(2, np.float32)
    with pytest.raises(UsageError):
        interpolate(a, np.zeros(3, np.float32), 4, "normal")
    with pytest.raises(UsageError):
        interpolate(a, a, 0, "normal")
