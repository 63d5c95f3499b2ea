"""`ganzoo generate --input`: what may be given, where results go, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image, ImageCms
from torch import Tensor, nn

from ganzoo import runtime
from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.cli import generate_from
from ganzoo.cli.generate import command
from ganzoo.errors import UsageError
from ganzoo.exporting.export import export_generators
from ganzoo.image_files import Fit
from ganzoo.util.provenance import read_mark
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder

# EXIF with the orientation 6: the camera was turned by 90 degrees.
TURNED = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)


class Enlarged(nn.Module):
    """a (N, 1, 8, 8) -> b (N, 3, 16, 16): each pixel a square, its negative in blue."""

    def __init__(self) -> None:
        super().__init__()
        self.signs = nn.Parameter(torch.tensor([1.0, 1.0, -1.0]))

    def forward(self, a: Tensor) -> Tensor:
        large = nn.functional.interpolate(a, scale_factor=2.0, mode="nearest")
        return large * self.signs[:, None, None]


class Judge(nn.Module):
    def forward(self, b: Tensor) -> Tensor:
        return b.mean((1, 2, 3))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    a = Field(name="a", shape=(1, 8, 8), range=(-1, 1), kind="image", axes=PIXELS)
    b = Field(name="b", shape=(3, 16, 16), range=(-1, 1), kind="image", axes=PIXELS)
    networks = Networks(
        generators={"generator": Net(module=Enlarged(), reads=("a",), writes=("b",))},
        discriminators={"discriminator": Net(module=Judge(), reads=("b",))},
    )
    folder = tmp_path_factory.mktemp("translating") / "bundle"
    data = DataInfo(fields=(a, b), count=8)
    return Path(export_generators(networks, data, folder, about={"recipe": "test"}).path)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(command, [*(str(item) for item in arguments), "--provider", "cpu"])


def save(path: Path, shade: int, size: tuple[int, int] = (8, 8), mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, shade if mode == "L" else (shade,) * len(mode)).save(path)
    return path


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_one_image_becomes_one(bundle: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "shirt.png", 200)
    done = run(bundle, "--input", source, "-o", tmp_path / "made.png", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["shape"] == [1, 3, 16, 16]
    made = pixels(tmp_path / "made.png")
    assert made.shape == (16, 16, 3)
    assert (made == (200, 200, 55)).all()


def test_each_file_of_a_folder_says_who_made_it(bundle: Path, tmp_path: Path) -> None:
    for shade in (10, 200):
        save(tmp_path / "in" / f"{shade}.png", shade)
    out = tmp_path / "out"
    done = run(bundle, "--input", tmp_path / "in", "-o", out, "--json", "--seed", "3")
    said = json.loads(done.stdout)
    assert said["output"] == str(out)
    assert "files" not in said
    for path in out.iterdir():
        note = read_mark(path) or {}
        assert (note["made"], note["seed"]) == ("from other media", 3)
    assert run(bundle, "--input", tmp_path / "in", "-o", out).stdout == f"wrote {out}\n"


def test_files_of_an_interrupted_run_say_who_made_them(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for shade in (10, 200):
        save(tmp_path / "in" / f"{shade}.png", shade)
    monkeypatch.setattr(generate_from, "report_progress", interrupt)
    assert run(bundle, "--input", tmp_path / "in", "-o", tmp_path / "out").exit_code
    notes = [read_mark(path) for path in (tmp_path / "out").iterdir()]
    assert len(notes) == 2
    assert all(notes)


def test_a_folder_keeps_its_names(bundle: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("p.png", "q.bmp", "r.jpg")):
        save(tmp_path / "in" / name, 40 * number)
    save(tmp_path / "in" / "large.png", 120, (30, 20), "RGB")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    done = run(bundle, "--input", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "large.png",
        "p.png",
        "q.png",
        "r.png",
    ]
    assert (pixels(tmp_path / "out" / "q.png") == (40, 40, 215)).all()
    assert (pixels(tmp_path / "out" / "large.png") == (120, 120, 135)).all()
    done = run(bundle, "--input", tmp_path / "in", "-o", tmp_path / "grid.png")
    assert done.exit_code == 0, done.output
    sheet = pixels(tmp_path / "grid.png")
    assert sheet.shape[1] > 2 * sheet.shape[0]  # two rows of three strips of two images


class Same(nn.Module):
    """a (N, C, 12, 10) -> b, the same."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, a: Tensor) -> Tensor:
        return a * self.one


