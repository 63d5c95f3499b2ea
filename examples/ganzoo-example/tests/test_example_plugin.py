"""What an author checks before a release: shapes, formulas, and one short run up to the ONNX file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ganzoo_example.config import LeastSquaresConfig, TinyConfig
from ganzoo_example.losses import LeastSquares
from ganzoo_example.networks import build

import ganzoo
from ganzoo.api import DataError, DataInfo, Field


def images(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0)) -> DataInfo:
    return DataInfo(fields=(Field(name="image", shape=shape, range=bounds),), count=100)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 30, 45), (2, 9, 64)])
def test_networks_fit_any_image(shape: tuple[int, ...]) -> None:
    config = TinyConfig(latent=5, generator_width=2, discriminator_width=3)
    networks = build(config, images(*shape))
    image = networks.generators["generator"].module(z=torch.randn(4, 5))
    assert image.shape == (4, *shape)
    score = networks.discriminators["discriminator"].module(image=image)
    assert score.shape == (4,)


def test_the_generator_stays_in_the_range() -> None:
    torch.manual_seed(0)
    loud = 100 * torch.randn(8, 64)
    bounded = build(TinyConfig(), images(1, 8, 8, bounds=(0.0, 4.0))).generators["generator"].module(loud)
    assert 0 <= bounded.min() < 1
    assert 3 < bounded.max() <= 4
    free = build(TinyConfig(generator_norm="none"), images(1, 8, 8, bounds=None)).generators["generator"]
    assert free.module(100 * loud).abs().max() > 4


@pytest.mark.parametrize("shape", [(1, 7, 28), (28, 28)])
def test_other_data_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="8x8"):
        build(TinyConfig(), images(*shape))


def test_the_loss_is_equation_2() -> None:
    loss = LeastSquares(LeastSquaresConfig(a=-1.0, b=1.0, c=0.0))
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([[-1.0], [2.0]])
    assert loss.discriminator(real, fake).item() == pytest.approx((0 + 4) / 4 + (0 + 9) / 4)
    assert loss.generator(fake, None).item() == pytest.approx((1 + 4) / 4)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        LeastSquaresConfig(a=1.0, b=1.0)
    with pytest.raises(ValueError, match="1 or more"):
        TinyConfig(latent=0)


def test_listing_does_not_import_torch() -> None:
    code = "import sys, ganzoo_example as m; m.ganzoo_architectures(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_short_run_can_be_exported(tmp_path: Path) -> None:
    small = {"architecture.generator_width": 2, "architecture.discriminator_width": 2, "train.batch_size": 16}
    run = ganzoo.train("example", images=64, settings=small, run_dir=tmp_path / "run")
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert ganzoo.load(bundle).generate(3, seed=0).shape == (3, 1, 28, 28)
