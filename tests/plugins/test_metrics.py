"""The formulas of the metrics against closed forms and brute force, through each record's import string.

Those for points and rows are in test_tabular_metrics.py.
"""

from __future__ import annotations

import math
import pkgutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

import ganzoo_metrics
from ganzoo.api import Field, MetricSpec, nearest, squared_distances
from ganzoo.api import distances as vector_distances
from ganzoo.evaluation.comparison import Comparison
from ganzoo_metrics import classes, distances, neighbours

SPECS: dict[str, MetricSpec] = {spec.name: spec for spec in ganzoo_metrics.ganzoo_metrics()}
Array = np.ndarray[Any, Any]


class Given(SimpleNamespace):
    """Samples with only the given attributes."""

    __hash__ = object.__hash__  # samples are told apart by identity

    def __len__(self) -> int:
        return len(self.features)


def scores(
    name: str,
    fake: dict[str, Any],
    real: dict[str, Any],
    training: Any = None,
    *,
    stacked: bool = False,
    **options: Any,
) -> Any:
    """The scores of that metric for samples with the given attributes: features, values, labels ..."""
    spec = SPECS[name]
    function = pkgutil.resolve_name(spec.factory)(spec.config(**options) if spec.config else None)
    known: Any = None if training is None else Given(features=training)
    feature_space: Any = SimpleNamespace(distance="fed", stacked=stacked)
    given: tuple[Any, Any] = (Given(**{"labels": None, **fake}), Given(**{"labels": None, **real}))
    found = function(Comparison(feature_space, *given, known, 0, field=Field(name="image", shape=())))
    assert {key.replace("fed", "{distance}") for key in found} <= set(spec.better)
    return found


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


# --- distances ------------------------------------------------------------------------------------


def exactly(seed: int, mean: Array, covariance: Array, n: int = 60) -> Array:
    """Samples with exactly that mean and covariance."""
    x = normal(seed, n, len(mean))
    x -= x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def turned(variances: Array, angle: float) -> Array:
    """A covariance in two dimensions with those variances along rotated axes."""
    axes = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return axes @ np.diag(variances) @ axes.T


def frechet(fake: Array, real: Array) -> float:
    return scores("frechet", {"features": fake}, {"features": real})["fed"]


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_frechet_distance_of_gaussians_along_the_same_axes(angle: float) -> None:
    """Then the roots commute: |m1 - m2|^2 and the squared differences of standard deviations."""
    first = exactly(0, np.array([1.0, -2.0]), turned(np.array([4.0, 0.25]), angle))
    second = exactly(1, np.array([0.0, 1.0]), turned(np.array([1.0, 9.0]), angle))
    assert frechet(first, second) == pytest.approx(1 + 9 + (2 - 1) ** 2 + (0.5 - 3) ** 2)


def test_frechet_distance_of_gaussians_along_other_axes() -> None:
    """For 2 x 2 matrices tr M^(1/2) = (tr M + 2 (det M)^(1/2))^(1/2)."""
    one, two = turned(np.array([4.0, 0.25]), 0.3), turned(np.array([1.0, 9.0]), 1.1)
    both = one @ two
    assert not np.allclose(both, two @ one)
    shared = math.sqrt(np.trace(both) + 2 * math.sqrt(np.linalg.det(both)))
    found = frechet(exactly(0, np.zeros(2), one), exactly(1, np.array([3.0, 0.0]), two))
    assert found == pytest.approx(9 + np.trace(one) + np.trace(two) - 2 * shared)


def test_frechet_distance_against_the_root_of_the_matrix_itself() -> None:
    first, second = normal(0, 90, 7) @ normal(1, 7, 7), normal(2, 70, 7) @ normal(3, 7, 7) + 1
    one, two = (np.cov(part, rowvar=False) for part in (first, second))
    gap = first.mean(0) - second.mean(0)
    expected = gap @ gap + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert frechet(first, second) == pytest.approx(expected)
    assert frechet(second, first) == pytest.approx(expected)
    single = frechet(first.astype(np.float32), second.astype(np.float32))
    assert single == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (10, 50), (40, 1)])
def test_frechet_distance_of_shifted_samples_is_the_squared_shift(n: int, d: int) -> None:
    """Fewer samples than dimensions, too: there the covariance has no full rank."""
    x = normal(0, n, d)
    assert frechet(x, x) == pytest.approx(0, abs=1e-5)
    assert frechet(x + 0.5, x) == pytest.approx(0.25 * d, rel=1e-4)


def kernel(x: Array, y: Array) -> float:
    return (float(x @ y) / len(x) + 1) ** 3


def brute_kid(first: Array, second: Array) -> float:
    def mean(one: Array, two: Array, same: bool) -> float:
        values = [kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(two) if not (same and i == j)]
        return sum(values) / len(values)

    return mean(first, first, True) + mean(second, second, True) - 2 * mean(first, second, False)


