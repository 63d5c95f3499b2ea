"""Spectrograms and their inverse in torch; `ganzoo_sound.spectra` is the same in numpy."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_sound.spectra import MelScale, hann


def spectra_of(waves: Tensor, window: Tensor, hop: int) -> Tensor:
    """Waves (N, T) -> complex (N, n_fft / 2 + 1, T / hop), continued by reflection as in `frames_of`."""
    n_fft = window.shape[0]
    left = (n_fft - hop) // 2
    padded = functional.pad(waves[:, None].float(), (left, n_fft - hop - left), mode="reflect")[:, 0]
    return torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)


class LogMel(nn.Module):
    """sound (N, 1, T) -> log mel spectrogram (N, mels, T / hop), see `MelScale`."""

    def __init__(self, scale: MelScale) -> None:
        super().__init__()
        self.hop, self.floor = scale.hop, scale.floor
        self.window: Tensor
        self.basis: Tensor
        self.register_buffer("window", torch.from_numpy(hann(scale.n_fft)).float(), persistent=False)
        self.register_buffer("basis", torch.from_numpy(scale.basis), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """(N, 1, T) -> (N, mels, T / hop)."""
        spectra = spectra_of(sound[:, 0], self.window, self.hop)
        size = (spectra.real.square() + spectra.imag.square() + 1e-9).sqrt()
        return (self.basis @ size).clamp(min=self.floor).log()


class InverseStft(nn.Module):
    """Magnitudes and phases (N, n_fft / 2 + 1, m) -> sound (N, 1, m * hop), by transposed convolutions.

    The inverse of `spectra_of`: row k of the kernels is s_k cos(2 pi k t / n) w(t) and -s_k sin(2 pi k t / n)
    w(t), s_k = 1 / n for k = 0 and n / 2, else 2 / n. The sum of the frames is divided by that of the squared
    windows. ONNX has these operators, and no inverse of STFT.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop, self.left = n_fft, hop, (n_fft - hop) // 2
        window = torch.from_numpy(hann(n_fft))
        bins, steps = torch.arange(n_fft // 2 + 1)[:, None], torch.arange(n_fft)
        angles = 2 * math.pi / n_fft * (bins * steps % n_fft)
        scale = torch.full((n_fft // 2 + 1, 1), 2 / n_fft, dtype=torch.float64)
        scale[0] = scale[-1] = 1 / n_fft
        rows = torch.cat([scale * angles.cos() * window, -scale * angles.sin() * window])
        self.kernel: Tensor
        self.squares: Tensor
        self.register_buffer("kernel", rows[:, None].float(), persistent=False)
        self.register_buffer("squares", window.square()[None, None].float(), persistent=False)

    def forward(self, size: Tensor, phase: Tensor) -> Tensor:
        """(N, F, m) twice -> (N, 1, m * hop)."""
        frames = torch.cat([size * phase.cos(), size * phase.sin()], dim=1)
        total = functional.conv_transpose1d(frames, self.kernel, stride=self.hop)
        ones = torch.ones_like(size[:1, :1])
        weight = functional.conv_transpose1d(ones, self.squares, stride=self.hop)
        end = self.n_fft - self.hop - self.left
        return (total / weight.clamp(min=1e-11))[:, :, self.left : -end if end else None]
