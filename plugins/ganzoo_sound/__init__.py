"""Sound: files as data, WaveGAN, SpecGAN, HiFi-GAN, Vocos, and scores of what is heard."""

from __future__ import annotations

from ganzoo.api import (
    ArchitectureSpec,
    DatasetSpec,
    ExtractorSpec,
    ImporterSpec,
    MediaSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    hookimpl,
)
from ganzoo_sound.config import (
    HifiganConfig,
    SoundConfig,
    SpectrogramConfig,
    VocoderConfig,
    VocosConfig,
    WaveganConfig,
    WeightConfig,
)
from ganzoo_sound.recipes import HIFIGAN, RECIPES, VOCOS, WAVEGAN

GANZOO_API_VERSION = 2


_SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".opus", ".w64")


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
            summary="Log mel spectrograms, made from sound files or read from .npz.",
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
            summary="sound files in a folder, sub-folders as labels; wav:toy has made-up sounds",
            factory="ganzoo_sound.datasets:open_wav",
            held_out="ganzoo_sound.datasets:open_wav_held_out",
            config=SoundConfig,
            argument="PATH",
            reads=_SOUNDS,
        ),
        DatasetSpec(
            name="vocoder",
            summary="pairs of a mel spectrogram and its sound, made from a folder of sound files",
            factory="ganzoo_sound.datasets:open_vocoder",
            held_out="ganzoo_sound.datasets:open_vocoder_held_out",
            config=VocoderConfig,
            argument="PATH",
            reads=_SOUNDS,
        ),
        DatasetSpec(
            name="spectrogram",
            summary="log spectrograms of the sound files in a folder, normalised as for SpecGAN",
            paper=f"{WAVEGAN}, section 3.3",
            factory="ganzoo_sound.datasets:open_spectrogram",
            held_out="ganzoo_sound.datasets:open_spectrogram_held_out",
            config=SpectrogramConfig,
            argument="PATH",
            reads=_SOUNDS,
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
        ArchitectureSpec(
            name="hifi-gan",
            summary="Mel spectrogram to sound by upsampling; D sees periods and scales; any length of time.",
            paper=f"{HIFIGAN}, section 2",
            factory="ganzoo_sound.vocoders:build_hifigan",
            config=HifiganConfig,
            needs=("mel", "sound"),
        ),
        ArchitectureSpec(
            name="vocos",
            summary="Mel spectrogram to sound by an inverse STFT; D sees periods, spectrograms; any length.",
            paper=f"{VOCOS}, section 3",
            factory="ganzoo_sound.vocoders:build_vocos",
            config=VocosConfig,
            needs=("mel", "sound"),
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """For G: `matched-features` and `mel-distance`."""
    return [
        TermSpec(
            name="matched-features",
            summary="Mean absolute difference of D's features for a sound and the real one of its pair.",
            paper=f"{HIFIGAN}, equation 4",
            factory="ganzoo_sound.terms:matched_features",
            config=WeightConfig,
            role="generator",
        ),
        TermSpec(
            name="mel-distance",
            summary="Mean absolute difference of the log mel spectrograms of a sound and the real one.",
            paper=f"{HIFIGAN}, equation 3",
            factory="ganzoo_sound.terms:mel_distance",
            config=WeightConfig,
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)


@hookimpl
def ganzoo_extractors() -> list[ExtractorSpec]:
    """`log-mel` and `sound-classifier`."""
    return [
        ExtractorSpec(
            name="log-mel",
            summary="192 statistics of log mel spectrograms. Nothing is trained.",
            factory="ganzoo_sound.extractors:statistics",
            distance="frechet_log_mel",
            kinds=("sound", "spectrogram"),
        ),
        ExtractorSpec(
            name="sound-classifier",
            summary="A small classifier of log mel spectrograms, trained on the labelled data and cached.",
            factory="ganzoo_sound.extractors:classifier",
            distance="frechet_sound_classifier",
            kinds=("sound", "spectrogram"),
            trained=True,
        ),
    ]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`sound-pairs`, `pesq` and `stoi`."""
    return [
        MetricSpec(
            name="sound-pairs",
            summary="Generated sounds against those of their pairs, and Griffin-Lim: log mel, MCD, STFT.",
            paper="Yamamoto et al. 2020, arXiv:1910.11480, for mr_stft; Kubichek 1993 for mcd",
            factory="ganzoo_sound.metrics:pairs",
            needs=("sound", "targets"),
            better=dict.fromkeys(("log_mel_l1", "mcd", "mr_stft"), "lower"),
            reference=False,  # real sounds are the targets
        ),
        MetricSpec(
            name="pesq",
            summary="Perceived quality of speech, 1 to 4.5; needs the extra `speech`.",
            paper="ITU-T P.862.1 and P.862.2",
            factory="ganzoo_sound.metrics:pesq",
            needs=("sound", "targets"),
            better={"pesq": "higher", "pesq_failed": "lower"},
            reference=False,
            slow=True,
        ),
        MetricSpec(
            name="stoi",
            summary="Intelligibility of speech, 0 to 1; needs the extra `speech`.",
            paper="Taal et al. 2011, IEEE TASLP 19(7)",
            factory="ganzoo_sound.metrics:stoi",
            needs=("sound", "targets"),
            better={"stoi": "higher"},
            reference=False,
            slow=True,
        ),
    ]


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`hifi-gan`."""
    return [
        ImporterSpec(
            name="hifi-gan",
            summary="Generators of HiFi-GAN V1, V2 and V3 as the authors save them.",
            paper="github.com/jik876/hifi-gan, models.py",
            recognise="ganzoo_sound.importer:recognise",
            example="ganzoo_sound.importer:example",
        )
    ]
