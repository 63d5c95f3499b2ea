"""Architecture `wgan-resnet`: residual networks of Gulrajani et al. 2017 (appendix F, gan_cifar_resnet.py).

At 32x32 they are those of the paper. Other sizes get as many doublings as `halvings` says, and a critic
whose last map has at least 6 pixels a side (8 in the paper).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, DataInfo, Field, Networks, as_maps, halvings, map_sizes
from ganzoo_wgan_gp.common import set_weights
from ganzoo_wgan_gp.config import ResnetConfig


def norm(kind: Literal["batch", "layer", "none"], channels: int) -> nn.Module:
    """The norm before an activation; "layer" normalises over all values of one sample."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(1, channels) if kind == "layer" else nn.Identity()


def halve(maps: Tensor) -> Tensor:
    """The mean of 2x2 pixels; at an odd edge, of the pixels that exist."""
    return functional.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)


class Up(nn.Module):
    """norm-ReLU-upsample-conv-norm-ReLU-conv, plus an upsampled shortcut; cropped to `size`."""

    def __init__(self, width: int, kind: Literal["batch", "none"], size: tuple[int, int]) -> None:
        super().__init__()
        self.height, self.width = size
        self.norm1, self.norm2 = norm(kind, width), norm(kind, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width, width, 1)

    def enlarge(self, maps: Tensor) -> Tensor:
        """Twice the size by nearest neighbour."""
        doubled = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
        return doubled[:, :, : self.height, : self.width]

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width, h, w) -> (N, width, height, width of the map)."""
        hidden = self.conv1(self.enlarge(functional.relu(self.norm1(maps))))
        hidden = self.conv2(functional.relu(self.norm2(hidden)))
        # A 1x1 convolution commutes with copying pixels: on the small map it costs a quarter.
        summed: Tensor = self.enlarge(self.shortcut(maps)) + hidden
        return summed


class Block(nn.Module):
    """A critic's block: norm-ReLU-conv-norm-ReLU-conv plus shortcut, halved where `down`.

    The `first` block reads pixels: it starts with a convolution, and its shortcut halves first.
    """

    def __init__(
        self, inputs: int, width: int, kind: Literal["layer", "none"], *, down: bool, first: bool = False
    ) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.norm1 = norm("none" if first else kind, inputs)
        self.norm2 = norm("none" if first else kind, width)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, width, 1) if down else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, width, h or ceil(h / 2), ...)."""
        hidden: Tensor = maps if self.first else functional.relu(self.norm1(maps))
        hidden = self.conv2(functional.relu(self.norm2(self.conv1(hidden))))
        # Mean and 1x1 convolution commute too, so every shortcut may halve first.
        shortcut: Tensor = self.shortcut(halve(maps) if self.down else maps)
        return shortcut + (halve(hidden) if self.down else hidden)


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: ResnetConfig, image: Field) -> None:
        super().__init__()
        channels, height, width = image.shape
        *sizes, base = map_sizes(height, width, halvings(height, width))
        hidden = config.generator_width
        self.base = (hidden, *base)
        self.project = nn.Linear(config.latent, hidden * base[0] * base[1])
        self.blocks = nn.Sequential(*(Up(hidden, config.generator_norm, size) for size in reversed(sizes)))
        self.norm = norm(config.generator_norm, hidden)
        self.to_image = nn.Conv2d(hidden, channels, 3, padding=1)
        self.bounded: nn.Module = (
            nn.Identity() if image.range is None else Bounded(image.range, config.output)
        )

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        maps = self.blocks(as_maps(self.project(z), self.base))
        image: Tensor = self.bounded(self.to_image(functional.relu(self.norm(maps))))
        return image


class Critic(nn.Module):
    """image (N, C, H, W) -> score (N,): halving blocks, two more blocks, mean over the map, linear."""

    def __init__(self, config: ResnetConfig, image: Field) -> None:
        super().__init__()
        channels, height, width = image.shape
        hidden, kind = config.discriminator_width, config.discriminator_norm
        blocks = [Block(channels, hidden, kind, down=True, first=True)]
        blocks += [
            Block(hidden, hidden, kind, down=True) for _ in range(halvings(height, width, smallest=6) - 1)
        ]
        blocks += [Block(hidden, hidden, kind, down=False) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.score = nn.Linear(hidden, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        features = functional.relu(self.blocks(image)).mean((2, 3))
        score: Tensor = self.score(features)
        return score.flatten()


def build(config: ResnetConfig, data: DataInfo) -> Networks:
    """Factory of `wgan-resnet`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8, otherwise="mlp")
    generator, critic = Generator(config, image), Critic(config, image)
    for net in (generator, critic):
        plain = [
            getattr(layer, "shortcut", None) or getattr(layer, "to_image", None) for layer in net.modules()
        ]
        set_weights(net, config.init, tuple(layer for layer in plain if layer is not None))
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(generator, critic, latent=latent, writes="image", finest_first=("blocks",))
