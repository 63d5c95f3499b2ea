"""Generators that enlarge: RRDBNet and SRVGGNetCompact; discriminators that score pixels or patches.

Layers have the names of the published weights (Real-ESRGAN, BSD-3): the importer needs no renaming. The
generators compute with 0..1, as those weights do.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_unshuffle

from ganzoo.api import Bounded, DataError, DataInfo, Field, Net, Networks, put_spectral_norm
from ganzoo_enlarge.config import CompactConfig, JudgeConfig, RRDBConfig

SLOPE = 0.2
RESIDUAL = 0.2  # Wang et al. 2018 (ESRGAN), section 3.1: residuals are scaled
SMALL_START = 0.1  # of Kaiming's weights in dense blocks, as in the authors' code


class Enlarger(nn.Module):
    """A network for 0..1 behind values of the range of `low`, with results in that of `high`."""

    def __init__(self, net: nn.Module, low: Field, high: Field) -> None:
        super().__init__()
        self.net = net
        self.low, self.span = _range(low)
        self.bounded = Bounded(high.range or (-1.0, 1.0), "clip")

    def forward(self, a: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, s * h, s * w)."""
        made: Tensor = self.bounded(2 * self.net((a - self.low) / self.span) - 1)
        return made


class DenseBlock(nn.Module):
    """Five convolutions, each of all maps before it: x + 0.2 f(x) (Wang et al. 2018, figure 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for at in range(5):
            outputs = growth if at < 4 else width
            layer = nn.Conv2d(width + at * growth, outputs, 3, padding=1)
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(SMALL_START)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.add_module(f"conv{at + 1}", layer)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) -> the same shape."""
        found = [maps]
        for layer in list(self.children())[:-1]:
            found.append(leaky_relu(layer(torch.cat(found, 1)), SLOPE))
        result: Tensor = maps + RESIDUAL * self.get_submodule("conv5")(torch.cat(found, 1))
        return result


class ResidualInResidual(nn.Module):
    """x + 0.2 f(x), where f is three dense blocks."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) -> the same shape."""
        result: Tensor = maps + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(maps)))
        return result