def picture(kind: str) -> Image.Image:
    """A colourful image of 37 x 22 pixels, with transparency where the kind has it."""
    across = np.linspace(0, 1, 22)[:, None] * np.linspace(1, 0.3, 37)
    colours = np.stack([across, across[::-1], across[:, ::-1], 0.2 + 0.8 * across], axis=2)
    image = Image.fromarray((colours * 255).astype(np.uint8))
    if kind == "16-bit":
        return Image.fromarray((across * 65535).astype(np.uint16))
    if kind == "palette":
        return image.convert("RGB").quantize(40)
    return image.convert(kind)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", None])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_read_as_in_training(tmp_path: Path, channels: int, fit: Fit | None) -> None:
    kinds = ["16-bit", "L", "LA", "RGB", "RGBA", "palette"]
    (tmp_path / "in").mkdir()
    for kind in kinds:
        picture(kind).save(tmp_path / "in" / f"{kind}.png", exif=b"Exif\0\0" + TURNED)
    config = FolderConfig(height=12, width=10, channels=channels, fit=fit or "crop")
    trained_on = open_folder(str(tmp_path / "in"), config)
    facts = trained_on.fields[0].facts
    a, b = (Field(name=name, shape=(channels, 12, 10), range=(-1, 1), facts=facts) for name in "ab")
    networks = Networks(
        generators={"generator": Net(module=Same(), reads=("a",), writes=("b",))},
        discriminators={"discriminator": Net(module=Judge(), reads=("b",))},
    )
    about = {"recipe": "test", **({} if fit is None else {"data_options": {"fit": fit}})}
    export_generators(networks, DataInfo(fields=(a, b), count=8), tmp_path / "bundle", about=about)
    done = run(tmp_path / "bundle", "--input", tmp_path / "in", "-o", tmp_path / "out.npz")
    assert done.exit_code == 0, done.output
    width, height = picture("L").transpose(Image.Transpose.ROTATE_90).size
    said = f"note: 16-bit.png: {height}x{width} pixels (height x width) were reduced to 12x10"
    assert f"{said} ({fit or 'crop'}), the size of training\n" in done.output
    assert "note: and 3 more" in done.output
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["names"].tolist() == kinds
        seen = np.rint((arrays["b"] + 1) * 127.5).astype(np.uint8)
    for index, kind in enumerate(kinds):
        np.testing.assert_array_equal(seen[index], trained_on.read(index)["image"], err_msg=kind)


def test_without_a_place_results_go_to_a_folder(bundle: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(bundle, "--input", save(tmp_path / "p.png", 3)).exit_code == 0
    assert pixels(tmp_path / "generated" / "p.png").shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["floats", "bytes", "channels last"])
def test_arrays(bundle: Path, tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8)
    floats = (values.astype(np.float32) - 127.5) / np.float32(127.5)
    given = {"floats": floats, "bytes": values, "channels last": values.transpose(0, 2, 3, 1)}[kind]
    np.save(tmp_path / "in.npy", given)
    done = run(bundle, "--input", tmp_path / "in.npy", "-o", tmp_path / "out.npz")
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["names"].tolist() == [f"{number:02d}" for number in range(12)]
        wanted = runtime.load(bundle, provider="cpu").generate(12, a=floats)
        np.testing.assert_allclose(arrays["b"], wanted, atol=1e-6)


def broken(path: Path) -> Path:
    path.write_bytes(b"\x89PNG not really")
    return path


def zipped(path: Path) -> Path:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2, 1, 8, 8), np.uint8))
    return path


def array(path: Path, values: Any) -> Path:
    np.save(path, values)
    return path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda at: at / "nothing", "no image or folder"),
        (lambda at: at, "The folder has no images"),
        (lambda at: broken(at / "x.png"), "The image cannot be read"),
        (lambda at: array(at / "x.npy", np.zeros((2, 5, 8, 8), np.uint8)), "The array has shape"),
        (lambda at: array(at / "x.npy", np.zeros((2, 1, 8, 8), np.int64)), "the type int64"),
        (lambda at: array(at / "x.npy", np.full((2, 1, 8, 8), 3.0)), "outside -1..1"),
        (lambda at: array(at / "x.npy", np.full((2, 1, 8, 8), np.nan)), "not finite"),
        (lambda at: broken(at / "x.npy"), "The array cannot be read"),
        (lambda at: array(at / "x.npy", np.array([{}], dtype=object)), "cannot be read"),
        (lambda at: zipped(at / "x.npy"), "The array cannot be read"),
        (lambda at: max(save(at / name, 1).parent for name in ("p.png", "p.bmp")), "have the name 'p'"),
    ],
)
def test_inputs_that_are_refused(bundle: Path, tmp_path: Path, given: Any, message: str) -> None:
    (tmp_path / "in").mkdir()
    done = run(bundle, "--input", given(tmp_path / "in"), "-o", tmp_path / "out")
    assert done.exit_code != 0
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_results_never_replace_what_they_are_made_of(bundle: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "p.png", 9)
    for given in (source, tmp_path):
        done = run(bundle, "--input", given, "-o", tmp_path)
        assert "would overwrite the inputs" in str(done.exception)
        done = run(bundle, "--input", given, "-o", source)
        assert "would overwrite the inputs" in str(done.exception)
    assert (pixels(source) == 9).all()


