"""Notes in generated files: other programs read them, and the samples stay as they are."""

from __future__ import annotations

import contextlib
import struct
import wave
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ganzoo.images import encode_animation
from ganzoo.util.provenance import SYNTHETIC, mark, read_mark

FACTS = {"generator": 'cgan "x" <é>', "sha256": "ab" * 32, "seed": 7, "synthetic": True}
TOOL = "ganzoo 0.2.0"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def picture(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_png(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    pixels = picture(path)
    assert read_mark(path) is None
    assert mark(path, TOOL, FACTS)
    assert read_mark(path) == FACTS
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), pixels)
        packet = ElementTree.fromstring(image.info["xmp"].strip())  # noqa: S314 (written above)
    (description,) = packet.iter(f"{{{RDF}}}Description")
    said = {name.partition("}")[2]: value for name, value in description.attrib.items()}
    assert said["DigitalSourceType"] == SYNTHETIC
    assert said["CreatorTool"] == TOOL


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jpg", {}),
        ("x.jpeg", {"exif": Image.Exif().tobytes()}),
        ("x.webp", {}),
        ("x.webp", {"lossless": True}),
        ("x.webp", {"save_all": True, "append_images": [Image.new("RGB", (7, 9), "red")]}),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_and_webp_keep_their_pixels(
    name: str, options: dict[str, object], mode: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)  # type: ignore[arg-type]
    with Image.open(path) as image:
        before, frames = np.asarray(image), getattr(image, "n_frames", 1)
    assert read_mark(path) is None
    assert mark(path, TOOL, FACTS)
    assert read_mark(path) == FACTS
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), before)
        assert getattr(image, "n_frames", 1) == frames
        assert SYNTHETIC.encode() in image.info["xmp"]


def test_a_transparent_webp_stays_transparent(tmp_path: Path) -> None:
    path = tmp_path / "x.webp"
    Image.new("RGBA", (300, 20), (9, 8, 7, 60)).save(path, lossless=True)
    assert mark(path, TOOL, FACTS)
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        assert image.size == (300, 20)
        assert image.getpixel((299, 19)) == (9, 8, 7, 60)


def test_mp4(tmp_path: Path) -> None:
    video = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "x.mp4"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path.write_bytes(encode_animation(frames, ".mp4", 0.1, where=str(path)))
    assert read_mark(path) is None
    assert mark(path, TOOL, FACTS)
    assert read_mark(path) == FACTS
    assert video.count_frames_and_secs(str(path))[0] == 2


def test_gif(tmp_path: Path) -> None:
    path = tmp_path / "x.gif"
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 99, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, loop=0)
    assert mark(path, TOOL, FACTS)
    assert read_mark(path) == FACTS
    with Image.open(path) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        image.seek(2)
        assert int(np.asarray(image.convert("L"))[0, 0]) == 200


@pytest.mark.parametrize("samples", [100, 101])
def test_wav(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "x.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(samples)))
    assert mark(path, TOOL, FACTS)
    assert read_mark(path) == FACTS
    with wave.open(str(path), "rb") as file:
        assert file.readframes(1000) == bytes(range(samples))
    data = path.read_bytes()
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


def test_sound_libraries_read_it(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(50), 8000)
    mark(path, TOOL, FACTS)
    with soundfile.SoundFile(path) as file:
        assert file.frames == 50
        assert file.copy_metadata()["software"].startswith(TOOL)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name, content in (
        ("x.csv", b"a,b\n"),
        ("x.png", b"not a png"),
        ("x.wav", b"RIFF"),
        ("x.gif", b"GIF89a"),
        ("x.jpg", b"not a jpeg"),
        ("x.webp", b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0"),
        ("x.webp", b"RIFF\x0c\0\0\0WEBPwhat\0\0\0\0"),
        ("x.mp4", b"no box"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert not mark(path, TOOL, FACTS)
        assert path.read_bytes() == content
        assert read_mark(path) is None


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif"])
def test_files_that_are_cut_off_have_no_note_or_the_whole_one(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    picture(path)
    mark(path, TOOL, FACTS)
    data = path.read_bytes()
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        assert read_mark(path) in (None, FACTS)


def test_damaged_and_foreign_notes(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    picture(path)
    mark(path, TOOL, FACTS)
    path.write_bytes(path.read_bytes().replace(b"&quot;seed&quot;", b"&quot;seed"))
    with pytest.raises(ValueError, match="damaged"):
        read_mark(path)
    data = path.read_bytes()
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        with contextlib.suppress(ValueError):  # any other exception fails the test
            read_mark(path)
