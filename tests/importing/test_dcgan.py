"""DCGAN: files in the layout of pytorch/examples give the images of the published layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo.errors import UsageError
from tests.helpers.importing import imported, largest_difference, outputs


def published(latent: int, widths: list[int], channels: int) -> tuple[nn.Sequential, nn.Sequential]:
    """G and D of dcgan/main.py for widths of G from its first maps on, with trained-like statistics."""
    up: list[nn.Module] = []
    for at, (before, after) in enumerate(zip([latent, *widths], [*widths, channels], strict=True)):
        up.append(nn.ConvTranspose2d(before, after, 4, 2 if at else 1, 1 if at else 0, bias=False))
        up += [nn.Tanh()] if at == len(widths) else [nn.BatchNorm2d(after), nn.ReLU(True)]
    down: list[nn.Module] = []
    for at, (before, after) in enumerate(zip([channels, *widths[::-1]], [*widths[::-1], 1], strict=True)):
        last = at == len(widths)
        down.append(nn.Conv2d(before, after, 4, 1 if last else 2, 0 if last else 1, bias=False))
        if not last:
            down += [nn.BatchNorm2d(after)] if at else []
            down.append(nn.LeakyReLU(0.2, True))
    nets = nn.Sequential(*up), nn.Sequential(*down)
    for net in nets:
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, 0, 0.1)
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
    return nets[0].eval(), nets[1].eval()


def named(net: nn.Module, prefix: str = "main.") -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in net.state_dict().items()}


@pytest.mark.parametrize(
    ("latent", "widths", "channels", "prefix"),
    [
        (100, [64, 32, 16, 8], 3, "main."),  # 64x64
        (20, [64, 64, 32, 16, 8], 1, "module.main."),  # 128x128, of DataParallel
        (16, [32, 16], 3, "gen."),  # 16x16
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_images_equal_those_of_the_published_layers(
    tmp_path: Path, latent: int, widths: list[int], channels: int, prefix: str, legacy: bool
) -> None:
    torch.manual_seed(0)
    net, _ = published(latent, widths, channels)
    match = imported(named(net, prefix), tmp_path, legacy=legacy)
    z = torch.randn(3, latent)
    with torch.no_grad():
        expected = net(z[:, :, None, None])
    assert expected.std() > 1e-2
    assert largest_difference(outputs(match, {"z": z})["image"], expected) < 1e-5


def test_the_discriminator_of_the_file_is_taken(tmp_path: Path) -> None:
    torch.manual_seed(0)
    g, d = published(12, [32, 16, 8], 3)
    match = imported({"netG": named(g), "netD": named(d), "epoch": 3}, tmp_path)
    assert match.path == "netG"
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = d(images).flatten()
    found = outputs(match, {"image": images}, "discriminator")["score"]
    assert largest_difference(found, expected) < 1e-5


def test_averaged_weights_come_before_the_last_ones(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = [published(12, [16, 8], 3)[0] for _ in range(2)]
    tree = {"G": named(nets[0]), "G_ema": named(nets[1])}
    assert imported(tree, tmp_path).path == "G_ema"
    assert imported(tree, tmp_path, part="G").path == "G"


def test_two_generators_of_one_rank_are_not_guessed(tmp_path: Path) -> None:
    nets = [published(12, [16, 8], 3)[0] for _ in range(2)]
    with pytest.raises(UsageError, match="2 such generators: netG_A, netG_B"):
        imported({"netG_A": named(nets[0]), "netG_B": named(nets[1])}, tmp_path)


def test_an_array_that_nobody_knows_is_refused_with_its_name(tmp_path: Path) -> None:
    arrays = named(published(12, [16, 8], 3)[0])
    with pytest.raises(UsageError, match="unknown to .dcgan.: extra"):
        imported({**arrays, "extra.scale": torch.ones(3)}, tmp_path)


def test_a_missing_layer_is_refused_with_names(tmp_path: Path) -> None:
    arrays = named(published(12, [16, 8], 3)[0])
    del arrays["main.1.running_mean"]
    with pytest.raises(UsageError, match=r"main\.1\.running_mean"):
        imported(arrays, tmp_path)
