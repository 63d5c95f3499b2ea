"""Sound: files as data, WaveGAN, SpecGAN, HiFi-GAN, Vocos, and scores of what is heard."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, DatasetSpec, MediaSpec, RecipeSpec, hookimpl
from ganzoo_sound.config import SoundConfig, SpectrogramConfig, VocoderConfig, WaveganConfig
from ganzoo_sound.recipes import RECIPES, WAVEGAN

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`sound`, `mel` and `spectrogram`."""
    return [
        MediaSpec(
            name="sound",
            summary="Sounds: spectrograms and players, .wav, .flac and .ogg.",
            factory="ganzoo_sound.media:SoundMedia",
        ),
        MediaSpec(
            name="mel",
            summary="Log mel spectrograms, made of sound files; heard by Griffin-Lim.",
            factory="ganzoo_sound.media:MelMedia",
        ),
        MediaSpec(
            name="spectrogram",
            summary="Normalised log spectrograms (SpecGAN), heard by Griffin-Lim.",
            factory="ganzoo_sound.media:SpectrogramMedia",
        ),
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`wav`, `vocoder` and `spectrogram`."""
    return [
        DatasetSpec(
            name="wav",
            summary="sound files in a folder, sub-folders as labels; resampled, in windows or whole",
            factory="ganzoo_sound.datasets:open_wav",
            held_out="ganzoo_sound.datasets:open_wav_held_out",
            config=SoundConfig,
            argument="PATH",
        ),
        DatasetSpec(
            name="vocoder",
            summary="pairs of a mel spectrogram and its sound, made from a folder of sound files",
            factory="ganzoo_sound.datasets:open_vocoder",
            held_out="ganzoo_sound.datasets:open_vocoder_held_out",
            config=VocoderConfig,
            argument="PATH",
        ),
        DatasetSpec(
            name="spectrogram",
            summary="log spectrograms of the sound files in a folder, normalised as for SpecGAN",
            paper=f"{WAVEGAN}, section 3.3",
            factory="ganzoo_sound.datasets:open_spectrogram",
            held_out="ganzoo_sound.datasets:open_spectrogram_held_out",
            config=SpectrogramConfig,
            argument="PATH",
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`wavegan`, `specgan`, `hifi-gan` and `vocos`."""
    return [
        ArchitectureSpec(
            name="wavegan",
            summary="Convolutions of 25 samples with stride 4 for sound of any length; phase shuffle in D.",
            paper=f"{WAVEGAN}, section 3.2",
            factory="ganzoo_sound.wavegan:build_wavegan",
            config=WaveganConfig,
            needs=("sound",),
        ),
        ArchitectureSpec(
            name="specgan",
            summary="Convolutions of 5x5 with stride 2 for spectrograms, without BatchNorm.",
            paper=f"{WAVEGAN}, section 3.3",
            factory="ganzoo_sound.wavegan:build_specgan",
            config=WaveganConfig,
            needs=("image",),
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
