"""What the folders of data of any kind mean: parts, classes, hidden files, links, other files."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import ArraySource, DataError, ItemSource
from ganzoo_clips.files import measure
from ganzoo_clips.folder import open_clips
from ganzoo_datasets.config import FolderConfig, PairsConfig
from ganzoo_datasets.folder import open_folder, open_held_out
from ganzoo_datasets.idx import open_idx
from ganzoo_datasets.paired_images import open_pairs, open_unpaired
from ganzoo_datasets.picture_files import listing_of
from ganzoo_datasets.picture_folders import folders_of
from ganzoo_enlarge.config import CropsConfig
from ganzoo_enlarge.crops import open_crops, open_held_out_crops
from ganzoo_series.datasets import open_series
from ganzoo_sound.datasets import open_wav
from ganzoo_text.datasets import open_text
from ganzoo_volumes.datasets import open_volumes


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = sum(path.as_posix().encode()) % 256
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(path)


def pictures(root: Path, **counts: int) -> None:
    """So many pictures in each folder; `__` in a name stands for a slash."""
    for folder, count in counts.items():
        for number in range(count):
            picture(root / folder.replace("__", "/") / f"{number}.png")


def classes(source: ItemSource | ArraySource) -> tuple[str, ...]:
    return next((field.classes for field in source.fields if field.name == "label"), ())


def said(source: ItemSource | ArraySource, *parts: str) -> bool:
    return any(all(part in note for part in parts) for note in source.notes)


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stray", ["cover.png", "examples/1.png"])
def test_parts_are_noticed_beside_other_pictures(tmp_path: Path, stray: str) -> None:
    pictures(tmp_path, train__a=12, train__b=12, test__a=3, test__b=3)
    picture(tmp_path / stray)
    source, held_out = open_folder(str(tmp_path)), open_held_out(str(tmp_path))
    assert classes(source) == ("a", "b")
    assert len(source.items) == 24
    assert held_out is not None
    assert len(held_out.items) == 6
    assert said(source, "24 files of train", "6 of test held out", "1 outside", stray)


def test_parts_below_another_folder_are_noticed(tmp_path: Path) -> None:
    pictures(tmp_path, data__train__a=12, data__train__b=12, data__val__a=3)
    picture(tmp_path / "cover.png")
    source = open_folder(str(tmp_path))
    assert classes(source) == ("a", "b")
    assert len(source.items) == 24
    assert said(source, "3 of val held out")


def test_parts_inside_classes_are_not_trained_on(tmp_path: Path) -> None:
    pictures(tmp_path, a__train=12, a__test=3, b__train=12, b__test=2)
    source, held_out = open_folder(str(tmp_path)), open_held_out(str(tmp_path))
    assert classes(source) == ("a", "b")
    assert {name.split("/")[1] for name in source.items} == {"train"}
    assert held_out is not None
    assert sorted(int(held_out.read(at)["label"]) for at in range(5)) == [0, 0, 0, 1, 1]


def test_the_layout_of_cyclegan_names_the_data_set_for_it(tmp_path: Path) -> None:
    pictures(tmp_path, trainA=12, trainB=12, testA=3, testB=3)
    source = open_folder(str(tmp_path))
    assert classes(source) == ("A", "B")
    assert len(source.items) == 24
    assert said(source, "CycleGAN", "--data unpaired:PATH", "--set data.a=trainA --set data.b=trainB")
    with pytest.raises(DataError) as error:
        open_unpaired(str(tmp_path))
    assert "--set data.test_a=testA --set data.test_b=testB" in error.value.fix


def test_test_and_val_without_train_are_no_classes(tmp_path: Path) -> None:
    pictures(tmp_path, test=5, val=4)
    source = open_folder(str(tmp_path))
    assert classes(source) == ()
    assert len(source.items) == 9
    assert said(source, "there is no folder train", "9 images of test and val")
    assert open_held_out(str(tmp_path)) is None


@pytest.mark.parametrize("names", [("training_set", "test_set"), ("train2017", "val2017"), ("Train", "Dev")])
def test_usual_names_of_parts(tmp_path: Path, names: tuple[str, str]) -> None:
    pictures(tmp_path, **{f"{names[0]}__a": 12, f"{names[0]}__b": 12, f"{names[1]}__a": 3})
    source = open_folder(str(tmp_path))
    assert classes(source) == ("a", "b")
    assert len(source.items) == 24


def test_a_class_that_is_called_train_stays_one(tmp_path: Path) -> None:
    pictures(tmp_path, bus=12, car=12, train=12)
    source = open_folder(str(tmp_path))
    assert classes(source) == ("bus", "car", "train")
    assert said(source, "train among other folders", "folder:PATH/train")
    (tmp_path / "vehicles").mkdir()
    pictures(tmp_path / "vehicles", bus=12, car=12, tram=12, train=12, test=2)
    assert len(classes(open_folder(str(tmp_path / "vehicles")))) == 5


def test_small_classes_are_named_also_where_all_are_small(tmp_path: Path) -> None:
    pictures(tmp_path, a=3, b=3, c=4)
    assert said(open_folder(str(tmp_path)), "all 3 classes have fewer than 10 images", "a 3, b 3, c 4")
    pictures(tmp_path, c=12)
    assert said(open_folder(str(tmp_path)), "2 of 3 classes", "(a 3, b 3)")


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (("A", "B"), "data.a=A --set data.b=B"),
        (("train", "test"), "data.a=NAME --set data.b=NAME"),
        (
            ("train/a", "train/b", "test/a", "test/b"),
            "data.a=train/a --set data.b=train/b --set data.test_a=test/a --set data.test_b=test/b",
        ),
    ],
)
def test_folders_of_other_names_are_suggested(tmp_path: Path, names: tuple[str, ...], fix: str) -> None:
    pictures(tmp_path, **{name.replace("/", "__"): 2 for name in names})
    with pytest.raises(DataError) as error:
        open_pairs(str(tmp_path))
    assert fix in error.value.fix


def test_parts_of_crops_are_those_of_pictures(tmp_path: Path) -> None:
    for folder, count in (("x/train", 6), ("x/test", 2), ("y/train", 6)):
        for number in range(count):
            path = tmp_path / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 80), (number, 0, 0)).save(path)
    config = CropsConfig(size=64, count=50)
    held_out = open_held_out_crops(str(tmp_path), config)
    assert not any("/test/" in name for name in open_crops(str(tmp_path), config).items)
    assert held_out is not None
    assert all(name.startswith("x/test/") for name in held_out.items)


@pytest.mark.parametrize("names", [("train.txt", "test.txt"), ("train/a.txt", "val/a.txt")])
def test_parts_of_texts_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        lines(tmp_path / name)
    assert said(open_text(str(tmp_path)), "train and of other parts are used together")
    (tmp_path / names[1]).unlink()
    assert not said(open_text(str(tmp_path)), "parts")


def test_parts_of_series_are_named(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        numbers(tmp_path / name)
    assert said(open_series(str(tmp_path)), "train and of other parts are entities")


# --- folders named by sizes -----------------------------------------------------------------------


def sized(root: Path, *folders: str, names: str = "abcdefghijkl", side: int = 0) -> None:
    """A picture of each name in each folder, with as many pixels a side as the folder says."""
    for folder in folders:
        for at, name in enumerate(names):
            path = root / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = side or int(path.parent.name.partition("x")[0])
            Image.new("RGB", (pixels, pixels), (20 * at, 0, 0)).save(path)


@pytest.mark.parametrize(
    "folders", [("64", "128"), ("64", "128", "256x256"), ("icons/64", "icons/128"), ("8", "16", "32", "1024")]
)
def test_sizes_without_units_are_no_classes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    sized(tmp_path, *folders)
    source = open_folder(str(tmp_path))
    assert classes(source) == ()
    assert len(source.items) == 12 * len(folders)
    assert said(
        source, "named by sizes", "each has images of the same 12 names", f"folder:PATH/{folders[-1]}"
    )


def test_one_picture_in_folders_of_sizes_is_one(tmp_path: Path) -> None:
    sized(tmp_path, "64", "128", names="a")
    assert said(open_folder(str(tmp_path)), "each has one image of the same name, all are trained on")


@pytest.mark.parametrize(
    ("folders", "advice"),
    [
        (("train/32", "train/64", "test/32", "test/64"), "folder:PATH/train/64, which has none of the held"),
        (("32/train", "64/train", "32/test", "64/test"), "folder:PATH/64"),
        (("32/train/x", "64/train/x"), "folder:PATH/64"),
    ],
)
def test_advice_for_one_size_says_that_held_out_pictures_are_lost(
    tmp_path: Path, folders: tuple[str, ...], advice: str
) -> None:
    for folder in folders:
        side = next(int(part) for part in folder.split("/") if part.isdigit())
        for name in "abc":
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, side)).save(tmp_path / folder / f"{name}.png")
    source = open_folder(str(tmp_path))
    assert said(source, "named by sizes", advice)
    assert said(source, "none of the held-out images") == ("which" in advice)


@pytest.mark.parametrize("names", [("IM1", "IM2", "IM3"), ("1.2.840.1", "1.2.840.2", "1.2.840.3")])
def test_dicom_files_without_endings_are_told_apart(tmp_path: Path, names: tuple[str, ...]) -> None:
    listing = listing_of(tmp_path, [f"{side}x{side}/{name}" for side in (32, 64) for name in names])
    (note,) = folders_of(listing, labels=True).notes
    assert "each has images of the same 3 names" in note
    others = [f"32x32/{name}" for name in names] + [f"64x64/{name}7" for name in names]
    (note,) = folders_of(listing_of(tmp_path, others), labels=True).notes
    assert "may be in each" in note


def test_sizes_with_other_pictures_are_no_classes(tmp_path: Path) -> None:
    sized(tmp_path, "64", names="abcdef")
    sized(tmp_path, "128", names="ghijkl")
    source = open_folder(str(tmp_path))
    assert classes(source) == ()
    assert said(source, "named by sizes (64, 128)", "may be in each")


@pytest.mark.parametrize(
    ("folders", "side"),
    [
        (tuple("0123456789"), 28),  # MNIST
        (("64", "65"), 64),  # characters, by their code
        (("64", "128"), 32),
        (("10", "20", "30"), 10),
    ],
)
def test_other_numbers_are_classes(tmp_path: Path, folders: tuple[str, ...], side: int) -> None:
    sized(tmp_path, *folders, side=side)
    source = open_folder(str(tmp_path))
    assert classes(source) == tuple(sorted(folders))
    assert not said(source, "sizes")


def test_sizes_without_units_inside_classes_are_named(tmp_path: Path) -> None:
    sized(tmp_path, *(f"{kind}/{side}" for kind in ("cat", "dog") for side in (16, 32)))
    source = open_folder(str(tmp_path))
    assert classes(source) == ("cat", "dog")
    assert said(source, "inside the classes are named by sizes (16, 32)")
    sized(
        tmp_path / "others", *(f"{kind}/{number}" for kind in ("cat", "dog") for number in (16, 17)), side=9
    )
    assert not said(open_folder(str(tmp_path / "others")), "sizes")


# --- hidden files and links -----------------------------------------------------------------------


def sound(path: Path) -> None:
    values = np.rint(9000 * np.sin(np.arange(4000) / 5)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(values.tobytes())


def animation(path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (9 * at, 0, 0)) for at in range(20)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def numbers(path: Path) -> None:
    path.write_text("time,x\n" + "".join(f"{at},{at % 7}.5\n" for at in range(400)))


def lines(path: Path) -> None:
    path.write_text("".join(f"text {path.stem} {at}\n" for at in range(50)))


def volume(path: Path) -> None:
    np.save(path, np.arange(512, dtype=np.uint8).reshape(8, 8, 8))


Open = Callable[[str], ItemSource | ArraySource]
KINDS = pytest.mark.parametrize(
    ("opened", "write", "ending"),
    [
        (open_folder, picture, ".png"),
        (open_wav, sound, ".wav"),
        (open_clips, animation, ".gif"),
        (open_text, lines, ".txt"),
        (open_volumes, volume, ".npy"),
        (open_series, numbers, ".csv"),
    ],
)


@KINDS
def test_files_of_macos_are_no_data(
    tmp_path: Path, opened: Open, write: Callable[[Path], None], ending: str
) -> None:
    for name in ("one", "two"):
        write(tmp_path / f"{name}{ending}")
    before = opened(str(tmp_path)).identity
    for name in (f"._one{ending}", ".DS_Store", "._", "__MACOSX/", "__MACOSX/._two" + ending):
        path = tmp_path / name
        path.mkdir() if name.endswith("/") else path.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(90))
    after = opened(str(tmp_path))
    assert after.identity == before
    assert after.damaged == after.unfit == ()


@KINDS
def test_links_to_folders_are_named(
    tmp_path: Path, opened: Open, write: Callable[[Path], None], ending: str
) -> None:
    if opened is open_series:
        pytest.skip("sub-folders are not read")
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    elsewhere.mkdir()
    root.mkdir()
    for name in ("one", "two"):
        write(elsewhere / f"{name}{ending}")
    (root / "cats").symlink_to(elsewhere)
    with pytest.raises(DataError, match=r"1 link to folders not followed: cats") as error:
        opened(str(root))
    assert "cp -rL" in error.value.fix
    for name in ("one", "two"):
        write(root / f"{name}{ending}")
    assert said(opened(str(root)), "1 link to folders not followed: cats")


def test_hidden_twins_of_idx_files_are_ignored(tmp_path: Path) -> None:
    content = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (3, 4, 4)) + bytes(48)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"\0\5\x16\7")
    source = open_idx(str(tmp_path))
    assert isinstance(source, ArraySource)
    assert len(source.arrays["image"]) == 3


def test_files_of_other_kinds_are_named_where_they_are_many(tmp_path: Path) -> None:
    pictures(tmp_path, a=30)
    (tmp_path / "a" / "notes.doc").write_text("x")
    assert not said(open_folder(str(tmp_path)), "are ignored")
    for number in range(4):
        (tmp_path / "a" / f"{number}.psd").write_bytes(b"8BPS")
    assert said(open_folder(str(tmp_path)), "5 of 35 files are ignored", "4 .psd")


def test_parts_inside_sides_of_pairs_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, a__train=4, b__train=4, a__test=2, b__test=2)
    with pytest.raises(DataError) as error:
        open_pairs(str(tmp_path))
    assert "--set data.a=a/train --set data.b=b/train" in error.value.fix
    pictures(tmp_path / "c", a=1, b=1)
    for side in ("a", "b"):
        picture(tmp_path / "c" / side / "train.png")
        picture(tmp_path / "c" / side / "test.png")
    assert len(open_pairs(str(tmp_path / "c")).items) == 3
    config = PairsConfig(a="a/train", b="b/train", test_a="a/test", test_b="b/test")
    assert len(open_pairs(str(tmp_path), config).items) == 4


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(500, 28, 28), (20, 28, 28, 3), (100, 128, 128), (500, 28, 20)])
def test_an_array_of_many_images_names_the_data_set_for_it(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "all.npy", np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=f"{shape[0]} samples") as error:
        open_folder(str(tmp_path))
    assert f"--data npy:{tmp_path}/all.npy" in error.value.fix


@pytest.mark.parametrize("shape", [(96, 80), (96, 96, 3), (4, 96, 96), (96, 80, 31)])
def test_arrays_of_one_image_each_are_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", np.full(shape, 9 + number, np.uint8))
    assert len(open_folder(str(tmp_path)).items) == 2


@pytest.mark.parametrize(("size", "expected"), [((2000, 4), (16, 256)), ((4, 2000), (256, 16))])
def test_long_images_get_as_many_pixels_as_others(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    source = open_folder(str(tmp_path))
    assert source.fields[0].shape == (3, *expected)
    assert said(source, "500 times as long as wide", "{}x{}".format(*expected))


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        (".jfif", "JPEG"),
        (".jpe", "JPEG"),
        (".JPG", "MPO"),
        (".mpo", "JPEG"),
        (".dib", "DIB"),
        (".apng", "PNG"),
        (".ppm", "PPM"),
        (".pnm", "PPM"),
        (".tga", "TGA"),
        (".qoi", "QOI"),
        (".jp2", "JPEG2000"),
    ],
)
def test_files_as_people_have_them(tmp_path: Path, ending: str, form: str) -> None:
    image = Image.new("RGB", (64, 32), (200, 40, 10))
    image.save(tmp_path / f"a{ending}", form)
    pixels = open_folder(str(tmp_path)).read(0)["image"]
    assert pixels.shape == (3, 32, 64)
    assert np.abs(pixels.mean((1, 2)) - (200, 40, 10)).max() < 3


def test_gray_maps_of_8_and_16_bits_keep_their_values(tmp_path: Path) -> None:
    for name, most in (("a", 255), ("b", 65535)):
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(np.full((8, 8), most // 5, np.uint8 if most == 255 else np.uint16)).save(
            folder / "1.pgm"
        )
        source = open_folder(str(folder), FolderConfig(range="full"))
        assert source.read(0)["image"].max() == most // 5


def test_bytes_that_are_no_tga_are_refused_behind_other_endings(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.tga")
    (tmp_path / "a.tga").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not an image"):
        open_folder(str(tmp_path)).read(0)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "the file is empty"), (b"x" * 3000, "moov atom not found")]
)
def test_a_video_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "a.mp4").write_bytes(content)
    animation(tmp_path / "b.gif")
    with pytest.raises(ValueError, match=f"^(ffmpeg cannot read it: )?{reason}$"):
        measure(tmp_path / "a.mp4")


def test_sounds_without_a_sampling_rate_are_skipped_with_the_reason(tmp_path: Path) -> None:
    for name in ("0", "1", "8000"):
        sound(tmp_path / f"{name}.wav")
        content = bytearray((tmp_path / f"{name}.wav").read_bytes())
        content[24:28] = int(name).to_bytes(4, "little")
        (tmp_path / f"{name}.wav").write_bytes(content)
    reasons = dict(open_wav(str(tmp_path)).damaged)
    assert reasons.keys() == {"0.wav", "1.wav"}
    assert "sampling rate or a number of channels of 0" in reasons["0.wav"]
    assert "its sampling rate is 1 Hz" in reasons["1.wav"]
