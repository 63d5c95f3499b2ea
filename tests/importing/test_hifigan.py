"""HiFi-GAN: files in the authors' layout give the sound of the published formula."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ganzoo_sound.importer import example
from tests.helpers.importing import imported, largest_difference, outputs, tensors


def published(arrays: dict[str, Tensor], mel: Tensor, *, pairs: bool) -> Tensor:
    """The generator of Kong et al. 2020 with rates 8 and 4, from plain functions of torch."""

    def weight(name: str) -> Tensor:
        v, g = arrays[f"{name}.weight_v"], arrays[f"{name}.weight_g"]
        return g * v / v.flatten(1).norm(dim=1)[:, None, None]

    def conv(x: Tensor, name: str, dilation: int = 1) -> Tensor:
        w = weight(name)
        padding = dilation * (w.shape[2] - 1) // 2
        return functional.conv1d(x, w, arrays[f"{name}.bias"], padding=padding, dilation=dilation)

    x = conv(mel, "conv_pre")
    for stage, rate in enumerate((8, 4)):
        x = functional.leaky_relu(x, 0.1)
        name = f"ups.{stage}"
        x = functional.conv_transpose1d(x, weight(name), arrays[f"{name}.bias"], rate, padding=rate // 2)
        total = torch.zeros_like(x)
        for at in range(3):
            y, block = x, f"resblocks.{3 * stage + at}"
            for step, dilation in enumerate((1, 3, 5) if pairs else ((1, 2), (2, 6), (3, 12))[at]):
                z = conv(
                    functional.leaky_relu(y, 0.1),
                    f"{block}.{'convs1' if pairs else 'convs'}.{step}",
                    dilation,
                )
                if pairs:
                    z = conv(functional.leaky_relu(z, 0.1), f"{block}.convs2.{step}")
                y = y + z
            total += y
        x = total / 3
    return conv(functional.leaky_relu(x), "conv_post").tanh()


@pytest.mark.parametrize("pairs", [False, True])
def test_sound_equals_the_published_formula(tmp_path: Path, pairs: bool) -> None:
    tree = example(pairs=pairs)
    match = imported(tree, tmp_path)
    assert match.imported.options["rates"] == [8, 4]
    for frames in (32, 50):
        mel = torch.randn(2, 20, frames, generator=torch.Generator().manual_seed(frames))
        expected = published(tensors(tree)["generator"], mel, pairs=pairs)
        assert expected.std() > 1e-3
        assert largest_difference(outputs(match, {"mel": mel})["sound"], expected) < 1e-5


def test_weights_after_remove_weight_norm_are_taken(tmp_path: Path) -> None:
    arrays = {}
    for key, value in tensors(example())["generator"].items():
        if key.endswith("weight_v"):
            g = tensors(example())["generator"][f"{key[:-1]}g"]
            arrays[key[:-2]] = g * value / value.flatten(1).norm(dim=1)[:, None, None]
        elif key.endswith("bias"):
            arrays[key] = value
    mel = torch.randn(1, 20, 40)
    first = outputs(imported(example(), tmp_path), {"mel": mel})["sound"]
    second = outputs(imported({"generator": arrays}, tmp_path), {"mel": mel})["sound"]
    assert largest_difference(first, second) < 1e-5
