"""Discriminators of sound, each of several parts: periods, scales (HiFi-GAN), resolutions (Vocos)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from ganzoo.api import put_spectral_norm
from ganzoo_sound.spectra import hann

SLOPE = 0.1
ROWS = 4_096  # values of the score for a part with the share 1 of the largest
PERIOD_WIDTHS = (32, 128, 512, 1024)
SCALES = (  # outputs, kernel, stride, groups
    (128, 15, 1, 1),
    (128, 41, 2, 4),
    (256, 41, 2, 16),
    (512, 41, 4, 16),
    (1024, 41, 4, 16),
    (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)
BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the frequencies
PEAK = 0.8


class Period(nn.Module):
    """Every p-th sample side by side, (T / p, p), seen by convolutions along the first axis.

    Kong et al. 2020, section 2.3, MPD. Channels are those of the paper, divided by `divided`. Features are
    all activations from `first_feature` on, and the logits.
    """

    def __init__(self, period: int, divided: int = 1, first_feature: int = 0) -> None:
        super().__init__()
        self.period, self.first_feature = period, first_feature
        widths = [1, *(max(1, width // divided) for width in PERIOD_WIDTHS)]
        layers = [
            nn.Conv2d(before, after, (5, 1), (3, 1), padding=(2, 0)) for before, after in pairwise(widths)
        ]
        layers.append(nn.Conv2d(widths[-1], widths[-1], (5, 1), padding=(2, 0)))
        self.layers = nn.ModuleList(map(weight_norm, layers))
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 1, T) -> logits, and features of the layers."""
        missing = -sound.shape[2] % self.period
        padded = functional.pad(sound, (0, missing), mode="reflect")
        maps = padded.reshape(*padded.shape[:2], -1, self.period)
        maps, features = _through(self.layers, maps)
        logits = self.last(maps)
        return logits, [*features[self.first_feature :], logits]


class Scale(nn.Module):
    """The sound, averaged by 4 with stride 2 `at` times, seen by grouped convolutions.

    Kong et al. 2020, section 2.3, MSD (from MelGAN). The first scale has spectral norm, the others weight
    norm.
    """

    def __init__(self, at: int, divided: int = 1) -> None:
        super().__init__()
        self.pools = nn.Sequential(*(nn.AvgPool1d(4, 2, padding=2) for _ in range(at)))
        norm: Callable[[nn.Conv1d], nn.Module] = weight_norm if at else _spectral_norm
        layers, before = [], 1
        for outputs, kernel, stride, groups in SCALES:
            after = max(1, outputs // divided)
            # Fewer channels have fewer groups, as many in each as far as possible.
            shared = max(count for count in range(1, groups + 1) if before % count == after % count == 0)
            layers.append(norm(nn.Conv1d(before, after, kernel, stride, kernel // 2, groups=shared)))
            before = after
        self.layers = nn.ModuleList(layers)
        self.last = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 1, T) -> logits, and features of the layers."""
        maps, features = _through(self.layers, self.pools(sound))
        logits = self.last(maps)
        return logits, [*features, logits]


class Resolution(nn.Module):
    """A complex spectrogram in five bands, each seen by convolutions over frames and frequencies.

    Siuzdak 2023, section 3.3, after UnivNet and DAC: windows of `size` samples with a hop of a quarter, real
    and imaginary part as channels; the mean is removed and the peak set to 0.8.
    """

    def __init__(self, size: int, width: int = 32) -> None:
        super().__init__()
        self.size = size
        self.window: Tensor
        self.register_buffer("window", torch.from_numpy(hann(size)).float(), persistent=False)
        ends = [int(share * (size // 2 + 1)) for share in BANDS]
        self.bands = list(pairwise(ends))
        self.stacks = nn.ModuleList(nn.ModuleList(_band(width)) for _ in self.bands)
        self.last = weight_norm(nn.Conv2d(width, 1, (3, 3), padding=(1, 1)))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 1, T) -> logits, and features of the layers from the second on."""
        wave = sound[:, 0].float()
        wave = wave - wave.mean(1, keepdim=True)
        wave = PEAK * wave / (wave.abs().amax(1, keepdim=True) + 1e-9)
        spectra = torch.stft(
            wave, self.size, self.size // 4, window=self.window, center=True, return_complex=True
        )
        maps = torch.view_as_real(spectra).permute(0, 3, 2, 1)
        found, features = [], []
        for (low, high), stack in zip(self.bands, self.stacks, strict=True):
            band, inside = _through(stack, maps[..., low:high])
            found.append(band)
            features += inside[1:]
        logits = self.last(torch.cat(found, dim=3))
        return logits, [*features, logits]


class Parts(nn.Module):
    """Several discriminators of a sound as one: (N, 1, T) -> score (N, L), features (N, F).

    Each part fills a share of the score that follows its weight, its logits repeated as often as needed: a
    mean over the score is a weighted mean of the means of the parts. Each feature is multiplied by the part's
    weight over the size of its layer: a sum over all features is the weighted sum of the means of the layers.
    """

    def __init__(self, parts: Sequence[tuple[nn.Module, float]]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part for part, _ in parts)
        self.weights = [weight for _, weight in parts]

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, T) -> (N, L), (N, F)."""
        scores, features = [], []
        for part, weight in zip(self.parts, self.weights, strict=True):
            logits, layers = part(sound)
            rows = round(ROWS * weight / max(self.weights))
            scores.append(functional.interpolate(logits.flatten(1)[:, None].float(), rows)[:, 0])
            features += [layer.flatten(1) * (weight / layer[0].numel()) for layer in layers]
        return torch.cat(scores, dim=1), torch.cat(features, dim=1)


def _through(layers: nn.Module, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
    features = []
    for layer in layers.children():
        maps = functional.leaky_relu(layer(maps), SLOPE)
        features.append(maps)
    return maps, features


def _band(width: int) -> list[nn.Module]:
    first = nn.Conv2d(2, width, (3, 9), (1, 1), padding=(1, 4))
    middle = [nn.Conv2d(width, width, (3, 9), (1, 2), padding=(1, 4)) for _ in range(3)]
    return [weight_norm(layer) for layer in (first, *middle, nn.Conv2d(width, width, 3, 1, padding=1))]


def _spectral_norm(layer: nn.Conv1d) -> nn.Module:
    put_spectral_norm(layer, (nn.Conv1d,))
    return layer
