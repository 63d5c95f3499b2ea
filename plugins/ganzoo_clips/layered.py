"""Layered motion: pictures that are made once for a clip move over each other; D sees neighbouring frames.

An object has a latent of its own, its picture is moved to a place and laid over what is behind it, as in
LR-GAN (Yang et al. 2017, arXiv:1703.01560) and RELATE (Ehrhardt et al. 2020, arXiv:2007.01272). Here the
layers are pictures, not features, so a frame costs two small products of matrices. Pictures and D are
R3GAN's residual networks.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Bounded, DataError, DataInfo, Field, Net, Networks
from ganzoo_clips.config import LayeredConfig
from ganzoo_clips.layers import clip_of
from ganzoo_r3gan.config import R3Config
from ganzoo_r3gan.networks import SLOPE, Discriminator, Generator, scaled

PLACE = 3  # values that place a layer: down and across, before tanh, and the logarithm of its scale
MARGIN = 4  # pixels of the background on each side of a frame, so that it can move


def cubic(distance: Tensor) -> Tensor:
    """Weights of pixels at a distance (in pixels) from the place that is read: Catmull-Rom.

    Keys 1981, Cubic convolution interpolation for digital image processing, equation 15 (a = -1/2), written
    with s = max(0, 2 - |d|) and r = max(0, 1 - |d|) as s^2 (s - 1) / 2 + r^2 (1 - 2 r). At distance 0 it is
    1, at other whole numbers 0.
    """
    far = distance.abs()
    outer, near = (2 - far).relu(), (1 - far).relu()
    return outer * outer * (0.5 * outer - 0.5) + near * near * (1 - 2 * near)


def reading(place: Tensor, scale: Tensor, outputs: int, inputs: int) -> Tensor:
    """Matrices (..., outputs, inputs) that enlarge a row of pixels by `scale` and move its middle to `place`.

    `place` and `scale` (...): the place in pixels from the middle of the row that is written.
    """
    pixels = torch.arange(outputs, device=place.device, dtype=place.dtype) - (outputs - 1) / 2
    read = (pixels - place[..., None]) / scale[..., None] + (inputs - 1) / 2
    own = torch.arange(inputs, device=place.device, dtype=place.dtype)
    return cubic(read[..., None] - own)


class Paths(nn.Module):
    """codes (N, K, d) and times (N, T) in -1..1 -> (N, K, T, values): a straight line, plus a small network.

    The network's inputs are linear in time and its activation is piecewise linear, so values are, too: they
    turn as a ball does at a wall. It starts at 0.
    """

    def __init__(self, codes: int, hidden: int, values: int, spread: Tensor, slope: Tensor) -> None:
        """`spread`, `slope` (values,): standard deviations of the values and their changes per unit of
        time.
        """
        super().__init__()
        self.start, self.slope = nn.Linear(codes, values), nn.Linear(codes, values)
        for layer, deviation in ((self.start, spread), (self.slope, slope)):
            # Codes are uniform in -1..1 and have a variance of 1/3.
            nn.init.normal_(layer.weight, 0, sqrt(3 / codes))
            layer.weight.data *= deviation[:, None]
            nn.init.zeros_(layer.bias)
        self.rates, self.offsets = scaled(nn.Linear(codes, hidden), sqrt(3)), scaled(nn.Linear(codes, hidden))
        self.middle = scaled(nn.Linear(hidden, hidden), sqrt(2))
        self.codes = scaled(nn.Linear(codes, hidden, bias=False))
        self.last = scaled(nn.Linear(hidden, values, bias=False), 0.0)

    def forward(self, codes: Tensor, times: Tensor) -> Tensor:
        """(N, K, d), (N, T) -> (N, K, T, values)."""
        times = times[:, None, :, None]
        codes = codes[:, :, None]
        hidden = functional.leaky_relu(self.rates(codes) * times + self.offsets(codes), SLOPE)
        hidden = functional.leaky_relu(self.middle(hidden) + self.codes(codes), SLOPE)
        values: Tensor = self.start(codes) + self.slope(codes) * times + self.last(hidden)
        return values


def residual(config: LayeredConfig, width: int, latent: int = 1) -> R3Config:
    """Options of one of R3GAN's networks."""
    return R3Config(
        latent=latent,
        generator_width=width,
        discriminator_width=width,
        widest=config.widest,
        blocks=config.blocks,
        group=config.group,
    )


