"""HiFi-GAN: files in the authors' layout give the sound of the published formula."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm, weight_norm

from ganzoo.errors import UsageError
from ganzoo.importing.networks import build_imported
from ganzoo.registry.registry import load_registry
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


class Part(nn.Module):
    """DiscriminatorP or DiscriminatorS of the authors, with their names."""

    def __init__(self, plan: list[tuple[int, ...]], period: int, norm: Callable) -> None:
        super().__init__()
        self.period = period
        kind = nn.Conv2d if period else nn.Conv1d
        self.convs = nn.ModuleList()
        for before, after, kernel, stride, groups in plan:
            size, step, pad = (kernel, 1), (stride, 1), (kernel // 2, 0)
            if not period:
                size, step, pad = kernel, stride, kernel // 2
            self.convs.append(norm(kind(before, after, size, step, pad, groups=groups)))
        ends = ((3, 1), 1, (1, 0)) if period else (3, 1, 1)
        self.conv_post = norm(kind(plan[-1][1], 1, *ends))

    def forward(self, x: Tensor) -> Tensor:
        if self.period:
            x = functional.pad(x, (0, -x.shape[2] % self.period), "reflect")
            x = x.view(len(x), 1, -1, self.period)
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.1)
        return self.conv_post(x).flatten(1)


def parts_of(periods: tuple[int, ...]) -> tuple[nn.ModuleList, nn.ModuleList]:
    """The discriminators of periods and of scales, with the published channels."""
    wide = [
        (1, 32, 5, 3, 1),
        (32, 128, 5, 3, 1),
        (128, 512, 5, 3, 1),
        (512, 1024, 5, 3, 1),
        (1024, 1024, 5, 1, 1),
    ]
    long = [
        (1, 128, 15, 1, 1), (128, 128, 41, 2, 4), (128, 256, 41, 2, 16), (256, 512, 41, 4, 16),
        (512, 1024, 41, 4, 16), (1024, 1024, 41, 1, 16), (1024, 1024, 5, 1, 1),
    ]  # fmt: skip
    mpd = nn.ModuleList(Part(wide, period, weight_norm) for period in periods)
    msd = nn.ModuleList(Part(long, 0, weight_norm if at else spectral_norm) for at in range(3))
    for layer in msd[0].modules():
        if hasattr(layer, "weight_u"):
            left, _, right = torch.linalg.svd(layer.weight_orig.detach().flatten(1), full_matrices=False)
            layer.weight_u.copy_(left[:, 0])
            layer.weight_v.copy_(right[0])
    return mpd, msd


@pytest.mark.slow  # 70 million parameters
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_discriminators_of_a_do_file_are_taken(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mpd, msd = (side.eval() for side in parts_of((2, 3, 5, 7, 11)))
    state = {
        name: {f"discriminators.{key}": value for key, value in side.state_dict().items()}
        for name, side in (("mpd", mpd), ("msd", msd))
    }
    steps = {
        "steps": 3,
        "epoch": 0,
        "optim_d": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
    }
    match = imported(example(), tmp_path, judge={**state, **steps})
    networks = build_imported(match.imported, load_registry())[2]
    found = networks.discriminators["discriminator"].module.eval().parts
    sound = torch.randn(2, 1, 4096).clamp(-1, 1)
    pooled = sound
    with torch.no_grad():
        for at, part in enumerate([*mpd, *msd]):
            if at > len(mpd):
                pooled = functional.avg_pool1d(pooled, 4, 2, padding=2)
            expected = part(pooled if at >= len(mpd) else sound)
            assert expected.std() > 1e-5
            assert largest_difference(found[at](sound)[0].flatten(1), expected) < 1e-5


def test_a_do_file_of_other_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not use"):
        imported(
            example(),
            tmp_path,
            judge={"mpd": {"discriminators.0.conv_post.weight": torch.ones(1, 2, 3, 1), "b": torch.ones(2)}},
        )
