"""Pictures of unusual types: turned, inverted, signed, transparent, without numbers, of several depths."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ganzoo.api import DataError, Field, ItemSource, SettingsError, as_floats
from ganzoo.data.dataset import Dataset, open_source
from ganzoo_clips.config import ClipsConfig
from ganzoo_clips.folder import open_clips
from ganzoo_clips.folder import open_held_out as open_held_out_clips
from ganzoo_datasets.config import FolderConfig, PairsConfig
from ganzoo_datasets.folder import open_folder, open_held_out
from ganzoo_datasets.paired_images import open_pairs
from ganzoo_enlarge.config import CropsConfig
from ganzoo_enlarge.crops import open_crops, open_held_out_crops
from ganzoo_media.image import ImageMedia
from ganzoo_media.kept import with_kept

DRAWS = np.random.default_rng(0)


def image_of(source: ItemSource) -> Field:
    return next(field for field in source.fields if field.name == "image")


def floats(source: ItemSource, index: int = 0) -> np.ndarray:
    return as_floats(image_of(source), source.read(index)["image"])


def opened(folder: Path, **options: Any) -> Dataset:
    return open_source(open_folder(str(folder), FolderConfig(**options)), cache_folder=None)


def as_input(source: ItemSource, path: Path) -> np.ndarray:
    """A file as `generate --input` reads it for a bundle of this data."""
    field = Field.from_json(image_of(source).to_json())
    return as_floats(field, ImageMedia().read(field, path, {"fit": "crop", "pages": "auto"}))[0]


def units(source: ItemSource, index: int = 0) -> np.ndarray:
    """A sample in the values of its file."""
    low, high = image_of(source).original or (0.0, 255.0)
    return low + (floats(source, index) + 1) / 2 * (high - low)


@pytest.mark.parametrize("turn", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["gray8", "gray16", "rgb8", "rgb16", "float"])
def test_a_turned_tiff_is_not_distorted(tmp_path: Path, kind: str, turn: int) -> None:
    shape = (8, 14, 3) if "rgb" in kind else (8, 14)
    dtype: Any = np.float32 if kind == "float" else np.uint16 if "16" in kind else np.uint8
    values = DRAWS.integers(0, 255, shape).astype(dtype)
    path = tmp_path / "a.tif"
    photometric = "rgb" if "rgb" in kind else "minisblack"
    tifffile.imwrite(path, values, photometric=photometric, extratags=[(274, "H", 1, turn, True)])
    how = {
        1: lambda x: x, 3: lambda x: x[::-1, ::-1], 5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, -1), 7: lambda x: x[::-1, ::-1].swapaxes(0, 1), 8: lambda x: np.rot90(x),
    }  # fmt: skip
    expected = how[turn](values if values.ndim == 3 else values[..., None]).transpose(2, 0, 1)
    source = open_folder(str(tmp_path))
    assert image_of(source).shape == expected.shape
    np.testing.assert_allclose(units(source), expected, atol=1e-3)
    np.testing.assert_array_equal(as_input(source, path), floats(source))


def test_a_signed_tiff_has_its_own_depth(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DRAWS.integers(-1000, 1000, (8, 9)).astype(np.int16))
    source = open_folder(str(tmp_path))
    assert any("16 bits, signed and use" in note for note in source.notes)
    assert image_of(open_folder(str(tmp_path), FolderConfig(range="full"))).original == (-32768, 32767)


def test_signed_bytes_keep_their_sign(tmp_path: Path) -> None:
    values = np.arange(-100, -28).reshape(8, 9).astype(np.int8)
    tifffile.imwrite(tmp_path / "a.tif", values)
    source = open_folder(str(tmp_path))
    np.testing.assert_array_equal(source.read(0)["image"][0], values)
    np.testing.assert_array_equal(as_input(source, tmp_path / "a.tif"), floats(source))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
def test_white_may_be_zero_at_any_depth(tmp_path: Path, dtype: Any) -> None:
    values = np.tile(np.arange(0, 90, 10), (8, 1)).astype(dtype)  # black at the right
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    source = open_folder(str(tmp_path))
    assert (np.diff(floats(source)[0], axis=1) < 0).all()
    np.testing.assert_array_equal(as_input(source, tmp_path / "a.tif"), floats(source))


@pytest.mark.parametrize("shown", [np.uint8, np.uint16])
def test_white_may_be_zero_among_pixels_of_eight_bits(tmp_path: Path, shown: Any) -> None:
    """A generator of 8 bits takes such a file as an input, too."""
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "a.png")
    source = open_folder(str(tmp_path))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 9), shown), photometric="miniswhite")
    assert as_input(source, tmp_path / "b.tif").min() == 1


# --- transparency ---------------------------------------------------------------------------------


def transparent(path: Path, top: int, kind: str, dtype: Any = np.uint16) -> tuple[np.ndarray, np.ndarray]:
    """Colours up to `top` of 65,535, white where they are transparent, with half of it in one row."""
    colours = DRAWS.integers(0, top, (6, 9, 3)).astype(dtype)
    colours[0, 0], colours[0, 1] = 0, top
    most = 65_535 if dtype == np.uint16 else 1
    opacity = np.full((6, 9), most, np.float64)
    opacity[4], opacity[5] = most // 2, 0
    written = colours.copy()
    written[5] = most
    if kind == "associated":
        written = (written * (opacity / most)[..., None]).astype(dtype)
    whole = np.concatenate([written, opacity[..., None].astype(dtype)], axis=2)
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(whole))
    else:
        tifffile.imwrite(
            path,
            whole,
            photometric="rgb",
            extrasamples=["assocalpha" if kind == "associated" else "unassalpha"],
        )
    return colours.astype(np.float64), opacity / most


@pytest.mark.parametrize(("name", "kind"), [("a.png", ""), ("a.tif", ""), ("a.tif", "associated")])
def test_transparent_pixels_do_not_widen_the_range(tmp_path: Path, name: str, kind: str) -> None:
    colours, opacity = transparent(tmp_path / name, 4000, kind)
    source = open_folder(str(tmp_path))
    assert image_of(source).shape[0] == 3
    assert image_of(source).original == (0, 4000)
    expected = 4000 + (colours - 4000) * opacity[..., None]
    np.testing.assert_allclose(units(source).transpose(1, 2, 0), expected, atol=2)
    assert "put on white" in " ".join(note for _, _, note in source.card)
    np.testing.assert_array_equal(as_input(source, tmp_path / name), floats(source))
    with_alpha = open_folder(str(tmp_path), FolderConfig(channels=4))
    assert image_of(with_alpha).original == (0, 4000)
    np.testing.assert_allclose((floats(with_alpha)[3] + 1) / 2, opacity, atol=1e-3)


def test_gray_and_opacity_in_a_tiff(tmp_path: Path) -> None:
    values = DRAWS.integers(0, 65_535, (6, 9, 2)).astype(np.uint16)
    values[0, :, 1] = 0
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
    )
    source = open_folder(str(tmp_path), FolderConfig(range="full"))
    assert image_of(source).shape == (1, 6, 9)
    gray, opacity = values[..., 0].astype(float), values[..., 1] / 65_535
    np.testing.assert_allclose(units(source)[0], 65_535 + (gray - 65_535) * opacity, atol=1)
    assert image_of(open_folder(str(tmp_path), FolderConfig(channels=4))).shape == (4, 6, 9)


def test_opaque_deep_colours_get_a_fourth_channel(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(
        imagecodecs.png_encode(DRAWS.integers(0, 999, (6, 9, 3)).astype(np.uint16))
    )
    assert (floats(open_folder(str(tmp_path), FolderConfig(channels=4)))[3] == 1).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_cmyk_becomes_rgb(tmp_path: Path, depth: int) -> None:
    dtype: Any = np.uint8 if depth == 8 else np.uint16
    inks = np.zeros((6, 9, 4), dtype)
    inks[..., 0] = inks[..., 1] = np.iinfo(dtype).max  # cyan and magenta are blue
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    source = open_folder(str(tmp_path))
    assert [round(float(value)) for value in floats(source)[:, 0, 0]] == [-1, -1, 1]
    assert "3 (RGB)" in [value for _, value, _ in source.card]
    assert (depth == 16) == any("of which 8 are read" in note for note in source.notes)


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (9, 6), (200, 30, 60)).convert("LAB").save(tmp_path / "a.tif")
    source = open_folder(str(tmp_path))
    np.testing.assert_allclose(units(source)[:, 0, 0], [200, 30, 60], atol=4)


def test_four_bands_without_opacity_are_not_called_alpha(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        DRAWS.integers(0, 999, (6, 9, 4)).astype(np.uint16),
        photometric="minisblack",
        planarconfig="contig",
    )
    assert "4" in [value for name, value, _ in open_folder(str(tmp_path)).card if name == "channels"]


# --- what cannot be used --------------------------------------------------------------------------


def test_a_picture_without_numbers_is_skipped(tmp_path: Path) -> None:
    for at in range(20):
        values = np.full((6, 9), np.nan) if at == 3 else DRAWS.random((6, 9))
        tifffile.imwrite(tmp_path / f"{at:02}.tif", values.astype(np.float32))
    found = opened(tmp_path)
    assert found.count == 19
    assert list(found.skipped) == [("03.tif", "it has no finite values")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.full((6, 9), np.nan, np.float32), "it has no finite values"),
        (np.full((6, 9), 2**32 - 1, np.uint32), "do not fit 32 bits"),
        (np.full((6, 9), 1, np.complex64), "complex64"),
    ],
)
def test_if_no_picture_can_be_used_the_reasons_are_said(tmp_path: Path, values: np.ndarray, why: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(DataError, match=why):
        opened(tmp_path)


def test_files_with_more_pages_are_skipped_not_cut(tmp_path: Path) -> None:
    for at in range(20):
        pages = np.full((4 if at == 3 else 3, 8, 9), at, np.uint16)
        tifffile.imwrite(tmp_path / f"{at:02}.tif", pages, photometric="minisblack")
    found = opened(tmp_path, pages="channels")
    assert found.count == 19
    assert list(found.skipped) == [("03.tif", "it has 4 pages instead of 3")]


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_no_picture_has_are_refused(tmp_path: Path, channels: int) -> None:
    Image.new("RGB", (9, 6)).save(tmp_path / "a.png")
    with pytest.raises(SettingsError, match=f"{channels} channels") as caught:
        open_folder(str(tmp_path), FolderConfig(channels=channels))
    assert caught.value.where == "data.channels"


def test_one_value_of_floating_point_is_gray(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((6, 9), 1e20, np.float32))
    assert np.isfinite(floats(open_folder(str(tmp_path)))).all()


def test_gray_with_opacity_has_no_five_channels(tmp_path: Path) -> None:
    """Beside files that have five: the reason is said, not a KeyError."""
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((6, 9, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    Image.new("LA", (9, 6)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match="it has 3 channels instead of 5"):
        opened(tmp_path, channels=5)


def test_large_integers_are_resized_exactly(tmp_path: Path) -> None:
    values = 2**24 + np.repeat(np.repeat(DRAWS.integers(0, 200, (8, 8)), 16, axis=0), 16, axis=1)
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.int32))
    source = open_folder(str(tmp_path), FolderConfig(height=64, width=64))
    found = source.read(0)["image"][0]
    np.testing.assert_array_equal(found[4::8, 4::8], values[8::16, 8::16])
    low, high = image_of(source).original or (0, 0)
    assert low <= found.min() <= found.max() <= high


# --- several depths in a folder -------------------------------------------------------------------


def gray(path: Path, top: float, dtype: Any) -> None:
    """A ramp from 0 to `top`."""
    values = np.tile(np.linspace(0, top, 12), (8, 1)).astype(dtype)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values)
    else:
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("common", "rare", "stored"),
    [
        (("png", 4000, np.uint16), ("png", 255, np.uint8), np.uint16),
        (("png", 255, np.uint8), ("png", 4000, np.uint16), np.uint8),
        (("png", 255, np.uint8), ("tif", 1, np.float32), np.uint8),
        (("tif", 1, np.float32), ("png", 255, np.uint8), np.float32),
        (("png", 4000, np.uint16), ("tif", 1, np.float32), np.uint16),
        (("tif", 900, np.int16), ("png", 255, np.uint8), np.int16),
    ],
)
def test_no_depth_is_black_beside_another(tmp_path: Path, common: Any, rare: Any, stored: Any) -> None:
    """White is white in all of them, in training and as inputs."""
    for at in range(5):
        ending, *rest = rare if at == 3 else common
        gray(tmp_path / f"{at}.{ending}", *rest)
    source = open_folder(str(tmp_path))
    for at in range(5):
        np.testing.assert_allclose(floats(source, at)[0, 0], np.linspace(-1, 1, 12), atol=0.01)
        np.testing.assert_array_equal(as_input(source, tmp_path / source.items[at]), floats(source, at))
    assert source.read(0)["image"].dtype == stored
    (note,) = [note for note in source.notes if "differ in depth" in note]
    assert {"4", "1"} == set(re.findall(r"(\d) of", note))
    assert "data.range=LOW,HIGH" in note


def test_a_range_of_values_holds_for_all_depths(tmp_path: Path) -> None:
    gray(tmp_path / "a.png", 255, np.uint8)
    gray(tmp_path / "b.png", 4000, np.uint16)
    source = open_folder(str(tmp_path), FolderConfig(range="0,4000"))
    assert image_of(source).original == (0, 4000)
    assert floats(source, 0).max() == pytest.approx(255 / 2000 - 1, abs=1e-3)
    assert any("their values are used as they are" in note for note in source.notes)


def test_pictures_of_two_depths_have_a_white_border(tmp_path: Path) -> None:
    for name, top, dtype in (("a.png", 255, np.uint8), ("b.png", 255, np.uint8), ("c.png", 4000, np.uint16)):
        gray(tmp_path / name, top, dtype)
    source = open_folder(str(tmp_path), FolderConfig(fit="pad", height=16, width=16))
    assert [source.read(at)["image"][0, 0, 0] for at in range(3)] == [255] * 3


def test_pictures_of_two_depths_have_a_border_of_the_lowest_value(tmp_path: Path) -> None:
    for name, top, dtype in (
        ("a.png", 255, np.uint8),
        ("b.png", 4000, np.uint16),
        ("c.png", 4000, np.uint16),
    ):
        gray(tmp_path / name, top, dtype)
    source = open_folder(str(tmp_path), FolderConfig(fit="pad", height=16, width=16))
    assert [source.read(at)["image"][0, 0, 0] for at in range(3)] == [0] * 3


def test_held_out_pictures_may_have_another_depth(tmp_path: Path) -> None:
    for part, top, dtype in (("train", 4000, np.uint16), ("test", 255, np.uint8)):
        (tmp_path / part).mkdir()
        gray(tmp_path / part / "a.png", top, dtype)
    held_out = open_held_out(str(tmp_path))
    assert held_out is not None
    np.testing.assert_allclose(floats(held_out)[0, 0], np.linspace(-1, 1, 12), atol=0.01)


@pytest.mark.parametrize("common", [("png", 255, np.uint8), ("png", 4000, np.uint16)])
def test_held_out_pictures_may_have_a_third_depth(tmp_path: Path, common: Any) -> None:
    """Pixels and whole 16 bits have one white beside other depths, too."""
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    ending, *rest = common
    for at in range(3):
        gray(tmp_path / "train" / f"{at}.{ending}", *rest)
    gray(tmp_path / "train" / "3.tif", 1, np.float32)
    third = (255, np.uint8) if rest[1] is np.uint16 else (65_535, np.uint16)
    gray(tmp_path / "test" / "a.png", *third)
    held_out = open_held_out(str(tmp_path))
    assert held_out is not None
    np.testing.assert_allclose(floats(held_out)[0, 0], np.linspace(-1, 1, 12), atol=0.01)
    found = as_input(open_folder(str(tmp_path)), tmp_path / "test" / "a.png")
    np.testing.assert_array_equal(found, floats(held_out))


def test_a_third_depth_without_a_known_range_is_refused_not_black(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    gray(tmp_path / "data" / "a.png", 255, np.uint8)
    gray(tmp_path / "data" / "b.png", 255, np.uint8)
    gray(tmp_path / "data" / "c.png", 4000, np.uint16)
    gray(tmp_path / "input.tif", 1, np.float32)
    with pytest.raises(ValueError, match="no range says which are black and white"):
        as_input(open_folder(str(tmp_path / "data")), tmp_path / "input.tif")


def test_an_input_of_eight_bits_is_no_black_one_of_twelve(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    gray(tmp_path / "data" / "a.png", 4000, np.uint16)
    gray(tmp_path / "input.png", 255, np.uint8)
    found = as_input(open_folder(str(tmp_path / "data")), tmp_path / "input.png")
    np.testing.assert_allclose(found[0, 0], np.linspace(-1, 1, 12), atol=0.01)


# --- other data made of pictures ------------------------------------------------------------------


def ramps(folder: Path, *names: str, top: float, dtype: Any, side: int = 64) -> None:
    """Pictures whose rows go from 0 to `top`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.tile(np.linspace(0, top, side), (side, 1)).astype(dtype)).save(folder / name)


