"""FastGAN: files in the authors' layout give the images of the published layers, last and averaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

from tests.helpers.importing import imported, largest_difference, outputs


class Noise(nn.Module):
    """x + strength * noise, with noise that the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1))
        self.noise = torch.zeros(())

    def forward(self, maps: Tensor) -> Tensor:
        self.noise = torch.randn(
            1, 1, *maps.shape[2:], generator=torch.Generator().manual_seed(maps.shape[1])
        )
        return maps + self.weight * self.noise


class Gate(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        a, b = maps.chunk(2, 1)
        return a * b.sigmoid()


class Excite(nn.Module):
    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        first, second = nn.Conv2d(small, large, 4, bias=False), nn.Conv2d(large, large, 1, bias=False)
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), spectral_norm(first), nn.SiLU(), spectral_norm(second), nn.Sigmoid()
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        made: Tensor = large * self.main(small)
        return made


class Init(nn.Module):
    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        first = spectral_norm(nn.ConvTranspose2d(latent, 2 * width, 4, bias=False))
        self.init = nn.Sequential(first, nn.BatchNorm2d(2 * width), Gate())


def up(inputs: int, outputs: int, heavy: bool) -> nn.Sequential:
    def conv(width: int) -> list[nn.Module]:
        layer = spectral_norm(nn.Conv2d(width, 2 * outputs, 3, padding=1, bias=False))
        return [layer, *([Noise()] if heavy else []), nn.BatchNorm2d(2 * outputs), Gate()]

    return nn.Sequential(nn.Upsample(scale_factor=2), *conv(inputs), *(conv(outputs) if heavy else []))


class Published(nn.Module):
    """The authors' generator: its parts by their names, in the order of their code."""

    def __init__(self, side: int, ngf: int, latent: int) -> None:
        super().__init__()
        factors = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25}
        width = {size: int(ngf * factor) for size, factor in factors.items()}
        self.side = side
        self.init = Init(latent, width[4])
        for size in (8, 16, 32, 64, 128, 256):
            self.add_module(f"feat_{size}", up(width[size // 2], width[size], size in (8, 32, 128)))
        for size in (64, 128, 256):
            self.add_module(f"se_{size}", Excite(width[size // 16], width[size]))
        self.to_128 = spectral_norm(nn.Conv2d(width[128], 3, 1, bias=False))
        self.to_big = spectral_norm(nn.Conv2d(width[side], 3, 3, padding=1, bias=False))
        if side > 256:
            self.feat_512, self.se_512 = up(width[256], width[512], True), Excite(width[32], width[512])

    def forward(self, z: Tensor) -> Tensor:
        maps = {4: self.init.init(z[:, :, None, None])}
        size = 4
        while size < self.side:
            size *= 2
            grown = self.get_submodule(f"feat_{size}")(maps[size // 2])
            maps[size] = self.get_submodule(f"se_{size}")(maps[size // 16], grown) if size >= 64 else grown
        image: Tensor = self.to_big(maps[size])
        return image

    def noise(self) -> Tensor:
        """The noise of the last call in one row, from the smallest maps on."""
        sizes = [size for size in (8, 32, 128, 512) if size <= self.side]
        parts = [
            m for size in sizes for m in self.get_submodule(f"feat_{size}").modules() if isinstance(m, Noise)
        ]
        return torch.cat([part.noise.flatten() for part in parts])[None]


def iterate(net: nn.Module) -> None:
    """Bring the vectors of all spectral norms to the singular vectors."""
    for layer in net.modules():
        if hasattr(layer, "weight_orig"):
            weight = layer.weight_orig.detach()
            if isinstance(layer, nn.ConvTranspose2d):
                weight = weight.transpose(0, 1)
            left, _, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
            layer.weight_u.copy_(left[:, 0])
            layer.weight_v.copy_(right[0])
    net.eval()


def made(side: int = 256, ngf: int = 8) -> Published:
    torch.manual_seed(2)
    net = Published(side, ngf, 6)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    iterate(net)
    return net


def compared(net: Published, tree: dict[str, Any], folder: Path) -> float:
    match = imported(tree, folder)
    assert match.path == "g"
    assert match.imported.options["output"] == "clip"
    with torch.no_grad():
        z = torch.randn(2, 6)
        expected = net(z)
    assert expected.std() > 1e-3
    image = outputs(match, {"z": z, "noise": net.noise().expand(2, -1)})["image"]
    return largest_difference(image, expected.clamp(-1, 1))


@pytest.mark.parametrize("side", [256, 512])
def test_images_equal_those_of_the_published_layers(tmp_path: Path, side: int) -> None:
    net = made(side)
    wrapped = {f"module.{key}": value for key, value in net.state_dict().items()}
    assert compared(net, {"g": wrapped}, tmp_path) < 1e-5


def test_the_list_of_averages_is_used_by_the_order_of_the_code(tmp_path: Path) -> None:
    net = made()
    last = {key: value.clone() for key, value in net.state_dict().items()}
    with torch.no_grad():
        for value in net.parameters():
            value.add_(torch.randn_like(value), alpha=0.05)
    averages = [value.detach().clone() for value in net.parameters()]
    iterate(net)
    tree = {"g": last, "d": {"main.0.weight": torch.ones(2, 2)}, "g_ema": averages}
    assert compared(net, tree, tmp_path) < 1e-5
    unknown = imported(tree, tmp_path).imported.unknown
    assert any("computed anew" in line for line in unknown)
    assert functional.mse_loss(averages[0], last["init.init.0.weight_orig"]) > 1e-4


def test_averages_that_do_not_fit_are_left_out_and_said(tmp_path: Path) -> None:
    net = made()
    averages = [value.detach() for value in net.parameters()][1:]
    tree = {"g": net.state_dict(), "g_ema": averages}
    assert compared(net, tree, tmp_path) < 1e-5
    assert any("left out" in line for line in imported(tree, tmp_path).imported.unknown)
