"""Weights of ESRGAN and Real-ESRGAN, imitated: outputs equal the plain formulas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from ganzoo.errors import UsageError
from tests.helpers.enlarging import plain_rrdb, plain_srvgg
from tests.helpers.importing import imported, largest_difference, outputs

TOLERANCE = 1e-5


def rrdb(channels: int = 3, blocks: int = 2, width: int = 6, growth: int = 3) -> dict[str, Tensor]:
    """A state dict in BasicSR's names."""
    torch.manual_seed(0)
    sizes = {"conv_first": (channels, width), "conv_last": (width, 3)}
    sizes |= dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (width, width))
    for block in range(blocks):
        for dense in (1, 2, 3):
            for at in range(5):
                made = width if at == 4 else growth
                sizes[f"body.{block}.rdb{dense}.conv{at + 1}"] = (width + at * growth, made)
    return arrays(sizes)


def arrays(sizes: dict[str, tuple[int, int]]) -> dict[str, Tensor]:
    found = {}
    for name, (inputs, made) in sizes.items():
        found[f"{name}.weight"] = torch.randn(made, inputs, 3, 3) * 0.15
        found[f"{name}.bias"] = torch.randn(made) * 0.1
    return found


def srvgg(layers: int, width: int, scale: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    sizes = {f"body.{2 * at}": (width if at else 3, width) for at in range(layers + 1)}
    state = arrays({**sizes, f"body.{2 * layers + 2}": (width, 3 * scale**2)})
    return {**state, **{f"body.{2 * at + 1}.weight": torch.rand(width) * 0.4 for at in range(layers + 1)}}


def esrgan_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of ESRGAN's own code."""
    other = {
        "conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv",
    }  # fmt: skip
    found = {}
    for key, value in state.items():
        stem, _, part = re.sub(r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", key).rpartition(".")
        found[f"{other.get(stem, stem)}.{part}"] = value
    return found


def oldest_names(state: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """The names of the first files: one sequence."""
    other = {
        "conv_first": "model.0", "conv_body": f"model.1.sub.{blocks}", "conv_up1": "model.3",
        "conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10",
    }  # fmt: skip
    found = {}
    for key, value in state.items():
        stem, _, part = re.sub(
            r"^body\.(\d+)\.rdb(\d)\.(conv\d)", r"model.1.sub.\1.RDB\2.\3.0", key
        ).rpartition(".")
        found[f"{other.get(stem, stem)}.{part}"] = value
    return found


def signed(values: Tensor) -> Tensor:
    """0..1 as -1..1, clipped as a file is written."""
    return (2 * values - 1).clamp(-1, 1)


@pytest.mark.parametrize("layout", ["newest", "esrgan", "oldest"])
def test_rrdb_in_all_layouts(tmp_path: Path, layout: str) -> None:
    state = rrdb()
    trees = {
        "newest": {"params": rrdb(width=6), "params_ema": state},
        "esrgan": esrgan_names(state),
        "oldest": oldest_names(state, 2),
    }
    match = imported(trees[layout], tmp_path)
    assert match.imported.options == {"blocks": 2, "width": 6, "growth": 3, "unshuffle": 1}
    image = torch.rand(2, 3, 9, 7)
    found = outputs(match, {"a": 2 * image - 1})["b"]
    assert largest_difference(found, signed(plain_rrdb(state, image, 2))) < TOLERANCE


def test_real_esrgans_x2_reads_squares(tmp_path: Path) -> None:
    state = rrdb(channels=12)
    match = imported({"params_ema": state}, tmp_path)
    assert match.imported.options["unshuffle"] == 2
    assert [field.shape for field in match.imported.data.fields] == [(3, 32, 32), (3, 64, 64)]
    image = torch.rand(1, 3, 8, 12)
    expected = signed(plain_rrdb(state, pixel_unshuffle(image, 2), 2))
    assert largest_difference(outputs(match, {"a": 2 * image - 1})["b"], expected) < TOLERANCE


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_srvgg(tmp_path: Path, scale: int) -> None:
    state = srvgg(3, 5, scale)
    match = imported({"params": state}, tmp_path)
    assert match.imported.options == {"layers": 3, "width": 5, "activation": "prelu"}
    image = torch.rand(2, 3, 6, 10)
    expected = signed(plain_srvgg(state, image, 3, scale))
    assert largest_difference(outputs(match, {"a": 2 * image - 1})["b"], expected) < TOLERANCE


def test_a_missing_convolution_is_named(tmp_path: Path) -> None:
    state = rrdb()
    del state["body.1.rdb2.conv4.weight"]
    with pytest.raises(UsageError, match=r"body\.1\.rdb2\.conv4"):
        outputs(imported(state, tmp_path), {"a": torch.zeros(1, 3, 8, 8)})