class LayeredGenerator(nn.Module):
    """z (N, 1 + objects, latent), motion (N, 1 + objects, d) and rate (N,) -> clip (N, C, T, H, W).

    The first latent is that of the background; objects read it, too. A layer is a picture and `poses - 1`
    changes of it, whose weights vary in time; objects also have an opacity.
    """

    def __init__(self, config: LayeredConfig, clip: Field) -> None:
        super().__init__()
        self.channels, self.frames, self.height, self.width = clip.shape
        self.poses, self.zoom = config.poses, config.zoom
        side = config.side or max(8, min(self.height, self.width) // 2)
        large = (self.height + 2 * MARGIN, self.width + 2 * MARGIN)
        self.objects = Generator(
            residual(config, config.generator_width, 2 * config.latent),
            Field(name="object", shape=((self.channels + 1) * self.poses, side, side)),
        )
        self.background = Generator(
            residual(config, config.background_width, config.latent),
            Field(name="background", shape=(self.channels * self.poses, *large)),
        )
        values = PLACE + self.poses - 1
        spread, slope = torch.zeros(2, values)
        spread[:2], slope[:2] = 0.4, 0.6
        self.paths = Paths(config.motion, config.hidden, values, spread, slope)
        self.pan = Paths(config.motion, config.hidden, values, torch.zeros(values), torch.zeros(values))
        self.clipped = Bounded(clip.range or (-1.0, 1.0), "clip")

    def forward(self, z: Tensor, motion: Tensor, rate: Tensor) -> Tensor:
        """(N, 1 + objects, latent), (N, 1 + objects, d), (N,) -> (N, C, T, H, W)."""
        steps = torch.arange(self.frames, device=z.device, dtype=z.dtype) * (2 / (self.frames - 1))
        times = rate[:, None] * steps - 1
        behind, own = z[:, :1], z[:, 1:]
        count = own.shape[1]
        values = self.pan(motion[:, :1], times)
        maps = self.posed(self.background(behind.flatten(1))[:, None], values)
        frames = self.moved(maps.tanh(), values, (MARGIN, MARGIN))
        inputs = torch.cat([behind.expand(-1, count, -1), own], 2)
        values = self.paths(motion[:, 1:], times)
        maps = self.posed(self.objects(inputs.flatten(0, 1)).unflatten(0, (-1, count)), values)
        opacity = maps[:, :, :, :1].sigmoid()
        maps = torch.cat([opacity, opacity * maps[:, :, :, 1:].tanh()], 3)
        layers = self.moved(maps, values, (self.height / 2, self.width / 2))
        for layer in layers.chunk(count, 1):
            frames = frames * (1 - layer[:, :, :, :1]) + layer[:, :, :, 1:]
        clip: Tensor = self.clipped(frames.flatten(1, 2).transpose(1, 2))
        return clip

    def posed(self, maps: Tensor, values: Tensor) -> Tensor:
        """Maps (N, K, poses * c, h, w), values (N, K, T, 3 + poses - 1) -> (N, K, T or 1, c, h, w)."""
        first, *changes = maps.unsqueeze(2).chunk(self.poses, 3)
        for k, change in enumerate(changes, PLACE):
            first = first + values[..., k : k + 1, None, None] * change
        return first

    def moved(self, maps: Tensor, values: Tensor, reach: tuple[float, float]) -> Tensor:
        """Maps (N, K, T or 1, c, h, w) at the places of values (N, K, T, ...) -> (N, K, T, c, H, W).

        `reach`: the most pixels from the middle of the frame, vertically and horizontally. What is outside of
        the frame would get no gradient that brings it back.
        """
        down, across, size = values[..., :PLACE].float().chunk(PLACE, 3)
        scale = size.exp() if self.zoom else torch.ones_like(size)
        rows = reading(down.tanh() * reach[0], scale, self.height, maps.shape[-2])
        columns = reading(across.tanh() * reach[1], scale, self.width, maps.shape[-1])
        made: Tensor = rows @ maps.to(rows.dtype) @ columns.transpose(-1, -2)
        return made


class NeighbouringFrames(nn.Module):
    """clip (N, C, T, H, W) -> score (N,) of `shown` neighbouring frames from a random time on, as channels.

    In evaluation they are those in the middle.
    """

    def __init__(self, config: LayeredConfig, clip: Field) -> None:
        super().__init__()
        channels, frames, height, width = clip.shape
        self.shown = min(config.shown, frames)
        self.network = Discriminator(
            residual(config, config.discriminator_width),
            Field(name="frames", shape=(channels * self.shown, height, width)),
        )

    def forward(self, clip: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N,)."""
        count, _, frames, _, _ = clip.shape
        room = frames - self.shown + 1
        if self.training:
            first = torch.randint(room, (count,), device=clip.device)
        else:
            first = torch.full((count,), room // 2, device=clip.device)
        times = first[:, None] + torch.arange(self.shown, device=clip.device)
        chosen = clip[torch.arange(count, device=clip.device)[:, None], :, times].flatten(1, 2)
        score: Tensor = self.network(chosen.contiguous(memory_format=torch.channels_last))
        return score


def build(config: LayeredConfig, data: DataInfo) -> Networks:
    """Factory of `layered-motion`; DataError unless the data are clips from 8x8 pixels, `side` or more."""
    clip = clip_of(data)
    height, width = clip.shape[2:]
    if config.side > min(height, width):
        raise DataError(
            f"architecture.side {config.side} is larger than a frame of {height} x {width} pixels.",
            fix=f"--set architecture.side={min(height, width)} or less; 0 is half the frame",
        )
    layers = 1 + config.objects
    fields = (
        Field(name="z", shape=(layers, config.latent), source="normal"),
        Field(name="motion", shape=(layers, config.motion), source="uniform"),
        Field(name="rate", source="constant", default=1.0),
    )
    return Networks(
        generators={
            "generator": Net(
                module=LayeredGenerator(config, clip),
                reads=tuple(field.name for field in fields),
                writes=("clip",),
                rates={"paths": config.path_rate, "pan": config.path_rate},
            )
        },
        discriminators={"discriminator": Net(module=NeighbouringFrames(config, clip), reads=("clip",))},
        fields=fields,
    )
