"""A plugin that brings sound: its media, data and networks. The core needs no change for it."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo.config.resolve import resolve
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.exporting.form import Form
from ganzoo.exporting.from_run import export_run
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from tests.helpers.evaluating import ganzoo

SOUND = """
import io
import wave

import numpy as np
from torch import nn

from ganzoo.api import (
    ArchitectureSpec, ArraySource, DatasetSpec, Field, Game, Media, MediaSpec, MetricSpec, Net, Networks,
    Preview, as_floats, hookimpl, write_bytes,
)

GANZOO_API_VERSION = 2
LENGTH = 64

def file_of(samples, rate):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).clip(-32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()

class Sound(Media):
    suffixes, reads = (".wav",), (".wav",)
    noun, nouns = "sound", "sounds"
    count = 3
    def __init__(self, config=None):
        pass
    def axes(self, ndim):
        return ("time",) if ndim == 1 else ("channel", "time")
    def check(self, field):
        if "rate" not in field.facts:
            raise ValueError("a sound needs the fact `rate`")
    def preview(self, field, samples, *, real=None, beside=(), columns=None):
        if PREVIEW_FAILS:
            raise RuntimeError("no loudspeaker")
        assert len(samples) <= 64, "samples that nobody hears"
        return Preview(suffix=".wav", data=file_of(samples.ravel(), field.facts["rate"]))
    def write(self, field, samples, path, *, columns=None, beside=(), single=False):
        one = len(samples) == 1
        paths = [path if one else path.with_stem(f"{path.stem}-{at}") for at in range(len(samples))]
        for sample, file in zip(samples, paths):
            write_bytes(file, file_of(sample, field.facts["rate"]))
        return paths
    def read(self, field, path, options):
        try:
            with wave.open(str(path), "rb") as file:
                return np.frombuffer(file.readframes(LENGTH), "<i2").reshape(1, -1)
        except (wave.Error, EOFError) as error:
            raise ValueError(str(error)) from error

def sounds(count, seed):
    rng = np.random.default_rng(seed)
    turns = np.linspace(0, 2, LENGTH) * rng.uniform(1, 4, (count, 1)) + rng.random((count, 1))
    return (32000 * np.sin(2 * np.pi * turns)).astype(np.int16)

def field(name):
    return Field(name=name, shape=(LENGTH,), kind="tone", facts={"rate": 8000}, range=(-1.0, 1.0))

def tones(argument, config=None):
    return ArraySource(fields=(field("sound"),), arrays={"sound": sounds(200, 0)}, identity="tones")

def held_out(argument, config=None):
    return ArraySource(fields=(field("sound"),), arrays={"sound": sounds(200, 1)}, identity="tones")

def pairs(argument, config=None):
    clean = sounds(100, 0)
    arrays = {"quiet": clean // 2, "loud": clean}
    return ArraySource(fields=(field("quiet"), field("loud")), arrays=arrays, identity="pairs")

class Louder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(LENGTH, LENGTH)
    def forward(self, quiet):
        return self.net(quiet).tanh()

def louder(config, data):
    return Networks(
        generators={"generator": Net(module=Louder(), reads=("quiet",), writes=("loud",))},
        discriminators={"discriminator": Net(module=nn.Sequential(nn.Linear(LENGTH, 1), nn.Flatten(0)),
                                             reads=("loud",))},
    )

def pitch(config=None):
    def score(comparison):
        assert comparison.field.facts["rate"] == 8000
        return {"pitch": float(np.abs(np.diff(np.sign(comparison.fake.values), axis=1)).mean())}
    return score

def broken(config=None):
    def score(comparison):
        raise RuntimeError("this metric is broken")
    return score

@hookimpl
def ganzoo_media():
    return [MediaSpec(name="tone", summary="Sound.", factory=f"{__name__}:Sound")]

@hookimpl
def ganzoo_datasets():
    here = __name__
    return [
        DatasetSpec(name="tones", summary="Tones.", factory=f"{here}:tones", held_out=f"{here}:held_out"),
        DatasetSpec(name="loudness", summary="Pairs.", factory=f"{here}:pairs"),
    ]

@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="louder", summary="Louder.", factory=f"{__name__}:louder",
                             needs=("quiet", "loud"))]

@hookimpl
def ganzoo_metrics():
    here = __name__
    return [
        MetricSpec(name="pitch", summary="Pitch.", factory=f"{here}:pitch", needs=("tone",)),
        MetricSpec(name="for-images", summary="None.", factory=f"{here}:broken", needs=("image",)),
        MetricSpec(name="for-field", summary="Broken.", factory=f"{here}:broken", needs=("field:sound",)),
        MetricSpec(name="for-other", summary="None.", factory=f"{here}:broken", needs=("field:other",)),
    ]
