"""Random inputs: fixed numbers, prefixes, chunks, moments, walks."""

import numpy as np
import pytest

from ganzoo.api import Field
from ganzoo.errors import UsageError
from ganzoo.sampling import draw, interpolate

Z = Field(name="z", shape=(3,), source="normal")
U = Field(name="u", shape=(2, 2), source="uniform")
LABEL = Field(name="label", dtype="int64", classes=tuple("abcdefghij"))
FIELDS = (Z, U, LABEL)

# Fixed for ever: an exported generator must give the same picture for a seed in every version.
GOLDEN_Z = [0.9528691172599792, -0.48952803015708923, 0.6341456770896912]
GOLDEN_U = [0.4384065270423889, -0.8281333446502686, -0.5311440229415894, 0.7651206851005554]
GOLDEN_LABEL = [6, 0, 9, 5]


def test_golden_values():
    rows = draw(FIELDS, 4, seed=7)
    np.testing.assert_allclose(rows["z"][0], GOLDEN_Z, rtol=2e-7)
    assert rows["u"][0].ravel().tolist() == GOLDEN_U
    assert rows["label"].tolist() == GOLDEN_LABEL


def test_shapes_and_types():
    rows = draw(FIELDS, 5, seed=0)
    assert {name: (rows[name].shape, rows[name].dtype.name) for name in rows} == {
        "z": ((5, 3), "float32"),
        "u": ((5, 2, 2), "float32"),
        "label": ((5,), "int64"),
    }
    assert draw(FIELDS, 0, seed=0)["u"].shape == (0, 2, 2)


def test_a_longer_draw_begins_with_the_shorter_one():
    short, long = draw(FIELDS, 16, seed=3), draw(FIELDS, 64, seed=3)
    assert all(np.array_equal(short[name], long[name][:16]) for name in short)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 128])
def test_chunks_join_to_the_whole(size):
    field = Field(name="z", shape=(size,), source="normal")
    parts = [draw([field], 10, 5, start=start)["z"] for start in (0, 10, 20)]
    assert np.array_equal(np.concatenate(parts), draw([field], 30, 5)["z"])


def test_other_fields_change_nothing():
    assert np.array_equal(draw([Z], 8, 1)["z"], draw([LABEL, U, Z], 8, 1)["z"])


def test_seeds_and_names_differ():
    same = Field(name="other", shape=(3,), source="normal")
    streams = [draw([Z], 100, seed)["z"].tobytes() for seed in (0, 1, 2**63, 2**64 - 1)]
    streams.append(draw([same], 100, 0)["other"].tobytes())
    assert len(set(streams)) == 5


def test_moments():
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
def test_seed_out_of_range(seed):
    with pytest.raises(UsageError, match="seed"):
        draw([Z], 1, seed)


@pytest.mark.parametrize("field", [Field(name="a", shape=(2,)), Field(name="b", dtype="int64")])
def test_fields_that_nobody_draws(field):
    with pytest.raises(UsageError, match="not a random one"):
        draw([field], 1, 0)


def test_spherical_walk_keeps_the_length():
    a, b = np.array([3.0, 0, 0], np.float32), np.array([0, 3.0, 0], np.float32)
    walk = interpolate(a, b, 5, "normal")
    assert walk.shape == (5, 3)
    assert walk.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 3, rtol=1e-6)
    assert np.array_equal(walk[0], a)
    assert np.array_equal(walk[-1], b)


def test_linear_walk_and_parallel_vectors():
    a, b = np.array([[0.0, 1.0]], np.float32), np.array([[1.0, 3.0]], np.float32)
    np.testing.assert_allclose(interpolate(a, b, 3, "uniform")[1], [[0.5, 2.0]])
    np.testing.assert_allclose(interpolate(a, 2 * a, 3, "normal")[1], 1.5 * a)
    assert np.isfinite(interpolate(a, -a, 3, "normal")).all()
    assert np.isfinite(interpolate(0 * a, a, 3, "normal")).all()


def test_bad_walks():
    a = np.zeros(2, np.float32)
    with pytest.raises(UsageError):
        interpolate(a, np.zeros(3, np.float32), 4, "normal")
    with pytest.raises(UsageError):
        interpolate(a, a, 0, "normal")