@pytest.mark.parametrize("rows", [500, 7])
def test_kid_is_the_mean_over_all_pairs(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(vector_distances, "_ROWS", rows)
    fake, real = normal(0, 23, 5), 0.7 * normal(1, 31, 5) + 0.3
    found = scores("kid", {"features": fake}, {"features": real})["kid"]
    assert found == pytest.approx(brute_kid(fake, real))
    single = scores("kid", {"features": fake.astype(np.float32)}, {"features": real.astype(np.float32)})
    assert single["kid"] == pytest.approx(found, rel=1e-3)


def test_kid_of_equal_distributions_is_0_on_average() -> None:
    found = [
        scores("kid", {"features": normal(2 * i, 30, 4)}, {"features": normal(2 * i + 1, 30, 4)})["kid"]
        for i in range(300)
    ]
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0
    # That a sample is compared with itself would be a bias many times as large.
    own = np.mean([kernel(x, x) for x in normal(0, 300, 4)]) - 1
    assert 2 * own / 30 > 10 * error


# --- neighbours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [500, 7])
def test_distances_of_all_pairs(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Far from the origin, where squares of the values are much larger than the differences."""
    monkeypatch.setattr(vector_distances, "_ROWS", rows)
    first, second = ((1000 + normal(seed, 20 + seed, 6)).astype(np.float32) for seed in (0, 1))
    expected = np.array([[((x.astype(float) - y) ** 2).sum() for y in second] for x in first])
    found = np.full_like(expected, np.nan)
    for part, values in squared_distances(first, second):
        found[part] = values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    places, lengths = nearest(first, second)
    assert places.tolist() == expected.argmin(1).tolist()
    np.testing.assert_allclose(lengths, np.sqrt(expected.min(1)), rtol=1e-4, atol=1e-2)
    places, lengths = nearest(first, first)
    assert places.tolist() == list(range(20))
    assert lengths.max() == 0


def brute_prdc(fake: Array, real: Array, k_precision: int, k_density: int) -> dict[str, float]:
    def apart(x: Array, y: Array) -> float:
        return float(((x - y) ** 2).sum())

    def radius(points: Array, i: int, k: int) -> float:
        others = sorted(apart(points[i], points[j]) for j in range(len(points)) if j != i)
        return others[min(k, len(others)) - 1]

    def balls(points: Array, k: int) -> list[tuple[Array, float]]:
        return [(points[i], radius(points, i, k)) for i in range(len(points))]

    def around(x: Array, those: list[tuple[Array, float]]) -> int:
        return sum(apart(x, centre) <= reach for centre, reach in those)

    narrow, wide, of_fakes = balls(real, k_precision), balls(real, k_density), balls(fake, k_precision)
    return {
        "precision": sum(around(x, narrow) > 0 for x in fake) / len(fake),
        "recall": sum(around(x, of_fakes) > 0 for x in real) / len(real),
        "density": sum(around(x, wide) for x in fake) / (k_density * len(fake)),
        "coverage": sum(any(apart(x, c) <= r for x in fake) for c, r in wide) / len(real),
    }


def prdc(fake: Array, real: Array, **options: int) -> dict[str, float]:
    parts = [{"features": part.astype(np.float32)} for part in (fake, real)]
    return scores("prdc", *parts, **options)


@pytest.mark.parametrize("rows", [500, 7])
@pytest.mark.parametrize(("k_precision", "k_density"), [(3, 5), (1, 2)])
def test_precision_recall_density_and_coverage(
    monkeypatch: pytest.MonkeyPatch, rows: int, k_precision: int, k_density: int
) -> None:
    monkeypatch.setattr(vector_distances, "_ROWS", rows)
    options = {"k_precision": k_precision, "k_density": k_density}
    for seed, (scale, shift) in enumerate([(1.0, 0.0), (0.3, 0.0), (2.0, 0.5), (1.0, 9.0)]):
        fake, real = scale * normal(seed, 37, 3) + shift, normal(10 + seed, 26, 3)
        expected = brute_prdc(fake, real, k_precision, k_density)
        assert prdc(fake, real, **options) == pytest.approx(expected)
        assert len({0.0, 1.0} & set(expected.values())) < 2 or shift == 9  # otherwise it shows little


def test_neighbours_at_equal_distances_and_collapse() -> None:
    """On a lattice, whose middle is 0, all distances are exact: a sample on the edge of a ball is inside."""
    axis = np.arange(-2.0, 3.0)
    lattice = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert prdc(lattice, lattice) == pytest.approx(brute_prdc(lattice, lattice, 3, 5))
    found = prdc(lattice, lattice)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    # All at one real point: realistic, and nothing else.
    collapsed = np.zeros((40, 2))
    found = prdc(collapsed, lattice)
    assert found == pytest.approx(brute_prdc(collapsed, lattice, 3, 5))
    assert found["precision"] == 1
    assert found["recall"] == 1 / 25
    assert found["coverage"] == 9 / 25  # its own ball, four at 1, four at 2 ** 0.5
    assert found["density"] == 9 / 5
    # Two balls of radius 2, and on the outer edge of each a generated sample.
    real, fake = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[-3.0, 0.0], [3.0, 0.0]])
    assert prdc(fake, real, k_precision=1, k_density=1) == dict.fromkeys(found, 1)


def test_with_fewer_samples_than_neighbours_a_ball_reaches_to_the_farthest() -> None:
    fake, real = normal(0, 3, 2), normal(1, 4, 2)
    assert prdc(fake, real) == pytest.approx(brute_prdc(fake, real, 3, 5))


def memorisation(fake: Array, training: Array, real: Array) -> dict[str, float]:
    parts = [{"features": part.astype(np.float32)} for part in (fake, real)]
    return scores("memorisation", *parts, training=training.astype(np.float32))  # type: ignore[misc]


def test_copies_are_found_and_others_are_not() -> None:
    training, real, fresh = (normal(seed, 800, 8) for seed in (0, 1, 2))
    copies = memorisation(training[:300], training, real)
    assert copies["memorisation"] < 1e-3
    assert copies["copied"] == 1
    independent = memorisation(fresh, training, real)
    assert independent["memorisation"] == pytest.approx(1, abs=0.05)
    assert independent["copied"] < 0.01
    # Nearly copies, and only a quarter of all: the median does not see them, the share does.
    some = np.concatenate([training[:200] + 0.01 * normal(3, 200, 8), fresh[:600]])
    assert memorisation(some, training, real)["copied"] == pytest.approx(0.25, abs=0.01)
    # What was held out is not training data: that it is near says the opposite.
    other = memorisation(real[:300], training, real)
    assert other["memorisation"] > 100
    assert other["copied"] == 0
    # Of single numbers many are by chance twice as near to the one as to the other.
    assert memorisation(*(normal(seed, 800, 1) for seed in (4, 5, 6)))["copied"] < 0.08
    # Rows of few values are copies of both: that says nothing.
    both = np.random.default_rng(7).integers(0, 2, (3, 100, 4)).astype(float)
    assert memorisation(*both) == {"memorisation": 1, "copied": 0}
    nothing = {"features": training}  # without training samples nothing is said of copies
    assert scores("memorisation", nothing, nothing) == {}


# --- classes --------------------------------------------------------------------------------------


def certain(labels: Array, count: int) -> Array:
    """Class probabilities of 0 and 1: (n, parts) -> (n, parts, count)."""
    return np.eye(count, dtype=np.float32)[labels]


def classifier_used(
    seen: Array, real: Array, count: int, conditioned: Array | None = None, *, stacked: bool = False
) -> dict[str, float]:
    fake = {"probabilities": certain(seen, count), "labels": conditioned}
    return scores("classes", fake, {"labels": real}, stacked=stacked)


def stacks() -> Array:
    """Each of the thousand modes of Stacked-MNIST once."""
    return np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), 1)


@pytest.mark.parametrize("stacked", [True, False])
def test_the_thousand_modes_of_stacked_digits(stacked: bool) -> None:
    every = stacks()
    full = classifier_used(every, every, 10, stacked=stacked)
    assert full["modes"] == 1000
    assert full["reverse_kl"] == pytest.approx(0, abs=1e-9)
    assert full["classifier_score"] == pytest.approx(10)
    # One channel shows five of the digits: half of the modes, and log 2 nats too many of each.
    half = classifier_used(every[every[:, 1] < 5], every, 10, stacked=stacked)
    assert half["modes"] == 500
    assert half["reverse_kl"] == pytest.approx(math.log(2))
    # The same digit in all channels.
    alike = classifier_used(np.repeat(np.arange(10), 3).reshape(10, 3), every, 10, stacked=stacked)
    assert alike["modes"] == 10
    assert alike["reverse_kl"] == pytest.approx(math.log(100))


def test_shares_of_stacks_are_those_of_their_digits() -> None:
    """A thousand stacks do not contain every mode; the expected shares come from the digits."""
    labels = np.array([[0, 0], [0, 1], [0, 1], [1, 1]])
    modes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]])
    found = classes.expected_shares(modes, labels, independent=True)
    np.testing.assert_allclose(found, [3 / 16, 9 / 16, 1 / 16, 3 / 16, 0])
    found = classes.expected_shares(modes, labels, independent=False)
    np.testing.assert_allclose(found, [1 / 4, 2 / 4, 0, 1 / 4, 0])


def test_dependent_labels_are_not_stacks() -> None:
    """Labels that are equal in the data are equal in good samples, without a penalty."""
    equal = np.array([[0, 0], [1, 1]] * 50)
    found = classifier_used(equal, equal, 2)
    assert (found["modes"], found["reverse_kl"]) == (2, 0)
    assert classifier_used(equal, equal, 2, stacked=True)["reverse_kl"] == pytest.approx(math.log(2))
    assert classifier_used(equal[:, :1], equal[:, :1], 2)["reverse_kl"] == 0


def test_many_labels_need_no_memory_for_all_their_combinations() -> None:
    """70 labels of two classes: 2 ** 70 combinations, of which the data contains few."""
    many = np.random.default_rng(0).integers(0, 2, (30, 70))
    for stacked in (True, False):
        found = classifier_used(many, many, 2, stacked=stacked)
        assert found["modes"] == 30
        assert math.isfinite(found["reverse_kl"])
    assert classifier_used(many, many, 2)["reverse_kl"] == pytest.approx(0)


def test_reverse_kl_from_generated_to_real() -> None:
    expected = np.array([0.5, 0.25, 0.25])
    found = classes.reverse_kl(np.array([0, 0, 0, 1]), expected)
    assert found == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(1))
    assert classes.reverse_kl(np.array([2, 2]), expected) == pytest.approx(math.log(4))
    # What the data has none of counts as half a sample's share: dear, but finite.
    nowhere = classes.reverse_kl(np.array([1, 1, 1, 1]), np.array([1.0, 0.0]))
    assert nowhere == pytest.approx(math.log(8))
    # A rare mode that the data does have is not taken for such a one.
    rare = np.full(1000, 0.001)
    assert classes.reverse_kl(np.arange(20), rare) == pytest.approx(math.log(1000 / 20))


def test_the_inception_score_is_the_mean_of_ten_parts() -> None:
    """As in papers: parts that contain each class once have the highest score, others the lowest."""
    one_class, each_class = np.eye(5)[np.zeros(50, int)], np.eye(5)[np.arange(50) % 5]
    p = np.concatenate([one_class, each_class]).astype(np.float32)
    found = scores("inception-score", {"extractor_probabilities": p}, {})["inception_score"]
    assert found == pytest.approx((5 * 1 + 5 * 5) / 10, rel=1e-5)
    assert classes.classifier_score(p) != pytest.approx(found, rel=0.05)


def test_classifier_score_between_1_and_the_number_of_classes() -> None:
    def score(p: Array) -> float:
        fake = {"extractor_probabilities": p.astype(np.float32)}
        return scores("inception-score", fake, {})["inception_score"]

    assert score(np.full((50, 7), 1 / 7)) == pytest.approx(1)
    assert score(np.eye(7)[np.zeros(50, int)]) == pytest.approx(1)  # sure, and always of the same
    assert score(np.eye(7)[np.arange(70) % 7]) == pytest.approx(7, rel=1e-5)
    # Two kinds of samples, each 0.8 to 0.2 for one class: log 2 less the entropy of 0.8 and 0.2.
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    mixed = np.array([[0.8, 0.2], [0.2, 0.8]] * 10)
    assert score(mixed) == pytest.approx(math.exp(math.log(2) - entropy))


def test_label_accuracy() -> None:
    seen, real = stacks()[:8], stacks()
    conditioned = seen.copy()
    conditioned[:2, 0] = 9  # one part of three is wrong: the sample is not as asked
    assert classifier_used(seen, real, 10, conditioned)["label_accuracy"] == 6 / 8
    assert "label_accuracy" not in classifier_used(seen, real, 10)


# --- statistics of real samples -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["frechet", "kid", "prdc"])
def test_statistics_of_real_samples_are_computed_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    looked_at: list[int] = []
    for module, function in ((distances, "moments"), (distances, "kernel_within"), (neighbours, "radii")):
        known = getattr(module, function)

        def counted(x: Array, *ks: int, known: Any = known) -> Any:
            looked_at.append(len(x))
            return known(x, *ks)

        monkeypatch.setattr(module, function, counted)
    spec = SPECS[name]
    function = pkgutil.resolve_name(spec.factory)(spec.config() if spec.config else None)
    real_data = [Given(features=normal(seed, n, 3)) for seed, n in ((0, 40), (1, 50))]
    fakes = [Given(features=normal(seed, 30, 3) + 1) for seed in (2, 3)]
    for real in (real_data[0], real_data[1], real_data[0]):
        looked_at.clear()
        found = [function(SimpleNamespace(fake=fake, real=real, distance="fed")) for fake in fakes]
        assert looked_at.count(len(real.features)) == 1
        alone = [scores(name, {"features": f.features}, {"features": real.features}) for f in fakes]
        assert found == alone