def read_as_input(field: Field, path: Path) -> np.ndarray:
    """A file as a bundle of this data reads it: it has the field alone."""
    kept = Field.from_json(field.to_json())
    return as_floats(kept, ImageMedia().read(kept, path, {}))[0]


def test_crops_of_twelve_bits_are_as_bright_as_those_of_eight(tmp_path: Path) -> None:
    ramps(tmp_path, "a.png", "b.png", top=4000, dtype=np.uint16)
    ramps(tmp_path, "c.png", top=255, dtype=np.uint8)
    source = open_crops(str(tmp_path), CropsConfig(count=12, size=32, shrink=1.0, channels=1))
    for index in range(12):  # parts of 64 pixels: whole pictures
        found = source.read(index)["picture"][0, 0].astype(int)
        np.testing.assert_allclose(found, np.linspace(0, 255, 64), atol=1)
    assert any("differ in depth" in note and "0..4000" in note for note in source.notes)
    a = next(field for field in source.fields if field.name == "a")
    assert a.facts["ranges"]["uint16"] == [0, 4000]
    ramps(tmp_path, "input.png", top=4000, dtype=np.uint16, side=8)
    np.testing.assert_allclose(
        read_as_input(a, tmp_path / "input.png")[0, 0], np.linspace(-1, 1, 8), atol=0.01
    )


