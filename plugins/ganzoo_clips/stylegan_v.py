"""StyleGAN-V (Skorokhodov et al. 2022, arXiv:2112.14683): motion codes in continuous time, a D of few frames.

Written from the formulas of the paper, on StyleGAN2's layers. Time is continuous: the constant `rate` is the
number of training frames from one generated frame to the next, and clips may have other lengths.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi, prod, sqrt

import torch
from torch import Tensor, nn

from ganzoo.api import Bounded, DataInfo, Field, Fir, Net, Networks, SettingsError, halvings, map_sizes
from ganzoo_clips.config import StyleVConfig
from ganzoo_clips.layers import as_clip, clip_of, random_times
from ganzoo_stylegan2.layers import TINY, Modulated, Scaled, ScaledConv, activated, with_minibatch_deviation
from ganzoo_stylegan2.networks import Down


class MotionCodes(nn.Module):
    """codes (N, d, K + 1 + margin) at times 0, s, 2s ... and times (N, T) -> vectors v(t) (N, T, 2 * waves).

    Section 3.2, equations 1 to 4 of the paper: raw(t) = f (1 + tanh(A_p u)) t + A_f u * scale, with the u of
    the code before t, and v(t) = wave(raw(t)) - lerp(wave(raw(t_l)), wave(raw(t_r))) + lerp(A_a u_l, A_a
    u_r). So v is A_a u at the time of a code, and continuous.
    """

    frequencies: Tensor
    scales: Tensor

    def __init__(self, config: StyleVConfig) -> None:
        super().__init__()
        self.spacing = config.spacing
        self.layers = nn.Sequential(
            *(nn.Conv1d(config.motion, config.motion, config.kernel) for _ in range(2))
        )
        self.periods = nn.Linear(config.motion, config.waves, bias=False)
        self.phases = nn.Linear(config.motion, config.waves, bias=False)
        self.aligned = nn.Linear(config.motion, 2 * config.waves, bias=False)
        periods = torch.logspace(0, 1, config.waves, base=config.longest / config.shortest) * config.shortest
        self.register_buffer("frequencies", 2 * pi / periods, persistent=False)
        self.register_buffer("scales", config.longest / periods, persistent=False)

    def waves(self, code: Tensor, times: Tensor) -> Tensor:
        """(N, T, d), (N, T) -> sines and cosines of raw(t), (N, T, 2 * waves)."""
        rates = self.frequencies * (1 + torch.tanh(self.periods(code)))
        raw = rates * times[..., None] + self.phases(code) * self.scales
        return torch.cat([raw.sin(), raw.cos()], -1)

    def forward(self, codes: Tensor, times: Tensor) -> Tensor:
        """(N, d, K + 1 + margin), (N, T) -> (N, T, 2 * waves)."""
        mixed = self.layers(codes).transpose(1, 2)
        last = mixed.shape[1] - 2
        times = times.clamp(0, (last + 1) * self.spacing)  # a clip stands still where codes end
        place = (times / self.spacing).floor().clamp(max=last)
        index = place.long()[..., None].expand(-1, -1, mixed.shape[2])
        left, right = mixed.gather(1, index), mixed.gather(1, index + 1)
        share = (times / self.spacing - place)[..., None]
        start, end = place * self.spacing, (place + 1) * self.spacing
        ends = _between(self.waves(left, start), self.waves(left, end), share)
        aligned = _between(self.aligned(left), self.aligned(right), share)
        return self.waves(left, times) - ends + aligned


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Like `torch.lerp`, which does not take two types in a bf16 run."""
    return first + share * (second - first)


