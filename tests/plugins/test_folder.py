"""The folder data set: modes, orientation, shapes and labels of images, and what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from ganzoo.api import DataError, Field, ItemSource, SettingsError, as_floats
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder


def fields(source: ItemSource) -> dict[str, Field]:
    return {field.name: field for field in source.fields}


def drawn_image(mode: str, size: tuple[int, int] = (8, 6), colour: Any = None) -> Image.Image:
    return Image.new(mode, size, colour if colour is not None else 0)


def only(folder: Path, **options: Any) -> np.ndarray:
    """The one image of a folder, as the loader decodes it."""
    return open_folder(str(folder), FolderConfig(**options)).read(0)["image"]


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("1", 1, "png", (255, 255, 255)),
        ("L", 90, "png", (90, 90, 90)),
        ("L", 90, "bmp", (90, 90, 90)),
        ("LA", (90, 0), "png", (255, 255, 255)),
        ("RGB", (200, 100, 50), "png", (200, 100, 50)),
        ("RGB", (200, 100, 50), "jpg", (200, 100, 50)),
        ("RGBA", (200, 100, 50, 0), "png", (255, 255, 255)),
        ("RGBA", (200, 100, 0, 51), "png", (244, 224, 204)),
        ("RGBA", (200, 100, 50, 255), "webp", (200, 100, 50)),
        ("RGB", (200, 100, 50), "avif", (200, 100, 50)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("I;16", 0xFFFF, "png", (255, 255, 255)),
        ("I;16", 0x8080, "png", (128, 128, 128)),
    ],
)
def test_image_modes(tmp_path: Path, mode: str, colour: Any, suffix: str, expected: tuple[int, ...]) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    drawn_image(mode, colour=colour).save(tmp_path / f"a.{suffix}", **options)
    source = open_folder(str(tmp_path), FolderConfig(channels=3))
    pixels = source.read(0)["image"]
    assert pixels.shape == (3, 6, 8)
    assert pixels.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    if mode == "I;16":
        pixels = (as_floats(fields(source)["image"], pixels) + 1) * 127.5
    np.testing.assert_allclose(pixels.transpose(1, 2, 0).reshape(-1, 3).mean(0), expected, atol=3)


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = drawn_image("P", colour=1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    pixels = only(tmp_path)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 3, 3].tolist() == [200, 100, 50]
    assert only(tmp_path, channels=4)[3, 0, 0] == 0


def test_animated_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [drawn_image("RGB", colour=colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert only(tmp_path)[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_exif_rotation(tmp_path: Path, suffix: str) -> None:
    image = drawn_image("RGB", (16, 8), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to look at it
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = only(tmp_path)
    assert pixels.shape == (3, 16, 8)
    assert pixels[:, :7].mean() > 240
    assert pixels[:, 9:].mean() < 15


def test_a_photograph_of_a_telephone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = drawn_image("RGB", (64, 32), (200, 100, 50))
    image.paste((255, 255, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to look at it
    photograph = pillow_heif.from_pillow(image)
    photograph.info["exif"] = exif.tobytes()
    photograph.save(tmp_path / "IMG_1.HEIC", quality=95)
    pixels = only(tmp_path)
    assert pixels.shape == (3, 64, 32)
    np.testing.assert_allclose(pixels[:, 50, 10], (200, 100, 50), atol=4)
    assert pixels[:, :28].min() > 250
    (tmp_path / "IMG_1.HEIC").write_bytes((tmp_path / "IMG_1.HEIC").read_bytes()[:-100])
    with pytest.raises((ValueError, OSError)):
        only(tmp_path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match="needs the package pillow-heif"):
        only(tmp_path)


def test_rgba_is_kept_with_four_channels(tmp_path: Path) -> None:
    drawn_image("RGBA", colour=(200, 100, 50, 77)).save(tmp_path / "a.png")
    source = open_folder(str(tmp_path), FolderConfig(channels=4))
    assert fields(source)["image"].shape == (4, 6, 8)
    assert source.read(0)["image"][:, 0, 0].tolist() == [200, 100, 50, 77]


def test_the_shape_is_chosen_from_the_headers(tmp_path: Path) -> None:
    drawn_image("L").save(tmp_path / "a.png")
    drawn_image("LA").save(tmp_path / "b.png")
    source = open_folder(str(tmp_path))
    assert fields(source)["image"].shape == (1, 6, 8)
    assert ("size", "6x8 (height x width)", "kept") in source.card
    drawn_image("RGB", (1, 1)).save(tmp_path / "c.png")
    (tmp_path / "d.png").write_text("not an image")
    source = open_folder(str(tmp_path))
    assert fields(source)["image"].shape == (3, 56, 76)  # two of three are 6x8
    assert any(value.startswith("2 sizes, 1x1 to 6x8") for _, value, _ in source.card)
    assert source.read(2)["image"].shape == (3, 56, 76)


def test_gray_palettes_count_as_gray(tmp_path: Path) -> None:
    image = drawn_image("P")
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.save(tmp_path / "a.png")
    assert only(tmp_path).shape == (1, 6, 8)
    image.putpalette([0, 0, 0, 90, 90, 91])
    image.save(tmp_path / "a.png")
    assert only(tmp_path).shape == (3, 6, 8)


def test_one_side_alone_makes_a_square_and_both_may_differ(tmp_path: Path) -> None:
    drawn_image("L").save(tmp_path / "a.png")
    assert only(tmp_path, height=4).shape == (1, 4, 4)
    assert only(tmp_path, height=4, width=10, channels=3).shape == (3, 4, 10)


def test_fit(tmp_path: Path) -> None:
    image = drawn_image("L", (300, 100), 100)
    image.paste(0, (100, 0, 200, 100))
    image.save(tmp_path / "a.png")
    crop, pad, stretch = (only(tmp_path, height=9, fit=fit)[0] for fit in ("crop", "pad", "stretch"))
    assert crop.max() < 10  # the black middle third
    assert pad[0].tolist() == [255] * 9
    assert pad[4, 0] == pytest.approx(100, abs=8)
    assert pad[4, 4] < 10
    assert stretch[4, 4] < 10
    assert stretch[0, 0] == pytest.approx(100, abs=8)


def test_labels_from_subfolders(tmp_path: Path) -> None:
    for name in ("dog/a.png", "cat/b.png", "cat/deep/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        drawn_image("L").save(tmp_path / name)
    source = open_folder(str(tmp_path))
    assert fields(source)["label"].classes == ("cat", "dog")
    assert [int(source.read(i)["label"]) for i in range(3)] == [
        ("cat", "dog").index(item.split("/")[0]) for item in source.items
    ]
    assert "label" not in fields(open_folder(str(tmp_path), FolderConfig(labels=False)))
    drawn_image("L").save(tmp_path / "loose.png")
    assert "label" not in fields(open_folder(str(tmp_path)))


@pytest.mark.parametrize("damage", ["text", "empty", "truncated", "bomb"])
def test_unreadable_images_raise_what_the_core_counts(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    Image.fromarray(noise).save(path)
    if damage == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 1600 pixels: Pillow would only warn
    else:
        path.write_bytes({"text": b"hello", "empty": b"", "truncated": path.read_bytes()[:-500]}[damage])
    source = open_folder(str(tmp_path))
    with pytest.raises((OSError, ValueError)):
        source.read(0)


def test_a_format_behind_another_ending_is_refused(tmp_path: Path) -> None:
    drawn_image("L").save(tmp_path / "a.tiff")
    (tmp_path / "a.tiff").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not an image in any of the formats PNG"):
        open_folder(str(tmp_path)).read(0)
    (tmp_path / "a.png").rename(tmp_path / "a.tga")
    with pytest.raises(ValueError, match="not an image in the format TGA"):
        open_folder(str(tmp_path)).read(0)


def test_folder_fingerprint_follows_files_and_options(tmp_path: Path) -> None:
    drawn_image("L").save(tmp_path / "a.png")
    first = open_folder(str(tmp_path)).fingerprint
    assert open_folder(str(tmp_path)).fingerprint == first
    assert open_folder(str(tmp_path), FolderConfig(height=5)).fingerprint != first
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert open_folder(str(tmp_path)).fingerprint != first


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty"):
        open_folder(str(tmp_path))
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"no images among 1 file: 1 \.txt\.") as caught:
        open_folder(str(tmp_path))
    assert "WEBP" in str(caught.value)
    with pytest.raises(DataError, match="not a folder"):
        open_folder(str(tmp_path / "readme.txt"))
    with pytest.raises(SettingsError, match="channels"):
        open_folder(str(tmp_path), FolderConfig(channels=65))
    with pytest.raises(SettingsError, match="outside"):
        open_folder(str(tmp_path), FolderConfig(height=-1))
