"""Spectrograms in numpy: the short-time Fourier transform, mel scales, and the way back by Griffin-Lim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scale = Literal["slaney", "htk"]

ITERATIONS = 32  # of Griffin-Lim


@lru_cache
def hann(size: int) -> NDArray[np.float64]:
    """The periodic Hann window: 1/2 - cos(2 pi t / size) / 2."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def frames_of(waves: Array, n_fft: int, hop: int) -> Array:
    """Waves (..., T) -> overlapping frames (..., T / hop, n_fft); T is a multiple of hop.

    The waves are continued by reflection, by (n_fft - hop) / 2 samples at both ends (HiFi-GAN), or by their
    last values if they are too short for that.
    """
    length = waves.shape[-1]
    count = length // hop
    left = (n_fft - hop) // 2
    pads = [(0, 0)] * (waves.ndim - 1) + [(left, n_fft - hop - left)]
    padded = np.pad(waves, pads, mode="reflect" if length > n_fft - hop - left else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)
    picked: Array = windows[..., ::hop, :][..., :count, :]
    return picked


def stft(waves: Array, n_fft: int, hop: int) -> NDArray[np.complex128]:
    """Waves (..., T) -> (..., n_fft / 2 + 1, T / hop), with a Hann window; see `frames_of`."""
    made: Array = np.fft.rfft(frames_of(waves, n_fft, hop) * hann(n_fft)).swapaxes(-1, -2)
    return made


def istft(spectra: NDArray[np.complex128], hop: int) -> NDArray[np.float64]:
    """The inverse of `stft` by overlapping sums over the sum of squared windows, (..., F, m) -> (..., m hop).

    It is exact but for the ends, which reflection fills.
    """
    n_fft, count = 2 * (spectra.shape[-2] - 1), spectra.shape[-1]
    window = hann(n_fft)
    parts = np.fft.irfft(spectra.swapaxes(-1, -2), n_fft) * window
    size = (count - 1) * hop + n_fft
    total, weight = np.zeros((*parts.shape[:-2], size)), np.zeros(size)
    for at in range(count):
        total[..., at * hop : at * hop + n_fft] += parts[..., at, :]
        weight[at * hop : at * hop + n_fft] += window**2
    left = (n_fft - hop) // 2
    made: Array = (total / np.maximum(weight, 1e-11))[..., left : left + count * hop]
    return made


def griffin_lim(magnitudes: Array, hop: int, iterations: int = ITERATIONS, seed: int = 0) -> Array:
    """Waves (..., m hop) whose spectra have about these magnitudes (..., F, m).

    Griffin and Lim 1984, IEEE TASSP 32(2), equation 7, from random phases.
    """
    n_fft = 2 * (magnitudes.shape[-2] - 1)
    angles = np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitudes.shape))
    for _ in range(iterations):
        found = stft(istft(magnitudes * angles, hop), n_fft, hop)
        angles = found / np.maximum(np.abs(found), 1e-8)
    return istft(magnitudes * angles, hop)


def hz_to_mel(hz: Array, scale: Scale) -> Array:
    """The mel scale of Slaney's Auditory Toolbox (linear below 1 kHz), or of HTK (2595 log10(1 + f/700))."""
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    steps = 27 / np.log(6.4)  # per natural logarithm, above 1 kHz
    return np.where(hz < 1000, hz * 3 / 200, 15 + steps * np.log(np.maximum(hz, 1000) / 1000))


def mel_to_hz(mel: Array, scale: Scale) -> Array:
    """The inverse of `hz_to_mel`. Any shape; mels -> Hz."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    steps = 27 / np.log(6.4)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) / steps))


@lru_cache
def mel_basis(
    rate: int, n_fft: int, mels: int, fmin: float, fmax: float, scale: Scale = "slaney"
) -> NDArray[np.float32]:
    """Triangular filters (mels, n_fft / 2 + 1), equally far apart on the mel scale.

    With "slaney" each has the area of 1 Hz (2 over its width), with "htk" the height 1: the defaults of
    librosa and of torchaudio.
    """
    low, high = hz_to_mel(np.array([fmin, fmax]), scale)
    ends = np.linspace(low, high, mels + 2)
    hz = mel_to_hz(ends, scale)
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    rising = (bins - hz[:-2, None]) / np.diff(hz)[:-1, None]
    falling = (hz[2:, None] - bins) / np.diff(hz)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    if scale == "slaney":
        filters *= 2 / (hz[2:] - hz[:-2])[:, None]
    return filters.astype(np.float32)


@dataclass(frozen=True)
class MelScale:
    """Log mel spectrograms: log(max(floor, basis |STFT|)), kept in the facts of a field.

    The magnitude is sqrt(re^2 + im^2 + 1e-9), as in HiFi-GAN (Kong et al. 2020). `fmax` 0 is half the rate.
    """

    rate: int
    n_fft: int
    hop: int
    mels: int
    fmin: float = 0.0
    fmax: float = 0.0
    scale: Scale = "slaney"
    floor: float = 1e-5

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> MelScale:
        """From the facts of a field. ValueError where they are missing or cannot be used."""
        try:
            made = cls(**{key: facts[key] for key in cls.__dataclass_fields__ if key in facts})
            whole = (made.rate, made.n_fft, made.hop, made.mels)
            good = all(isinstance(number, int) and number > 0 for number in whole)
            good = good and made.hop <= made.n_fft <= 2**16 and made.mels <= 1024
            good = good and made.n_fft % 2 == 0 and made.floor > 0 and made.scale in ("slaney", "htk")
            good = good and 0 <= made.fmin < made.top <= made.rate / 2
        except TypeError:
            good = False
        if not good:
            raise ValueError(
                "the facts rate, n_fft, hop, mels, fmin, fmax, scale and floor say how it was made"
            )
        return made

    @property
    def top(self) -> float:
        """The highest frequency in Hz."""
        return self.fmax or self.rate / 2

    @cached_property
    def basis(self) -> NDArray[np.float32]:
        """See `mel_basis`."""
        return mel_basis(self.rate, self.n_fft, self.mels, self.fmin, self.top, self.scale)

    def facts(self) -> dict[str, Any]:
        """As facts of a field; `of` is the inverse."""
        return asdict(self)

    def __call__(self, waves: Array) -> NDArray[np.float32]:
        """Waves (..., T) in -1..1 -> (..., mels, T / hop)."""
        spectra = stft(waves.astype(np.float64), self.n_fft, self.hop)
        size = np.sqrt(spectra.real**2 + spectra.imag**2 + 1e-9)
        made: NDArray[np.float32] = np.log(np.maximum(self.basis @ size, self.floor)).astype(np.float32)
        return made

    def waves(self, mels: Array, iterations: int = ITERATIONS) -> NDArray[np.float32]:
        """Waves (..., m hop) from log mel spectrograms (..., mels, m), by Griffin-Lim.

        Magnitudes come from the pseudo-inverse of the basis, without its negative values.
        """
        size = np.maximum(np.linalg.pinv(self.basis) @ np.exp(mels.astype(np.float64)), 0)
        return griffin_lim(size, self.hop, iterations).clip(-1, 1).astype(np.float32)
