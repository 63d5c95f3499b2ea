"""Volumes: files of scanners as data, files that other programs read back, networks in three dimensions."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import ganzoo
from ganzoo.api import DataError, DataInfo, Field, ItemSource, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import layer
from ganzoo.data.dataset import open_source
from ganzoo.data.suited import suited
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder
from ganzoo_volumes import files
from ganzoo_volumes.config import Conv3dConfig, PhantomsConfig, VolumesConfig
from ganzoo_volumes.datasets import open_held_out, open_volumes
from ganzoo_volumes.features import VolumeBlocks
from ganzoo_volumes.files import found_volumes, nifti_values
from ganzoo_volumes.media import AXES, VolumeMedia, original_values
from ganzoo_volumes.networks import build
from ganzoo_volumes.phantoms import open_phantoms
from ganzoo_volumes.sizes import fitted, resampled
from tests.helpers.evaluating import ganzoo as ganzoo_command

Array = NDArray[Any]
REAL = Path(nibabel.__file__).parent / "tests" / "data"
DISKS = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
TINY = {
    "train.device": "cpu", "train.precision": "fp32", "train.images": 32, "train.batch_size": 8,
    "architecture.generator_width": 4, "architecture.discriminator_width": 4, "architecture.latent": 4,
    "data.count": 40, "data.side": 9,
}  # fmt: skip


def field(shape: tuple[int, ...] = (1, 4, 5, 6), **more: Any) -> Field:
    facts = {"values": "uint16", "spacing": [3.0, 2.0, 1.5], "units": "mm", **more}
    return Field(
        name="volume",
        shape=shape,
        kind="volume",
        axes=AXES,
        range=(-1.0, 1.0),
        original=(0.0, 4095.0),
        facts=facts,
    )


def nifti(path: Path, values: Array, sizes: tuple[float, float, float] = (1.5, 2.0, 3.0)) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*sizes, 1.0])), path)


def series(
    folder: Path, count: int, *, suffix: str = "", uid: str = "", shift: float = 0, **tags: Any
) -> Array:
    """DICOM files of slices 2.5 mm apart, written in a wrong order; the volume in its units."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = np.random.default_rng(count).integers(0, 3000, (count, 6, 5)).astype(np.uint16)
    uid = uid or generate_uid()
    for at in range(count):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
            "1.2.840.10008.5.1.4.1.1.2",
            generate_uid(),
        )
        file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        file.Rows, file.Columns, file.SamplesPerPixel = 6, 5, 1
        file.BitsAllocated = file.BitsStored = 16
        file.HighBit, file.PixelRepresentation, file.PhotometricInterpretation = 15, 0, "MONOCHROME2"
        file.SeriesInstanceUID, file.PixelSpacing = uid, [0.5, 0.75]
        file.ImageOrientationPatient, file.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.5 * at + shift]
        file.RescaleSlope, file.RescaleIntercept = 1, -1024
        file.PixelData = raw[at].tobytes()
        for name, value in tags.items():
            setattr(file, name, value)
        file.save_as(folder / f"IM{(7 * at) % count:03}{suffix}", enforce_file_format=True)
    return raw.astype(np.int32) - 1024


def only(source: ItemSource) -> Array:
    """The single volume, in original values."""
    return source.read(0)["volume"][0]


# --- reading --------------------------------------------------------------------------------------


def test_a_dicom_series_is_a_volume_in_its_units_whatever_the_names(tmp_path: Path) -> None:
    wanted = series(tmp_path / "patient", 6)
    source = open_volumes(str(tmp_path))
    volume = source.fields[0]
    np.testing.assert_array_equal(only(source), wanted)
    assert volume.shape == (1, 6, 6, 5)
    assert volume.facts["spacing"] == [2.5, 0.5, 0.75]
    assert volume.original == (wanted.min(), wanted.max())
    assert volume.facts["values"] == "int16"


def test_series_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    series(tmp_path, 4)
    series(tmp_path / "b", 5, suffix=".dcm")
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / f"b{path.name}")
    (tmp_path / "b").rmdir()
    found, unread = found_volumes(tmp_path, "")
    assert sorted(volume.shape[0] for volume in found) == [4, 5]
    assert not unread


