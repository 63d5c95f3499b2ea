"""Options of the data, the networks and the terms. Importing this must not import torch or numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SoundConfig:
    """How sound files become samples of one length.

    `rate` in Hz: files of other rates are resampled; 0 is the most frequent rate among the files. `channels`:
    1 mixes all to one. `clips`: "windows" cuts each file into windows of `length` samples, `step` apart (0 is
    `length`), and pads the last one if at least half of it is there; "whole" makes one sample of each file,
    cut or padded with silence at its end. Windows whose peak is below `quietest` are left out. `peak` scales
    each file to that peak; 0 keeps it as it is. `labels`: the names of the sub-folders are classes.
    `held_out`: the share of the files that are held out, drawn with `seed`, if there is no folder `test` or
    `val`; of fewer than five files the last windows of each.
    """

    rate: int = 0
    channels: int = 1
    length: int = 16_384
    step: int = 0
    clips: Literal["windows", "whole"] = "windows"
    quietest: float = 0.003
    peak: float = 0.0
    labels: bool = True
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate != 0 and not 1_000 <= self.rate <= 384_000:
            raise ValueError("rate must be 0, or between 1,000 and 384,000 Hz")
        if not 1 <= self.channels <= 64:
            raise ValueError("channels must be between 1 and 64")
        if not 64 <= self.length <= 2**22:
            raise ValueError("length must be between 64 and 4,194,304 samples")
        if self.step < 0:
            raise ValueError("step must be 0 or more samples")
        if not 0 <= self.quietest < 1 or not 0 <= self.peak <= 1:
            raise ValueError("quietest must be at least 0 and less than 1, peak between 0 and 1")
        if not 0 <= self.held_out <= 0.9:
            raise ValueError("held_out must be between 0 and 0.9")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class SpectrogramConfig(SoundConfig):
    """How files become log spectrograms of n_fft / 2 frequencies and length / `hop` frames (SpecGAN).

    A Hann window of `n_fft` samples every `hop`. `length` must be a multiple of `hop`. All is mixed to one
    channel.
    """

    n_fft: int = 256
    hop: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.n_fft <= 2**16 or self.n_fft % 2:
            raise ValueError("n_fft must be an even number between 16 and 65,536")
        if not 1 <= self.hop <= self.n_fft:
            raise ValueError("hop must be between 1 and n_fft")
        if self.length % self.hop:
            raise ValueError(f"length must be a multiple of hop: {self.length} is not one of {self.hop}")
        if self.channels != 1:
            raise ValueError("channels must be 1: a spectrogram is that of one channel")


@dataclass(frozen=True, kw_only=True)
class VocoderConfig(SpectrogramConfig):
    """How pairs of a mel spectrogram and its sound are made from files; all is mixed to one channel.

    A Hann window of `n_fft` samples every `hop`; `mels` triangles from `fmin` to `fmax` Hz (0 is half the
    rate), on the scale "slaney" (librosa) or "htk" (torchaudio); log(max(`floor`, magnitude)). `length` must
    be a multiple of `hop`.
    """

    length: int = 8_192
    labels: bool = False
    n_fft: int = 1_024
    hop: int = 256
    mels: int = 80
    fmin: float = 0.0
    fmax: float = 0.0
    scale: Literal["slaney", "htk"] = "slaney"
    floor: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.mels <= 1024 or self.floor <= 0:
            raise ValueError("mels must be between 1 and 1,024, floor more than 0")
        if self.fmin < 0 or 0 < self.fmax <= self.fmin:
            raise ValueError("fmin must be 0 or more, fmax 0 or more than fmin")


@dataclass(frozen=True, kw_only=True)
class WaveganConfig:
    """Options of `wavegan` and `specgan`.

    `generator_width` and `discriminator_width` are d, the channels beside the sound; 64 in the paper. They
    double from layer to layer, up to `widest` times d (0, as in the paper: no limit). `shuffle` is the radius
    n of phase shuffle (0: none; in one dimension only). `conditional`: if the data has labels, both networks
    read them (not in the paper). `norm` "batch" has BatchNorm in G (in the authors' code an option).
    """

    latent: int = 100
    generator_width: int = 16
    discriminator_width: int = 16
    widest: int = 0
    shuffle: int = 2
    conditional: bool = False
    norm: Literal["none", "batch"] = "none"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")
        if self.shuffle < 0 or self.widest < 0:
            raise ValueError("shuffle and widest must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class HifiganConfig:
    """Options of `hifi-gan`; the defaults are a quarter of V3 of table 5, and small discriminators.

    `rates`: how much each stage of G upsamples; their product is the data's hop. `width`: channels before the
    first stage, halved by each. `kernels` of the residual blocks of each stage, and their `dilation_steps`:
    as many numbers for each kernel, one after the other. `pairs`: ResBlock 1, else 2. D has a part for each
    of the `periods` and `scales` more, with the paper's channels divided by `discriminator_divisor`.
    `scaled_input`: G sees 4 mel / |log floor| + 2, so that -2 is silence, in place of mel (not in the paper).
    """

    rates: tuple[int, ...] = (8, 8, 4)
    width: int = 64
    kernels: tuple[int, ...] = (3, 5, 7)
    dilation_steps: tuple[int, ...] = (1, 2, 2, 6, 3, 12)
    pairs: bool = False
    scaled_input: bool = False
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    scales: int = 3
    discriminator_divisor: int = 16

    def __post_init__(self) -> None:
        if not self.rates or min(self.rates) < 1 or self.width < 2 ** len(self.rates):
            raise ValueError("rates must be 1 or more, and width at least 2 to the power of their number")
        if not self.kernels or any(kernel % 2 == 0 or kernel < 1 for kernel in self.kernels):
            raise ValueError("kernels must be odd")
        if not self.dilation_steps or len(self.dilation_steps) % len(self.kernels):
            raise ValueError("dilation_steps needs as many numbers for each kernel")
        _check_parts(self.periods, self.discriminator_divisor)
        if self.scales < 0 or not (self.periods or self.scales):
            raise ValueError("the discriminator needs periods or scales")

    def dilations(self) -> list[tuple[int, ...]]:
        """The dilations of the block of each kernel."""
        each = len(self.dilation_steps) // len(self.kernels)
        return [self.dilation_steps[at * each : (at + 1) * each] for at in range(len(self.kernels))]


@dataclass(frozen=True, kw_only=True)
class VocosConfig:
    """Options of `vocos`; the defaults are small.

    G has `blocks` of `width` channels, `hidden` inside. D has a part for each of the `periods` (channels
    divided by `discriminator_divisor`), and one for each of the `windows`, which together have the weight
    `resolution_weight` and have `resolution_width` channels. `scaled_input`: as in `HifiganConfig`.
    """

    width: int = 192
    hidden: int = 576
    blocks: int = 6
    scaled_input: bool = False
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    windows: tuple[int, ...] = (2_048, 1_024, 512)
    resolution_weight: float = 0.1
    resolution_width: int = 8
    discriminator_divisor: int = 8

    def __post_init__(self) -> None:
        if min(self.width, self.hidden, self.blocks, self.resolution_width) < 1:
            raise ValueError("width, hidden, blocks and resolution_width must be 1 or more")
        _check_parts(self.periods, self.discriminator_divisor)
        if any(size < 64 or size % 4 for size in self.windows):
            raise ValueError("windows must be multiples of 4, from 64 on")
        if self.resolution_weight <= 0 or not (self.periods or self.windows):
            raise ValueError("resolution_weight must be more than 0; D needs periods or windows")


def _check_parts(periods: tuple[int, ...], divisor: int) -> None:
    if any(period < 1 for period in periods) or divisor < 1:
        raise ValueError("periods and discriminator_divisor must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class WeightConfig:
    """The weight of a term."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
