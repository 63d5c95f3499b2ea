"""TGAN (Saito et al. 2017, arXiv:1611.06624) and a 3-D baseline after VGAN (Vondrick et al. 2016)."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log2, prod
from typing import Literal

import torch
from torch import Tensor, nn

from ganzoo.api import Bounded, Crop, DataInfo, Field, Networks, halvings, map_sizes
from ganzoo_clips.config import TganConfig, VganConfig
from ganzoo_clips.layers import FrameLayers, VideoCritic, as_clip, clip_of


class Temporal(nn.Module):
    """z (N, latent) -> a vector for each frame (N, latent, frames) in -1..1: transposed 1-D convolutions.

    Saito et al. 2017, table 1: widths of 512, 256, 128, 128; a length of 1 doubles from layer to layer.
    """

    def __init__(self, latent: int, frames: int) -> None:
        super().__init__()
        doublings = max(1, ceil(log2(frames)))
        widths = [512, *(max(128, 256 >> k) for k in range(doublings - 1)), latent]
        layers: list[nn.Module] = [nn.ConvTranspose1d(latent, widths[0], 1)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.BatchNorm1d(inputs), nn.ReLU(), nn.ConvTranspose1d(inputs, outputs, 4, 2, 1)]
        self.layers, self.frames = nn.Sequential(*layers, nn.Tanh()), frames

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, latent, frames)."""
        vectors: Tensor = self.layers(z[:, :, None])
        return vectors[:, :, : self.frames]


class TganGenerator(nn.Module):
    """z (N, latent) -> clip (N, C, T, H, W).

    Half of the first maps of a frame come from z, half from the frame's own vector.
    """

    def __init__(self, config: TganConfig, clip: Field) -> None:
        super().__init__()
        self.frames, stages = clip.shape[1], halvings(*clip.shape[2:])
        widths = [config.generator_width * 2**k for k in reversed(range(stages))]
        self.temporal = Temporal(config.latent, self.frames)
        self.layers = FrameLayers(clip, [2 * widths[0], *widths], smooth=True)
        self.base = (widths[0], *self.layers.start)
        self.slow = self._first(config.latent)
        self.fast = self._first(config.latent)

    def _first(self, latent: int) -> nn.Module:
        units = prod(self.base)
        linear = nn.Linear(latent, units, bias=False)
        return nn.Sequential(linear, nn.BatchNorm1d(units), nn.ReLU(), nn.Unflatten(1, self.base))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, T, H, W)."""
        fast = self.fast(self.temporal(z).transpose(1, 2).flatten(0, 1))
        slow = self.slow(z)[:, None].expand(-1, self.frames, -1, -1, -1).flatten(0, 1)
        return as_clip(self.layers(torch.cat([slow, fast], 1)), self.frames)


class VganGenerator(nn.Module):
    """z (N, latent) -> clip (N, C, T, H, W): transposed 3-D convolutions from one point.

    The first makes 2 x 4 x 4 maps of 8 times the width; the others double them; time is doubled as often as
    the clip is long, and cropped. For 16 frames of 64x64 this is the one-stream network of Vondrick et al.
    2016, section 3.1, but the last layer keeps the time.
    """

    def __init__(self, config: VganConfig, clip: Field) -> None:
        super().__init__()
        channels, frames, height, width = clip.shape
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)[::-1]
        start, doublings = _start(frames, stages - 1)
        widths = [config.generator_width * 2 ** min(3, k) for k in reversed(range(stages))]
        layers: list[nn.Module] = [
            nn.ConvTranspose3d(config.latent, widths[0], (start, *sizes[0]), bias=False)
        ]
        for k in range(stages):
            steps = 2 if k < doublings else 1
            outputs = channels if k == stages - 1 else widths[k + 1]
            layers += [nn.BatchNorm3d(widths[k]), nn.ReLU()]
            layers.append(
                nn.ConvTranspose3d(
                    widths[k],
                    outputs,
                    (4 if steps == 2 else 1, 4, 4),
                    (steps, 2, 2),
                    (steps - 1, 1, 1),
                    bias=k == stages - 1,
                )
            )
            layers.append(Crop((frames, *sizes[k + 1])))
        self.layers = nn.Sequential(*layers, Bounded(clip.range or (-1.0, 1.0)))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, T, H, W)."""
        clip: Tensor = self.layers(z[:, :, None, None, None])
        return clip


def _start(frames: int, most: int) -> tuple[int, int]:
    """The first length and how often it is doubled, at most `most` times, to reach `frames`."""
    doublings = min(most, max(0, ceil(log2(frames)) - 1))
    return ceil(frames / 2**doublings), doublings


def build_tgan(config: TganConfig, data: DataInfo) -> Networks:
    """Factory of `tgan`; DataError unless the data are clips from 8x8 pixels."""
    clip = clip_of(data)
    return _networks(TganGenerator(config, clip), config, clip, "uniform")


def build_vgan(config: VganConfig, data: DataInfo) -> Networks:
    """Factory of `vgan`; DataError unless the data are clips from 8x8 pixels."""
    clip = clip_of(data)
    return _networks(VganGenerator(config, clip), config, clip, "normal")


def _networks(
    generator: nn.Module, config: TganConfig, clip: Field, source: Literal["normal", "uniform"]
) -> Networks:
    return Networks.pair(
        generator,
        VideoCritic(clip, config.discriminator_width, config.critic_norm),
        latent=Field(name="z", shape=(config.latent,), source=source),
        writes="clip",
    )
