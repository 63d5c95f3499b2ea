"""Media of sounds, of mel spectrograms, and of log spectrograms (SpecGAN)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, as_floats, write_bytes
from ganzoo_sound.drawing import neighbours_of, sheet_of, spectrogram_of
from ganzoo_sound.files import ENDINGS, SUFFIXES, encoded, levels_of, mixed, read_sound, resampled
from ganzoo_sound.spectra import MelScale, griffin_lim

Array = NDArray[Any]

HEARD = 8  # sounds of a preview that can be heard
NOISE_DB, PASS_SHARE = 10.0, 0.25  # of corrupted sounds: dB below the signal, share of the frequencies


class _Heard(Media):
    """What sounds and spectrograms, whose `metric_values` are sounds, share."""

    suffixes = SUFFIXES
    count = 24
    walks = False

    def __init__(self, config: None = None) -> None:
        pass

    def neighbours(self, field: Field, sample: Array, training: Array, real: Array) -> Preview:
        """Three rows: samples, the nearest training sound of each, the nearest held-out one of each."""
        rows = [spectrogram_of(part, field.facts["rate"]) for part in (sample, training, real)]
        return Preview(suffix=".png", data=neighbours_of(rows))

    def corruptions(
        self, field: Field, values: Array, random: np.random.Generator
    ) -> Mapping[str, Callable[[], Array]]:
        """Noise 10 dB below the mean power of all sounds, and only the lowest quarter of the frequencies."""

        def noisy() -> Array:
            level = values.std(dtype=np.float64) * 10 ** (-NOISE_DB / 20)
            noise = level * random.standard_normal(values.shape)
            made: Array = (values + noise).clip(-1, 1).astype(np.float32)
            return made

        def muffled() -> Array:
            spectra = np.fft.rfft(values.astype(np.float64), axis=-1)
            spectra[..., int(PASS_SHARE * spectra.shape[-1]) :] = 0
            made: Array = np.fft.irfft(spectra, values.shape[-1], axis=-1)
            return made.clip(-1, 1).astype(np.float32)

        return {"noisy": noisy, "muffled": muffled}


class SoundMedia(_Heard):
    """Sound (C, T) in -1..1 with its sampling rate in Hz, the fact `rate`."""

    reads = ENDINGS
    noun, nouns = "sound", "sounds"

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Channels of samples."""
        return ("channel", "time") if ndim == 2 else ()

    def check(self, field: Field) -> None:
        """A sound has two axes, the range -1..1 and a rate. ValueError for other fields."""
        if len(field.shape) != 2 or field.range != (-1.0, 1.0) or not _is_rate(field.facts.get("rate")):
            raise ValueError("a sound has the shape (C, T), the range -1..1 and the fact `rate`")

    def describe(self, field: Field) -> str:
        """Its length and rate."""
        channels, length = field.shape
        rate = field.facts["rate"]
        more = f", {channels} channels" if channels > 1 else ""
        return f"{length / rate:.2f} s of sound at {rate:,} Hz{more}"

    def preview(
        self,
        field: Field,
        samples: Array,
        *,
        real: Array | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        columns: int | None = None,
    ) -> Preview:
        """A sheet of spectrograms, and the first sounds one after the other as .wav."""
        heard = Preview(suffix=".wav", data=encoded(field, samples[:HEARD], ".wav"))
        drawn = spectrogram_of(as_floats(field, samples[: self.count]), field.facts["rate"])
        return Preview(suffix=".png", data=sheet_of(drawn, columns), also=(heard,))

    def viewer(self, field: Field) -> Viewer:
        """A player."""
        return Viewer(name="sound", options={"rate": field.facts["rate"]})

    def write(
        self,
        field: Field,
        samples: Array,
        path: Path,
        *,
        columns: int | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        single: bool = False,
    ) -> list[Path]:
        """All sounds in one file, one after the other with 0.1 s of silence between them."""
        write_bytes(path, encoded(field, samples, path.suffix.lower()))
        return [path]

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """A file as one sound: resampled, mixed, and cut or padded unless its time is free."""
        values, rate = read_sound(path)
        values = resampled(mixed(values, field.shape[0]), rate, field.facts["rate"])
        if "time" not in field.free:
            length = field.shape[1]
            values = np.pad(values[:, :length], ((0, 0), (0, max(0, length - values.shape[1]))))
        return levels_of(values)[None]

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """Whether the sound was resampled or mixed."""
        return _changes(path, field.facts["rate"], field.shape[0])


