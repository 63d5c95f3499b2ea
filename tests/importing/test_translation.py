"""pix2pix and CycleGAN: files in the authors' layout give the images of the published modules."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganzoo.errors import UsageError
from tests.helpers.importing import imported, largest_difference, outputs


class Level(nn.Module):
    """One level of the authors' U-Net; `inner` is the next."""

    def __init__(self, outer: int, width: int, inner: nn.Module | None, *, norm: str, first: int = 0) -> None:
        super().__init__()
        bias = norm == "instance"
        down = nn.Conv2d(first or outer, width, 4, 2, 1, bias=bias)
        if first:
            up = nn.ConvTranspose2d(2 * width, outer, 4, 2, 1)
            layers = [down, inner, nn.ReLU(), up, nn.Tanh()]
        elif inner is None:
            up = nn.ConvTranspose2d(width, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(), up, made(norm, outer)]
        else:
            up = nn.ConvTranspose2d(2 * width, outer, 4, 2, 1, bias=bias)
            layers = [
                nn.LeakyReLU(0.2, True),
                down,
                made(norm, width),
                inner,
                nn.ReLU(),
                up,
                made(norm, outer),
            ]
            layers.append(nn.Dropout(0.5))
        self.outermost = bool(first)
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Unet(nn.Module):
    def __init__(self, levels: int, width: int, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        widths = [width * min(8, 2**at) for at in range(levels)]
        level = None
        for at in reversed(range(1, levels)):
            level = Level(widths[at - 1], widths[at], level, norm=norm)
        self.model = Level(outputs, width, level, norm=norm, first=inputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Block(nn.Module):
    def __init__(self, width: int, norm: str, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"

        def conv() -> list[nn.Module]:
            return [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), made(norm, width)]

        drop = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(*conv(), nn.ReLU(True), *drop, *conv())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Resnet(nn.Module):
    def __init__(self, blocks: int, width: int, norm: str, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=bias), made(norm, width), nn.ReLU(True)]
        for size in (width, 2 * width):
            layers += [nn.Conv2d(size, 2 * size, 3, 2, 1, bias=bias), made(norm, 2 * size), nn.ReLU(True)]
        layers += [Block(4 * width, norm, dropout) for _ in range(blocks)]
        for size in (2 * width, width):
            up = nn.ConvTranspose2d(2 * size, size, 3, 2, 1, output_padding=1, bias=bias)
            layers += [up, made(norm, size), nn.ReLU(True)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Patches(nn.Module):
    def __init__(self, channels: int, width: int, norm: str) -> None:
        super().__init__()
        bias = norm == "instance"
        layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for size, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers += [
                nn.Conv2d(size, 2 * size, 4, stride, 1, bias=bias),
                made(norm, 2 * size),
                nn.LeakyReLU(0.2, True),
            ]
        self.model = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def made(norm: str, width: int) -> nn.Module:
    if norm == "instance":
        return nn.InstanceNorm2d(width)
    layer = nn.BatchNorm2d(width)
    nn.init.uniform_(layer.weight, 0.5, 1.5)
    nn.init.normal_(layer.bias, 0, 0.2)
    layer.running_mean.normal_(0, 0.1)
    layer.running_var.uniform_(0.5, 1.5)
    return layer


def compare(net: nn.Module, match: object, side: int, channels: int = 3) -> None:
    images = torch.rand(2, channels, side, side) * 2 - 1
    with torch.no_grad():
        expected = net.eval()(images.clone())
    assert expected.std() > 1e-3
    assert largest_difference(outputs(match, {"a": images})["b"], expected) < 1e-5


@pytest.mark.parametrize(
    ("levels", "norm", "channels"), [(7, "batch", 3), (8, "batch", 1), (6, "instance", 3)]
)
def test_unet(tmp_path: Path, levels: int, norm: str, channels: int) -> None:
    torch.manual_seed(0)
    net = Unet(levels, 8, channels, 3, norm)
    match = imported(net.state_dict(), tmp_path)
    assert match.imported.options["levels"] == levels
    compare(net, match, 2**levels, channels)


@pytest.mark.parametrize(
    ("blocks", "norm", "dropout"), [(6, "instance", False), (9, "instance", True), (9, "batch", True)]
)
def test_resnet_at_several_sizes(tmp_path: Path, blocks: int, norm: str, dropout: bool) -> None:
    torch.manual_seed(0)
    net = Resnet(blocks, 8, norm, dropout)
    match = imported(net.state_dict(), tmp_path)
    assert match.imported.options["blocks"] == blocks
    for side in (64, 100):
        compare(net, match, side)


def test_running_statistics_of_old_instance_norms_are_left_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Resnet(6, 8, "instance", False)
    old = dict(net.state_dict())
    for at, width in ((2, 8), (5, 16), (8, 32)):
        old |= {f"model.{at}.running_mean": torch.ones(width), f"model.{at}.running_var": torch.ones(width)}
    compare(net, imported(old, tmp_path), 64)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_discriminator_of_pairs_is_taken(tmp_path: Path, norm: str) -> None:
    torch.manual_seed(0)
    net, judge = Unet(7, 8, 3, 3, "batch"), Patches(6, 8, norm)
    match = imported({"netG": net.state_dict(), "netD": judge.state_dict()}, tmp_path)
    a, b = torch.randn(2, 2, 3, 128, 128)
    with torch.no_grad():
        expected = judge.model.eval()(torch.cat([a, b], 1))
    found = outputs(match, {"a": a, "b": b}, "discriminator")["score"]
    assert largest_difference(found, expected) < 1e-4


def test_a_file_with_both_directions_of_cyclegan_asks_which(tmp_path: Path) -> None:
    nets = {name: Resnet(6, 4, "instance", False).state_dict() for name in ("G_A", "G_B")}
    with pytest.raises(UsageError, match="2 such generators: G_A, G_B"):
        imported(nets, tmp_path)
    assert imported(nets, tmp_path, part="G_B").path == "G_B"


@pytest.mark.parametrize(("name", "inputs"), [("net", 6), ("model", 6), ("model", 3)])
def test_a_discriminator_of_pixels_leaves_the_pairs_as_they_are(
    tmp_path: Path, name: str, inputs: int
) -> None:
    net = Resnet(6, 8, "batch", False)
    pixels = {f"{name}.0.weight": torch.zeros(8, inputs, 1, 1), f"{name}.2.weight": torch.zeros(1, 8, 1, 1)}
    match = imported({"netG": net.state_dict(), "netD": pixels}, tmp_path)
    assert set(match.imported.weights) == {"generator"}
    assert "pairs" not in match.imported.options


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("pairs", [True, False])
def test_a_discriminator_in_another_file_is_taken(tmp_path: Path, norm: str, pairs: bool) -> None:
    """netD of pix2pix sees a and b, that of CycleGAN b alone."""
    torch.manual_seed(0)
    net, judge = Resnet(6, 8, norm, False), Patches(6 if pairs else 3, 8, norm)
    match = imported(net.state_dict(), tmp_path, judge=judge.state_dict())
    assert match.imported.options.get("pairs", True) is pairs
    a, b = torch.randn(2, 2, 3, 256, 256)
    with torch.no_grad():
        expected = judge.model.eval()(torch.cat([a, b], 1) if pairs else b)
    assert expected.std() > 1e-2
    found = outputs(match, {"a": a, "b": b}, "discriminator")["score"]
    assert largest_difference(found, expected) < 1e-5
