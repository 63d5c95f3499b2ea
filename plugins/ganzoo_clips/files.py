"""Files of clips: animations (GIF, WebP, APNG), videos by ffmpeg, and folders of frames.

Pillow reads animations with the limits of image files; the package imageio-ffmpeg reads videos.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import (
    Field,
    ImageFrame,
    ValueRange,
    decode_frames,
    decode_image,
    fitted_pixels,
    inspect_image,
    is_hidden,
    optional_package,
)

Pixels = NDArray[np.uint8]

ANIMATED = (".gif", ".webp", ".png", ".apng")
VIDEOS = (".mp4", ".webm", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg")
STILLS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".tga", ".ppm", ".pgm", ".jp2"),
    *(".avif", ".heic"),
)
"""Endings of the files of a folder of frames."""

FOLDER_FPS = 10.0
"""Frames a second of a folder of frames, which does not say."""

MOST = 10_000
"""Frames of an animation, or of a window of a video, that are read."""

_INSTANT, _USUAL = 10.0, 100.0  # ms: browsers show frames of 10 ms or less for 100 ms
_DIGITS = re.compile(r"(\d+)")
_SOURCE = re.compile(r"^\[[^\]]* @ 0x[0-9a-f]+\]\s*")  # [mov @ 0x5581]: the part of ffmpeg that speaks
_BANNER = re.compile(
    r"ffmpeg version|built with|configuration:|lib(av|sw|post)\w+ +\d|FFMPEG call failed|===|Could not"
)
_GUESS = re.compile(r"low score|misdetection")
_GLANCE = ImageFrame(8, 8, 1, "stretch")  # where only the times of frames matter


@dataclass(frozen=True)
class Reel:
    """What is known of a source of frames before they are used.

    `fps`: 0 if it does not say. `uneven`: its frames last differently; `mixed`: they have different sizes.
    """

    frames: int
    fps: float
    height: int
    width: int
    uneven: bool = False
    mixed: bool = False


def measure(path: Path) -> Reel:
    """Length, rate and size. ValueError or OSError for a file that cannot be read."""
    if path.is_dir():
        headers = [inspect_image(path / name) for name in still_files(path)]
        sizes = {(header.height, header.width) for header in headers}
        height, width = max(sizes)
        return Reel(len(headers), 0.0, height, width, mixed=len(sizes) > 1)
    if path.suffix.lower() in VIDEOS:
        return _measured_video(path)
    header = inspect_image(path)
    if header.pages == 1:
        return Reel(1, 0.0, header.height, header.width)
    times = decode_frames(path, _GLANCE, MOST)[1]
    order, fps = timeline(times)
    return Reel(len(order), fps, header.height, header.width, uneven=len(order) > len(times))


def rate_of(path: Path) -> float:
    """Frames a second of a file."""
    return measure(path).fps or FOLDER_FPS


def read_clip(path: Path, frame: ImageFrame, start: int, count: int, every: int = 1) -> Pixels:
    """`count` frames (count, channels, height, width) from frame `start` on, each `every`-th.

    ValueError for a file that has fewer, or is damaged; OSError if it cannot be opened; DataError for a video
    without the package imageio-ffmpeg.
    """
    if path.is_dir():
        names = still_files(path)[start : start + count * every : every]
        frames: Sequence[Pixels] = [decode_image(path / name, frame) for name in names]
    elif path.suffix.lower() in VIDEOS:
        frames = list(_video_frames(path, frame, start, (count - 1) * every + 1))[::every]
    else:
        status = path.stat()
        every_frame, order = _animation(path, frame, (status.st_size, status.st_mtime_ns))
        frames = list(every_frame[order[start : start + count * every : every]])
    if len(frames) < count:
        raise ValueError(f"{len(frames)} frames, {count} are needed")
    return np.stack(frames)


def timeline(times: Sequence[float]) -> tuple[list[int], float]:
    """The order in which frames are shown at a constant rate, and that rate, frames a second.

    `times` are milliseconds. The most frequent one is that of a frame; a frame that lasts longer is repeated.
    """
    known = [time if time > _INSTANT else _USUAL for time in times]
    counts = Counter(known)
    usual = min(counts, key=lambda time: (-counts[time], time))
    order = [at for at, time in enumerate(known) for _ in range(max(1, round(time / usual)))]
    return order[:MOST], 1000 / usual


def still_files(folder: Path) -> list[str]:
    """The frames of a folder, by the numbers in their names."""
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in STILLS]
    return sorted((name for name in names if not is_hidden(name)), key=by_number)


def by_number(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts `frame10` after `frame9`."""
    parts = _DIGITS.split(name)
    return tuple((int(part), "") if at % 2 else (-1, part) for at, part in enumerate(parts))


