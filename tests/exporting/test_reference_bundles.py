"""The bundles in exported/: there, small, sampled without training, and as their recipes say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ganzoo

EXPORTED = Path(__file__).parents[2] / "exported"


@pytest.mark.parametrize("recipe", ["vanilla", "dcgan", "cgan", "wgan-gp"])
def test_reference_bundle(recipe: str) -> None:
    folder = EXPORTED / recipe
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
    listing = json.loads((folder / "bundle.json").read_text())
    about = listing["about"]
    assert about["recipe"] == recipe
    assert about["command"].startswith(f"ganzoo train {recipe}")
    assert listing["generators"]["generator"]["parity"]["max_abs"] < 1e-4
    generator = ganzoo.load(folder, provider="cpu")
    samples = generator.generate(32, seed=0)
    assert samples.shape == (32, 1, 28, 28)
    assert np.abs(samples).max() < 1 + 1e-5  # onnxruntime approximates tanh
    # Neither blank nor all the same.
    assert samples.std() > 0.3
    assert samples.std(axis=0).mean() > 0.1
    assert len(generator.classes) == (10 if recipe == "cgan" else 0)
