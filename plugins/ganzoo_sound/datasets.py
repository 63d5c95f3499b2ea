"""The data sets `wav`, `vocoder` and `spectrogram`, all from folders of sound files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field, as_floats
from ganzoo_sound.config import SoundConfig, SpectrogramConfig, VocoderConfig
from ganzoo_sound.folders import Clips, clips_of
from ganzoo_sound.spectra import MelScale, stft

Array = NDArray[Any]

FRAMES = ("frequency", "time")
LOG_FLOOR = 1e-6  # SpecGAN: added to magnitudes before the logarithm
SPAN = 3.0  # SpecGAN: so many standard deviations become -1..1
_BLOCK = 256  # sounds that are transformed at once


def open_wav(argument: str, config: SoundConfig | None = None) -> ArraySource:
    """`sound` (C, T) in -1..1, and `label` where there are sub-folders. DataError for files without sound."""
    return _sounds(clips_of("wav", argument, config or SoundConfig()).training)


def open_wav_held_out(argument: str, config: SoundConfig | None = None) -> ArraySource | None:
    """The held-out sounds; None where `held_out` gives none."""
    held_out = clips_of("wav", argument, config or SoundConfig()).held_out
    return None if held_out is None else _sounds(held_out)


def open_vocoder(argument: str, config: VocoderConfig | None = None) -> ArraySource:
    """Pairs of `mel` (mels, T / hop) and `sound` (1, T)."""
    config = config or VocoderConfig()
    return _pairs(clips_of("vocoder", argument, config).training, config)


def open_vocoder_held_out(argument: str, config: VocoderConfig | None = None) -> ArraySource | None:
    """The held-out pairs; None where `held_out` gives none."""
    config = config or VocoderConfig()
    held_out = clips_of("vocoder", argument, config).held_out
    return None if held_out is None else _pairs(held_out, config)


def open_spectrogram(argument: str, config: SpectrogramConfig | None = None) -> ArraySource:
    """`image` (1, n_fft / 2, T / hop) in -1..1, and `label` where there are sub-folders.

    Donahue et al. 2019, section 3.3: ln of the magnitudes without the highest frequency, each frequency with
    the mean and the standard deviation of the training data, clipped to three standard deviations.
    """
    config = config or SpectrogramConfig()
    training = clips_of("spectrogram", argument, config).training
    logs = _logs(training, config)
    return _spectrograms(training, logs, config, logs)


def open_spectrogram_held_out(argument: str, config: SpectrogramConfig | None = None) -> ArraySource | None:
    """The held-out spectrograms, with mean and standard deviation of the training data."""
    config = config or SpectrogramConfig()
    clips = clips_of("spectrogram", argument, config)
    if clips.held_out is None:
        return None
    return _spectrograms(clips.held_out, _logs(clips.held_out, config), config, _logs(clips.training, config))


def _sounds(clips: Clips) -> ArraySource:
    return _source(clips, {_sound_field(clips): clips.levels})


def _pairs(clips: Clips, config: VocoderConfig) -> ArraySource:
    scale = MelScale(
        rate=clips.rate,
        n_fft=config.n_fft,
        hop=config.hop,
        mels=config.mels,
        fmin=config.fmin,
        fmax=config.fmax,
        scale=config.scale,
        floor=config.floor,
    )
    if scale.top > clips.rate / 2:
        raise DataError(
            f"fmax is {scale.top:g} Hz, but the highest frequency at {clips.rate:,} Hz is {clips.rate / 2:g} "
            "Hz.",
            fix=f"--set data.fmax={clips.rate // 2}, or 0 for the highest",
        )
    sound = _sound_field(clips)
    sound = replace(sound, facts={**sound.facts, "mel": scale.facts()})
    mels = np.concatenate([scale(block[:, 0]) for block in _blocks(sound, clips.levels)])
    field = Field(name="mel", shape=mels.shape[1:], kind="mel", axes=FRAMES, facts=scale.facts())
    return _source(clips, {field: mels, sound: clips.levels})


def _spectrograms(clips: Clips, logs: Array, config: SpectrogramConfig, known: Array) -> ArraySource:
    mean = known.mean((0, 2), dtype=np.float64)
    spread = np.maximum(known.std((0, 2), dtype=np.float64), 1e-3)
    images = ((logs - mean[:, None]) / (SPAN * spread[:, None])).clip(-1, 1).astype(np.float32)
    facts = {
        "rate": clips.rate,
        "n_fft": config.n_fft,
        "hop": config.hop,
        "mean": mean.round(4).tolist(),
        "spread": spread.round(4).tolist(),
    }
    field = Field(
        name="image",
        shape=(1, *images.shape[1:]),
        kind="spectrogram",
        axes=("channel", "height", "width"),
        range=(-1.0, 1.0),
        facts=facts,
    )
    return _source(clips, {field: images[:, None]})


def _logs(clips: Clips, config: SpectrogramConfig) -> Array:
    """ln(|STFT| + 1e-6) without the highest frequency, (n, n_fft / 2, T / hop)."""
    blocks = _blocks(_sound_field(clips), clips.levels)
    spectra = [np.abs(stft(block[:, 0], config.n_fft, config.hop))[:, :-1] for block in blocks]
    return np.concatenate([np.log(part + LOG_FLOOR).astype(np.float32) for part in spectra])


def _blocks(field: Field, levels: Array) -> Sequence[Array]:
    return [as_floats(field, levels[at : at + _BLOCK]) for at in range(0, len(levels), _BLOCK)]


def _sound_field(clips: Clips) -> Field:
    return Field(
        name="sound",
        shape=clips.levels.shape[1:],
        kind="sound",
        axes=("channel", "time"),
        range=(-1.0, 1.0),
        facts={"rate": clips.rate},
    )


def _source(clips: Clips, arrays: dict[Field, Array]) -> ArraySource:
    if clips.classes:
        arrays = {**arrays, Field(name="label", dtype="int64", classes=clips.classes): clips.labels}
    return ArraySource(
        fields=tuple(arrays),
        arrays={field.name: array for field, array in arrays.items()},
        identity=clips.identity,
        notes=clips.notes,
        card=clips.card,
        damaged=clips.damaged,
        unfit=clips.unfit,
        files=clips.files,
    )