def test_the_window_of_the_header_may_be_the_range(tmp_path: Path) -> None:
    series(tmp_path, 4, WindowCenter=40, WindowWidth=400)
    volume = open_volumes(str(tmp_path)).fields[0]
    assert volume.facts["window"] == [-160, 240]
    assert open_volumes(str(tmp_path), VolumesConfig(range="window")).fields[0].original == (-160, 240)


def test_a_window_of_no_width_is_none(tmp_path: Path) -> None:
    series(tmp_path, 4, WindowCenter=40, WindowWidth=0)
    for opened in (open_volumes(str(tmp_path)), open_folder(str(tmp_path))):
        assert not any("40,40" in note for note in opened.notes)
    with pytest.raises(DataError, match="window"):
        open_volumes(str(tmp_path), VolumesConfig(range="window"))
    with pytest.raises(DataError, match="window"):
        open_folder(str(tmp_path), FolderConfig(range="window"))


def test_units_of_a_scanner_fit_sixteen_bits(tmp_path: Path) -> None:
    """12 bits and an intercept: nobody is told to train on 32 bits."""
    series(tmp_path, 4, BitsStored=12, HighBit=11)
    source = open_folder(str(tmp_path))
    assert any("16 bits, signed" in value for name, value, _ in source.card if name == "values")
    assert source.fields[0].facts["values"] == "int16"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "it has colours"),
        (np.zeros((4, 5, 6), np.complex64), "complex64"),
    ],
)
def test_nifti_without_one_number_per_voxel_says_why(tmp_path: Path, values: Array, why: str) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match=why):
        open_volumes(str(tmp_path))


def test_a_range_without_values_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    with pytest.raises(SettingsError, match=r"they are 0\.\.59"):
        open_volumes(str(tmp_path), VolumesConfig(range="100,200"))
    assert open_volumes(str(tmp_path), VolumesConfig(range="10,20")).fields[0].original == (10, 20)


def test_a_truncated_nifti_says_why_and_what_to_do(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 999, (14, 15, 16)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="No volume can be read") as caught:
        open_volumes(str(tmp_path))
    assert "a.nii.gz: Compressed file ended" in caught.value.where
    assert "copy them again" in caught.value.fix


def test_series_that_are_no_volume_say_why(tmp_path: Path) -> None:
    series(tmp_path / "single", 1)
    uid = generate_uid()
    series(tmp_path / "gap", 3, uid=uid)
    series(tmp_path / "more", 3, uid=uid, shift=40)
    for path in (tmp_path / "more").iterdir():
        path.rename(tmp_path / "gap" / f"B{path.name}")
    found, unread = found_volumes(tmp_path, "")
    assert not found
    assert any("single slice" in bad.why for bad in unread)
    assert any("slices are missing" in bad.why for bad in unread)
    assert not any(bad.damaged for bad in unread)


def test_real_series_of_a_disk_are_read() -> None:
    found, unread = found_volumes(DISKS / "98892001", "")
    assert [(volume.name, volume.shape) for volume in found] == [("CT5N/series-0", (5, 16, 16))]
    assert found[0].spacing == pytest.approx((2.5, 0.488281, 0.488281))
    assert found[0].window == (-160, 240)
    assert unread  # CT2N has two slices at one position