class RRDBNet(nn.Module):
    """(N, C, h, w) -> (N, C, s * h, s * w), in 0..1: Wang et al. 2018, section 3.1.

    Enlarges by nearest neighbours and a convolution: once for a total of 2 or 3, twice for 4, three times
    for 8. With `unshuffle`, the total is that many times `scale`.
    """

    def __init__(self, config: RRDBConfig, channels: int, outputs: int, scale: int) -> None:
        super().__init__()
        width = config.width
        self.unshuffle = config.unshuffle
        total = scale * config.unshuffle
        self.steps = (3,) if total == 3 else (2,) * (total.bit_length() - 1)
        self.conv_first = nn.Conv2d(channels * config.unshuffle**2, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualInResidual(width, config.growth) for _ in range(config.blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        for at in range(len(self.steps)):
            self.add_module(f"conv_up{at + 1}", nn.Conv2d(width, width, 3, padding=1))
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', s * h, s * w)."""
        if self.unshuffle > 1:
            image = pixel_unshuffle(image, self.unshuffle)
        first = self.conv_first(image)
        maps = first + self.conv_body(self.body(first))
        for at, step in enumerate(self.steps):
            larger = interpolate(maps, scale_factor=step, mode="nearest")
            maps = leaky_relu(self.get_submodule(f"conv_up{at + 1}")(larger), SLOPE)
        result: Tensor = self.conv_last(leaky_relu(self.conv_hr(maps), SLOPE))
        return result


class Compact(nn.Module):
    """SRVGGNetCompact: convolutions at the small size, a pixel shuffle, plus the enlarged input; in 0..1.

    Real-ESRGAN's small network: `layers` + 2 convolutions, each but the last with an activation.
    """

    def __init__(self, config: CompactConfig, channels: int, outputs: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.alike = channels == outputs
        layers: list[nn.Module] = []
        for inputs in (channels, *(config.width for _ in range(config.layers))):
            layers += [nn.Conv2d(inputs, config.width, 3, padding=1), _activation(config)]
        self.body = nn.Sequential(*layers, nn.Conv2d(config.width, outputs * scale**2, 3, padding=1))
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', s * h, s * w)."""
        made: Tensor = self.upsampler(self.body(image))
        base = image if self.alike else image.mean(1, keepdim=True)
        return made + interpolate(base, scale_factor=self.scale, mode="nearest")


def _activation(config: CompactConfig) -> nn.Module:
    if config.activation == "prelu":
        return nn.PReLU(config.width)
    return nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(0.1)


class UNetJudge(nn.Module):
    """image (N, C, H, W) -> score (N, 1, H, W): a U-Net with spectral norm (Wang et al. 2021, figure 6).

    Three halvings; skips are added. Height and width are multiples of 8.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1)
        for at, inputs in enumerate((width, 2 * width, 4 * width)):
            self.add_module(f"conv{at + 1}", nn.Conv2d(inputs, 2 * inputs, 4, 2, 1, bias=False))
        for at, inputs in enumerate((8 * width, 4 * width, 2 * width)):
            self.add_module(f"conv{at + 4}", nn.Conv2d(inputs, inputs // 2, 3, 1, 1, bias=False))
        self.conv7 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.conv8 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        for at in range(1, 9):
            put_spectral_norm(self.get_submodule(f"conv{at}"), (nn.Conv2d,))
        self.conv9 = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W)."""
        maps = [leaky_relu(self.conv0(image), SLOPE)]
        for at in range(1, 4):
            maps.append(leaky_relu(self.get_submodule(f"conv{at}")(maps[-1]), SLOPE))
        hidden = maps.pop()
        for at in range(4, 7):
            larger = interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
            hidden = leaky_relu(self.get_submodule(f"conv{at}")(larger), SLOPE) + maps.pop()
        for layer in (self.conv7, self.conv8):
            hidden = leaky_relu(layer(hidden), SLOPE)
        score: Tensor = self.conv9(hidden)
        return score


class PatchJudge(nn.Sequential):
    """image (N, C, H, W) -> score (N, 1, H/8, W/8): three halvings with spectral norm."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(*_halving(width, channels), nn.Conv2d(4 * width, 1, 3, padding=1))
        put_spectral_norm(self, (nn.Conv2d,))


def _halving(width: int, channels: int) -> Iterator[nn.Module]:
    for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        yield nn.Conv2d(inputs, outputs, 4, 2, 1)
        yield nn.LeakyReLU(SLOPE)


def build_rrdb(config: RRDBConfig, data: DataInfo) -> Networks:
    """Factory of `rrdb`. DataError unless `b` is 2, 3 or 4 times as large as `a`."""
    low, high, scale = sides(data)
    if scale * config.unshuffle not in (2, 3, 4, 8) or any(side % config.unshuffle for side in low.shape[1:]):
        raise DataError(
            f"Images {scale} times as large cannot be made with unshuffle={config.unshuffle}.",
            where=f"a is {low.shape}, b is {high.shape}",
            fix="--set architecture.unshuffle=1",
        )
    net = RRDBNet(config, low.shape[0], high.shape[0], scale)
    return _networks(config, net, low, high, scale, config.unshuffle)


def build_compact(config: CompactConfig, data: DataInfo) -> Networks:
    """Factory of `srvgg`. DataError unless `b` is 2, 3 or 4 times as large as `a`."""
    low, high, scale = sides(data)
    return _networks(config, Compact(config, low.shape[0], high.shape[0], scale), low, high, scale, 1)


def sides(data: DataInfo) -> tuple[Field, Field, int]:
    """`a`, `b`, and how many times larger `b` is. DataError for other sizes than 2, 3 or 4 times."""
    low, high = data.field("a"), data.field("b")
    both = f"a is {low.shape}, b is {high.shape}"
    if any(item.dtype != "float32" or len(item.shape) != 3 for item in (low, high)):
        raise DataError("The fields a and b must be images.", where=both, fix="--data crops:FOLDER")
    scale = high.shape[1] // low.shape[1]
    if scale not in (2, 3, 4) or tuple(scale * side for side in low.shape[1:]) != high.shape[1:]:
        raise DataError(
            "These networks enlarge 2, 3 or 4 times, and the images b are not that much larger than a.",
            where=both,
            fix="--data crops:FOLDER, with --set data.factor=2, 3 or 4",
        )
    return low, high, scale


def _networks(
    config: JudgeConfig, net: nn.Module, low: Field, high: Field, scale: int, multiple: int
) -> Networks:
    free = {
        item.name: dict.fromkeys(item.axes[1:], factor)
        for item, factor in ((low, multiple), (high, multiple * scale))
        if item.axes
    }
    generators = {"generator": Net(module=Enlarger(net, low, high), reads=("a",), writes=("b",))}
    if any(side % 8 for side in high.shape[1:]):
        raise DataError(
            "The discriminator halves images three times: sides must be multiples of 8.",
            where=f"b is {high.shape}",
            fix="--set data.size=128",
        )
    kind = UNetJudge if config.discriminator == "unet" else PatchJudge
    judge = kind(config.discriminator_width, high.shape[0])
    return Networks(
        generators=generators,
        discriminators={"discriminator": Net(module=judge, reads=("b",))},
        free=free,
    )


def _range(field: Field) -> tuple[float, float]:
    low, high = field.range or (-1.0, 1.0)
    return low, high - low
