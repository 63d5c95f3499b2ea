"""The Frechet distance of an export with smaller weights, without data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ganzoo.api import PIXELS, Field
from ganzoo.errors import DivergedError
from ganzoo.evaluation.small_weights import frechet_of
from ganzoo.registry.registry import load_registry


def test_values_without_an_extractor_are_compared_as_they_are() -> None:
    """Against the formula of Heusel et al. 2017, with values in standard deviations of the others."""
    random = np.random.default_rng(0)
    full, others = random.normal(size=(2, 400, 5)).astype(np.float32)
    small = full + np.float32(0.3)
    name, changed, plain = frechet_of(load_registry())(Field(name="row", shape=(5,)), small, full, others)
    assert name == "frechet"
    for samples, found in ((small, changed), (full, plain)):
        a, b = samples / others.std(0), others / others.std(0)
        first, second = np.cov(a.T), np.cov(b.T)
        gap = a.mean(0) - b.mean(0)
        wanted = gap @ gap + np.trace(first + second - 2 * sqrtm(first @ second).real)
        assert found == pytest.approx(wanted, rel=1e-3)


def test_pictures_are_compared_by_the_usual_extractor() -> None:
    field = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    random = np.random.default_rng(0)
    full, others = random.uniform(-1, 1, (2, 64, 1, 8, 8)).astype(np.float32)
    darker = full * np.float32(0.5) - np.float32(0.5)
    measure = frechet_of(load_registry())
    name, same, plain = measure(field, full, full, others)
    assert (name, same) == ("fed", plain)
    assert measure(field, darker, full, others)[1] > 2 * plain


def test_samples_that_are_not_finite_have_no_distance() -> None:
    broken = np.full((20, 5), np.nan, np.float32)
    with pytest.raises(DivergedError):
        frechet_of(load_registry())(Field(name="row", shape=(5,)), broken, broken, broken)