def test_nifti_is_turned_to_the_usual_axes(tmp_path: Path) -> None:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    flipped = np.diag([-1.5, -2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(values, flipped), tmp_path / "a.nii.gz")
    found = found_volumes(tmp_path, "")[0][0]
    assert (found.shape, found.spacing) == ((6, 5, 4), (3, 2, 1.5))
    # Depth upwards, height from the front to the back, width from the left to the right.
    np.testing.assert_array_equal(found.values(), values[::-1, ::-1].transpose(2, 1, 0)[:, ::-1])


def test_real_nifti_with_scaled_values() -> None:
    found = {volume.name: volume for volume in found_volumes(REAL, "all")[0]}
    wanted = nibabel.as_closest_canonical(nibabel.load(REAL / "anatomical.nii")).get_fdata()
    np.testing.assert_allclose(found["anatomical.nii"].values(), wanted.transpose(2, 1, 0)[:, ::-1])
    assert found["example4d.nii.gz"].spacing == pytest.approx((2.2, 2, 2), abs=1e-5)


def test_four_dimensions_need_a_word(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 3)).astype(np.int16)
    nifti(tmp_path / "a.nii", values)
    with pytest.raises(DataError, match="has 3 volumes") as caught:
        open_volumes(str(tmp_path))
    assert "data.frame=0" in str(caught.value.fix)
    np.testing.assert_array_equal(
        only(open_volumes(str(tmp_path), VolumesConfig(frame=1))),  # as `--set data.frame=1` gives it
        values[..., 1].transpose(2, 1, 0)[:, ::-1],
    )
    assert len(open_volumes(str(tmp_path), VolumesConfig(frame="all")).items) == 3
    with pytest.raises(DataError, match="no volume that can be read") as caught:
        open_volumes(str(tmp_path), VolumesConfig(frame="3"))
    assert "no number 3" in str(caught.value.where)


def test_one_number_is_a_cube_and_values_that_are_not_finite_are_replaced(tmp_path: Path) -> None:
    assert VolumesConfig(size=32).sides == (32, 32, 32)
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4)
    values[0, 0, 1], values[0, 0, 2], values[0, 0, 3] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", values)
    made = only(open_volumes(str(tmp_path), VolumesConfig(range="0,1")))
    assert made.flat[1:4].tolist() == [-1, 1, -1]
    np.save(tmp_path / "b.npy", np.full((4, 4, 4), np.nan, np.float32))
    source = open_volumes(str(tmp_path), VolumesConfig(range="0,1"))
    with pytest.raises(ValueError, match="no finite value"):
        source.read(1)


def test_stacks_and_arrays_are_volumes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 5000, (4, 5, 6)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", values, imagej=True, resolution=(2, 4), metadata={"spacing": 3, "unit": "mm"}
    )
    np.save(tmp_path / "b.npy", values.astype(np.float32))
    found, _ = found_volumes(tmp_path, "")
    assert [volume.spacing for volume in found] == [(3, 0.25, 0.5), (1, 1, 1)]
    assert [volume.units for volume in found] == ["mm", "voxels"]
    for volume in found:
        np.testing.assert_array_equal(volume.values(), values)


def test_sub_folders_are_classes_and_parts(tmp_path: Path) -> None:
    for part, name, count in (("train", "a", 3), ("train", "b", 2), ("test", "b", 1)):
        folder = tmp_path / part / name
        folder.mkdir(parents=True)
        for at in range(count):
            nifti(folder / f"{at}.nii.gz", np.full((4, 4, 4), at, np.int16))
    source, held_out = open_volumes(str(tmp_path)), open_held_out(str(tmp_path))
    assert source.fields[1].classes == ("a", "b")
    assert [int(source.read(at)["label"]) for at in range(5)] == [0, 0, 0, 1, 1]
    assert held_out is not None
    assert held_out.fields == source.fields
    assert len(held_out.items) == 1
    assert open_held_out(str(tmp_path / "train")) is None


