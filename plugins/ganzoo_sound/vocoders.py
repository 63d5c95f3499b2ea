"""Networks from a mel spectrogram to sound: HiFi-GAN (Kong et al. 2020) and Vocos (Siuzdak 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, prod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from ganzoo.api import Bounded, DataError, DataInfo, Field, Net, Networks, SettingsError
from ganzoo_sound.config import HifiganConfig, VocosConfig
from ganzoo_sound.judges import Parts, Period, Resolution, Scale
from ganzoo_sound.spectra import MelScale
from ganzoo_sound.transforms import InverseStft, LogMel

SLOPE, LAST_SLOPE = 0.1, 0.01
LARGEST = 100.0  # magnitude of Vocos


class Residual(nn.Module):
    """x + conv(lrelu(x)) for each dilation; with `pairs`, a second convolution without dilation follows.

    Kong et al. 2020, table 5 and the authors' code: pairs are ResBlock 1, single convolutions ResBlock 2.
    """

    def __init__(self, width: int, kernel: int, dilations: Sequence[int], *, pairs: bool) -> None:
        super().__init__()

        def layer(dilation: int) -> list[nn.Module]:
            padding = dilation * (kernel - 1) // 2
            return [
                nn.LeakyReLU(SLOPE),
                weight_norm(nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation)),
            ]

        self.steps = nn.ModuleList(
            nn.Sequential(*layer(dilation), *(layer(1) if pairs else ())) for dilation in dilations
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, T) -> the same shape."""
        for step in self.steps:
            maps = maps + step(maps)
        return maps