class MelMedia(Media):
    """Log mel spectrograms (mels, frames); their facts say how they are made, see `MelScale`."""

    reads = (*ENDINGS, ".npz")
    noun, nouns = "mel spectrogram or sound", "mel spectrograms or sounds"
    count = 24
    walks = False

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Frequencies of frames."""
        return ("frequency", "time") if ndim == 2 else ()

    def check(self, field: Field) -> None:
        """Two axes, as many frequencies as the facts say. ValueError for other fields."""
        if len(field.shape) != 2 or MelScale.of(field.facts).mels != field.shape[0]:
            raise ValueError("a mel spectrogram has the shape (mels, frames)")

    def describe(self, field: Field) -> str:
        """Its sizes."""
        scale = MelScale.of(field.facts)
        return f"{scale.mels} mels x {field.shape[1]} frames of {1000 * scale.hop / scale.rate:.1f} ms"

    def preview(self, field: Field, samples: Array, *, columns: int | None = None, **layout: Any) -> Preview:
        """A sheet of spectrograms."""
        return Preview(suffix=".png", data=sheet_of(_scaled(samples[: self.count, ::-1]), columns))

    def viewer(self, field: Field) -> Viewer:
        """A picture, with low frequencies below."""
        return Viewer(name="pixels", options={"upwards": True})

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """The spectrogram of a sound file, or those of an .npz: (mels, frames) or (n, mels, frames).

        An .npz has one array, or one with the name of the field.
        """
        scale = MelScale.of(field.facts)
        if path.suffix.lower() == ".npz":
            made = _from_npz(path, field.name, scale.mels)
        else:
            values, rate = read_sound(path)
            wave = resampled(mixed(values, 1), rate, scale.rate)
            made = scale(np.pad(wave, ((0, 0), (0, -wave.shape[1] % scale.hop))))
        if "time" in field.free:
            return made
        missing = max(0, field.shape[1] - made.shape[2])
        silence = ((0, 0), (0, 0), (0, missing))
        return np.pad(made[:, :, : field.shape[1]], silence, constant_values=np.log(scale.floor))

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """Whether a sound was resampled or mixed."""
        return "" if path.suffix.lower() == ".npz" else _changes(path, field.facts["rate"], 1)


class SpectrogramMedia(_Heard):
    """Log spectrograms (1, frequencies, frames) of SpecGAN, normalised by facts; heard by Griffin-Lim.

    Facts: `rate`, `n_fft`, `hop`, and for each frequency `mean` and `spread` of the natural logarithms of the
    magnitudes, whose range -1..1 stands for mean - 3 spread .. mean + 3 spread.
    """

    noun, nouns = "spectrogram", "spectrograms"

    def axes(self, ndim: int) -> tuple[str, ...]:
        """As an image: one channel, frequencies, frames."""
        return ("channel", "height", "width") if ndim == 3 else ()

    def check(self, field: Field) -> None:
        """The facts must fit the shape. ValueError where they do not."""
        facts = field.facts
        try:
            good = len(facts["mean"]) == len(facts["spread"]) == facts["n_fft"] // 2 == field.shape[1]
            good = good and field.shape[0] == 1 and field.range == (-1.0, 1.0) and _is_rate(facts["rate"])
            good = good and 1 <= facts["hop"] <= facts["n_fft"]
        except (KeyError, TypeError, IndexError):
            good = False
        if not good:
            raise ValueError(
                "a spectrogram has the shape (1, n_fft / 2, frames), the range -1..1 and the facts rate, "
                "n_fft, hop, mean and spread"
            )

    def describe(self, field: Field) -> str:
        """Its sizes, and the length of its sound."""
        _, height, width = field.shape
        seconds = width * field.facts["hop"] / field.facts["rate"]
        return f"{height} frequencies x {width} frames, {seconds:.2f} s at {field.facts['rate']:,} Hz"

    def preview(self, field: Field, samples: Array, *, columns: int | None = None, **layout: Any) -> Preview:
        """A sheet of the spectrograms, and the first ones as sounds."""
        heard = encoded(*self._sounds(field, samples[:HEARD]), ".wav")
        shown = _scaled(as_floats(field, samples[: self.count])[:, 0, ::-1])
        return Preview(
            suffix=".png", data=sheet_of(shown, columns), also=(Preview(suffix=".wav", data=heard),)
        )

    def viewer(self, field: Field) -> Viewer:
        """A picture, with low frequencies below. A page has no Griffin-Lim."""
        return Viewer(name="pixels", options={"upwards": True})

    def write(self, field: Field, samples: Array, path: Path, **layout: Any) -> list[Path]:
        """The sounds of the spectrograms, in one file."""
        write_bytes(path, encoded(*self._sounds(field, samples), path.suffix.lower()))
        return [path]

    def metric_values(self, field: Field, samples: Array, excluded: Collection[str] = ()) -> Array:
        """The sounds (n, 1, frames * hop) of the spectrograms: scores are those of what is heard."""
        _, sounds = self._sounds(field, samples)
        return sounds

    @staticmethod
    def _sounds(field: Field, samples: Array) -> tuple[Field, Array]:
        """Griffin-Lim, 16 iterations as in the paper; the highest frequency is 0."""
        facts = field.facts
        mean, spread = (np.array(facts[name])[:, None] for name in ("mean", "spread"))
        logs = as_floats(field, samples)[:, 0].astype(np.float64) * 3 * spread + mean
        size = np.pad(np.exp(logs), ((0, 0), (0, 1), (0, 0)))
        waves = griffin_lim(size, facts["hop"], iterations=16)
        return _sound_like(field, waves.clip(-1, 1).astype(np.float32)[:, None])


def _sound_like(field: Field, sounds: Array) -> tuple[Field, Array]:
    """Sounds (n, 1, T) with a field at the rate of another one."""
    facts = {"rate": field.facts["rate"]}
    return Field(name="sound", shape=sounds.shape[1:], kind="sound", range=(-1.0, 1.0), facts=facts), sounds


def _scaled(values: Array) -> Array:
    """Logarithms (n, F, m) as 0..1 over the shown values."""
    low, high = float(values.min()), float(values.max())
    made: Array = (values - low) / max(high - low, 1e-6)
    return made


def _is_rate(rate: Any) -> bool:
    return isinstance(rate, int) and rate >= 1


def _changes(path: Path, rate: int, channels: int) -> str:
    values, own = read_sound(path)
    what = [f"resampled from {own:,} to {rate:,} Hz"] if own != rate else []
    what += [f"mixed from {len(values)} channels"] if len(values) > channels else []
    return f"the sound was {' and '.join(what)}" if what else ""


def _from_npz(path: Path, name: str, mels: int) -> Array:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [name] if name in file.files else file.files
            if len(names) != 1:
                raise ValueError(f"it has {len(names)} arrays, and none is named '{name}'")
            made = np.asarray(file[names[0]])
    except (OSError, KeyError, EOFError) as error:
        raise ValueError(f"it is no .npz file: {error}") from error
    made = made[None] if made.ndim == 2 else made
    if made.ndim != 3 or made.shape[1] != mels or made.dtype.kind != "f" or not made.size:
        raise ValueError(f"its array has the shape {made.shape}, not ({mels}, frames)")
    return made.astype(np.float32)
