"""Clips as data: the moving garments, files of animations, videos and frames, and the media record."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import ArraySource, DataError, Field, ImageFrame, ItemSource, SettingsError
from ganzoo.data.dataset import open_source
from ganzoo.data.decode import decoded
from ganzoo_clips.config import CLIP_AXES, ClipsConfig, MovingConfig
from ganzoo_clips.files import by_number, measure, read_clip, timeline
from ganzoo_clips.folder import open_clips, open_held_out
from ganzoo_clips.media import ClipMedia
from ganzoo_clips.moving import bounced, open_moving, shrunk
from ganzoo_clips.moving import open_held_out as open_held_out_moving
from tests.helpers.evaluating import ganzoo

pytestmark = pytest.mark.filterwarnings(  # pipes of imageio_ffmpeg
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

FRAME = ImageFrame(12, 16, 3, "stretch")
SMALL = ClipsConfig(frames=4, height=12, width=16)


def colours(count: int, height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray:
    """Frames (count, height, width, 3) of four colours each: a GIF keeps them."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (count, 4, 3), np.uint8)
    places = random.integers(0, 4, (count, height, width))
    return np.stack([own[place] for own, place in zip(palette, places, strict=True)])


def write(path: Path, frames: np.ndarray, duration: Any = 80, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(frame) for frame in frames]
    kind = {".webp": {"lossless": True}, ".png": {}, ".gif": {}}[path.suffix]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=duration, loop=0, **kind, **options
    )
    return path


def write_frames(folder: Path, frames: np.ndarray, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / f"frame{number}.png")
    return folder