class Stage(nn.Module):
    """(N, 2 C, T) -> (N, C, rate * T): a transposed convolution, then the mean of residual blocks."""

    def __init__(self, config: HifiganConfig, width: int, rate: int) -> None:
        super().__init__()
        # A kernel of 2r and a padding of r / 2 give r samples for each; odd rates need one more.
        surplus = rate % 2
        padding = (rate + surplus) // 2
        self.up = weight_norm(nn.ConvTranspose1d(width, width // 2, 2 * rate, rate, padding, surplus))
        self.blocks = nn.ModuleList(
            Residual(width // 2, kernel, dilations, pairs=config.pairs)
            for kernel, dilations in zip(config.kernels, config.dilations(), strict=True)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 2 C, T) -> (N, C, rate * T)."""
        maps = self.up(functional.leaky_relu(maps, SLOPE))
        return torch.stack([block(maps) for block in self.blocks]).mean(0)


class ScaledMel(nn.Module):
    """mel -> 4 mel / |log floor| + 2: -2 is silence."""

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.unit = abs(log(floor)) / 4

    def forward(self, mel: Tensor) -> Tensor:
        """Any shape -> the same one."""
        return mel / self.unit + 2


def _input(config: HifiganConfig | VocosConfig, floor: float) -> nn.Module:
    return ScaledMel(floor) if config.scaled_input else nn.Identity()


class HifiGenerator(nn.Module):
    """mel (N, mels, m) -> sound (N, 1, m * hop) in -1..1.

    The first weights are torch's: the authors' code draws N(0, 0.01), but weight norm replaces them before
    they are used. With N(0, 0.01) small networks begin much slower (`scaled_input` in docs/kinds/sound.md).
    """

    def __init__(self, config: HifiganConfig, mels: int, floor: float = 1e-5) -> None:
        super().__init__()
        stages = len(config.rates)
        self.scaled = _input(config, floor)
        self.first = weight_norm(nn.Conv1d(mels, config.width, 7, padding=3))
        self.stages = nn.Sequential(
            *(Stage(config, config.width // 2**at, rate) for at, rate in enumerate(config.rates))
        )
        self.last = weight_norm(nn.Conv1d(config.width // 2**stages, 1, 7, padding=3))

    def forward(self, mel: Tensor) -> Tensor:
        """(N, mels, m) -> (N, 1, m * hop)."""
        maps = self.stages(self.first(self.scaled(mel)))
        sound: Tensor = self.last(functional.leaky_relu(maps, LAST_SLOPE)).tanh()
        return sound


class Block(nn.Module):
    """ConvNeXt: x + gamma * linear(gelu(linear(norm(depthwise convolution of 7(x)))))."""

    def __init__(self, width: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.gamma = nn.Parameter(torch.full((width,), scale))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, m) -> the same shape."""
        hidden = self.gamma * self.layers(self.norm(self.mix(maps).transpose(1, 2)))
        made: Tensor = maps + hidden.transpose(1, 2)
        return made


class VocosGenerator(nn.Module):
    """mel (N, mels, m) -> sound (N, 1, m * hop): magnitudes and phases of each frame, and their inverse STFT.

    Siuzdak 2023, section 3. The ends are continued by reflection, so that m frames are m * hop samples.
    """

    def __init__(self, config: VocosConfig, scale: MelScale) -> None:
        super().__init__()
        self.scaled = _input(config, scale.floor)
        self.first = nn.Conv1d(scale.mels, config.width, 7, padding=3)
        self.norm, self.last_norm = (nn.LayerNorm(config.width, eps=1e-6) for _ in range(2))
        share = 1 / config.blocks
        self.blocks = nn.Sequential(
            *(Block(config.width, config.hidden, share) for _ in range(config.blocks))
        )
        self.last = nn.Linear(config.width, scale.n_fft + 2)
        self.inverse = InverseStft(scale.n_fft, scale.hop)
        self.bounded = Bounded((-1.0, 1.0), "clip")
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """(N, mels, m) -> (N, 1, m * hop)."""
        maps = self.norm(self.first(self.scaled(mel)).transpose(1, 2)).transpose(1, 2)
        maps = self.last_norm(self.blocks(maps).transpose(1, 2))
        size, phase = self.last(maps).transpose(1, 2).chunk(2, dim=1)
        sound: Tensor = self.bounded(self.inverse(size.exp().clamp(max=LARGEST), phase))
        return sound


def build_hifigan(config: HifiganConfig, data: DataInfo) -> Networks:
    """Factory of `hifi-gan`. DataError for data without pairs; SettingsError where rates and hop differ."""
    scale, length = _pair(data)
    if prod(config.rates) != scale.hop:
        raise SettingsError(
            f"The rates {config.rates} make {prod(config.rates)} samples of a frame, but the hop of the data "
            f"is {scale.hop}.",
            fix=f"--set data.hop={prod(config.rates)}, or architecture.rates with the product {scale.hop}",
        )
    divided = config.discriminator_divisor
    parts: list[tuple[nn.Module, float]] = [(Period(period, divided), 1.0) for period in config.periods]
    parts += [(Scale(at, divided), 1.0) for at in range(config.scales)]
    return _networks(HifiGenerator(config, scale.mels, scale.floor), Parts(parts), data, scale, length)


def build_vocos(config: VocosConfig, data: DataInfo) -> Networks:
    """Factory of `vocos`. DataError for data without pairs.

    SettingsError for a window longer than the sounds.
    """
    scale, length = _pair(data)
    if max(config.windows, default=0) > length:
        raise SettingsError(
            f"A window of {max(config.windows)} samples is longer than the sounds, {length}.",
            fix="smaller architecture.windows, or a larger data.length",
        )
    share = 1 / max(1, len(config.periods))
    parts: list[tuple[nn.Module, float]] = [
        (Period(period, config.discriminator_divisor, first_feature=1), share) for period in config.periods
    ]
    share = config.resolution_weight / max(1, len(config.windows))
    parts += [(Resolution(size, config.resolution_width), share) for size in config.windows]
    return _networks(VocosGenerator(config, scale), Parts(parts), data, scale, length)


def _pair(data: DataInfo) -> tuple[MelScale, int]:
    """How the mel spectrograms were made, and the number of samples of a sound."""
    mel, sound = data.field("mel"), data.field("sound")
    try:
        scale = MelScale.of(mel.facts)
        fits = sound.shape == (1, mel.shape[1] * scale.hop) and mel.shape[0] == scale.mels
    except (ValueError, IndexError):
        fits = False
    if not fits or sound.shape[1] < scale.n_fft:
        raise DataError(
            "A vocoder needs mel spectrograms (mels, m) and their sounds (1, m * hop), n_fft or longer.",
            where=f"mel {mel.shape}, sound {sound.shape}",
            fix="--data vocoder:PATH, where PATH is a folder of sound files; a larger data.length",
        )
    return scale, sound.shape[1]


def _networks(generator: nn.Module, parts: Parts, data: DataInfo, scale: MelScale, length: int) -> Networks:
    whole = MelScale(**{**scale.facts(), "fmax": 0.0})  # the loss sees all frequencies
    return Networks(
        generators={"generator": Net(module=generator, reads=("mel",), writes=("sound",))},
        discriminators={
            "discriminator": Net(module=parts, reads=("sound",), writes=("score", "features")),
            "log-mel": Net(module=LogMel(whole), reads=("sound",), writes=("log_mel",)),
        },
        fields=(Field(name="log_mel", shape=(scale.mels, length // scale.hop)),),
        free={"mel": {"time": 1}, "sound": {"time": scale.hop}},
    )
