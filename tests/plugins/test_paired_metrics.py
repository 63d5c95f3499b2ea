"""Scores against target images: the formulas, and which sample is compared with which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo.api import DatasetSpec, Field
from ganzoo.config.plan import Choice
from ganzoo.config.resolve import resolve
from ganzoo.evaluation.comparison import targets_of
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.evaluation.generators import inputs_of
from ganzoo.evaluation.real_data import RealData
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_datasets.config import FashionPairsConfig, FashionUnpairedConfig
from ganzoo_metrics.paired import paired, psnr, ssim
from tests.plugins.test_metrics import Given


def shades(*values: int) -> Any:
    return np.array(values, np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 1), np.uint8)


def test_psnr_is_that_of_each_image() -> None:
    made, right = shades(10, 100), shades(20, 100)
    exact = 10 * np.log10(255**2 * 12)  # rounding to 8 bits
    assert exact == pytest.approx(58.9, abs=0.05)
    assert psnr(made, right) == pytest.approx((10 * np.log10(255**2 / 100) + exact) / 2)


def test_ssim_of_flat_images_is_that_of_their_means() -> None:
    small = (0.01 * 255) ** 2
    wanted = (2 * 10 * 20 + small) / (10**2 + 20**2 + small)
    assert ssim(shades(10), shades(20)) == pytest.approx(wanted)
    noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    assert ssim(noise, noise) == pytest.approx(1)
    assert ssim(noise, 255 - noise) < -0.5
    assert ssim(noise, np.full_like(noise, 128)) < 0.1


def test_samples_are_compared_with_their_own_targets() -> None:
    class Comparison:
        fake, real = Given(values=shades(1, 2, 3)), Given(values=shades(3, 1, 2))
        targets = np.array([1, 2, 0])

    scores = paired()(Comparison())  # type: ignore[arg-type]
    assert scores["l1"] == 0
    assert scores["ssim"] == pytest.approx(1)
    Comparison.targets = np.array([0, 1, 2])
    assert paired()(Comparison())["l1"] == pytest.approx((2 + 1 + 1) / 3 / 255)  # type: ignore[arg-type]


def opened(registry: Registry, name: str, config: Any, field: str) -> RealData:
    spec = registry.find(DatasetSpec, name)
    kinds = Kinds(registry)
    return RealData.open(
        Choice(spec, config), name, Field(name=field, shape=(1, 28, 28), range=(-1, 1)), kinds
    )


def test_targets_belong_to_the_inputs(registry: Registry) -> None:
    """The input of a sample is the transform of its target, also where inputs repeat."""
    real_data = opened(registry, "fashion-pairs", FashionPairsConfig(), "b")
    reads = [Field(name="a", shape=(1, 28, 28), range=(-1, 1))]
    given = real_data.arrays(6_000, reads)  # 5,000 there are
    inputs = inputs_of(reads, 6_000, 7, given)
    places = targets_of(real_data, reads, 6_000, 6_000, 7)
    assert places is not None
    assert np.array_equal(inputs["a"], given["a"][places])
    assert targets_of(real_data, [Field(name="z", shape=(2,), source="normal")], 100, 100, 7) is None
    apart = opened(registry, "fashion-unpaired", FashionUnpairedConfig(), "b")
    assert targets_of(apart, reads, 100, 100, 7) is None


def test_a_run_from_image_to_image_is_scored(registry: Registry, tmp_path: Path) -> None:
    small = {"train.images": 16, "train.batch_size": 8, "train.device": "cpu", "train.samples": 4}
    small |= {"architecture.generator_width": 4, "architecture.discriminator_width": 4}
    run, _ = start(resolve("pix2pix", registry, overrides=small), tmp_path / "run", NullReporter())
    request = Request(source=run.path, n=50, metrics=["paired"], references=False)
    report = evaluate(request, registry)
    assert 0 < report.scores["l1"] < 1
    assert 0 < report.scores["psnr"] < 30
    assert -1 < report.scores["ssim"] < 1