def test_values_that_are_not_numbers_become_the_lowest(tmp_path: Path) -> None:
    values = np.linspace(5, 9, 64, dtype=np.float32).reshape(4, 4, 4)
    values[0, 0, 0] = np.nan
    nifti(tmp_path / "a.nii", values)
    data = open_source(open_volumes(str(tmp_path)))
    assert data.fields[0].original == pytest.approx((values[~np.isnan(values)].min(), 9))
    assert data.arrays["volume"].min() == -1
    assert np.isfinite(data.arrays["volume"]).all()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    nifti(tmp_path / "good.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4))
    (tmp_path / "cut.nii").write_bytes((tmp_path / "good.nii").read_bytes()[:300])
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "text.tif").write_text("no tiff")
    np.save(tmp_path / "flat.npy", np.zeros((3, 3)))
    Image.new("L", (8, 8)).save(tmp_path / "one.tif")
    source = open_volumes(str(tmp_path))
    assert source.items == ["good.nii"]
    assert {name for name, _ in source.damaged} == {"cut.nii", "empty.nii.gz", "text.tif"}
    assert {name for name, _ in source.unfit} == {"flat.npy", "one.tif"}
    with pytest.raises(DataError, match="3 of 6"):
        open_source(source)
    for name in ("empty.nii.gz", "text.tif", "cut.nii"):
        (tmp_path / name).unlink()
    data = open_source(open_volumes(str(tmp_path)))
    assert data.count == 1
    assert dict(data.skipped) == dict(source.unfit)
    assert "2 of 3 items cannot be used" in data.notes[-1]
    for name in ("empty.nii.gz", "text.tif", "cut.nii"):
        (tmp_path / name).write_bytes(b"")
    for name in ("cut.nii", "empty.nii.gz", "text.tif", "flat.npy", "one.tif"):
        with pytest.raises(DataError, match="no volume that can be read") as caught:
            open_volumes(str(tmp_path / name))
        assert name in str(caught.value.where)


@pytest.mark.parametrize(
    "options",
    [{"size": "32"}, {"size": "0x4x4"}, {"size": "9999x4x4"}, {"frame": "first"}, {"fit": "stretch"}],
)
def test_impossible_options_are_settings_errors(options: dict[str, str]) -> None:
    given = {f"data.{key}": value for key, value in options.items()}
    with pytest.raises(SettingsError, match="invalid value"):
        resolve("dcgan-3d", load_registry(), overrides={"data.source": "volumes:x", **given})


@pytest.mark.parametrize("text", ["high", "3,1", "1%,2", "nan,1", "1%,200%"])
def test_no_range_of_values(tmp_path: Path, text: str) -> None:
    nifti(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4))
    with pytest.raises(SettingsError, match="no range of values"):
        open_volumes(str(tmp_path), VolumesConfig(range=text))
    with pytest.raises(DataError, match="has a window"):
        open_volumes(str(tmp_path), VolumesConfig(range="window"))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nifti(tmp_path / "a.nii", np.zeros((4, 4, 4), np.int16))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(DataError, match="needs the package nibabel") as caught:
        open_volumes(str(tmp_path))
    assert "[pictures]" in str(caught.value.fix)


# --- sizes ----------------------------------------------------------------------------------------


def test_resampling_keeps_a_gradient_and_the_mean() -> None:
    z, y, x = np.meshgrid(*[np.arange(size) + 0.5 for size in (8, 12, 16)], indexing="ij")
    plane = 3 * z + 2 * y + x
    half = resampled(plane, (4, 6, 8))
    z, y, x = np.meshgrid(*[2 * np.arange(size) + 1 for size in (4, 6, 8)], indexing="ij")
    np.testing.assert_allclose(half[1:-1, 1:-1, 1:-1], (3 * z + 2 * y + x)[1:-1, 1:-1, 1:-1], rtol=0.02)
    assert half.mean() == pytest.approx(plane.mean(), rel=1e-3)


def test_the_three_ways_to_another_shape() -> None:
    values = np.arange(2 * 4 * 4, dtype=np.int16).reshape(2, 4, 4) + 1
    cropped, spacing = fitted(values, (5, 1, 1), (4, 2, 2), "crop", 0)
    np.testing.assert_array_equal(cropped[1:3], values[:, 1:3, 1:3])
    assert not cropped[[0, 3]].any()
    assert spacing == (5, 1, 1)
    stretched, spacing = fitted(values, (5, 1, 1), (4, 4, 4), "resample", 0)
    assert (stretched.shape, spacing) == ((4, 4, 4), (2.5, 1, 1))
    padded, spacing = fitted(values, (4, 1, 1), (4, 4, 4), "pad", -7)  # 8 x 4 x 4 mm
    assert spacing == (2, 2, 2)
    assert (padded[:, [0, -1]] == -7).all()
    assert (padded[:, 1:3, 1:3] > 0).all()


