"""WaveGAN for waves and SpecGAN for spectrograms (Donahue, McAuley and Puckette 2019, arXiv:1802.04208)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganzoo.api import Bounded, DataError, DataInfo, Field, Networks
from ganzoo_sound.config import WaveganConfig

SLOPE = 0.2


class Form(NamedTuple):
    """What differs between waves and spectrograms: layers, kernel, stride, and the first maps' side."""

    up: type[nn.Module]
    down: type[nn.Module]
    norm: type[nn.Module]
    kernel: int
    stride: int
    start: int


WAVES = Form(nn.ConvTranspose1d, nn.Conv1d, nn.BatchNorm1d, 25, 4, 16)
SPECTROGRAMS = Form(nn.ConvTranspose2d, nn.Conv2d, nn.BatchNorm2d, 5, 2, 4)


def strides_of(form: Form, size: tuple[int, ...]) -> list[int]:
    """The strides of the layers, the last nearest to the sample: 4, 4, 4, 4, 4 for 16,384 samples.

    In one dimension the last is 2 where that is enough (Donahue et al., appendix D, 32,768 samples).
    """
    steps = max(size) / form.start
    count = max(1, math.ceil(round(math.log(steps, form.stride), 9)))
    last = 2 if steps <= form.stride ** (count - 1) * 2 else form.stride
    return [form.stride] * (count - 1) + [last]


def widths_of(width: int, widest: int, layers: int) -> list[int]:
    """Channels before each layer of G: 16 d, 8 d, 4 d, 2 d, d for five layers."""
    return [width * min(2**at, widest or 2**at) for at in reversed(range(layers))]


class Generator(nn.Module):
    """z (N, latent), and label (N,) if conditional -> samples (N, *shape) in -1..1."""

    def __init__(self, form: Form, config: WaveganConfig, output: Field, classes: int) -> None:
        super().__init__()
        self.size = output.shape[1:]
        strides = strides_of(form, self.size)
        self.first = [math.ceil(side / math.prod(strides)) for side in self.size]
        widths = [*widths_of(config.generator_width, config.widest, len(strides)), output.shape[0]]
        self.embedding = nn.Embedding(classes, config.latent) if classes else None
        inputs = config.latent * (2 if classes else 1)
        self.linear = nn.Linear(inputs, widths[0] * math.prod(self.first))
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise(widths), strides, strict=True):
            layers += [form.norm(before)] if config.norm == "batch" else []
            surplus = form.kernel - stride
            layers += [
                nn.ReLU(),
                form.up(before, after, form.kernel, stride, (surplus + 1) // 2, surplus % 2),
            ]
        self.layers = nn.Sequential(*layers)
        self.bounded = Bounded(output.range or (-1.0, 1.0))
        initialise(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent) -> (N, *shape)."""
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label)], dim=1)
        maps = self.layers(self.linear(z).reshape(z.shape[0], -1, *self.first))
        made: Tensor = self.bounded(maps[(..., *(slice(side) for side in self.size))])
        return made


class PhaseShuffle(nn.Module):
    """Moves each sample by a random number of steps, -n..n, and fills by reflection; in training only.

    Section 3.2. One number for all channels of a sample, where the authors' code draws one for the batch.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, T) -> the same shape."""
        count, channels, length = maps.shape
        if not self.training or self.n == 0 or length <= self.n:
            return maps
        moved = torch.randint(-self.n, self.n + 1, (count, 1), device=maps.device)
        places = (torch.arange(length, device=maps.device) - moved).abs()
        places = length - 1 - (length - 1 - places).abs()
        return maps.gather(2, places[:, None].expand(-1, channels, -1))


class Discriminator(nn.Module):
    """Samples (N, *shape), and label (N,) if conditional -> score (N,).

    The condition is a projection (Miyato and Koyama 2018, arXiv:1802.05637, equation 3).
    """

    def __init__(self, form: Form, config: WaveganConfig, item: Field, classes: int) -> None:
        super().__init__()
        strides = strides_of(form, item.shape[1:])
        widths = widths_of(config.discriminator_width, config.widest, len(strides))
        widths = [item.shape[0], *reversed(widths)]
        layers: list[nn.Module] = []
        size = item.shape[1:]
        for at, (before, after) in enumerate(pairwise(widths)):
            stride = strides[-1 - at]
            padding = (form.kernel - stride + 1) // 2
            layers += [form.down(before, after, form.kernel, stride, padding), nn.LeakyReLU(SLOPE)]
            size = tuple((side + 2 * padding - form.kernel) // stride + 1 for side in size)
            if form is WAVES and at < len(strides) - 1:
                layers.append(PhaseShuffle(config.shuffle))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        features = widths[-1] * math.prod(size)
        self.score = nn.Linear(features, 1)
        self.embedding = nn.Embedding(classes, features) if classes else None
        initialise(self)

    def forward(self, sound: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, *shape) -> (N,)."""
        hidden = self.layers(sound)
        score: Tensor = self.score(hidden).squeeze(1)
        return score if self.embedding is None else score + (self.embedding(label) * hidden).sum(1)


def initialise(module: nn.Module) -> None:
    """TensorFlow's defaults, as in the authors' code: Glorot's uniform weights, biases of 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, std=1.0 if isinstance(module, Generator) else 0.02)


class SpectrogramDiscriminator(Discriminator):
    """The same network; parameters have the names of the fields that they stand for."""

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, 1, frequencies, frames) -> (N,)."""
        return super().forward(image, label)


def _networks(form: Form, config: WaveganConfig, data: DataInfo, name: str) -> Networks:
    item = data.field(name)
    if item.dtype != "float32" or item.range != (-1.0, 1.0) or len(item.shape) != (2 if form is WAVES else 3):
        what = "sound (channels, samples)" if form is WAVES else "spectrograms (1, frequencies, frames)"
        raise DataError(
            f"These networks are for {what} in -1..1.",
            where=f"'{name}' is {item.dtype} of the shape {item.shape}",
            fix=f"--data {'wav' if form is WAVES else 'spectrogram'}:PATH",
        )
    if min(item.shape) < 1 or min(item.shape[1:]) < 8:
        raise DataError("The samples are too small.", where=f"'{name}' has the shape {item.shape}")
    labelled = config.conditional and "label" in data
    classes = len(data.field("label").classes) if labelled else 0
    discriminator = Discriminator if form is WAVES else SpectrogramDiscriminator
    return Networks.pair(
        Generator(form, config, item, classes),
        discriminator(form, config, item, classes),
        latent=Field(name="z", shape=(config.latent,), source="uniform"),
        writes=name,
        conditions=("label",) if labelled else (),
    )


def build_wavegan(config: WaveganConfig, data: DataInfo) -> Networks:
    """Factory of `wavegan`: networks of the field `sound`. DataError for other data."""
    return _networks(WAVES, config, data, "sound")


def build_specgan(config: WaveganConfig, data: DataInfo) -> Networks:
    """Factory of `specgan`: networks of the field `image`. DataError for other data."""
    return _networks(SPECTROGRAMS, config, data, "image")