def test_held_out_crops_may_have_a_third_depth(tmp_path: Path) -> None:
    ramps(tmp_path / "train", "a.png", "b.png", top=255, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "train" / "c.tif", np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)))
    ramps(tmp_path / "test", "d.png", top=65_535, dtype=np.uint16)
    config = CropsConfig(count=3, size=32, shrink=1.0, channels=1)
    held_out = open_held_out_crops(str(tmp_path), config)
    assert held_out is not None
    found = held_out.read(0)["picture"][0, 0].astype(int)
    np.testing.assert_allclose(found, np.linspace(0, 255, 64), atol=1)


def test_an_enlarger_keeps_the_range_of_sixteen_bits(tmp_path: Path) -> None:
    """Files that keep their size are read with all their values, and written in their own range."""
    ramps(tmp_path / "data", "a.png", "b.png", top=4000, dtype=np.uint16)
    source = open_crops(str(tmp_path / "data"), CropsConfig(count=2, size=32, channels=1))
    a, b = (replace(field, free={"height": 1, "width": 1}) for field in source.fields)
    media, path = ImageMedia(), tmp_path / "data" / "a.png"
    read = media.read(a, path, {})
    assert read.dtype == np.float32
    assert len(np.unique(read)) == 64
    assert read.max() == pytest.approx(1)  # 4000 is white, not 65,535
    kept = media.kept(a, path, {})
    assert kept is not None
    (tmp_path / "out.png").write_bytes(with_kept(replace(b, shape=(1, 64, 64)), read, ".png", kept))
    with Image.open(tmp_path / "out.png") as written, Image.open(path) as given:
        np.testing.assert_array_equal(np.asarray(written), np.asarray(given))


