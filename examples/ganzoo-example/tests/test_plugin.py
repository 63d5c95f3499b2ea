"""All checks of ganzoo's conformance kit, and this plugin's own tests."""

from __future__ import annotations

from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import PluginSuite

from ganzoo_example.config import LossConfig
from ganzoo_example.losses import build as build_loss


class TestConformance(PluginSuite):
    plugin = "example"


def test_a_short_run_can_be_exported(tmp_path: Path) -> None:
    run = ganzoo.train("example", images=640, run_dir=tmp_path / "run")
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert len(ganzoo.load(bundle).generate(3, seed=0)) == 3


def test_the_loss_is_its_formula() -> None:
    loss = build_loss(LossConfig(real=1.0, generated=-1.0))
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([[-1.0], [2.0]])
    assert loss.discriminator(real, fake).item() == pytest.approx((0 + 4) / 4 + (0 + 9) / 4)
    assert loss.generator(fake, None).item() == pytest.approx((4 + 1) / 4)
