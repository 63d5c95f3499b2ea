"""Generated sounds against the real ones of their pairs: log mel, cepstra, spectra, PESQ, STOI.

Each score is also computed for Griffin-Lim, where the data says how its mel spectrograms are made: the way
back to sound that needs no training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from ganzoo.api import Comparison, DataError, Field, SettingsError, optional_package
from ganzoo_sound.files import resampled
from ganzoo_sound.spectra import MelScale, stft

Array = NDArray[Any]
Score = Callable[[Array, Array, MelScale], float]
Metric = Callable[[Comparison], dict[str, float]]

COEFFICIENTS = 13
WINDOWS = (512, 1024, 2048)
SMALLEST = 1e-5  # magnitude
JOINED = 4.0  # seconds: shorter sounds are joined before PESQ and STOI, which are made for sentences
WORST = 1.0  # mean opinion score
MOST = 200  # sounds for Griffin-Lim and for the scores of speech, which are slow
_BLOCK = 64


def log_mel_distance(fake: Array, real: Array, scale: MelScale) -> float:
    """E |log mel(fake) - log mel(real)| of waves (n, T): natural logarithms, a mean over all values."""
    return float(np.abs(scale(fake) - scale(real)).mean())


def cepstral_distance(fake: Array, real: Array, scale: MelScale) -> float:
    """Mel cepstral distance in dB: 10 / ln 10 sqrt(2 sum (c - c')^2) of each frame, then the mean.

    Kubichek 1993, with the coefficients 1 to 13 of the orthonormal DCT of the log mel spectrogram.
    """
    first, second = (
        dct(scale(waves), axis=1, norm="ortho")[:, 1 : COEFFICIENTS + 1] for waves in (fake, real)
    )
    each = np.sqrt(2 * np.square(first - second).sum(1))
    return float(10 / np.log(10) * each.mean())


def spectral_distance(fake: Array, real: Array, scale: MelScale) -> float:
    """Spectral convergence + mean |difference of log magnitudes|, a mean over windows of 512, 1,024, 2,048.

    Yamamoto et al. 2020, arXiv:1910.11480, equations 4 to 6, with hops of a quarter. Longer windows than the
    sounds are left out. Both are (n, samples) in -1..1; 0 for equal ones.
    """
    sums = []
    for size in [size for size in WINDOWS if size <= fake.shape[1]] or [fake.shape[1] // 4 * 4]:
        length = fake.shape[1] // (size // 4) * (size // 4)
        first, second = (np.abs(stft(waves[:, :length], size, size // 4)) for waves in (fake, real))
        apart = np.sqrt(np.square(first - second).sum((1, 2)))
        converged = apart / np.maximum(np.sqrt(np.square(second).sum((1, 2))), SMALLEST)
        logs = np.log(np.maximum(first, SMALLEST)) - np.log(np.maximum(second, SMALLEST))
        sums.append(converged.mean() + np.abs(logs).mean())
    return float(np.mean(sums))


def pairs(config: None = None) -> Metric:
    """Factory of `sound-pairs`: `log_mel_l1`, `mcd` in dB, `mr_stft`."""
    scores: dict[str, Score] = {
        "log_mel_l1": log_mel_distance,
        "mcd": cepstral_distance,
        "mr_stft": spectral_distance,
    }

    def score(comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, (fake, real, scale) in _sides(comparison).items():
            blocks = [slice(at, at + _BLOCK) for at in range(0, len(fake), _BLOCK)]
            for key, distance in scores.items():
                parts = [(len(fake[rows]), distance(fake[rows], real[rows], scale)) for rows in blocks]
                found[name + key] = sum(count * value for count, value in parts) / len(fake)
        return found

    return score


def pesq(config: None = None) -> Metric:
    """Factory of `pesq`: the mean opinion score of ITU-T P.862, 1 to 4.5.

    P.862.1 (narrow band) for 8 kHz, otherwise P.862.2 (wide band) at 16 kHz. A passage whose real side has no
    speech is left out. One whose generated side cannot be scored, such as silence, counts as 1, the worst;
    `pesq_failed` is the share of these. DataError if no real side has speech.
    """
    package = _package("pesq")

    def opinion(theirs: Array, ours: Array, rate: int) -> float:
        """0 or less, or not a number, for sounds that PESQ refuses."""
        mode, refusals = "nb" if rate == 8_000 else "wb", package.PesqError.RETURN_VALUES
        with np.errstate(all="ignore"):  # it divides silence by its peak
            return float(package.pesq(rate, theirs, ours, mode, refusals))

    def score(comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, (fake, real, scale) in _sides(comparison, MOST).items():
            rate = 8_000 if scale.rate == 8_000 else 16_000
            passages = _joined(fake, real, scale.rate, rate)
            speech = [(ours, theirs) for ours, theirs in passages if opinion(theirs, theirs, rate) > 0]
            if not speech:
                raise DataError("PESQ finds no speech in the real sounds.", fix="choose another --metric")
            given = np.array([opinion(theirs, ours, rate) for ours, theirs in speech])
            failed = ~(given > 0)
            found[f"{name}pesq"] = float(np.where(failed, WORST, given).mean())
            found[f"{name}pesq_failed"] = float(failed.mean())
        return found

    return score


def stoi(config: None = None) -> Metric:
    """Factory of `stoi`: short-time objective intelligibility, 0 to 1 (Taal et al. 2011)."""
    package = _package("pystoi")

    def score(comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, (fake, real, scale) in _sides(comparison, MOST).items():
            parts = list(_joined(fake, real, scale.rate, scale.rate))
            values = [package.stoi(theirs, ours, scale.rate) for ours, theirs in parts]
            found[f"{name}stoi"] = float(np.mean(values))
        return found

    return score


def _sides(comparison: Comparison, most: int | None = None) -> dict[str, tuple[Array, Array, MelScale]]:
    """Generated and real waves (n, T), and those of Griffin-Lim if the data says how mels are made."""
    assert comparison.targets is not None  # noqa: S101
    targets = comparison.targets[:most]
    fake, real = comparison.fake.values[:most].mean(1), comparison.real.values[targets].mean(1)
    scale = _scale(comparison.field)
    sides = {"": (fake, real, scale)}
    if "mel" in comparison.field.facts:
        few = real[:MOST]
        blocks = [few[at : at + _BLOCK] for at in range(0, len(few), _BLOCK)]
        restored = np.concatenate([scale.waves(scale(block)) for block in blocks])
        sides["griffin_lim_"] = (restored, few, scale)
    return sides


def _scale(field: Field) -> MelScale:
    """The mel scale of the pairs; for other sounds 80 mels of frames of about 46 ms, a quarter apart."""
    if "mel" in field.facts:
        return MelScale.of(field.facts["mel"])
    rate = field.facts["rate"]
    size = min(2 ** max(5, round(np.log2(0.046 * rate))), field.shape[1] // 4 * 4)
    return MelScale(rate=rate, n_fft=size, hop=size // 4, mels=min(80, size // 4))


def _joined(fake: Array, real: Array, rate: int, wanted: int) -> list[tuple[Array, Array]]:
    """Pairs of waves at the rate `wanted`, as many joined as have four seconds."""
    many = max(1, round(JOINED * rate / fake.shape[1]))
    starts = range(0, len(fake), many)
    return [
        (
            resampled(fake[at : at + many].reshape(1, -1), rate, wanted)[0],
            resampled(real[at : at + many].reshape(1, -1), rate, wanted)[0],
        )
        for at in starts
    ]


def _package(name: str) -> Any:
    return optional_package(name, "speech", "This score", raises=SettingsError)
