"""Scores of series against independent formulas, and where they are best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from ganzoo.api import Field
from ganzoo_series import metrics, trained_scores
from ganzoo_series.clock import Clock
from ganzoo_series.config import TrainedScoreConfig
from ganzoo_series.fields import Layout
from ganzoo_series.metrics import Series
from ganzoo_series.transform import Scale

QUICK = TrainedScoreConfig(steps=150, lr=1e-2)


@dataclass
class Compared:
    """Generated and real values, as a comparison has them."""

    fake_values: np.ndarray
    real_values: np.ndarray
    field: Field

    @cached_property
    def fake(self) -> SimpleNamespace:
        return SimpleNamespace(values=self.fake_values.astype(np.float32))

    @cached_property
    def real(self) -> SimpleNamespace:
        return SimpleNamespace(values=self.real_values.astype(np.float32))

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(0)


def compared(fake: np.ndarray, real: np.ndarray, *, returns: bool = False, ends: bool = False) -> Compared:
    channels = real.shape[2] - ends
    layout = Layout(
        columns=tuple("abcdef"[:channels]),
        scales=(Scale(),) * channels,
        clock=Clock(),
        start=(100.0,) * channels * returns,
        ends=ends,
    )
    return Compared(fake, real, layout.field(real.shape[1], bounded=False))


def noise(count: int, steps: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, steps, channels))


def whole(values: np.ndarray) -> Series:
    return Series(values, np.ones(values.shape[:2], bool))


def test_autocorrelation_of_one_series_is_the_usual_formula() -> None:
    x = np.cumsum(noise(1, 500), axis=1)
    found = metrics.autocorrelation(whole(x), 20)[:, 0]
    centred = x[0, :, 0] - x.mean()
    expected = [np.mean(centred[:-k] * centred[k:]) / np.mean(centred**2) for k in range(1, 21)]
    assert np.allclose(found, expected)


def test_autocorrelation_of_an_autoregression_is_its_power() -> None:
    x = noise(400, 300)
    for step in range(1, 300):
        x[:, step] += 0.8 * x[:, step - 1]
    found = metrics.autocorrelation(whole(x[:, 50:]), 5)[:, 0]
    assert np.allclose(found, 0.8 ** np.arange(1, 6), atol=0.02)


def test_leverage_is_the_correlation_with_later_squares() -> None:
    x = noise(1, 3_000, seed=1)[0, :, 0]
    for step in range(1, 3_000):
        x[step] *= 1.5 if x[step - 1] < 0 else 0.5
    found = metrics.leverage_effect(whole(x[None, :, None]), 3)[:, 0]
    expected = [np.corrcoef(x[:-k], x[k:] ** 2)[0, 1] for k in (1, 2, 3)]
    assert np.allclose(found, expected, atol=0.01)
    assert found[0] < -0.2


def test_pairs_do_not_cross_the_end_of_a_sample() -> None:
    x = noise(50, 30)
    inside = np.arange(30) < np.random.default_rng(0).integers(5, 31, 50)[:, None]
    found = metrics.autocorrelation(Series(np.where(inside[..., None], x, 99.0), inside), 3)[:, 0]
    rows = x[inside]
    scaled = (x[..., 0] - rows.mean()) / rows.std()
    for lag in (1, 2, 3):
        pairs = [
            one[at] * one[at + lag]
            for one, there in zip(scaled, inside, strict=True)
            for at in range(there.sum() - lag)
        ]
        assert found[lag - 1] == pytest.approx(np.mean(pairs))


def test_sums_are_those_of_consecutive_steps() -> None:
    x = noise(4, 12)
    expected = np.array([one[at : at + 5, 0].sum() for one in x for at in range(8)])
    assert np.allclose(np.sort(metrics.sums(whole(x), 5)[:, 0]), np.sort(expected))


def test_tails_are_the_distances_of_scipy() -> None:
    fake, real = noise(40, 50, 1, 1) * 1.3 + 0.2, np.random.default_rng(2).standard_t(5, (40, 50, 1))
    scores = metrics.distributions(None)(compared(fake, real, returns=True))
    assert set(scores) == {"emd_1", "emd_5", "emd_20", "skew_error", "kurtosis_error"}
    expected = stats.wasserstein_distance(fake.ravel(), real.ravel()) / real.std()
    assert scores["emd_1"] == pytest.approx(expected, rel=1e-4)
    moments = abs(stats.kurtosis(fake.ravel()) - stats.kurtosis(real.ravel()))
    assert scores["kurtosis_error"] == pytest.approx(moments, rel=1e-3)
    assert "emd_5" not in metrics.distributions(None)(compared(fake, real))


def test_correlations_between_columns() -> None:
    real = noise(200, 30, 3)
    real[..., 1] = 0.6 * real[..., 0] + 0.8 * real[..., 1]
    apart = noise(200, 30, 3, 5)
    score = metrics.correlations(None)
    expected = np.abs(np.corrcoef(real.reshape(-1, 3).T) - np.corrcoef(apart.reshape(-1, 3).T))
    assert score(compared(apart, real))["cross_correlation_error"] == pytest.approx(
        expected[np.triu_indices(3, 1)].mean(), rel=1e-3
    )
    assert "cross_correlation_error" not in score(compared(apart[..., :1], real[..., :1]))


def test_lengths_are_compared_in_steps() -> None:
    flags = lambda count: np.where(np.arange(20) < count - 1, 1.0, -1.0)  # noqa: E731
    real, fake = (np.stack([np.stack([np.zeros(20), flags(n)], 1)] * 30) for n in (8, 11))
    score = metrics.distributions(None)
    assert score(compared(fake, real, ends=True))["length_distance"] == 3
    assert "length_distance" not in score(compared(fake, real))


def test_scores_of_the_real_samples_themselves_are_zero() -> None:
    real = noise(60, 60, 2)
    for make in (metrics.correlations, metrics.distributions):
        scores = make(None)(compared(real, real, returns=True))
        assert scores
        assert max(scores.values()) == pytest.approx(0, abs=1e-9)
    assert "leverage_distance" not in metrics.correlations(None)(compared(real, real))


def test_volatility_clusters_show_in_absolute_values_only() -> None:
    calm = noise(300, 100)
    clustered = calm * np.exp(np.repeat(noise(300, 1, 1, 3), 100, axis=1))
    scores = metrics.correlations(None)(compared(calm, clustered))
    assert scores["acf_abs_distance"] > 10 * scores["acf_distance"]


def test_the_discriminative_score_separates_and_does_not_separate() -> None:
    real = noise(400, 12)
    score = trained_scores.discriminative(QUICK)
    assert score(compared(noise(400, 12, 1, 9), real))["discriminative_score"] < 0.15
    assert score(compared(real, real))["discriminative_score"] == 0
    assert score(compared(np.cumsum(real, 1), real))["discriminative_score"] > 0.35


@pytest.mark.parametrize("channels", [1, 2])
def test_the_predictive_score_is_lower_for_series_that_teach_to_predict(channels: int) -> None:
    waves = np.sin(np.arange(20) / 2 + np.random.default_rng(0).uniform(0, 6, (400, 1)))[..., None]
    real = np.concatenate([waves] * channels, axis=2)
    score = trained_scores.predictive(QUICK)
    good = score(compared(real[200:], real[:200]))["predictive_score"]
    bad = score(compared(noise(200, 20, channels), real[:200]))["predictive_score"]
    assert good < 0.8 * bad


def test_trained_scores_are_the_same_again_and_leave_the_random_numbers_of_torch_alone() -> None:
    before = torch.random.get_rng_state()
    score = trained_scores.discriminative(TrainedScoreConfig(steps=5))
    one, two = (score(compared(noise(50, 8, 2, 1), noise(50, 8, 2))) for _ in range(2))
    assert one == two
    assert torch.equal(before, torch.random.get_rng_state())
