"""Own pictures: depth and range, formats, aspect, folders as people have them, and what the user is told."""

from __future__ import annotations

import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image, ImageCms
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from ganzoo import image_files
from ganzoo.api import DataError, Field, ImageFrame, ItemSource, SettingsError, as_floats
from ganzoo.cli import cli
from ganzoo.config.resolve import resolve
from ganzoo.data.dataset import Dataset, open_source
from ganzoo.data.open_data import open_data
from ganzoo.image_files import pillow_files
from ganzoo.registry.registry import load_registry
from ganzoo.runs.run import Run
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder, open_held_out
from ganzoo_media.image import ImageMedia


def ramp(height: int, width: int, top: float, dtype: Any = np.uint16) -> np.ndarray:
    """Values from 0 to `top`, every row the same."""
    return np.tile(np.linspace(0, top, width), (height, 1)).astype(dtype)


def picture(path: Path, array: np.ndarray | None = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), 90, np.uint8) if array is None else array).save(path, **options)


def image_of(source: ItemSource) -> Field:
    return next(field for field in source.fields if field.name == "image")


def floats(source: ItemSource, index: int = 0) -> np.ndarray:
    """A sample as the networks see it."""
    return as_floats(image_of(source), source.read(index)["image"])


def opened(folder: Path, cache: Path | None = None, **options: Any) -> Dataset:
    return open_source(open_folder(str(folder), FolderConfig(**options)), cache_folder=cache)


def row(rows: Any, name: str) -> tuple[str, str]:
    return next((value, note) for found, value, note in rows if found == name)


# --- depth and range ------------------------------------------------------------------------------


def twelve_bits(folder: Path) -> None:
    """Ten pictures of a scanner: 0..800 of 65,535 in PNG of 16 bits."""
    for number in range(10):
        picture(folder / f"slice-{number}.png", ramp(16, 16, 80 * (number + 1)))


def test_twelve_bits_in_sixteen_are_not_black(tmp_path: Path) -> None:
    twelve_bits(tmp_path)
    source = open_folder(str(tmp_path))
    assert image_of(source).original == (0.0, 800.0)
    assert floats(source, 9).min() == -1
    assert floats(source, 9).max() == 1
    assert floats(source, 4).max() == pytest.approx(0)  # the range is that of all pictures
    assert any("16 bits and use 0..800, 1.2% of the range" in note for note in source.notes)


# --- PNG with colours of 16 bits ------------------------------------------------------------------


def wide_png(path: Path, channels: int, top: int = 4095) -> np.ndarray:
    """A PNG of 16 bits with values that 8 bits cannot hold; its values (height, width, channels)."""
    values = np.random.default_rng(channels).integers(0, top, (6, 9, channels)).astype(np.uint16)
    path.write_bytes(imagecodecs.png_encode(values))
    return values


def test_png_with_colours_of_sixteen_bits_keeps_them(tmp_path: Path) -> None:
    values = wide_png(tmp_path / "a.png", 3)
    source = open_folder(str(tmp_path), FolderConfig(range="full"))
    assert image_of(source).original == (0.0, 65535.0)
    np.testing.assert_allclose(floats(source), values.transpose(2, 0, 1) / 65535 * 2 - 1, atol=1e-7)
    assert not any("of which 8 are read" in note for note in source.notes)
    by_values = open_folder(str(tmp_path))
    assert image_of(by_values).original == (values.min(), values.max())


@pytest.mark.parametrize(("bands", "channels"), [(4, 3), (2, 3), (4, 4), (2, 4), (4, 1)])
def test_transparent_png_of_sixteen_bits(tmp_path: Path, bands: int, channels: int) -> None:
    """On white without alpha, as pixels of 8 bits; gray and alpha (2 bands) is gray in all colours."""
    values = wide_png(tmp_path / "a.png", bands, 65535).astype(np.float64)
    source = open_folder(str(tmp_path), FolderConfig(range="full", channels=channels))
    colours, alpha = np.broadcast_to(values[..., :-1], (6, 9, 3)), values[..., -1:]
    if channels == 4:
        expected = np.concatenate([colours, alpha], axis=2)
    else:
        expected = colours * alpha / 65535 + (65535 - alpha)
    if channels == 1:
        expected = expected @ np.array([[0.299], [0.587], [0.114]])
    found = (floats(source).transpose(1, 2, 0) + 1) / 2 * 65535
    np.testing.assert_allclose(found, expected, atol=1.5)  # rounded twice for one channel