def write_video(path: Path, frames: np.ndarray, fps: int = 8) -> Path:
    """A video without losses."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = ffmpeg.write_frames(
        str(path), frames.shape[2:0:-1], fps=fps, codec="libx264rgb", pix_fmt_out="rgb24",
        macro_block_size=2, output_params=["-crf", "0"], quality=None,
    )  # fmt: skip
    writer.send(None)
    for frame in frames:
        writer.send(frame.tobytes())
    writer.close()
    return path


def shown(source: ItemSource | ArraySource) -> np.ndarray:
    """The clips of a source as (n, time, height, width, channels)."""
    arrays = source.arrays if isinstance(source, ArraySource) else decoded(source).arrays
    return np.asarray(arrays["clip"]).transpose(0, 2, 3, 4, 1)


# --- moving garments --------------------------------------------------------------------------------


def test_places_bounce_at_both_walls() -> None:
    """A simulation step by step: the speed turns round at a wall, and what is beyond it is mirrored."""
    random = np.random.default_rng(0)
    for start, speed in zip(random.uniform(0, 18, 50), random.uniform(-5, 5, 50), strict=True):
        place, expected = start, []
        for _ in range(40):
            expected.append(place)
            place += speed
            while not 0 <= place <= 18:
                place, speed = (-place, -speed) if place < 0 else (36 - place, -speed)
        found = bounced(np.array(start), np.array(speed * 0 + 0.0), 1, 18.0)
        assert found[0] == pytest.approx(start)
        path = bounced(np.array(start), np.array(expected[1] - start), 40, 18.0)
        if abs(expected[1] - start) == pytest.approx(abs(speed)):  # no wall in the first step
            assert path == pytest.approx(np.array(expected))


def test_a_garment_moves_at_a_constant_speed_and_stays_whole() -> None:
    config = MovingConfig(count=6, objects=1, size=40, frames=30, slowest=1, fastest=2)
    clips = shown(open_moving("", config))[..., 0]
    assert clips.shape == (6, 30, 40, 40)
    for clip in clips:
        sums = clip.reshape(30, -1).astype(int).sum(1)
        assert len(set(sums)) == 1, "a part of the garment is outside"
        places = [np.argwhere(frame).min(0) for frame in clip]
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        assert steps.max() <= 2 + np.sqrt(2)  # places are whole pixels
        assert np.linalg.norm(places[0] - places[-1]) > 0
    again = shown(open_moving("", config))[..., 0]
    assert np.array_equal(clips, again)


def test_two_garments_overlap_without_hiding_light(tmp_path: Path) -> None:
    source = open_moving("", MovingConfig(count=20))
    field = source.fields[0]
    assert (field.shape, field.kind, field.axes, field.facts) == (
        (1, 16, 32, 32),
        "clip",
        CLIP_AXES,
        {"fps": 10},
    )
    assert [each.name for each in source.fields] == ["clip"]
    assert [each.name for each in open_moving("", MovingConfig(count=2, objects=1)).fields] == [
        "clip",
        "label",
    ]
    assert len(open_held_out_moving("", MovingConfig(count=2)).arrays["clip"]) == 1_000
    pictures = np.arange(28 * 28, dtype=np.uint8).reshape(1, 28, 28)
    assert shrunk(pictures, 28) is pictures
    assert shrunk(pictures, 14)[0, 0, 0] == np.rint((0 + 1 + 28 + 29) / 4)


def test_moving_garments_refuse_what_cannot_be() -> None:
    with pytest.raises(DataError, match="no argument"):
        open_moving("boots")
    for options in ({"size": 14}, {"objects": 0}, {"slowest": 3.0, "fastest": 2.0}, {"frames": 1}):
        with pytest.raises(ValueError, match=r"must|pixels"):
            MovingConfig(**options)


# --- readers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    frames = colours(6)
    path = write(tmp_path / f"moving{suffix}", frames)
    reel = measure(path)
    assert (reel.frames, reel.height, reel.width, reel.uneven) == (6, 12, 16, False)
    assert reel.fps == pytest.approx(12.5)
    read = read_clip(path, FRAME, 0, 6).transpose(0, 2, 3, 1)
    assert np.array_equal(read, frames)
    assert np.array_equal(read_clip(path, FRAME, 1, 3, 2).transpose(0, 2, 3, 1), frames[1::2])
    with pytest.raises(ValueError, match="5 frames, 6 are needed"):
        read_clip(path, FRAME, 1, 6)


def test_a_video_is_read_as_it_was_written(tmp_path: Path) -> None:
    frames = colours(21)
    path = write_video(tmp_path / "moving.mkv", frames)
    reel = measure(path)
    assert (reel.frames, reel.fps, reel.height, reel.width) == (21, 8, 12, 16)
    for start, every in ((0, 1), (1, 1), (7, 1), (5, 3), (15, 1)):
        read = read_clip(path, FRAME, start, 5, every).transpose(0, 2, 3, 1)
        assert np.array_equal(read, frames[start::every][:5]), (start, every)
    with pytest.raises(ValueError, match="needed"):
        read_clip(path, FRAME, 18, 5)


def test_a_folder_of_frames_is_read_by_number(tmp_path: Path) -> None:
    frames = colours(12)
    folder = write_frames(tmp_path / "walk", frames)  # frame10 comes after frame9
    assert measure(folder).frames == 12
    assert np.array_equal(read_clip(folder, FRAME, 0, 12).transpose(0, 2, 3, 1), frames)
    assert sorted(["a10", "a9", "b1", "a"], key=by_number) == ["a", "a9", "a10", "b1"]


def test_frames_that_last_longer_are_repeated() -> None:
    assert timeline([40, 40, 120, 40, 60]) == ([0, 1, 2, 2, 2, 3, 4, 4], 25.0)
    assert timeline([0, 0, 10]) == ([0, 1, 2], 10.0)  # as browsers show them
    assert timeline([50, 20]) == ([0, 0, 1], 50.0)


# --- the dataset ------------------------------------------------------------------------------------


def test_windows_labels_and_parts(tmp_path: Path) -> None:
    for label, seed in (("run", 1), ("walk", 2)):
        write(tmp_path / "train" / label / "a.gif", colours(9, seed=seed))
        write_frames(tmp_path / "train" / label / "b", colours(4, seed=10 + seed))
        write(tmp_path / "test" / label / "c.webp", colours(5, seed=20 + seed))
    source = open_clips(str(tmp_path), SMALL)
    assert list(source.items) == [
        f"train/{label}/{part}" for label in ("run", "walk") for part in ("a.gif [0]", "a.gif [4]", "b [0]")
    ]
    assert [field.name for field in source.fields] == ["clip", "label"]
    assert source.fields[1].classes == ("run", "walk")
    assert source.fields[0].facts == {"fps": 12.5}
    arrays = decoded(source).arrays
    assert list(arrays["label"]) == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(shown(source)[1], colours(9, seed=1)[4:8])
    held_out = open_held_out(str(tmp_path), SMALL)
    assert held_out is not None
    assert list(held_out.items) == ["test/run/c.webp [0]", "test/walk/c.webp [0]"]
    assert held_out.fields == source.fields
    overlapping = open_clips(
        str(tmp_path), ClipsConfig(frames=4, height=12, width=16, stride=1, labels=False)
    )
    assert len(overlapping.items) == 2 * (6 + 1)
    assert len(overlapping.fields) == 1
    assert open_held_out(str(tmp_path / "train"), SMALL) is None


def test_a_single_file_and_each_second_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gif", colours(8))
    source = open_clips(str(path), ClipsConfig(frames=4, every=2, height=12, width=16))
    assert np.array_equal(shown(source)[0], colours(8)[::2])
    assert source.fields[0].facts == {"fps": 6.25}


def test_what_the_user_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.gif", colours(8))
    write(tmp_path / "b.gif", colours(4, seed=1), duration=[40, 40, 40, 120])
    write(tmp_path / "c.gif", colours(2))
    write(tmp_path / "still.gif", colours(1))
    frames = write_frames(tmp_path / "odd", colours(4, seed=3))
    Image.fromarray(colours(1, 20, 31)[0]).save(frames / "frame2.png")
    source = open_clips(str(tmp_path), SMALL)
    notes = " | ".join(source.notes)
    assert [name for name, _ in source.unfit] == ["c.gif", "still.gif"]
    assert "the rates of the files differ, 12.5 to 25" in notes
    assert "1 file with frames that last longer" in notes
    assert "1 folder with frames of different sizes" in notes
    card = {name: value for name, value, _ in source.card}
    assert card["files"] == "4 .gif, 1 folders of frames"
    assert card["length"] == "1 to 8 frames -> 4 clips of 4"
    assert card["size"] == "12x16 to 20x31 -> 12x16 (height x width)"
    assert shown(source).shape == (4, 4, 12, 16, 3)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write(tmp_path / f"{name}.gif", colours(4, seed=seed))
    before = open_clips(str(tmp_path), SMALL)
    shown(before)
    write(tmp_path / "b.gif", colours(8, seed=3))
    after = open_clips(str(tmp_path), SMALL)
    assert before.keys is not None
    assert after.keys is not None
    assert (after.keys[0] == before.keys[0], len(after.items)) == (True, 3)
    assert np.array_equal(shown(after)[1:].reshape(8, 12, 16, 3), colours(8, seed=3))


@pytest.mark.parametrize(
    ("files", "message", "fix"),
    [
        ({}, "no animations, videos or folders of frames", "folders of frames"),
        ({"a.gif": 1, "b.gif": 1}, "All 2 files are still images", "folder:PATH"),
        ({"a.gif": 3, "b.gif": 2}, "the longest has 3", "data.frames=3"),
    ],
)
def test_folders_that_hold_no_clips(tmp_path: Path, files: dict[str, int], message: str, fix: str) -> None:
    for name, count in files.items():
        write(tmp_path / name, colours(count))
    (tmp_path / "notes.txt").write_text("no clip")
    with pytest.raises(DataError, match=message) as error:
        open_clips(str(tmp_path), SMALL)
    assert fix in str(error.value.fix)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.gif", colours(4, seed=number))
    whole = (tmp_path / "1.gif").read_bytes()
    (tmp_path / "1.gif").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "2.gif").write_bytes(b"no animation")
    source = open_clips(str(tmp_path), SMALL)
    ((name, why),) = source.unfit
    assert (name, why.partition(" ")[2]) == ("1.gif", "readable frames, but data.frames needs 4")
    with pytest.raises(DataError, match="1 of 2") as error:
        decoded(source)
    assert "2.gif" in str(error.value)
    for number in range(3, 13):
        write(tmp_path / f"{number}.gif", colours(4, seed=number))
    data = open_source(open_clips(str(tmp_path), SMALL))  # one of 13 does not stop the others
    assert data.count == 11
    assert [name.partition(" ")[0] for name, _ in data.skipped] == ["1.gif", "2.gif"]
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "3.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match="ffmpeg"):
        measure(tmp_path / "3.mp4")


def test_videos_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(DataError, match="imageio-ffmpeg") as error:
        open_clips(str(tmp_path), SMALL)
    assert "[video]" in str(error.value.fix)


def test_options_that_cannot_be() -> None:
    for options in ({"frames": 1}, {"every": 0}, {"height": 4}, {"stride": -1}):
        with pytest.raises(ValueError, match="must"):
            ClipsConfig(**options)


# --- the media record -------------------------------------------------------------------------------


def field_of(channels: int = 3, frames: int = 4, height: int = 12, width: int = 16, **facts: Any) -> Field:
    return Field(
        name="clip", shape=(channels, frames, height, width), range=(-1.0, 1.0), kind="clip", axes=CLIP_AXES,
        facts=facts or {"fps": 10},
    )  # fmt: skip


@pytest.mark.parametrize(("suffix", "channels"), [(".webp", 3), (".webp", 1), (".gif", 1)])
def test_a_single_clip_comes_back(tmp_path: Path, suffix: str, channels: int) -> None:
    media, field = ClipMedia(), field_of(channels, height=13, width=15)
    stored = np.random.default_rng(0).integers(0, 256, (1, *field.shape), np.uint8)
    (path,) = media.write(field, stored, tmp_path / f"one{suffix}", single=True)
    assert np.array_equal(media.read(field, path, {}), stored)
    floats = stored / np.float32(127.5) - 1
    media.write(field, floats, path, single=True)
    assert np.array_equal(media.read(field, path, {}), stored)
    assert media.changes(field, path, {}) == ""
    assert "10 frames a second are taken as 25" in media.changes(field_of(channels, fps=25), path, {})


def test_a_grid_moves_together(tmp_path: Path) -> None:
    media, field = ClipMedia(), field_of(1, frames=3, height=60, width=60)
    clips = np.zeros((4, *field.shape), np.uint8)
    clips += (np.arange(12, dtype=np.uint8) * 20).reshape(4, 1, 3, 1, 1)  # clip i, frame t: 20 (3 i + t)
    (path,) = media.write(field, clips, tmp_path / "grid.gif", columns=2)
    with Image.open(path) as image:
        assert (image.n_frames, image.info["duration"], image.info["loop"]) == (3, 100, 0)
        for time in range(3):
            image.seek(time)
            drawn = np.asarray(image.convert("L"))
            corners = [drawn[row, column] for row, column in itertools.product((10, 80), (10, 80))]
            assert corners == [20 * (3 * clip + time) for clip in range(4)]
    preview = media.preview(field, clips)
    assert preview.suffix == ".webp"
    beside = media.preview(field, clips, beside=[(field, clips)])
    (tmp_path / "beside.webp").write_bytes(beside.data)
    with Image.open(tmp_path / "beside.webp") as image:
        assert (image.n_frames, image.size) == (3, (2 * 62 + 2, 4 * 62 + 2))


def test_a_video_has_the_rate_and_the_frames(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    media, field = ClipMedia(), field_of(3, frames=6, height=16, width=22, fps=12.5)
    flat = np.repeat(np.linspace(0, 250, 6, dtype=np.uint8), 3 * 16 * 22).reshape(6, 3, 16, 22)
    (path,) = media.write(field, flat.transpose(1, 0, 2, 3)[None], tmp_path / "one.mp4", single=True)
    reader = ffmpeg.read_frames(str(path))
    assert next(reader)["fps"] == pytest.approx(12.5)
    levels = [float(np.frombuffer(frame, np.uint8).mean()) for frame in reader]
    assert levels == pytest.approx(list(range(0, 251, 50)), abs=4)


def test_corruptions_and_fields_that_are_no_clips() -> None:
    media = ClipMedia()
    values = np.arange(5, dtype=np.uint8)[None, :, None, None, None] + np.zeros((30, 1, 2, 2, 1), np.uint8)
    made = media.corruptions(field_of(1, 5, 8, 8), values, np.random.default_rng(0))
    shuffled = made["shuffled"]()
    assert np.array_equal(np.sort(shuffled, axis=1), values)
    assert len({tuple(clip[:, 0, 0, 0]) for clip in shuffled}) > 20
    assert not np.diff(made["still"](), axis=1).any()
    assert made["noisy"]().dtype == np.uint8
    for wrong in (
        field_of(2), field_of(3, frames=1), field_of(fps=0), field_of(fps="fast"),
        Field(name="clip", shape=(3, 4, 8), range=(-1.0, 1.0)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="a clip"):
            media.check(wrong)
    assert media.describe(field_of(3)) == "4 frames of 12 x 16 pixels, colours, 10 a second"


# --- the commands -----------------------------------------------------------------------------------


def test_from_files_to_files(tmp_path: Path) -> None:
    """A folder of GIFs is trained on, exported, sampled into each kind of file, and scored."""
    for number in range(12):
        write(tmp_path / "data" / f"{number}.gif", colours(8, 32, 32, seed=number))
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    said = ganzoo(
        "train", "tgan", "--data", f"clips:{tmp_path / 'data'}", "--run-dir", run, "--images", 16,
        "--set", "data.frames=8", "--set", "train.batch_size=4", "--set", "train.device=cpu",
        "--set", "architecture.generator_width=2", "--set", "architecture.discriminator_width=2",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert [path.suffix for path in (run / "samples").iterdir()] == [".webp"] * len(
        list((run / "samples").iterdir())
    )
    assert ganzoo("export", run, "-o", bundle).code == 0
    for suffix in (".gif", ".webp", ".mp4", ".npz"):
        if suffix == ".mp4":
            pytest.importorskip("imageio_ffmpeg")
        said = ganzoo("generate", bundle, "-n", 2, "-o", tmp_path / f"made{suffix}")
        assert said.code == 0, said.err
    with Image.open(tmp_path / "made.gif") as image:
        assert image.info["duration"] == 80
    with np.load(tmp_path / "made.npz") as arrays:
        assert arrays["clip"].shape == (2, 3, 8, 32, 32)
    assert ganzoo("generate", bundle, "-n", 2, "-o", tmp_path / "each").code == 0
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["0.gif", "1.gif"]
    said = ganzoo("generate", bundle, "--walk", 4, "-o", tmp_path / "walk.gif")
    assert said.code == 2
    assert "cannot be animated" in said.err
    assert ganzoo("report", run, "-o", tmp_path / "page.html").code == 0
    assert "data:image/webp" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_bad_options_of_the_command(tmp_path: Path) -> None:
    write(tmp_path / "a.gif", colours(8))
    said = ganzoo("train", "tgan", "--data", f"clips:{tmp_path}", "--set", "data.frames=1", "--dry-run")
    assert said.code == 2
    assert "frames must be" in said.err
    assert ganzoo("train", "tgan", "--data", f"clips:{tmp_path}", "--dry-run").code == 3
    assert ganzoo("train", "tgan", "--data", "clips", "--dry-run").code == 3
    with pytest.raises((SettingsError, DataError)):
        open_clips(str(tmp_path / "none"))
