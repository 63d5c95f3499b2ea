"""Sound: files and their faults, spectra against scipy and torch, networks, scores."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal
from torch.nn.utils import parametrize

from ganzoo.api import ClassifierData, DataError, DataInfo, Field, SettingsError, as_floats
from ganzoo.data.dataset import open_source
from ganzoo_sound import metrics
from ganzoo_sound.config import (
    HifiganConfig,
    SoundConfig,
    SpectrogramConfig,
    VocoderConfig,
    VocosConfig,
    WaveganConfig,
    WeightConfig,
)
from ganzoo_sound.datasets import (
    open_spectrogram,
    open_vocoder,
    open_wav,
    open_wav_held_out,
)
from ganzoo_sound.extractors import SoundClassifier, statistics
from ganzoo_sound.files import encoded, read_sound, resampled
from ganzoo_sound.judges import Parts, Period, Resolution, Scale
from ganzoo_sound.media import MelMedia, SoundMedia, SpectrogramMedia
from ganzoo_sound.recipes import RECIPES
from ganzoo_sound.spectra import MelScale, griffin_lim, hz_to_mel, istft, mel_basis, mel_to_hz, stft
from ganzoo_sound.terms import matched_features, mel_distance
from ganzoo_sound.transforms import InverseStft, LogMel, spectra_of
from ganzoo_sound.vocoders import HifiGenerator, VocosGenerator, build_hifigan, build_vocos
from ganzoo_sound.wavegan import WAVES, Discriminator, Generator, PhaseShuffle, build_wavegan, strides_of
from tests.helpers.evaluating import ganzoo
from tests.meta.test_deploy import BLOCKED

RATE = 8_000
SCALE = MelScale(rate=RATE, n_fft=256, hop=64, mels=20)
RANDOM = np.random.default_rng(0)


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def save(path: Path, values: np.ndarray, rate: int = RATE, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, values, rate, **options)
    return path


def row(source: Any, name: str) -> tuple[str, str]:
    return next((value, remark) for key, value, remark in source.card if key == name)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff"])
def test_files_of_several_formats_become_windows(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, tone(1.0))
    source = open_wav(str(tmp_path), SoundConfig(length=2_000, held_out=0.0))
    sounds = source.arrays["sound"]
    assert sounds.shape == (4, 1, 2_000)
    heard = as_floats(source.fields[0], sounds).reshape(-1)
    assert np.abs(heard - tone(1.0)).max() < (0.05 if name == "a.ogg" else 1e-4)
    assert source.fields[0].facts == {"rate": RATE}


def test_mixed_rates_are_resampled_to_the_most_frequent_one(tmp_path: Path) -> None:
    for at in range(2):
        save(tmp_path / f"{at}.wav", tone(0.5))
    save(tmp_path / "fast.wav", tone(0.5, rate=22_050), 22_050)
    source = open_wav(str(tmp_path), SoundConfig(length=4_000, held_out=0.0))
    same, other = as_floats(source.fields[0], source.arrays["sound"][[0, 2]])[:, 0, 200:-200]
    assert np.abs(same - other).max() < 0.01
    assert row(source, "rates") == ("8,000 Hz (2), 22,050 Hz (1)", "used: 8,000 Hz, the others resampled")


def test_a_tone_keeps_its_pitch_at_another_rate() -> None:
    made = resampled(tone(1.0, 1_000, 44_100)[None].astype(np.float32), 44_100, RATE)
    assert made.shape == (1, RATE)
    assert np.abs(np.fft.rfft(made[0])).argmax() == 1_000


def test_channels_are_mixed_or_kept(tmp_path: Path) -> None:
    both = np.stack([tone(0.25), -0.5 * tone(0.25)], axis=1)
    save(tmp_path / "two.wav", both)
    one = open_wav(str(tmp_path), SoundConfig(length=2_000, held_out=0.0))
    two = open_wav(str(tmp_path), SoundConfig(length=2_000, held_out=0.0, channels=2))
    assert np.abs(as_floats(one.fields[0], one.arrays["sound"])[0, 0] - 0.25 * tone(0.25)).max() < 1e-3
    assert np.abs(as_floats(two.fields[0], two.arrays["sound"])[0].T - both).max() < 1e-3
    with pytest.raises(DataError, match="No sound"):
        open_wav(str(tmp_path), SoundConfig(length=2_000, channels=3))


def test_sub_folders_are_classes_and_files_are_held_out_whole(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        for at in range(5):
            save(tmp_path / name / f"{at}.wav", tone(0.5, 300 + 50 * at))
    config = SoundConfig(length=1_000, held_out=0.2)
    training, held_out = open_wav(str(tmp_path), config), open_wav_held_out(str(tmp_path), config)
    assert held_out is not None
    assert training.fields[1].classes == ("no", "yes")
    assert (len(training.arrays["sound"]), len(held_out.arrays["sound"])) == (32, 8)
    assert open_wav_held_out(str(tmp_path), SoundConfig(length=1_000, held_out=0.0)) is None


def test_folders_train_and_test_are_parts(tmp_path: Path) -> None:
    for part, many in (("train", 6), ("test", 2)):
        for name in ("one", "two"):
            for at in range(many):
                save(tmp_path / part / name / f"{at}.wav", tone(0.5, 300 + 50 * at))
    config = SoundConfig(length=4_000)
    training, held_out = open_wav(str(tmp_path), config), open_wav_held_out(str(tmp_path), config)
    assert held_out is not None
    assert training.fields == held_out.fields
    assert training.fields[1].classes == ("one", "two")
    assert np.bincount(training.arrays["label"]).tolist() == [6, 6]
    assert np.bincount(held_out.arrays["label"]).tolist() == [2, 2]
    assert any("--data wav:PATH/PART" in note for note in training.notes)


def test_whole_clips_are_cut_or_padded_with_silence(tmp_path: Path) -> None:
    save(tmp_path / "long.wav", tone(1.0))
    save(tmp_path / "short.wav", tone(0.1))
    source = open_wav(str(tmp_path), SoundConfig(length=2_000, clips="whole", held_out=0.0))
    sounds = as_floats(source.fields[0], source.arrays["sound"])[:, 0]
    assert sounds.shape == (2, 2_000)
    assert np.abs(sounds[1, 800:]).max() < 1e-4
    assert row(source, "padded")[0] == "50.0%"


def test_silence_is_kept_when_asked_for(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", 0 * tone(0.5))
    with pytest.raises(DataError, match="No sound") as caught:
        open_wav(str(tmp_path), SoundConfig(length=1_000, peak=0.9))
    assert "data.quietest=0" in str(caught.value.fix)
    source = open_wav(str(tmp_path), SoundConfig(length=1_000, peak=0.9, quietest=0.0, held_out=0.0))
    assert np.abs(source.arrays["sound"]).max() <= 1
    (tmp_path / "a.wav").write_bytes(b"no sound at all")
    with pytest.raises(DataError, match="No sound") as caught:
        open_wav(str(tmp_path), SoundConfig(length=1_000))
    assert "quietest" not in str(caught.value.fix)


def test_peaks_are_scaled_and_windows_overlap(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", 0.1 * tone(0.5))
    source = open_wav(str(tmp_path), SoundConfig(length=1_000, step=500, peak=0.9, held_out=0.0))
    sounds = as_floats(source.fields[0], source.arrays["sound"])
    assert len(sounds) == 8
    assert np.abs(sounds).max() == pytest.approx(0.9, abs=1e-3)
    assert (sounds[0, 0, 500:] == sounds[1, 0, :500]).all()


def write_raw(path: Path, rate: int, values: bytes) -> None:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(values)
    data = bytearray(content.getvalue())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)


def test_files_without_sound_are_skipped_and_say_why(tmp_path: Path) -> None:
    save(tmp_path / "good.wav", tone(0.5))
    save(tmp_path / "one.wav", np.array([0.5]))
    save(tmp_path / "silent.wav", np.zeros(4_000))
    save(tmp_path / "nan.wav", np.full(4_000, np.nan), subtype="FLOAT")
    write_raw(tmp_path / "rate.wav", 0, b"\1\0" * 4_000)
    write_raw(tmp_path / "empty.wav", RATE, b"")
    (tmp_path / "corrupt.flac").write_bytes(b"no sound" * 99)
    source = open_wav(str(tmp_path), SoundConfig(length=1_001, held_out=0.0))
    assert len(source.arrays["sound"]) == 4  # an odd length; the last window is padded
    assert {name for name, _ in source.unfit} == {"one.wav", "silent.wav"}
    assert {name for name, _ in source.damaged} == {"nan.wav", "rate.wav", "empty.wav", "corrupt.flac"}
    assert source.files == 7
    assert row(source, "rates")[0] == "8,000 Hz (1)"  # of the files that are used
    with pytest.raises(DataError, match="4 of 7"):
        open_source(source)
    for folder, text in (("one", "5 milliseconds"), ("silent", "silent"), ("nan", "NaN"), ("empty", "")):
        alone = tmp_path / f"only-{folder}"
        alone.mkdir()
        (alone / "a.wav").write_bytes((tmp_path / f"{folder}.wav").read_bytes())
        with pytest.raises(DataError, match="No sound can be used") as caught:
            open_wav(str(alone), SoundConfig())
        assert text in caught.value.where


@pytest.mark.parametrize("name", ["cut.wav", "cut.aiff", "cut.flac"])
def test_a_file_that_is_cut_off_is_skipped_and_listed(tmp_path: Path, name: str) -> None:
    for at in range(12):
        save(tmp_path / f"{at:02}.wav", tone(0.5))
        save(tmp_path / f"{at:02}-silent.wav", np.zeros(4_000))
    whole = save(tmp_path / name, tone(0.5)).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    data = open_source(open_wav(str(tmp_path), SoundConfig(length=2_000, held_out=0.0)))
    assert data.count == 24
    (bad, why), *silent = data.skipped
    assert bad == name
    assert "cut off" in why or "lost sync" in why.lower()
    assert len(silent) == 12
    assert "13 of 25 items cannot be used" in data.notes[-1]
    assert data.notes[-1].endswith("and 10 more, all in the run's bad_files.txt")
    with pytest.raises(ValueError, match=r"cut off|lost sync|Error"):
        read_sound(tmp_path / name)


def test_a_sound_of_unknown_length_is_not_cut_off(tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "pipe.wav", tone(0.5)).read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = data[4:8] = b"\xff\xff\xff\xff"  # as programs write it into a pipe
    (tmp_path / "pipe.wav").write_bytes(data)
    assert read_sound(tmp_path / "pipe.wav")[0].shape == (1, 4_000)


def test_what_is_no_folder_of_sounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sound files"):
        open_wav(str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        open_wav(str(tmp_path / "missing"))
    save(tmp_path / "a.wav", tone(0.5))
    with pytest.raises(DataError, match="highest frequency"):
        open_vocoder(str(tmp_path), VocoderConfig(fmax=8_000.0))
    with pytest.raises(ValueError, match="multiple of hop"):
        VocoderConfig(length=1_000)


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.wav", tone(0.5))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match="soundfile") as caught:
        open_wav(str(tmp_path))
    assert "pip install soundfile" in caught.value.fix
    assert "'.[sound]'" in caught.value.fix
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(SettingsError, match="pesq"):
        metrics.pesq()


def test_what_pesq_cannot_score_counts_as_the_worst() -> None:
    pytest.importorskip("pesq")  # it is compiled where it is installed
    time = np.arange(4 * RATE) / RATE
    speech = 0.3 * np.sin(2 * np.pi * 300 * time) * np.sin(2 * np.pi * 2 * time) ** 2
    field = Field(name="sound", shape=(1, 4 * RATE), range=(-1.0, 1.0), kind="sound", facts={"rate": RATE})

    def scored(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
        sides = [SimpleNamespace(values=side[:, None].astype(np.float32)) for side in (fake, real)]
        comparison = SimpleNamespace(fake=sides[0], real=sides[1], targets=np.arange(len(fake)), field=field)
        return metrics.pesq()(cast(Any, comparison))

    silence = 0 * speech
    alone = scored(speech[None], speech[None])
    assert alone == {"pesq": pytest.approx(4.549, abs=1e-3), "pesq_failed": 0}
    half = scored(np.stack([speech, silence]), np.stack([speech, speech]))
    assert half == {"pesq": pytest.approx((alone["pesq"] + 1) / 2), "pesq_failed": 0.5}
    without = scored(np.stack([speech, speech]), np.stack([speech, silence]))
    assert without == alone  # a real passage without speech says nothing
    with pytest.raises(DataError, match="no speech"):
        scored(speech[None], silence[None])


def test_loud_samples_are_clipped_and_said(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", 4 * tone(0.5), subtype="FLOAT")
    assert "clipped" in open_wav(str(tmp_path), SoundConfig(length=1_000, held_out=0.0)).notes[0]


# --- spectra ------------------------------------------------------------------------------------


def test_stft_is_that_of_scipy_inside() -> None:
    sound = RANDOM.standard_normal(4_096)
    _, _, found = signal.stft(sound, window="hann", nperseg=256, noverlap=192, boundary=None, scaling="psd")
    scaled = found / np.abs(found).max()
    ours = stft(sound, 256, 64)
    # Ours begins (256 - 64) / 2 samples before the sound; frame 2 begins at sample 32, so it is shifted.
    own = stft(np.concatenate([np.zeros(32), sound[:-32]]), 256, 64)[:, 2:-2]
    own = own / np.abs(own).max()
    count = min(own.shape[1], scaled.shape[1])
    assert np.abs(np.abs(own[:, :count]) - np.abs(scaled[:, :count])).max() < 1e-6
    assert ours.shape == (129, 64)


def test_stft_and_its_inverse_are_those_of_torch() -> None:
    sound = RANDOM.standard_normal((2, 2_048))
    window = torch.hann_window(256, dtype=torch.float64).float()
    found = spectra_of(torch.from_numpy(sound).float(), window, 64)
    ours = stft(sound, 256, 64)
    assert np.abs(found.numpy() - ours).max() < 1e-4
    assert np.abs(istft(ours, 64) - sound).max() < 1e-9
    back = InverseStft(256, 64)(found.abs(), found.angle())[:, 0]
    assert np.abs(back.numpy() - sound).max() < 1e-4


def test_mel_scales_are_inverted_and_have_known_points() -> None:
    hz = np.linspace(0, 8_000, 50)
    for scale in ("slaney", "htk"):
        assert np.allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz)
    assert hz_to_mel(np.array([1_000.0]), "slaney") == pytest.approx(15)
    assert hz_to_mel(np.array([6_400.0]), "slaney") == pytest.approx(42)
    assert hz_to_mel(np.array([1_000.0]), "htk") == pytest.approx(999.99, abs=0.01)


def test_mel_filters_are_triangles() -> None:
    # librosa's filters have the area of 1 Hz; torchaudio's neighbours add up to 1.
    basis = mel_basis(RATE, 1_024, 20, 0.0, 4_000.0, "slaney")
    widths = RATE / 1_024
    assert basis.shape == (20, 513)
    assert np.allclose(basis.sum(1) * widths, 1, atol=0.05)
    flat = mel_basis(RATE, 1_024, 20, 0.0, 4_000.0, "htk")
    assert np.allclose(flat[:, 30:440].sum(0), 1, atol=1e-5)
    assert basis.argmax(1).tolist() == sorted(basis.argmax(1).tolist())


def test_mel_in_numpy_is_that_in_torch() -> None:
    sound = 0.1 * RANDOM.standard_normal((2, 1, 2_048))
    ours = SCALE(sound[:, 0])
    theirs = LogMel(SCALE)(torch.from_numpy(sound).float()).numpy()
    assert ours.shape == (2, 20, 32)
    assert np.abs(ours - theirs).max() < 1e-3
    assert SCALE(np.zeros(640)).max() == pytest.approx(
        np.log(max(1e-5, SCALE.basis.sum(1).max() * 1e-9**0.5))
    )
    assert MelScale.of(SCALE.facts()) == SCALE
    with pytest.raises(ValueError, match="facts"):
        MelScale.of({"rate": RATE})


def test_griffin_lim_finds_a_sound_with_the_magnitudes() -> None:
    sound = tone(0.512) + tone(0.512, 1_300)
    wanted = np.abs(stft(sound, 256, 64))
    made = [griffin_lim(wanted, 64, iterations) for iterations in (0, 30)]
    wrong = [np.linalg.norm(np.abs(stft(one, 256, 64)) - wanted) / np.linalg.norm(wanted) for one in made]
    assert wrong[1] < 0.15 < wrong[0]


# --- data of vocoders and SpecGAN ---------------------------------------------------------------


def test_pairs_are_a_sound_and_its_own_spectrogram(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", tone(1.0))
    source = open_vocoder(
        str(tmp_path), VocoderConfig(length=2_048, n_fft=256, hop=64, mels=20, held_out=0.0)
    )
    mel, sound = source.fields
    assert (mel.name, mel.shape, sound.shape) == ("mel", (20, 32), (1, 2_048))
    again = MelScale.of(mel.facts)(as_floats(sound, source.arrays["sound"])[:, 0])
    assert np.abs(again - source.arrays["mel"]).max() < 1e-5


def test_spectrograms_are_normalised_and_become_sound_again() -> None:
    source = open_spectrogram("toy", SpectrogramConfig(length=4_096, n_fft=128, hop=64))
    (field, _), images = source.fields, source.arrays["image"]
    assert images.shape[1:] == (1, 64, 64)
    assert abs(images.mean()) < 0.05
    assert 3 * images.std() == pytest.approx(1, abs=0.1)
    sounds = SpectrogramMedia().metric_values(field, images[:4])
    waves = open_wav("toy", SoundConfig(length=4_096))
    real = as_floats(waves.fields[0], waves.arrays["sound"][:4])
    loud = [np.abs(stft(part[:, 0], 128, 64)) for part in (sounds, real)]
    assert np.linalg.norm(loud[0] - loud[1]) / np.linalg.norm(loud[1]) < 0.5


# --- media --------------------------------------------------------------------------------------


def sound_field(length: int = 1_600, channels: int = 1) -> Field:
    return Field(name="sound", shape=(channels, length), kind="sound", axes=("channel", "time"),
                 range=(-1.0, 1.0), facts={"rate": RATE})  # fmt: skip


@pytest.mark.parametrize("suffix", SoundMedia.suffixes)
def test_written_sounds_are_read_by_others(tmp_path: Path, suffix: str) -> None:
    field, media = sound_field(channels=2), SoundMedia()
    values = np.stack([tone(0.2), tone(0.2, 660)])[None].astype(np.float32)
    path = tmp_path / f"a{suffix}"
    assert media.write(field, values, path, single=True) == [path]
    found, rate = soundfile.read(path)
    assert rate == RATE
    assert np.abs(found.T - values[0]).max() < (0.1 if suffix == ".ogg" else 1e-4)
    assert media.read(field, path, {}).shape == (1, 2, 1_600)
    assert encoded(field, values, suffix) == path.read_bytes()  # an Ogg file has no random number
    three = encoded(field, values.repeat(3, 0), ".wav")
    with wave.open(io.BytesIO(three)) as file:
        assert file.getnframes() == 3 * (1_600 + 800)


def test_a_preview_is_a_picture_with_a_sound() -> None:
    preview = SoundMedia().preview(sound_field(), RANDOM.uniform(-1, 1, (3, 1, 1_600)))
    assert [*preview.files] == [".png", ".wav"]
    with wave.open(io.BytesIO(preview.files[".wav"])) as file:
        assert (file.getframerate(), file.getnframes()) == (RATE, 3 * (1_600 + 800))


def test_a_mel_spectrogram_is_read_from_a_sound_or_an_npz(tmp_path: Path) -> None:
    field = Field(name="mel", shape=(20, 16), kind="mel", axes=("frequency", "time"), facts=SCALE.facts(),
                  free={"time": 1})  # fmt: skip
    media = MelMedia()
    path = save(tmp_path / "a.wav", np.stack([tone(1.0, rate=16_000)] * 2, 1), 16_000)
    assert (
        media.changes(field, path, {})
        == "the sound was resampled from 16,000 to 8,000 Hz and mixed from 2 channels"
    )
    made = media.read(field, path, {})
    assert made.shape == (1, 20, 125)
    assert np.abs(made[0, :, 5:-5] - SCALE(tone(1.0))[:, 5:-5]).mean() < 0.1
    np.savez(tmp_path / "a.npz", mel=made[0], seed=np.array(0))
    assert (media.read(field, tmp_path / "a.npz", {}) == made).all()
    np.savez(tmp_path / "b.npz", made[:, :10])
    with pytest.raises(ValueError, match="not \\(20, frames\\)"):
        media.read(field, tmp_path / "b.npz", {})


# --- networks -----------------------------------------------------------------------------------


def count(module: torch.nn.Module, *, folded: bool = False) -> int:
    for part in module.modules() if folded else ():
        if parametrize.is_parametrized(part):
            parametrize.remove_parametrizations(part, "weight")
    return sum(parameter.numel() for parameter in module.parameters())


def paper(recipe: str) -> Any:
    """The options of the networks of a recipe."""
    settings = next(item.settings for item in RECIPES if item.name == recipe)
    kind = {"w": WaveganConfig, "h": HifiganConfig, "v": VocosConfig}[recipe[0]]
    options = {
        key.partition(".")[2]: value for key, value in settings.items() if key.startswith("architecture.")
    }
    return kind(**options)


def test_networks_have_the_parameters_of_the_papers() -> None:
    sound = sound_field(16_384)
    with torch.device("meta"):
        assert count(Generator(WAVES, paper("wavegan-paper"), sound, 0)) == 19_065_345
        assert count(Discriminator(WAVES, paper("wavegan-paper"), sound, 0)) == 17_427_969
        assert count(torch.nn.ModuleList(Period(p) for p in (2, 3, 5, 7, 11))) == 41_105_770
    assert count(HifiGenerator(paper("hifi-gan-v2"), 80), folded=True) == 925_985
    assert count(HifiGenerator(paper("hifi-gan-v3"), 80), folded=True) == 1_462_273


@pytest.mark.slow
def test_large_networks_have_the_parameters_of_the_papers() -> None:
    assert count(HifiGenerator(paper("hifi-gan-v1"), 80), folded=True) == 13_926_017
    assert count(torch.nn.ModuleList(Scale(at) for at in range(3))) == 29_618_821
    assert (
        count(VocosGenerator(paper("vocos-paper"), MelScale(rate=24_000, n_fft=1_024, hop=256, mels=100)))
        == 13_531_650
    )


def small_hifigan(scaled: bool) -> torch.nn.Module:
    return HifiGenerator(HifiganConfig(rates=(4, 2), width=8, scaled_input=scaled), 20, floor=1e-4)


def small_vocos(scaled: bool) -> torch.nn.Module:
    scale = MelScale(rate=8_000, n_fft=64, hop=16, mels=20, floor=1e-4)
    return VocosGenerator(VocosConfig(width=8, hidden=8, blocks=1, scaled_input=scaled), scale)


@pytest.mark.parametrize("made", [small_hifigan, small_vocos])
def test_scaled_input_has_silence_at_minus_2(made: Callable[[bool], torch.nn.Module]) -> None:
    plain, scaled = made(False), made(True)
    scaled.load_state_dict(plain.state_dict())
    mel = torch.linspace(math.log(1e-4), 1.0, 20 * 6).reshape(1, 20, 6)
    expected = plain(-2 + 4 * (mel - math.log(1e-4)) / -math.log(1e-4))
    assert torch.allclose(scaled(mel), expected, atol=1e-6)


def test_first_weights_of_hifigan_are_as_large_as_those_of_torch() -> None:
    for layer in HifiGenerator(HifiganConfig(), 80).modules():
        if isinstance(layer, torch.nn.Conv1d):
            inputs, weight = layer.in_channels * layer.kernel_size[0], layer.weight.detach()
            # kaiming_uniform with a = sqrt(5): uniform up to inputs^(-1/2)
            assert float(weight.abs().max()) == pytest.approx(inputs**-0.5, rel=0.1)
            assert float(weight.std()) == pytest.approx((3 * inputs) ** -0.5, rel=0.2)


@pytest.mark.parametrize(
    ("length", "strides"),
    [
        (16_384, [4] * 5),
        (32_768, [4, 4, 4, 4, 4, 2]),
        (65_536, [4] * 6),
        (4_096, [4] * 4),
        (8_192, [4] * 4 + [2]),
    ],
)
def test_wavegan_has_the_layers_of_its_length(length: int, strides: list[int]) -> None:
    assert strides_of(WAVES, (length,)) == strides


@pytest.mark.parametrize("shape", [(1, 1_000), (2, 4_096)])
def test_wavegan_makes_sound_of_any_length(shape: tuple[int, int]) -> None:
    field = sound_field(shape[1], shape[0])
    label = Field(name="label", dtype="int64", classes=("a", "b"))
    config = WaveganConfig(generator_width=2, discriminator_width=2, conditional=True, latent=5, widest=4)
    made = build_wavegan(config, DataInfo(fields=(field, label), count=8))
    sounds = made.generators["generator"].module(torch.randn(3, 5), torch.tensor([0, 1, 0]))
    assert sounds.shape == (3, *shape)
    assert made.discriminators["discriminator"].module(sounds, torch.tensor([0, 1, 0])).shape == (3,)


def test_phase_shuffle_moves_each_sample_and_reflects() -> None:
    layer, maps = PhaseShuffle(2), torch.arange(10.0).expand(64, 3, 10)
    moved = {tuple(row) for row in layer(maps)[:, 1].tolist()}
    ramp = list(range(10))
    expected = {
        0: ramp, 1: [1, *ramp[:-1]], 2: [2, 1, *ramp[:-2]], -1: [*ramp[1:], 8], -2: [*ramp[2:], 8, 7]
    }  # fmt: skip
    assert moved == {tuple(map(float, row)) for row in expected.values()}
    assert layer.eval()(maps) is maps


def test_parts_count_by_their_weights() -> None:
    class Fixed(torch.nn.Module):
        def __init__(self, logits: torch.Tensor) -> None:
            super().__init__()
            self.logits = logits

        def forward(self, sound: torch.Tensor) -> Any:
            logits = self.logits.expand(len(sound), -1)
            return logits, [2 * logits, logits]

    first, second = torch.randn(7), torch.randn(31)
    score, features = Parts([(Fixed(first), 1.0), (Fixed(second), 0.1)])(torch.zeros(2, 1, 8))
    expected = (first.square().mean() + 0.1 * second.square().mean()) / 1.1
    assert score.square().mean() == pytest.approx(float(expected), rel=0.02)
    assert features.abs().sum(1)[0] == pytest.approx(
        float(3 * first.abs().mean() + 0.3 * second.abs().mean())
    )


def test_discriminators_see_what_the_papers_say() -> None:
    sound = torch.randn(2, 1, 4_096).clamp(-1, 1)
    logits, features = Period(3, 16)(sound)
    assert (len(features), tuple(logits.shape)) == (6, (2, 1, 17, 3))
    logits, features = Scale(1, 16)(sound)
    assert (len(features), logits.shape[2]) == (8, 33)
    logits, features = Resolution(512, 2)(sound)
    assert (len(features), tuple(logits.shape[:3])) == (5 * 4 + 1, (2, 1, 33))


def vocoder_data(hop: int = 64, frames: int = 16) -> DataInfo:
    scale = MelScale(rate=RATE, n_fft=256, hop=hop, mels=20)
    mel = Field(name="mel", shape=(20, frames), kind="mel", axes=("frequency", "time"), facts=scale.facts())
    return DataInfo(fields=(mel, sound_field(frames * hop)), count=8)


def test_vocoders_need_pairs_that_fit() -> None:
    with pytest.raises(SettingsError, match="hop"):
        build_hifigan(HifiganConfig(rates=(8, 4), width=8), vocoder_data())
    with pytest.raises(SettingsError, match="window"):
        build_vocos(VocosConfig(width=8), vocoder_data())
    with pytest.raises(DataError, match="vocoder needs"):
        build_vocos(
            VocosConfig(width=8), DataInfo(fields=(vocoder_data().fields[0], sound_field(100)), count=8)
        )


def test_data_alone_finds_its_recipe(tmp_path: Path) -> None:
    for source, recipe in (("wav:toy", "wavegan"), ("spectrogram:toy", "specgan"), ("vocoder:toy", "vocos")):
        said = ganzoo("train", "--data", source, "--images", "32", "--dry-run", "--json")
        assert said.document["recipe"].endswith(recipe)


# --- terms and scores ---------------------------------------------------------------------------


def test_terms_are_their_formulas() -> None:
    real, fake = torch.randn(4, 9), torch.randn(4, 9)
    view: Any = SimpleNamespace(
        real_outputs={"features": real}, fake_outputs={"features": fake}, real="real", fake="fake"
    )
    found = matched_features(WeightConfig(weight=2.0))(view)
    assert found == pytest.approx(float(2 * (real - fake).abs().sum() / 4))
    view.apply = lambda name, batch: {"log_mel": real if batch == "real" else fake}
    assert mel_distance(WeightConfig(weight=45.0))(view) == pytest.approx(
        float(45 * (real - fake).abs().mean())
    )
    view.real_outputs = {}
    with pytest.raises(SettingsError, match="features"):
        matched_features(WeightConfig())(view)


def test_scores_are_their_formulas() -> None:
    real = 0.3 * RANDOM.standard_normal((3, 4_096))
    fake = 0.5 * real
    floor = SCALE(real).min() > np.log(SCALE.floor) + 1
    assert floor
    assert metrics.log_mel_distance(fake, real, SCALE) == pytest.approx(np.log(2), abs=1e-3)
    assert metrics.cepstral_distance(fake, real, SCALE) == pytest.approx(0, abs=0.02)  # loudness is c0
    assert metrics.spectral_distance(fake, real, SCALE) == pytest.approx(0.5 + np.log(2), abs=1e-3)
    for distance in (metrics.log_mel_distance, metrics.cepstral_distance, metrics.spectral_distance):
        assert distance(real, real, SCALE) == 0


def test_pairs_are_scored_beside_griffin_lim() -> None:
    values = np.stack([tone(0.512, hertz)[None] for hertz in (300, 500, 700)]).astype(np.float32)
    field = Field(name="sound", shape=(1, 4_096), kind="sound", range=(-1.0, 1.0),
                  facts={"rate": RATE, "mel": SCALE.facts()})  # fmt: skip
    comparison: Any = SimpleNamespace(
        fake=SimpleNamespace(values=values[[2, 0, 1]]), real=SimpleNamespace(values=values),
        targets=np.array([2, 0, 1]), field=field,
    )  # fmt: skip
    found = metrics.pairs()(comparison)
    assert found["log_mel_l1"] == found["mcd"] == found["mr_stft"] == 0
    assert found["griffin_lim_log_mel_l1"] > 0.01


@pytest.mark.slow
def test_features_and_classifier_tell_kinds_of_sounds_apart() -> None:
    config = SoundConfig(length=2_048)
    training, test = open_wav("toy", config), open_wav_held_out("toy", config)
    assert test is not None
    sounds, others = (as_floats(part.fields[0], part.arrays["sound"]) for part in (training, test))
    features = statistics()(sounds)
    assert features.shape == (400, 192)
    assert np.allclose(features[5], statistics()(sounds[5:6])[0], atol=1e-4)
    trained = SoundClassifier(
        ClassifierData(pixels=sounds, labels=training.arrays["label"][:, None], test_pixels=others,
                       test_labels=test.arrays["label"][:, None], classes=4, keep=False)
    )  # fmt: skip
    assert trained.accuracy > 0.97
    assert trained.probabilities(others[:3]).shape == (3, 1, 4)


# --- from training to a file --------------------------------------------------------------------

SMALL = {
    "wavegan": ("--data", "wav:toy", "--set", "data.length=512", "--set", "architecture.generator_width=2",
                "--set", "architecture.discriminator_width=2"),
    "specgan": ("--data", "spectrogram:toy", "--set", "data.labels=false",
                "--set", "data.length=512", "--set", "data.n_fft=32",
                "--set", "data.hop=16", "--set", "architecture.generator_width=2",
                "--set", "architecture.discriminator_width=2"),
    "hifi-gan": ("--data", "vocoder:toy", "--set", "data.length=1024", "--set", "architecture.width=8",
                 "--set", "architecture.periods=[2]", "--set", "architecture.scales=1",
                 "--set", "architecture.discriminator_divisor=32"),
    "vocos": ("--data", "vocoder:toy", "--set", "data.length=1024", "--set", "architecture.width=8",
              "--set", "architecture.hidden=8", "--set", "architecture.blocks=1",
              "--set", "architecture.periods=[3]",
              "--set", "architecture.windows=[256]", "--set", "architecture.discriminator_divisor=32"),
}  # fmt: skip


def generated(*arguments: object) -> None:
    """`ganzoo generate` in a process in which torch cannot be imported."""
    code = BLOCKED.format(
        blocked={"torch", "onnx", "onnxscript"}, arguments=["generate", *map(str, arguments)]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("recipe", SMALL)
def test_a_recipe_trains_resumes_and_is_heard_without_torch(recipe: str, tmp_path: Path) -> None:
    cycle, run = (8 if recipe in ("hifi-gan", "vocos") else 32), tmp_path / "run"
    common = (*SMALL[recipe], "--set", "train.samples=2", "--set", "train.graphs=false")
    for path, more in ((run, ("--pause-at", f"{cycle}")), (tmp_path / "whole", ())):
        said = ganzoo("train", recipe, *common, "--images", f"{2 * cycle}", "--run-dir", path, *more)
        assert said.code == 0, said.err
    assert ganzoo("train", "--resume", run).code == 0
    states = [
        max((path / "checkpoints").iterdir()) / "state.safetensors" for path in (run, tmp_path / "whole")
    ]
    assert states[0].read_bytes() == states[1].read_bytes()
    assert {path.suffix for path in (run / "samples").glob("0*")} == {".png", ".wav"}
    page = ganzoo("report", run, "-o", tmp_path / "page.html")
    assert page.code == 0, page.err
    text = (tmp_path / "page.html").read_text()
    assert "<audio" in text
    assert "data:image/" in text
    bundle, heard = tmp_path / "bundle", tmp_path / "heard.wav"
    said = ganzoo("export", run, "-o", bundle)
    assert said.code == 0, said.err
    if recipe in ("wavegan", "specgan"):
        generated(bundle, "-n", 3, "-o", heard)
        assert soundfile.info(heard).frames == 3 * (512 + 800)
        generated(bundle, "-n", 3, "-o", tmp_path / "each")
        each = sorted((tmp_path / "each").iterdir())
        assert [path.name for path in each] == ["0.wav", "1.wav", "2.wav"]
        if recipe == "wavegan":  # Griffin-Lim begins with other phases for other numbers of sounds
            assert np.array_equal(soundfile.read(each[1])[0], soundfile.read(heard)[0][1312 : 1312 + 512])
        said = ganzoo("generate", bundle, "--walk", "4", "-o", tmp_path / "walk.gif")
        assert said.code == 2
        assert "cannot be animated" in said.err
        assert "--interpolate STEPS" in said.err
        assert {path.suffix for path in bundle.glob("samples.*")} == {".png", ".wav"}
        chosen = () if recipe == "specgan" else ("--metric", "frechet")  # with labels, all train a classifier
        said = ganzoo("evaluate", bundle, "--n", "20", "-o", tmp_path / "scores", "--json", *chosen)
        assert said.document["reference"].keys() >= {"real", "noisy", "muffled"}
        assert (tmp_path / "scores" / "nearest.png").exists() == (recipe == "specgan")
        return
    speech = save(
        tmp_path / "speech.flac", tone(0.7, rate=16_000), 16_000
    )  # 5,600 samples at 8 kHz: 43.75 frames
    generated(bundle, "--input", speech, "-o", heard)
    assert (soundfile.info(heard).samplerate, soundfile.info(heard).frames) == (RATE, 44 * 128)
    mel = np.full((80, 30), -5.0, np.float32)
    np.savez(tmp_path / "mel.npz", mel=mel)
    generated(bundle, "--input", tmp_path / "mel.npz", "-o", tmp_path / "heard.flac")
    assert soundfile.info(tmp_path / "heard.flac").frames == 30 * 128
    (tmp_path / "bad.wav").write_bytes(b"RIFF no sound")
    said = ganzoo("generate", bundle, "--input", tmp_path / "bad.wav", "-o", heard)
    assert said.code == 2
    assert "cannot be read" in said.err
    assert "bad.wav" in said.err
    scores = ("--metric", "sound-pairs", "-o", tmp_path / "scores")
    said = ganzoo("evaluate", bundle, "--n", "20", *scores, "--json")
    assert {"log_mel_l1", "griffin_lim_log_mel_l1"} <= said.document["scores"].keys()