class Layer(nn.Module):
    """A modulated 3x3 convolution, a bias, leaky ReLU; cropped to `size`."""

    def __init__(self, inputs: int, outputs: int, style: int, size: tuple[int, int], *, up: bool) -> None:
        super().__init__()
        self.conv, self.size = Modulated(inputs, outputs, 3, style, up=up), size
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, ...), (N, style) -> (N, outputs, *size)."""
        return activated(self.conv(maps, style)[:, :, : self.size[0], : self.size[1]] + self.bias)


class StyleVGenerator(nn.Module):
    """z, codes and rate -> clip (N, C, T, H, W), T = `spacing` frames for each code.

    Each frame is StyleGAN2's skip generator without noise: w from z modulates all layers, v(t) is
    concatenated to the constant start.
    """

    def __init__(self, config: StyleVConfig, clip: Field) -> None:
        super().__init__()
        channels, _, height, width = clip.shape
        sizes = [config.latent, *[config.style] * config.mapping_layers]
        self.mapping = nn.ModuleList(Scaled(a, b, rate=config.mapping_rate) for a, b in pairwise(sizes))
        self.spacing = config.spacing
        self.motion = MotionCodes(config)
        stages = halvings(height, width)
        sides = map_sizes(height, width, stages)
        widths = [min(config.generator_width * 2**k, config.widest) for k in range(stages + 1)]
        self.start = nn.Parameter(torch.randn(widths[-1], *sides[-1]))
        layers = [Layer(widths[-1] + 2 * config.waves, widths[-1], config.style, sides[-1], up=False)]
        for k in reversed(range(stages)):
            layers.append(Layer(widths[k + 1], widths[k], config.style, sides[k], up=True))
            layers.append(Layer(widths[k], widths[k], config.style, sides[k], up=False))
        self.layers = nn.ModuleList(layers)
        self.to_pixels = nn.ModuleList(
            Modulated(each, channels, 1, config.style, demodulate=False) for each in reversed(widths)
        )
        self.sides, self.doubled = sides[::-1], Fir(up=True)
        self.bounded = Bounded(clip.range or (-1.0, 1.0), "clip")

    def forward(self, z: Tensor, codes: Tensor, ends: Tensor, rate: Tensor) -> Tensor:
        """(N, latent), (N, d, K), (N, d, 1 + margin), (N,) -> (N, C, K * spacing, H, W)."""
        style = z * (z.square().mean(1, keepdim=True) + TINY).rsqrt()
        for layer in self.mapping:
            style = activated(layer(style))
        frames = codes.shape[2] * self.spacing
        times = torch.arange(frames, device=z.device, dtype=z.dtype) * rate[:, None]
        vectors = self.motion(torch.cat([codes, ends], 2), times).flatten(0, 1)
        styles = style[:, None].expand(-1, frames, -1).flatten(0, 1)
        spread = vectors[:, :, None, None].expand(-1, -1, *self.start.shape[1:])
        maps = torch.cat([self.start.expand(spread.shape[0], -1, -1, -1), spread], 1)
        maps = self.layers[0](maps, styles)
        pixels = self.to_pixels[0](maps, styles)
        for k, (height, width) in enumerate(self.sides[1:]):
            maps = self.layers[2 * k + 2](self.layers[2 * k + 1](maps, styles), styles)
            pixels = self.doubled(pixels)[:, :, :height, :width] + self.to_pixels[k + 1](maps, styles)
        return as_clip(self.bounded(pixels), frames)


class FewFrames(nn.Module):
    """clip (N, C, T, H, W) -> score (N,) of a few frames at random times, and of the time between them.

    Section 3.3: the same blocks read each frame down to `joined` pixels; then the frames' maps are
    concatenated and read on. The score is the product of the features and an embedding of the distances in
    time. In evaluation frames are evenly spaced.
    """

    def __init__(self, config: StyleVConfig, clip: Field) -> None:
        super().__init__()
        channels, frames, height, width = clip.shape
        self.shown = min(config.shown, frames)
        stages = halvings(height, width)
        sizes = map_sizes(height, width, stages)
        widths = [min(config.discriminator_width * 2**k, config.widest) for k in range(stages + 1)]
        single = sum(min(size) > config.joined for size in sizes[:-1])
        self.from_pixels = ScaledConv(channels, widths[0], 1)
        self.single = nn.Sequential(*(Down(widths[k], widths[k + 1]) for k in range(single)))
        inputs = [widths[single] * self.shown, *widths[single + 1 :]]
        self.together = nn.Sequential(*(Down(a, b) for a, b in pairwise(inputs)))
        self.conv = ScaledConv(inputs[-1] + 1, widths[-1], 3)
        self.hidden = Scaled(widths[-1] * prod(sizes[-1]), widths[-1])
        self.distances = nn.Sequential(Scaled((self.shown - 1) * 2 * _WAVES, widths[-1]), nn.LeakyReLU(0.2))
        self.embedded = Scaled(widths[-1], widths[-1])
        self.frames = frames

    def forward(self, clip: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N,)."""
        count, _, frames, _, _ = clip.shape
        if self.training:
            times = random_times(count, frames, self.shown, clip.device)
        else:
            even = torch.arange(self.shown, device=clip.device) * (frames - 1) // (self.shown - 1)
            times = even.expand(count, -1)
        chosen = clip[torch.arange(count, device=clip.device)[:, None], :, times].flatten(0, 1)
        maps = self.single(activated(self.from_pixels(chosen)))
        joined = self.together(maps.unflatten(0, (count, self.shown)).flatten(1, 2))
        joined = activated(self.conv(with_minibatch_deviation(joined, 4)))
        features = activated(self.hidden(joined.flatten(1)))
        embedding = self.embedded(self.distances(self._waves(times.diff(dim=1))))
        score: Tensor = (features * embedding).sum(1) / sqrt(features.shape[1])
        return score

    def _waves(self, distances: Tensor) -> Tensor:
        """Distances in frames (N, k) -> (N, 2 * k * waves)."""
        angles = pi * distances[..., None] / self.frames * 2 ** torch.arange(_WAVES, device=distances.device)
        return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


_WAVES = 4  # sines and cosines of a distance in time


def build(config: StyleVConfig, data: DataInfo) -> Networks:
    """Factory of `stylegan-v`; DataError unless the data are clips of k * `spacing` frames.

    SettingsError for another number of frames.
    """
    clip = clip_of(data)
    margin = 2 * (config.kernel - 1)
    spacing = config.spacing
    if clip.shape[1] % spacing:
        raise SettingsError(
            f"Clips of {clip.shape[1]} frames cannot be cut into pieces of {spacing}.",
            where="architecture.spacing",
            fix=f"architecture.spacing=1, or data.frames={max(1, clip.shape[1] // spacing) * spacing}",
        )
    fields = (
        Field(name="z", shape=(config.latent,), source="normal"),
        Field(
            name="codes",
            shape=(config.motion, clip.shape[1] // spacing),
            source="normal",
            axes=("value", "time"),
            free={"time": 1},
        ),
        Field(name="ends", shape=(config.motion, 1 + margin), source="normal"),
        Field(name="rate", source="constant", default=1.0),
    )
    return Networks(
        generators={
            "generator": Net(
                module=StyleVGenerator(config, clip),
                reads=tuple(field.name for field in fields),
                writes=("clip",),
                rates={"motion.layers": config.motion_rate},
            )
        },
        discriminators={"discriminator": Net(module=FewFrames(config, clip), reads=("clip",))},
        fields=fields,
        free={"clip": {"time": spacing}} if clip.axes else {},
    )