"""
SMALL = {
    "train.device": "cpu", "train.batch_size": 16, "train.images": 160,
}  # fmt: skip
MLP = {"architecture.generator_hidden": [16], "architecture.discriminator_hidden": [16]}


class Notes(NullReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def sound(install: Callable[..., Path]) -> Registry:
    install("sound-dist", "sound", SOUND.replace("PREVIEW_FAILS", "False"))
    return load_registry()


def frames(path: Path) -> Any:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_sound_from_a_run_to_a_file(sound: Registry, tmp_path: Path) -> None:
    plan = resolve("vanilla", sound, overrides={**SMALL, **MLP, "data.source": "tones"})
    run, _ = start(plan, tmp_path / "runs", NullReporter())
    # Previews: three sounds of the run, and three of the data.
    (field,) = run.info.fields
    assert (field.kind, field.axes, field.facts) == ("tone", ("time",), {"rate": 8000})
    names = {path.name for path in (run.path / "samples").iterdir()}
    assert {"real-sound.wav", "000000000160.wav"} <= names
    assert len(frames(run.path / "samples" / "000000000160.wav")) == 3 * 64

    # Scores: of the values, by metrics that say they are for this kind or field.
    scored = evaluate(Request(source=run.path, n=100), sound)
    assert {"frechet", "pitch"} <= scored.scores.keys()
    # Values are in the range, as the samples are: not 0..32767.
    assert scored.reference["real"]["frechet"] < 100
    assert 0 < scored.scores["pitch"] < 2
    assert "the metric 'for-field' failed: The metric 'for-field' failed: RuntimeError" in str(scored.notes)
    assert not any(name in str(scored.notes) for name in ("for-images", "for-other"))
    with pytest.raises(Exception, match="this metric is broken"):
        evaluate(Request(source=run.path, n=100, metrics=("for-field",), references=False), sound)

    # A bundle: the kind is in the file, and the samples are in it.
    bundle = export_run(run, tmp_path / "bundle", registry=sound)
    assert (bundle.path / "samples.wav").is_file()
    assert "-o samples.wav" in bundle.usage[0]
    # A link: a card shows pictures only.
    assert "\n[samples](samples.wav)\n" in (bundle.path / "README.md").read_text(encoding="utf-8")
    outputs = json.loads((bundle.path / "bundle.json").read_text())["generators"]["generator"]["outputs"]
    assert (outputs[0]["kind"], outputs[0]["facts"]) == ("tone", {"rate": 8000})


def test_sound_is_written_and_read_by_generate(
    sound: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = resolve("vanilla", sound, overrides={
        **SMALL, "data.source": "loudness", "architecture.name": "louder",
    })  # fmt: skip
    run, _ = start(plan, tmp_path / "runs", NullReporter())
    bundle = export_run(run, tmp_path / "bundle", registry=sound).path
    given = tmp_path / "given"
    given.mkdir()
    real = run.path / "samples" / "real-quiet.wav"
    for name in ("a.wav", "b.wav"):
        (given / name).write_bytes(real.read_bytes())
    said = ganzoo("generate", bundle, "--input", given, "-o", tmp_path / "made")
    assert said.code == 0, said.err
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["a.wav", "b.wav"]
    assert len(frames(tmp_path / "made" / "a.wav")) == 64
    said = ganzoo("generate", bundle, "--input", given / "a.wav", "-o", tmp_path / "one.wav")
    assert (said.code, len(frames(tmp_path / "one.wav"))) == (0, 64)
    said = ganzoo("generate", bundle, "--input", given, "-o", tmp_path / "s.wav")
    assert (said.code, said.out) == (0, f"wrote 2 files, {tmp_path / 's-0.wav'} to s-1.wav\n")
    (given / "bad.wav").write_bytes(b"RIFF")
    said = ganzoo("generate", bundle, "--input", given / "bad.wav", "-o", tmp_path / "two.wav")
    assert said.code == 2
    assert "The sound cannot be read" in said.err
    said = ganzoo("generate", bundle, "--input", given, "-o", tmp_path / "made.png")
    assert said.code == 2
    assert "writes sounds, which cannot be written as '.png'" in said.err
    assert "use a folder, .wav, .npz" in said.err
    # A machine without the plugin: arrays, and a note.
    monkeypatch.setenv("GANZOO_DISABLE", "sound-dist")
    array = tmp_path / "a.npy"
    np.save(array, np.zeros((2, 64), np.float32))
    said = ganzoo("generate", bundle, "--input", array, "-o", tmp_path / "made.npz")
    assert said.code == 0, said.err
    assert "no plugin here knows the kind 'tone' of 'loud'" in said.err
    assert np.load(tmp_path / "made.npz")["loud"].shape == (2, 64)


def test_a_preview_that_fails_is_a_note(install: Callable[..., Path], tmp_path: Path) -> None:
    install("sound-dist", "sound", SOUND.replace("PREVIEW_FAILS", "True"))
    registry = load_registry()
    plan = resolve("vanilla", registry, overrides={**SMALL, **MLP, "data.source": "tones"})
    notes = Notes()
    run, outcome = start(plan, tmp_path / "runs", notes)
    assert outcome == "done"
    about = [text for text in notes.said if "previews" in text]
    assert len(about) == 1
    assert "no loudspeaker" in about[0]
    assert not (export_run(run, tmp_path / "bundle", registry=registry).path / "samples.wav").exists()


def test_old_run_and_bundle_of_images_say_no_kind(registry: Registry, tmp_path: Path) -> None:
    """What version 0.1.0 wrote: fields without kind and axes."""
    plan = resolve("vanilla", registry, overrides={**SMALL, **MLP, "train.samples": 4})
    run, _ = start(plan, tmp_path / "runs", NullReporter())
    record = json.loads((run.path / "run.json").read_text())
    for field in record["data"]["fields"]:
        assert field.pop("kind", "") in ("image", "")
        field.pop("axes", None)
    (run.path / "run.json").write_text(json.dumps(record))
    old = Run.open(run.path)
    bundle = export_run(old, tmp_path / "bundle", registry=registry, form=Form(uint8=True))
    assert (bundle.path / "samples.png").is_file()
