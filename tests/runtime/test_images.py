"""Images: conversion to uint8, grids, plots, atomic saving."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganzoo import images
from ganzoo.api import Field
from ganzoo.errors import StorageError, UsageError

IMAGE = Field(name="image", shape=(3, 4, 4), range=(-1.0, 1.0))


def test_to_uint8_rounds_clips_and_moves_the_channels() -> None:
    values = np.zeros((1, 3, 1, 2), np.float32)
    values[0, :, 0, 0] = [-1.0, 1.0, 5.0]
    values[0, :, 0, 1] = [-7.0, np.nan, 1 / 127.5]
    assert images.to_uint8(values).tolist() == [[[[0, 255, 255], [0, 0, 128]]]]
    assert images.to_uint8(np.full((1, 1, 1, 1), 0.5), (0.0, 1.0)).item() == 128


def test_to_uint8_inverts_every_level() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = levels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - 1
    assert np.array_equal(images.to_uint8(floats), levels)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_grid_modes_and_size(channels: int, mode: str) -> None:
    image = images.grid(np.zeros((5, 28, 28, channels), np.uint8), columns=3)
    assert image.mode == mode
    assert image.size == (3 * 58 + 2, 2 * 58 + 2)


def test_grid_places_every_image() -> None:
    arrays = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(56, 1).repeat(56, 2)
    sheet = np.asarray(images.grid(arrays, columns=3))
    assert [int(sheet[58 * row + 20, 58 * column + 20]) for row in range(2) for column in range(3)] == [
        *range(6)
    ]
    assert sheet[0, 0] == 255


def test_grid_is_about_square_and_large_images_stay() -> None:
    assert images.grid(np.zeros((9, 64, 64, 3), np.uint8), padding=0).size == (192, 192)
    assert images.grid(np.zeros((2, 8, 8, 3), np.uint8), columns=9, padding=0).size == (112, 56)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 8, 8, 2), (8, 8, 3)])
def test_grid_of_other_things(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        images.grid(np.zeros(shape, np.uint8))


def test_grid_too_large() -> None:
    with pytest.raises(UsageError, match="pixels large"):
        images.grid(np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (10_000, 1024, 1024, 1)))


def test_plots_show_reference_in_gray_and_samples_in_colour() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 2))
    for image in (images.scatter(points, points + 1), images.histogram(points[:, :1], points[:, 1:])):
        colours = {colour for _, colour in image.getcolors(1 << 16) or []}
        assert {(176, 176, 176), (0, 114, 178)} <= colours
        assert image.size == (512, 512)


@pytest.mark.parametrize("values", [np.full((4, 2), np.nan), np.zeros((4, 2)), np.full((4, 2), 1e30)])
def test_plots_survive_odd_values(values: NDArray[Any]) -> None:
    assert images.scatter(values).size == (512, 512)
    assert images.histogram(values[:, :1], values[:, 1:]).size == (512, 512)


def test_a_grid_of_floats_or_pixels() -> None:
    floats = np.zeros((4, 3, 4, 4), np.float32)
    assert images.image_grid(IMAGE, floats, columns=4).size == (4 * 58 + 2, 60)
    assert images.image_grid(IMAGE, np.zeros((4, 4, 4, 3), np.uint8)).mode == "RGB"


def test_without_a_range_a_grid_stretches() -> None:
    field = Field(name="image", shape=(1, 56, 56))
    values = np.linspace(-30, 50, 56 * 56, dtype=np.float32).reshape(1, 1, 56, 56)
    assert images.image_grid(field, values).crop((2, 2, 58, 58)).getextrema() == (0, 255)


def test_save(tmp_path: Path) -> None:
    path = tmp_path / "new" / "grid.png"
    images.save(Image.new("L", (4, 4)), path)
    with Image.open(path, formats=("PNG",)) as back:
        assert back.size == (4, 4)
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


def test_save_failures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ending"):
        images.save(Image.new("L", (4, 4)), tmp_path / "grid.xyz")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        images.save(Image.new("L", (4, 4)), tmp_path / "file" / "grid.png")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pipes of imageio_ffmpeg
@pytest.mark.parametrize("suffix", images.ANIMATIONS)
def test_animations(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / f"moving{suffix}"
    frames = [
        Image.new("RGBA", (21, 30), (0, 0, 0, 0)),
        Image.new("L", (20, 10), 40),
        Image.new("RGB", (9, 9)),
    ]
    images.save_animation(frames, path, 0.5)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    if suffix == ".mp4":
        import imageio_ffmpeg

        reader = imageio_ffmpeg.read_frames(str(path))
        about = next(reader)
        assert about["size"] == (22, 30)
        assert about["fps"] == pytest.approx(2)
        shown = [np.frombuffer(data, np.uint8).reshape(30, 22, 3) for data in reader]
    else:
        shown = []
        with Image.open(path) as back:
            for number in range(back.n_frames):
                back.seek(number)
                shown.append(np.asarray(back.convert("RGB")))
                assert back.info["duration"] == 500
    width = 22 if suffix == ".mp4" else 21  # videos have even sizes
    assert [frame.shape for frame in shown] == [(30, width, 3)] * 3
    assert shown[0].min() > 250  # transparent parts are white
    assert abs(int(shown[1][4, 10].mean()) - 40) < 12


def test_colours_of_a_gif(tmp_path: Path) -> None:
    """Few colours stay as they are, also small ones; of many each pixel gets a near one, and fast."""
    few = Image.new("RGB", (300, 300), "white")
    few.putpixel((299, 0), (255, 0, 0))
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    many = Image.fromarray(noise)
    ramp = Image.linear_gradient("L").convert("RGB")
    images.save_animation([ramp, few.resize(ramp.size)], tmp_path / "ramp.gif", 0.1)
    with Image.open(tmp_path / "ramp.gif") as back:
        assert np.array_equal(np.asarray(back.convert("RGB")), np.asarray(ramp))
    images.save_animation([few, many], tmp_path / "x.gif", 0.1)
    with Image.open(tmp_path / "x.gif") as back:
        assert np.array_equal(np.asarray(back.convert("RGB")), np.asarray(few))
        back.seek(1)
        error = np.asarray(back.convert("RGB"), float) - noise
    assert np.square(error).mean() < 500  # noise in 256 colours: a distance of about 20 a channel


def test_animations_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Image.new("L", (4, 4))
    with pytest.raises(UsageError, match=r"use \.gif"):
        images.save_animation([frame], tmp_path / "moving.png", 1)
    with pytest.raises(UsageError, match="no images"):
        images.save_animation([], tmp_path / "moving.gif", 1)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"pip install imageio-ffmpeg"):
        images.save_animation([frame], tmp_path / "moving.mp4", 1)
    assert not list(tmp_path.iterdir())


def test_images_of_several_kinds_stand_side_by_side() -> None:
    small = np.full((2, 7, 7, 1), 10, np.uint8)
    large = np.full((2, 28, 14, 3), 20, np.uint8)
    clear = np.full((2, 28, 28, 4), 30, np.uint8)
    both = images.side_by_side([small, large])
    # 28 pixels are enlarged to 56, 7 to as many; a white line between them.
    assert both.shape == (2, 56, 56 + 1 + 28, 3)
    assert (both[:, :, :56] == 10).all()
    assert (both[:, :, 56] == 255).all()
    assert (both[:, :, 57:] == 20).all()
    with_alpha = images.side_by_side([small, clear])
    assert with_alpha.shape == (2, 56, 56 + 1 + 56, 4)
    assert (with_alpha[0, 0, 0] == (10, 10, 10, 255)).all()
    assert (with_alpha[0, 0, -1] == 30).all()