def test_a_range_of_values_holds_for_crops(tmp_path: Path) -> None:
    ramps(tmp_path, "a.png", "b.png", top=100, dtype=np.uint8)
    chosen = CropsConfig(count=2, size=32, shrink=1.0, channels=1, range="0,50")
    source = open_crops(str(tmp_path), chosen)
    found = source.read(0)["picture"][0, 0].astype(int)
    np.testing.assert_allclose(found, (np.linspace(0, 100, 64) * 255 / 50).clip(0, 255), atol=6)
    usual = open_crops(str(tmp_path), replace(chosen, range="auto"))
    assert usual.fingerprint != source.fingerprint
    assert usual.fields[0].facts == {}
    with pytest.raises(SettingsError, match="no range of values"):
        open_crops(str(tmp_path), replace(chosen, range="50,0"))


def test_frames_of_twelve_bits_are_as_bright_as_those_of_eight(tmp_path: Path) -> None:
    names = [f"{at}.png" for at in range(4)]
    ramps(tmp_path / "train" / "deep", *names, top=4000, dtype=np.uint16, side=16)
    ramps(tmp_path / "train" / "usual", *names, top=255, dtype=np.uint8, side=16)
    ramps(tmp_path / "test" / "deep", *names, top=2000, dtype=np.uint16, side=16)
    config = ClipsConfig(frames=4, height=16, width=16, channels=1, labels=False)
    source = open_clips(str(tmp_path), config)
    for index in range(2):
        rows = source.read(index)["clip"][0, :, 0].astype(int)
        np.testing.assert_allclose(rows, np.tile(np.linspace(0, 255, 16), (4, 1)), atol=1)
    held_out = open_held_out_clips(str(tmp_path), config)
    assert held_out is not None
    assert held_out.read(0)["clip"].max() == pytest.approx(128, abs=1)  # the range of training
    assert source.fields[0].facts["ranges"]["uint16"] == [0, 4000]
    assert any("differ in depth" in note for note in source.notes)
    assert not any("differ in depth" in note for note in held_out.notes)