def test_the_card_reads_a_image(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(bundle, folder)
    save(folder / "input.png", 255, (20, 30))
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    subprocess.run([sys.executable, "-W", "error", "-c", code[1]], cwd=folder, check=True, timeout=60)
    assert pixels(folder / "sample.png").shape == (16, 16, 3)
    assert (pixels(folder / "sample.png") == [255, 255, 0]).all()


def test_one_of_several_generators_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    for name in ("to_a", "to_b"):
        shutil.copy(bundle / "generator.onnx", tmp_path / f"{name}.onnx")
    done = run(tmp_path, "--input", save(tmp_path / "p.png", 9))
    assert isinstance(done.exception, UsageError)
    assert done.exception.what == "The bundle has several generators."
    assert done.exception.fix == "choose to_a or to_b: --generator NAME, generator=NAME in Python"


def test_what_does_not_go_together(bundle: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "p.png", 9)
    for more in (("-n", 3), ("--classes",), ("--interpolate", 4), ("--columns", 2)):
        assert "--input cannot be used with" in str(run(bundle, "--input", source, *more).exception)
    assert "needs an input 'a'" in str(run(bundle, "-n", 2).exception)
    for name in ("a", "n", "seed", "label", "psi"):
        done = run(bundle, "--input", source, "--set", f"{name}=1", "-o", tmp_path / "made")
        assert isinstance(done.exception, UsageError)
    assert "cannot be written as '.wav'" in str(
        run(bundle, "--input", source, "-o", tmp_path / "x.wav").exception
    )


def test_dicom_without_an_ending_is_an_input_and_keeps_its_name(tmp_path: Path) -> None:
    from ganzoo_media.image import ImageMedia

    media = ImageMedia()
    for name in ("IM0001", "1.2.840.1", "1.2.840.2"):
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "notes.txt").write_text("DICM")
    assert [path.name for path in sorted(tmp_path.iterdir()) if media.accepts(path)] == [
        "1.2.840.1",
        "1.2.840.2",
        "IM0001",
    ]


class Larger(nn.Module):
    """a (N, 3, h, w) -> b (N, 3, 2h, 2w): each pixel a square, slightly darker."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.9))

    def forward(self, a: Tensor) -> Tensor:
        return nn.functional.interpolate((a + 1) * self.gain - 1, scale_factor=2.0, mode="nearest")


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that enlarges pictures of any size twice; sides are multiples of 2."""
    a, b = (
        Field(name=name, shape=(3, side, side), range=(-1, 1), kind="image", axes=PIXELS)
        for name, side in (("a", 8), ("b", 16))
    )
    networks = Networks(
        generators={"generator": Net(module=Larger(), reads=("a",), writes=("b",))},
        discriminators={"discriminator": Net(module=Judge(), reads=("b",))},
        free={"a": {"height": 2, "width": 2}, "b": {"height": 4, "width": 4}},
    )
    folder = tmp_path_factory.mktemp("enlarging") / "bundle"
    data = DataInfo(fields=(a, b), count=8)
    return Path(export_generators(networks, data, folder, about={"recipe": "test"}).path)


def gradient(height: int, width: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, x + y], axis=2) * 200 // (height + width)