def frame_for(field: Field, options: Mapping[str, Any]) -> ImageFrame:
    """The frame of a field of clips, with the option `fit` of its data."""
    channels, _, height, width = field.shape
    fit, ranges = options.get("fit"), field.facts.get("ranges", {})
    others = tuple((str(name), float(low), float(high)) for name, (low, high) in ranges.items())
    values = ValueRange("uint8", 0, 255, others) if others else None
    return ImageFrame(height, width, channels, fit if fit in ("crop", "pad", "stretch") else "crop", values)


@lru_cache(maxsize=1)  # windows of one file come one after the other
def _animation(path: Path, frame: ImageFrame, state: tuple[int, int]) -> tuple[Pixels, NDArray[np.intp]]:
    """All frames of an animation, and their order at a constant rate. `state` changes with the file."""
    frames, times = decode_frames(path, frame, MOST)
    return frames, np.array(timeline(times)[0], np.intp)


def _measured_video(path: Path) -> Reel:
    with _ffmpeg(path) as ffmpeg:
        if not path.stat().st_size:
            raise ValueError("the file is empty")
        frames, _ = ffmpeg.count_frames_and_secs(str(path))
    fps, (width, height) = _rate_and_size(path, path.stat().st_mtime_ns)
    return Reel(int(frames), fps, height, width)


def _video_frames(path: Path, frame: ImageFrame, start: int, count: int) -> Iterator[Pixels]:
    with _ffmpeg(path) as ffmpeg:
        fps = _rate_and_size(path, path.stat().st_mtime_ns)[0] or FOLDER_FPS
        # Half a frame earlier, so that rounding does not lose the first one.
        before = ["-ss", f"{(start - 0.5) / fps:.6f}"] if start else []
        after = ["-frames:v", str(min(count, MOST)), "-fps_mode", "passthrough"]
        mode, stored, channels = ("RGBA", "rgba", 4) if frame.channels == 4 else ("RGB", "rgb24", 3)
        reader = ffmpeg.read_frames(str(path), stored, channels, before, after)
        with closing(reader):
            size = next(reader)["size"]
            for content in reader:
                yield fitted_pixels(Image.frombytes(mode, size, content), frame)


@lru_cache(maxsize=64)
def _rate_and_size(path: Path, changed: int) -> tuple[float, tuple[int, int]]:
    """Frames a second of a video, 0 if it does not say, and (width, height); `changed` is its time."""
    with _ffmpeg(path) as ffmpeg, closing(ffmpeg.read_frames(str(path))) as reader:
        about = next(reader)
    width, height = about["size"]
    return float(about["fps"]), (int(width), int(height))


@contextmanager
def _ffmpeg(path: Path) -> Iterator[Any]:
    """The module imageio_ffmpeg, whose errors become ValueError. DataError if it is not installed."""
    package = optional_package("imageio_ffmpeg", "video", "A video", where=str(path))
    try:
        yield package
    except (RuntimeError, StopIteration, KeyError) as error:
        raise ValueError(f"ffmpeg cannot read it: {_reason(str(error))}") from error
    except OSError as error:
        if "=== stderr" not in str(error):  # the file cannot be opened
            raise
        raise ValueError(f"ffmpeg cannot read it: {_reason(str(error))}") from error


def _reason(said: str) -> str:
    """The first line of ffmpeg after its banner that tells what is wrong, without the part that says it."""
    lines = [_SOURCE.sub("", line).strip() for line in said.splitlines()]
    start = max((at + 1 for at, line in enumerate(lines) if _BANNER.match(line)), default=0)
    found = [line for line in lines[start:] if line and not _GUESS.search(line)]
    return found[0] if found else "no frames"