@pytest.mark.parametrize(("transform", "deep_inputs"), [("downscale", True), ("edges", False)])
def test_pictures_of_twelve_bits_can_be_transformed(
    tmp_path: Path, transform: Any, deep_inputs: bool
) -> None:
    ramps(tmp_path, "a.png", "b.png", top=4000, dtype=np.uint16)
    source = open_pairs(str(tmp_path), PairsConfig(transform=transform))
    np.testing.assert_allclose(source.read(0)["b"][0, 0].astype(int), np.linspace(0, 255, 64), atol=1)
    a, b = source.fields
    assert b.facts["ranges"]["uint16"] == [0, 4000]
    assert bool(a.facts) == deep_inputs  # edges that a user draws have no values of pictures


# --- ranges that show nothing ---------------------------------------------------------------------


def test_masks_are_said_to_be_black(tmp_path: Path) -> None:
    for at in range(3):
        Image.fromarray(DRAWS.integers(0, 2, (8, 9)).astype(np.uint8)).save(tmp_path / f"{at}.png")
    notes = " ".join(open_folder(str(tmp_path)).notes)
    assert (
        "3 images looked at are 0..1 of 0..255, so samples are nearly black: --set data.range=0,1 makes"
        in notes
    )
    stretched = open_folder(str(tmp_path), FolderConfig(range="0,1"))
    assert set(np.unique(floats(stretched))) == {-1, 1}
    assert not any("nearly black" in note for note in stretched.notes)