def twice(values: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """What the bundle makes of pixels (h, w, c)."""
    large = values.repeat(2, 0).repeat(2, 1)
    return np.rint(0.9 * large / most * most)


def test_folders_of_any_sizes_go_one_by_one(enlarger: Path, tmp_path: Path) -> None:
    """Sizes that are no multiples are padded and cropped; a damaged picture is left out with a note."""
    source = tmp_path / "in"
    source.mkdir()
    for name, size in (("odd", (13, 21)), ("tall", (40, 10)), ("wide", (9, 64))):
        Image.fromarray(gradient(*size).astype(np.uint8)).save(source / f"{name}.png")
    (source / "bad.png").write_bytes(b"no picture")
    done = run(enlarger, "--input", source, "-o", tmp_path / "out", "--tile", "16", "--json")
    assert done.exit_code == 0, done.output
    assert "note: bad.png is skipped: The image cannot be read" in done.stderr
    assert json.loads(done.stdout)["n"] == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["odd.png", "tall.png", "wide.png"]
    for name, size in (("odd", (13, 21)), ("tall", (40, 10)), ("wide", (9, 64))):
        made = pixels(tmp_path / "out" / f"{name}.png")
        assert np.abs(made - twice(gradient(*size), 255)).max() <= 1


def test_a_folder_of_damaged_files_is_an_error(enlarger: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    done = run(enlarger, "--input", tmp_path / "in", "-o", tmp_path / "out")
    assert "The image cannot be read" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_transparency_is_kept(enlarger: Path, tmp_path: Path) -> None:
    """On white, the result is what the generator makes of the picture on white."""
    colours = (60 + 0.7 * gradient(12, 16)).astype(np.uint8)
    alpha = np.linspace(0, 255, 16).astype(np.uint8)[None].repeat(12, 0)
    Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / "in.png")
    assert run(enlarger, "--input", tmp_path / "in.png", "-o", tmp_path / "out.png").exit_code == 0
    with Image.open(tmp_path / "out.png") as made:
        assert (made.mode, made.size) == ("RGBA", (32, 24))
        white = Image.new("RGBA", made.size, "white")
        shown = np.asarray(Image.alpha_composite(white, made).convert("RGB")).astype(float)
    share = alpha[..., None] / 255
    expected = twice(colours * share + 255 * (1 - share), 255)
    clear = alpha.repeat(2, 0).repeat(2, 1) < 96  # nothing so clear can be as dark on white as it should
    assert np.abs(shown - expected)[~clear].max() <= 3
    assert run(enlarger, "--input", tmp_path / "in.png", "-o", tmp_path / "out.jpg").exit_code == 0
    with Image.open(tmp_path / "out.jpg") as made:
        assert made.mode == "RGB"


def test_sixteen_bits_are_kept(enlarger: Path, tmp_path: Path) -> None:
    values = (np.arange(12 * 16).reshape(12, 16) * 331).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "in.png")
    assert run(enlarger, "--input", tmp_path / "in.png", "-o", tmp_path / "out.png").exit_code == 0
    raw = (tmp_path / "out.png").read_bytes()
    assert raw[24:26] == bytes([16, 2])  # 16 bits, RGB
    rows = zlib.decompress(raw[raw.index(b"IDAT") + 4 :])
    lines = np.frombuffer(rows, np.uint8).reshape(24, -1)[:, 1:]
    made = np.frombuffer(lines.tobytes(), ">u2").reshape(24, 32, 3)
    expected = twice(values[..., None].repeat(3, 2).astype(float), 65_535)
    assert np.abs(made.astype(float) - expected).max() <= 2


def test_the_colour_profile_is_kept(enlarger: Path, tmp_path: Path) -> None:
    """A profile with red and green exchanged: colours are read in sRGB and written back in the profile."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = {
        bytes(srgb[132 + 12 * k : 136 + 12 * k]): 132 + 12 * k for k in range(int.from_bytes(srgb[128:132]))
    }
    changed = bytearray(srgb.replace(b"s\0R\0G\0B", b"o\0t\0h\0r"))
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    changed[red + 4 : red + 12], changed[green + 4 : green + 12] = (
        srgb[green + 4 : green + 12],
        srgb[red + 4 : red + 12],
    )
    for name, profile in (("srgb", srgb), ("other", bytes(changed))):
        image = Image.fromarray(np.full((8, 8, 3), (200, 100, 50), np.uint8))
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
        done = run(enlarger, "--input", tmp_path / f"{name}.png", "-o", tmp_path / f"{name}-out.png")
        assert done.exit_code == 0, done.output
        with Image.open(tmp_path / f"{name}-out.png") as made:
            assert made.info["icc_profile"] == profile
            assert np.abs(np.asarray(made).astype(int) - [180, 90, 45]).max() <= 2


def test_tiles_are_asked_for_sensibly(bundle: Path, enlarger: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "p.png", 9)
    for words, message in (
        ((bundle, "--input", source, "--tile", "64"), "no free axis"),
        ((enlarger, "--input", source, "--tile", "small"), "auto or a number"),
        ((enlarger, "--tile", "64"), "--tile is for inputs"),
    ):
        assert message in str(run(*words).exception)