def test_a_turned_png_of_sixteen_bits(tmp_path: Path) -> None:
    values = wide_png(tmp_path / "a.png", 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = (tmp_path / "a.png").read_bytes()
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    packed = (len(chunk) - 4).to_bytes(4) + chunk + crc32(chunk).to_bytes(4)
    (tmp_path / "a.png").write_bytes(data[:33] + packed + data[33:])  # after IHDR
    source = open_folder(str(tmp_path), FolderConfig(range="full"))
    expected = np.rot90(values, -1).transpose(2, 0, 1) / 65535 * 2 - 1
    np.testing.assert_allclose(floats(source), expected, atol=1e-7)


def test_what_pillow_must_convert_is_read_with_eight_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide_png(tmp_path / "a.png", 3)
    monkeypatch.setattr(pillow_files, "find_spec", lambda name: None)
    source = open_folder(str(tmp_path))
    assert image_of(source).original is None
    assert any("of which 8 are read" in note and "pip install imagecodecs" in note for note in source.notes)


def test_a_damaged_png_of_sixteen_bits_is_skipped(tmp_path: Path) -> None:
    for number in range(12):
        wide_png(tmp_path / f"{number}.png", 3)
    (tmp_path / "bad.png").write_bytes((tmp_path / "0.png").read_bytes()[:-60])
    found = opened(tmp_path)
    assert (found.count, [name for name, _ in found.skipped]) == (12, ["bad.png"])


def test_a_tiff_that_is_compressed_with_lzw(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65535, (6, 9, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", compression="lzw")
    source = open_folder(str(tmp_path), FolderConfig(range="full"))
    np.testing.assert_allclose(floats(source), values.transpose(2, 0, 1) / 65535 * 2 - 1, atol=1e-7)


@pytest.mark.parametrize(
    ("option", "expected"),
    [("full", (0, 65535)), ("0,400", (0, 400)), ("-5,100.5", (-5, 101)), ("0%,100%", (0, 800))],
)
def test_a_range_can_be_chosen(tmp_path: Path, option: str, expected: tuple[float, float]) -> None:
    twelve_bits(tmp_path)
    source = open_folder(str(tmp_path), FolderConfig(range=option))
    assert image_of(source).original == expected
    exact = np.clip((np.linspace(0, 800, 16).astype(int) - expected[0]) / np.ptp(expected) * 2 - 1, -1, 1)
    np.testing.assert_allclose(floats(source, 9)[0, 0], exact, atol=1e-5)


def test_percentiles_are_those_of_all_values(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    values = [draws.gamma(2, 300 + 50 * number, (64, 64)).astype(np.uint16) for number in range(8)]
    for number, array in enumerate(values):
        picture(tmp_path / f"{number}.png", array)
    low, high = image_of(open_folder(str(tmp_path), FolderConfig(range="1%,99%"))).original or (0, 0)
    exact = np.percentile(np.stack(values), [1, 99])
    assert low == pytest.approx(exact[0], abs=15)
    assert high == pytest.approx(exact[1], rel=0.03)


@pytest.mark.parametrize("option", ["black", "5,1", "1%,5", "-1%,50%", "0,inf", "1,2,3"])
def test_what_is_no_range_is_refused(tmp_path: Path, option: str) -> None:
    twelve_bits(tmp_path)
    with pytest.raises(SettingsError, match="no range") as caught:
        open_folder(str(tmp_path), FolderConfig(range=option))
    assert "1%,99%" in str(caught.value)


def test_pictures_that_use_their_range_keep_all_of_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", ramp(8, 8, 64000))
    source = open_folder(str(tmp_path))
    assert image_of(source).original == (0, 65535)
    assert source.notes == ()


def test_eight_bits_are_never_stretched(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", ramp(8, 8, 40, np.uint8))
    source = open_folder(str(tmp_path))
    assert image_of(source).original is None
    assert source.read(0)["image"].max() == 40
    assert image_of(open_folder(str(tmp_path), FolderConfig(range="0,40"))).original == (0, 40)


def test_deep_pictures_among_others_become_eight_bits(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", np.full((8, 8), 0x8080, np.uint16))
    picture(tmp_path / "b.png")
    source = open_folder(str(tmp_path))
    assert [int(source.read(index)["image"].mean()) for index in (0, 1)] == [128, 90]
    assert row(source.card, "values")[0] == "1 of 16 bits, 1 of 8 bits; each becomes -1..1"


# --- formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((8, 9), np.uint8, {}),
        ((8, 9), np.uint16, {}),
        ((8, 9), np.int16, {}),
        ((8, 9), np.int32, {}),
        ((8, 9), np.uint32, {}),
        ((8, 9), np.float32, {}),
        ((8, 9), np.float64, {}),
        ((8, 9, 3), np.uint8, {"photometric": "rgb"}),
        ((8, 9, 3), np.uint16, {"photometric": "rgb"}),
        ((8, 9, 5), np.uint8, {"planarconfig": "contig", "photometric": "minisblack"}),
        ((5, 8, 9), np.float32, {"planarconfig": "separate", "photometric": "minisblack"}),
    ],
)
def test_tiff_keeps_its_values(tmp_path: Path, shape: tuple[int, ...], dtype: Any, options: Any) -> None:
    values = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    values.flat[:2] = 0, 250
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    source = open_folder(str(tmp_path))
    planes = values[None] if len(shape) == 2 else values if shape[0] == 5 else values.transpose(2, 0, 1)
    assert image_of(source).shape == planes.shape
    top = 250 if np.dtype(dtype) != np.uint8 else 255
    np.testing.assert_allclose(floats(source), planes.astype(float) / top * 2 - 1, atol=1e-5)


def test_pages_are_samples_or_channels(tmp_path: Path) -> None:
    pages = np.stack([np.full((8, 8), 100 * (page + 1), np.uint16) for page in range(5)])
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, pages, photometric="minisblack")
    first = open_folder(str(tmp_path))
    assert len(first.items) == 2
    assert any("2 files with several pages" in note for note in first.notes)
    each = open_folder(str(tmp_path), FolderConfig(pages="samples"))
    assert [int(each.read(index)["image"][0, 0, 0]) for index in range(10)] == [100, 200, 300, 400, 500] * 2
    assert each.items[6] == "b.tif [1]"
    assert len(set(each.keys)) == 10
    stack = open_folder(str(tmp_path), FolderConfig(pages="channels"))
    assert image_of(stack).shape == (5, 8, 8)
    assert stack.read(1)["image"][:, 0, 0].tolist() == [100, 200, 300, 400, 500]


def test_frames_of_an_animation_can_be_samples(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    source = open_folder(str(tmp_path), FolderConfig(pages="samples"))
    colours = [source.read(index)["image"][:, 4, 4].tolist() for index in range(3)]
    assert colours == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_arrays_are_pictures(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 3, (6, 7, 5)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    source = open_folder(str(tmp_path))
    low, high = image_of(source).original or (0, 0)
    assert (low, high) == (values.min(), values.max())
    exact = (values.transpose(2, 0, 1) - low) / (high - low) * 2 - 1
    np.testing.assert_allclose(source.read(0)["image"], exact, atol=1e-6)
    np.save(tmp_path / "a.npy", np.array([None]), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros(2))
    with pytest.raises(DataError, match="None of the items") as caught:
        opened(tmp_path, tmp_path / "cache")
    assert "is not one image" in str(caught.value)


def test_arrays_beside_pictures_are_ignored(tmp_path: Path) -> None:
    """Labels and features of the pictures; a preview of arrays does not make them so."""
    for number in range(3):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
    np.save(tmp_path / "labels.npy", np.arange(3))
    np.save(tmp_path / "features.npy", np.full((3, 99), 1e6))
    source = open_folder(str(tmp_path))
    assert (len(source.items), image_of(source).shape, image_of(source).original) == (3, (3, 16, 16), None)
    assert ("ignored", "2: 2 .npy", "") in source.card
    for name in ("0.png", "1.png", "labels.npy"):
        (tmp_path / name).unlink()
    np.save(tmp_path / "more.npy", np.zeros((16, 16)))
    assert open_folder(str(tmp_path)).items == ["2.png", "features.npy", "more.npy"]


def dicom(path: Path, values: np.ndarray, **more: Any) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    file.Rows, file.Columns = values.shape[-2:]
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.PhotometricInterpretation = "MONOCHROME2"
    file.PixelData = values.astype("<u2").tobytes()
    for name, value in more.items():
        setattr(file, name, value)
    pydicom.dcmwrite(path, file, enforce_file_format=True)


def test_dicom_has_its_units_and_a_window(tmp_path: Path) -> None:
    raw = np.linspace(0, 4000, 64).reshape(8, 8).astype(np.uint16)
    dicom(tmp_path / "a.dcm", raw, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    source = open_folder(str(tmp_path))
    assert image_of(source).original == (-1024, 2976)
    assert any("data.range=-160,240" in note for note in source.notes)
    window = open_folder(str(tmp_path), FolderConfig(range="-160,240"))
    exact = np.clip((raw.astype(float) - 1024 + 160) / 400 * 2 - 1, -1, 1)
    np.testing.assert_allclose(floats(window)[0], exact, atol=1e-5)


def test_the_windows_of_dicom_headers_may_be_the_range(tmp_path: Path) -> None:
    raw = np.linspace(0, 4000, 64).reshape(8, 8).astype(np.uint16)
    for name, centre in (("a", 40), ("b", 50), ("c", 900)):
        dicom(
            tmp_path / f"{name}.dcm",
            raw,
            RescaleIntercept=-1024,
            RescaleSlope=1,
            WindowCenter=centre,
            WindowWidth=400,
        )
    assert image_of(open_folder(str(tmp_path), FolderConfig(range="window"))).original == (-150, 250)
    picture(tmp_path / "plain" / "a.png", raw)
    with pytest.raises(DataError, match="No header of these files has a window"):
        open_folder(str(tmp_path / "plain"), FolderConfig(range="window"))


def test_dicom_without_an_ending_is_known_by_its_content(tmp_path: Path) -> None:
    raw = np.arange(64, dtype=np.uint16).reshape(8, 8)
    for name in ("IM0001", "1.2.840.113619", "slice.ima"):
        dicom(tmp_path / name, raw)
    (tmp_path / "README").write_text("no picture")
    (tmp_path / "DICOMDIR").write_bytes((tmp_path / "IM0001").read_bytes())
    source = open_folder(str(tmp_path))
    assert sorted(source.items) == ["1.2.840.113619 [0]", "IM0001 [0]", "slice.ima [0]"]
    assert image_of(source).original == (0, 63)
    assert row(source.card, "ignored")[0] == "2: 2 without ending"


def test_dicom_without_an_image_says_so(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16))
    file = pydicom.dcmread(tmp_path / "a.dcm")
    for name in ("PixelData", "Rows", "Columns"):
        del file[name]
    file.save_as(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match="it has no image"):
        image_files.inspect_image(tmp_path / "a.dcm")


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm"])
def test_compressed_dicom_names_a_decoder(name: str) -> None:
    path = get_testdata_file(name)
    header = image_files.inspect_image(Path(path))
    frame = ImageFrame(header.height, header.width, 1, "crop", image_files.ValueRange("int32", 0, 4095))
    with pytest.raises(ValueError, match=r"it is compressed .* pip install pylibjpeg"):
        image_files.decode_image(Path(path), frame)


def test_run_length_encoded_dicom_needs_no_decoder() -> None:
    frame = ImageFrame(64, 64, 1, "crop", image_files.ValueRange("int32", 0, 4095))
    plain, packed = (
        image_files.decode_image(Path(get_testdata_file(name)), frame)
        for name in ("MR_small.dcm", "MR_small_RLE.dcm")
    )
    np.testing.assert_array_equal(packed, plain)


def test_previews_show_something_beside_a_hot_pixel(tmp_path: Path) -> None:
    values = np.tile(ramp(16, 16, 1000), (1, 1))
    values[3, 3] = 65_000
    picture(tmp_path / "a.png", values)
    source = open_folder(str(tmp_path))
    field = image_of(source)
    assert field.original == (0, 65_535)
    drawn = ImageMedia().preview(field, source.read(0)["image"][None])
    assert np.asarray(Image.open(BytesIO(drawn.data))).std() > 50
    plain = open_folder(str(tmp_path), FolderConfig(range="0,65000"))
    assert "window" not in image_of(plain).facts  # a range that was chosen is shown as it is


def test_one_normal_class_keeps_the_others_for_evaluation(tmp_path: Path) -> None:
    for folder, many in (("train/good", 4), ("test/good", 2), ("test/crack", 3)):
        for number in range(many):
            picture(tmp_path / folder / f"{number}.png")
    source, held_out = open_folder(str(tmp_path)), open_held_out(str(tmp_path))
    assert source.fields[1].classes == ("crack", "good")
    assert {int(source.read(at)["label"]) for at in range(4)} == {1}
    assert held_out is not None
    assert len(held_out.items) == 5
    assert any("data.only=good" in note for note in source.notes)


def test_dicom_frames_are_samples_and_black_is_dark(tmp_path: Path) -> None:
    raw = np.stack([np.full((4, 4), level, np.uint16) for level in (0, 1000, 4095)])
    dicom(tmp_path / "a.dcm", raw, NumberOfFrames=3, PhotometricInterpretation="MONOCHROME1")
    source = open_folder(str(tmp_path))
    assert [float(floats(source, index).mean()) for index in range(3)] == [
        1,
        pytest.approx(0.512, abs=1e-3),
        -1,
    ]


def test_dicom_of_single_bits_has_a_limit_too(tmp_path: Path) -> None:
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "NumberOfFrames": 10**9}
    dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16), **bits)
    with pytest.raises(ValueError, match="64,000,000,000 bytes of values are more than"):
        image_files.inspect_image(tmp_path / "a.dcm")


def test_nifti_slices_are_samples(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 900, (6, 8, 5)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii.gz")
    source = open_folder(str(tmp_path))
    assert len(source.items) == 5
    assert image_of(source).shape == (1, 8, 6)
    assert np.array_equal(source.read(3)["image"][0], volume[:, ::-1, 3].T)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dicom(tmp_path / "a.dcm", np.zeros((4, 4)))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(DataError) as caught:
        opened(tmp_path, tmp_path / "cache")
    assert "needs the package pydicom" in str(caught.value)
    assert "pip install pydicom" in str(caught.value)


def test_colour_profiles_become_srgb(tmp_path: Path) -> None:
    # A profile with red and green exchanged: its colours are easy to tell.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert profile.count(b"rXYZ") == profile.count(b"gXYZ") == 1
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[..., 0] = 250
    for name, options in {
        "a.png": {"icc_profile": swapped},
        "b.png": {},
        "c.png": {"icc_profile": b"?"},
    }.items():
        picture(tmp_path / name, colours, **options)
    source = open_folder(str(tmp_path))
    assert row(source.card, "colours")[0].startswith("1 image ")
    assert np.abs(source.read(0)["image"][:, 0, 0].astype(int) - [0, 250, 0]).max() < 12
    assert (
        source.read(1)["image"][:, 0, 0].tolist() == source.read(2)["image"][:, 0, 0].tolist() == [250, 0, 0]
    )


def test_a_large_jpeg_is_read_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    across = np.linspace(0, 255, 3000)[None] * np.linspace(0.2, 1, 2000)[:, None]
    colours = np.stack([across, across[::-1], across[:, ::-1]], 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "a.jpg", colours, quality=95, exif=exif)
    sizes = []
    shrunk = pillow_files._shrunk
    monkeypatch.setattr(pillow_files, "_shrunk", lambda *args: [sizes.append(args[0].size), shrunk(*args)][1])
    frame = ImageFrame(64, 48, 3, "crop")
    small = image_files.decode_image(tmp_path / "a.jpg", frame)
    assert sizes == []  # small enough to be converted at once
    monkeypatch.setattr(pillow_files, "_draft", lambda *_: None)
    whole = image_files.decode_image(tmp_path / "a.jpg", frame)
    assert sizes == [(3000, 2000)]
    assert np.abs(small.astype(int) - whole).max() <= 3


@pytest.mark.parametrize("name", ["five.tif", "a.dcm", "a.nii", "a.nii.gz", "a.npy"])
def test_damaged_files_are_only_unusable(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, draws = tmp_path / name, np.random.default_rng(0)
    values = draws.integers(0, 900, (9, 8, 5)).astype(np.int16)
    if name == "five.tif":
        tifffile.imwrite(path, values, planarconfig="contig", photometric="minisblack")
    elif name == "a.dcm":
        dicom(path, values[..., 0])
    elif name == "a.npy":
        np.save(path, values)
    else:
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    good = path.read_bytes()
    for trial in range(60):
        content = bytearray(good[: draws.integers(len(good))] if trial % 2 else good)
        for place in draws.integers(0, max(1, min(len(content), 400)), 6):
            content[place : place + 1] = bytes([draws.integers(256)])
        path.write_bytes(content)
        with warnings.catch_warnings():
            image_files.silence_pillow()
            header = image_files.read_image_header(path)
            with suppress(OSError, ValueError):
                values_range = image_files.ValueRange("float32", 0, 900)
                channels = header.channels if header else 1
                image_files.decode_image(path, ImageFrame(8, 8, channels, "crop", values_range))
    assert capfd.readouterr() == ("", "")


# --- one decoder ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("kind", ["deep.png", "float.tif", "five.npy", "alpha.png", "turned.jpg"])
def test_inputs_are_read_as_in_training(tmp_path: Path, kind: str, fit: str) -> None:
    path, draws = tmp_path / kind, np.random.default_rng(0)
    if kind == "deep.png":
        picture(path, draws.integers(0, 4096, (90, 70)).astype(np.uint16))
    elif kind == "float.tif":
        tifffile.imwrite(path, draws.normal(0, 5, (90, 70)).astype(np.float32))
    elif kind == "five.npy":
        np.save(path, draws.integers(-900, 3000, (5, 90, 70)).astype(np.int16))
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        noise = draws.integers(0, 256, (90, 70, 4 if kind == "alpha.png" else 3), np.uint8)
        picture(path, noise, **({"exif": exif} if kind == "turned.jpg" else {}))
    source = open_folder(str(tmp_path), FolderConfig(fit=fit, height=32))
    field = Field.from_json(image_of(source).to_json())  # as a bundle has it
    read = ImageMedia().read(field, path, {"fit": fit, "pages": "auto"})
    assert np.array_equal(as_floats(field, read)[0], floats(source))
    assert len(np.unique(read)) > 256 or field.original is None
    assert "90x70" in ImageMedia().changes(field, path, {}) or "70x90" in ImageMedia().changes(
        field, path, {}
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_samples_are_written_in_the_original_values(tmp_path: Path, dtype: Any, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 900, (channels, 6, 7)).astype(dtype)
    values.flat[:2] = 0, 1000
    if dtype != np.uint16:
        values -= 300
    if dtype == np.int32:
        values *= 1000
    np.save(tmp_path / "a.npy", values)
    source = open_folder(str(tmp_path))
    field = image_of(source)
    ImageMedia().write(field, floats(source)[None], tmp_path / "out.tif", single=True)
    back = tifffile.imread(tmp_path / "out.tif")
    assert back.dtype == dtype
    exact = values[0] if channels == 1 else values.transpose(1, 2, 0)
    np.testing.assert_allclose(back, exact, atol=0 if np.dtype(dtype).kind in "iu" else 1e-3)
    ImageMedia().write(field, np.stack([floats(source), -floats(source)]), tmp_path / "two.tif")
    with tifffile.TiffFile(tmp_path / "two.tif") as pages:
        first, second = (page.asarray() for page in pages.pages)
    np.testing.assert_array_equal(first, back)  # neither a border nor enlarged
    low, high = field.original or (0, 0)
    np.testing.assert_allclose(second, low + high - exact, atol=1 if np.dtype(dtype).kind in "iu" else 1e-3)


# --- aspect ---------------------------------------------------------------------------------------


def test_wide_pictures_stay_wide(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png", np.zeros((32, 355), np.uint8))
    source = open_folder(str(tmp_path))
    _, height, width = image_of(source).shape
    assert width / height == pytest.approx(355 / 32, rel=0.05)
    assert 0.8 < height * width / 64**2 < 1.2
    assert source.notes == ()
    square = open_folder(str(tmp_path), FolderConfig(height=64))
    assert image_of(square).shape == (1, 64, 64)
    assert any(
        "cuts away 91% of an image on average" in note and "data.fit=pad" in note for note in square.notes
    )
    assert row(square.card, "cut away")[0] == "91% on average, 91% at most"
    assert open_folder(str(tmp_path), FolderConfig(height=64, fit="pad")).notes == ()


def test_pictures_that_lose_most_or_are_tiny_are_named(tmp_path: Path) -> None:
    for number in range(30):
        picture(tmp_path / f"{number}.png", np.zeros((64, 64), np.uint8))
    picture(tmp_path / "banner.png", np.zeros((60, 400), np.uint8))
    picture(tmp_path / "pixel.png", np.zeros((1, 1), np.uint8))
    assert list(open_folder(str(tmp_path)).notes) == [
        "1 image is smaller than half of a sample, such as pixel.png",
        "1 image is cut by more than half, such as banner.png",
    ]


def test_few_pictures_are_said(tmp_path: Path) -> None:
    for number in range(50):
        picture(tmp_path / f"{number}.png", np.zeros((8, 8), np.uint8))
    plan = resolve("dcgan", load_registry(), overrides={"data.source": f"folder:{tmp_path}"})
    assert not [note for note in open_data(plan).notes if note.startswith("few")]
    (tmp_path / "0.png").unlink()
    assert "few images, 49" in open_data(plan).notes[0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((200, 178), (64, 64)), ((300, 400), (56, 76)), ((400, 300), (76, 56)), ((256, 256), (64, 64))],
)
def test_default_sizes(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    picture(tmp_path / "a.png", np.zeros(size, np.uint8))
    assert image_of(open_folder(str(tmp_path))).shape[1:] == expected


def test_one_odd_picture_does_not_change_the_size_of_the_others(tmp_path: Path) -> None:
    for number in range(9):
        picture(tmp_path / f"{number}.png", np.zeros((32, 24), np.uint8))
    assert image_of(open_folder(str(tmp_path))).shape == (1, 32, 24)
    picture(tmp_path / "odd.png", np.zeros((200, 150), np.uint8))
    source = open_folder(str(tmp_path))
    assert image_of(source).shape == (1, 32, 24)
    assert "1 had another size" in row(source.card, "size")[1]
    picture(tmp_path / "another.png", np.zeros((100, 75), np.uint8))  # 9 of 11: none is usual
    assert image_of(open_folder(str(tmp_path))).shape == (1, 76, 56)


# --- folders --------------------------------------------------------------------------------------


def test_parts_are_not_classes(tmp_path: Path) -> None:
    for part, many in {"train": 6, "val": 2, "test": 3}.items():
        for name in ("cat", "dog"):
            for number in range(many):
                picture(tmp_path / part / name / f"{number}.png", np.full((8, 8), len(part), np.uint8))
    source = open_folder(str(tmp_path))
    assert len(source.items) == 12
    assert all(item.startswith("train/") for item in source.items)
    assert source.fields[1].classes == ("cat", "dog")
    assert any(
        "12 files of train for training, 6 of test held out, 4 of val are left out" in n for n in source.notes
    )
    held_out = open_held_out(str(tmp_path))
    assert len(held_out.items) == 6
    assert held_out.fields == source.fields
    assert int(held_out.read(5)["label"]) == 1
    assert open_held_out(str(tmp_path / "train")) is None


def test_odd_folders_are_noticed(tmp_path: Path) -> None:
    for name, many in {"elf": 30, "orc": 25, "rare": 3}.items():
        for number in range(many):
            picture(tmp_path / "images" / name / ("16x16" if number % 2 else "32x32") / f"{number}.png")
    picture(tmp_path / "images" / "cover.png")
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "images" / "elf", target_is_directory=True)
    (tmp_path / "images" / "notes.txt").write_text("x")
    source = open_folder(str(tmp_path))
    notes = "\n".join(source.notes)
    assert source.fields[1].classes == ("elf", "orc", "rare")
    assert len(source.items) == 58
    assert "1 image beside the 3 class folders left out, such as images/cover.png" in notes
    assert "1 of 3 classes have fewer than 10 images (rare 3)" in notes
    assert "named by sizes (16x16, 32x32)" in notes
    assert "to folders not followed: images/linked" in notes
    assert row(source.card, "classes")[0] == "3 sub-folders: elf 30, orc 25, rare 3"
    assert row(source.card, "ignored")[0] == "1: 1 .txt"
    assert row(source.card, "files")[0] == "59 .png"


def test_size_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ("16x16", "32x32"):
        picture(tmp_path / name / "a.png")
    source = open_folder(str(tmp_path))
    assert len(source.fields) == 1
    assert any("named by sizes" in note for note in source.notes)
    for name in ("0", "1"):  # digits are classes
        picture(tmp_path / "digits" / name / "a.png")
    assert open_folder(str(tmp_path / "digits")).fields[1].classes == ("0", "1")


def test_svg_alone_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    with pytest.raises(DataError, match="1 SVG files") as caught:
        open_folder(str(tmp_path))
    assert "rsvg-convert" in str(caught.value)


def test_the_card_counts_copies_and_reasons(tmp_path: Path) -> None:
    for number in range(200):
        picture(tmp_path / "p" / f"{number}.png", np.full((8, 8), number % 150, np.uint8))
    (tmp_path / "p" / "bad.png").write_bytes(b"")
    picture(tmp_path / "p" / "clear.png", np.zeros((8, 8, 4), np.uint8))
    found = opened(tmp_path / "p", tmp_path / "cache")
    assert row(found.card, "samples") == ("201", "50 exact copies of others")
    assert row(found.card, "skipped") == ("1", "1 .png: the file is empty")
    assert "1 image may be transparent: put on white" in row(found.card, "channels")[1]
    assert opened(tmp_path / "p", tmp_path / "cache").card == found.card  # from the cache


# --- the second time ------------------------------------------------------------------------------


def test_a_changed_file_is_decoded_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    for number in range(20):
        picture(tmp_path / "p" / f"{number:02}.png", np.full((8, 8), number, np.uint8))
    before = opened(tmp_path / "p").arrays["image"][:, 0, 0, 0].tolist()
    read: list[str] = []
    for module, name in ((image_files, "decode_pixels"), (image_files, "read_pillow_header")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda p, *a, real=real: [read.append(p.name), real(p, *a)][1])
    picture(tmp_path / "p" / "07.png", np.full((8, 8), 99, np.uint8))
    (tmp_path / "p" / "03.png").unlink()
    picture(tmp_path / "p" / "99.png", np.full((8, 8), 50, np.uint8))
    after = opened(tmp_path / "p").arrays["image"][:, 0, 0, 0].tolist()
    assert before == list(range(20))
    assert after == [*range(3), *range(4, 7), 99, *range(8, 20), 50]
    assert sorted(read) == ["07.png"] * 2 + ["99.png"] * 2  # header and pixels of each


# --- from files to files --------------------------------------------------------------------------


def test_from_twelve_bits_to_sixteen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))

    def run(*words: object) -> str:
        result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stderr

    twelve_bits(tmp_path / "p")
    length = ("--images", 16, "--batch-size", 8, "--device", "cpu")
    said = run(
        "train", "vanilla", "--data", f"folder:{tmp_path / 'p'}", *length, "--run-dir", tmp_path / "run"
    )
    assert "values: 16 bits, 0..800 become -1..1" in said
    assert f"real samples: {tmp_path / 'run' / 'samples' / 'real-image.png'}" in said
    record = Run.open(tmp_path / "run").record
    assert ["size", "16x16 (height x width)", "kept"] in record["data"]["card"]
    real = np.asarray(Image.open(tmp_path / "run" / "samples" / "real-image.png"))
    assert np.ptp(real[8:-8, 8:-8]) == 255
    assert "1.2% of the range" in run("train", "--resume", tmp_path / "run", "--images", 24)
    kept = [note["text"] for note in Run.open(tmp_path / "run").notes()]
    assert len([text for text in kept if "1.2% of the range" in text]) == 1  # said again, but kept once
    run("export", tmp_path / "run", "-o", tmp_path / "bundle")
    run("generate", tmp_path / "bundle", "-n", 1, "--seed", 3, "-o", tmp_path / "out.tif")
    made = tifffile.imread(tmp_path / "out.tif")
    assert (made.dtype, made.shape) == (np.uint16, (16, 16))
    assert 255 < made.max() <= 800