def test_a_segmentation_is_said_to_be_black(tmp_path: Path) -> None:
    values = DRAWS.integers(0, 2, (6, 7, 3)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    assert any("--set data.range=0,1" in note for note in open_folder(str(tmp_path)).notes)
    assert set(np.unique(floats(open_folder(str(tmp_path), FolderConfig(range="0,1"))))) == {-1, 1}


@pytest.mark.parametrize(("top", "option"), [(4000, "5000,6000"), (255, "300,400"), (4000, "-9,0")])
def test_a_range_without_values_is_refused(tmp_path: Path, top: int, option: str) -> None:
    gray(tmp_path / "a.png", top, np.uint16 if top > 255 else np.uint8)
    with pytest.raises(SettingsError, match=f"they are 0..{top}") as caught:
        open_folder(str(tmp_path), FolderConfig(range=option))
    assert caught.value.where == "data.range"


def test_the_whole_range_of_an_empty_picture_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DRAWS.integers(-1000, 1000, (8, 9)).astype(np.int32))
    assert not any("data.range=full" in note for note in open_folder(str(tmp_path)).notes)
    notes = open_folder(str(tmp_path), FolderConfig(range="full")).notes
    assert any("hardly any contrast" in note for note in notes)


def test_percentiles_of_eight_bits_are_those_of_their_values(tmp_path: Path) -> None:
    gray(tmp_path / "a.png", 60, np.uint8)
    assert image_of(open_folder(str(tmp_path), FolderConfig(range="0%,100%"))).original == (0, 60)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.float32])
def test_an_input_without_a_known_range_is_refused_not_black(tmp_path: Path, dtype: Any) -> None:
    """The generator has seen pixels of 8 bits only."""
    (tmp_path / "data").mkdir()
    gray(tmp_path / "data" / "a.png", 255, np.uint8)
    gray(tmp_path / "input.tif", 1, dtype)
    with pytest.raises(ValueError, match="no range says which are black and white"):
        as_input(open_folder(str(tmp_path / "data")), tmp_path / "input.tif")