# --- files and previews ---------------------------------------------------------------------------


def test_nifti_and_tiff_come_back_with_values_and_voxel_sizes(tmp_path: Path) -> None:
    known, media = field(), VolumeMedia()
    values = np.random.default_rng(0).integers(0, 4096, (2, 1, 4, 5, 6)).astype(np.uint16)
    floats = (values / 4095 * 2 - 1).astype(np.float32)
    for suffix in (".nii.gz", ".nii", ".tif"):
        paths = media.write(known, floats, tmp_path / f"v{suffix}")
        assert [path.name for path in paths] == [f"v-0{suffix}", f"v-1{suffix}"]
        for path, volume in zip(paths, values, strict=True):
            np.testing.assert_allclose(media.read(known, path, {})[0], volume / 4095 * 2 - 1, atol=1e-6)
    image = nibabel.load(tmp_path / "v-1.nii.gz")
    assert image.header.get_zooms() == (1.5, 2, 3)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.get_data_dtype() == np.uint16
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(nifti_values(tmp_path / "v-1.nii.gz"), values[1, 0])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "v-1.tif"), values[1, 0])
    assert found_volumes(tmp_path / "v-1.tif", "")[0][0].spacing == pytest.approx((3, 2, 1.5))


def test_signed_and_floating_values_are_kept(tmp_path: Path) -> None:
    floats = np.linspace(-1, 1, 120, dtype=np.float32).reshape(1, 1, 4, 5, 6)
    for dtype, low, high in (("int16", -1000.0, 3000.0), ("float32", 0.0, 0.25)):
        known = Field(name="volume", shape=(1, 4, 5, 6), kind="volume", axes=AXES, range=(-1.0, 1.0),
                      original=(low, high), facts={"values": dtype})  # fmt: skip
        (path,) = VolumeMedia().write(known, floats, tmp_path / f"{dtype}.nii.gz")
        image = nibabel.load(path)
        assert image.get_data_dtype() == np.dtype(dtype)
        assert (image.get_fdata().min(), image.get_fdata().max()) == (low, high)
        assert original_values(known, floats).dtype == dtype


def test_a_file_of_another_size_is_resized_and_said(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz", np.full((6, 5, 8), 4095, np.uint16))
    media, known = VolumeMedia(), field()
    assert media.read(known, tmp_path / "a.nii.gz", {"fit": "crop"}).shape == (1, 1, 4, 5, 6)
    assert "8x5x6 voxels became 4x5x6" in media.changes(known, tmp_path / "a.nii.gz", {})
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"\w"):
        media.read(known, tmp_path / "bad.nii.gz", {})


def test_a_preview_shows_three_middle_slices_in_the_window() -> None:
    volume = np.full((1, 1, 8, 8, 8), -1, np.float32)
    volume[0, 0, 4] = 0.0  # the slice from above is gray, a bar in the two others
    drawn = VolumeMedia().preview(field((1, 8, 8, 8)), volume)

    def views(data: bytes) -> list[Array]:
        """The three squares of 64 pixels, between lines of two."""
        sheet = np.asarray(Image.open(BytesIO(data)))
        return [sheet[2:66, at : at + 64] for at in (2, 68, 134)]

    above, front, side = views(drawn.data)
    assert (above == 128).all()
    for view in (front, side):
        assert (view == 128).mean() == 1 / 8
        assert (view[24:32] == 128).all()  # the fifth slice from below is the fourth from above
    windowed = views(VolumeMedia().preview(field((1, 8, 8, 8), window=[0, 2047.5]), volume).data)
    assert (windowed[0] == 255).all()


def test_fields_that_are_no_volumes_are_refused() -> None:
    for wrong in (
        Field(name="x", shape=(1, 4, 4, 4), axes=AXES),
        Field(name="x", shape=(2, 4, 4, 4), axes=AXES, range=(-1.0, 1.0)),
        field(spacing=[1, 0, 1]),
    ):
        with pytest.raises(ValueError, match=r"volume is|spacing"):
            VolumeMedia().check(wrong)
    assert VolumeMedia().describe(field()) == "4 x 5 x 6 voxels of 3 x 2 x 1.5 mm"


def test_blocks_are_means_and_deviations() -> None:
    volumes = np.random.default_rng(0).normal(size=(2, 1, 8, 8, 8)).astype(np.float32)
    features = VolumeBlocks()(volumes)
    assert features.shape == (2, 128)
    first = volumes[1, 0, :2, :2, :2]
    np.testing.assert_allclose(features[1, :2], [first.mean(), first.std()], rtol=1e-5)


# --- networks, runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 11, 13), (8, 20, 16)])
def test_networks_take_any_shape(shape: tuple[int, int, int]) -> None:
    volume = field((1, *shape))
    networks = build(
        Conv3dConfig(generator_width=2, discriminator_width=2), DataInfo(fields=(volume,), count=4)
    )
    made = networks.generators["generator"].module(torch.zeros(2, 100))
    assert made.shape == (2, 1, *shape)
    assert networks.discriminators["discriminator"].module(made).shape == (2,)


def test_small_volumes_are_refused() -> None:
    with pytest.raises(DataError, match="at least 8x8x8"):
        build(Conv3dConfig(), DataInfo(fields=(field(),), count=4))


def test_phantoms_are_12_bit_volumes_with_bodies_inside() -> None:
    source = open_phantoms("", PhantomsConfig(count=6, side=16))
    volumes = source.arrays["volume"]
    assert volumes.dtype == np.uint16
    assert 2500 < volumes.max() <= 4095
    assert (volumes[:, 0, 0, 0, 0] < 200).all()
    again = open_phantoms("", PhantomsConfig(count=6, side=16)).arrays["volume"]
    np.testing.assert_array_equal(volumes, again)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ganzoo.train("dcgan-3d", settings=TINY, run_dir=tmp_path_factory.mktemp("volumes") / "run")


def test_it_resumes_exactly(tmp_path: Path) -> None:
    plan = resolve("wgan-gp-3d", load_registry(), overrides=TINY)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=16)
    resume(parts, resolve(str(parts.settings_file), load_registry()), NullReporter())
    ours, others = (read_newest(run.checkpoints)[0] for run in (whole, parts))
    assert all(torch.equal(ours[name], others[name]) for name in ours)


def test_a_run_shows_volumes_and_an_export_writes_them_without_torch(run: Run, tmp_path: Path) -> None:
    assert list((run.path / "samples").glob("*.png"))
    bundle = ganzoo.export(run, tmp_path / "bundle")
    target = tmp_path / "x.nii.gz"
    program = (
        "import sys; from ganzoo.cli import main; sys.argv[1:] = "
        f"['generate', {str(bundle.path)!r}, '-n', '1', '-o', {str(target)!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    image = nibabel.load(target)
    assert image.shape == (9, 9, 9)
    assert image.header.get_zooms() == (20, 20, 20)
    assert image.get_data_dtype() == np.uint16
    walk = tmp_path / "walk.gif"
    said = ganzoo_command("generate", bundle.path, "--walk", 6, "-n", 2, "-o", walk)
    assert said.code == 0, said.err
    with Image.open(walk) as moving:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(moving)]
    assert len(frames) == 6
    assert (frames[0] != frames[3]).any()


def test_scores_of_volumes_have_their_own_features(run: Run) -> None:
    report = ganzoo.evaluate(run, n=60)
    assert "block_distance" in report.scores
    assert report.reference["real"]["block_distance"] < report.scores["block_distance"]


def test_reading_exactly_uses_no_other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.arange(64.0).reshape(4, 4, 4))
    for name in ("nibabel", "tifffile", "pydicom"):
        monkeypatch.setitem(sys.modules, name, None)
    assert files.found_volumes(tmp_path, "")[0][0].shape == (4, 4, 4)


def test_without_a_recipe_volumes_get_one_of_theirs(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii", np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    chosen, _ = suited(load_registry(), layer("command line", {"data.source": f"volumes:{tmp_path}"}))
    assert chosen.name == "dcgan-3d"
