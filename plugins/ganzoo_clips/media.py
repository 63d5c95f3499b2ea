"""Media of the kind `clip`: animations that move together, files of animations and videos."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.api import (
    ANIMATIONS,
    DataError,
    Field,
    Media,
    Preview,
    Viewer,
    as_floats,
    encode_animation,
    sheet,
    to_pixels,
    write_bytes,
)
from ganzoo_clips.config import CLIP_AXES
from ganzoo_clips.files import ANIMATED, VIDEOS, frame_for, rate_of, read_clip

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

SHOWN = 16  # clips of a preview
NOISE = 25.0  # of 255
_SLOWEST, _FASTEST = 0.01, 100.0  # frames a second; a GIF counts hundredths of a second
_PREVIEW = 16_000_000  # pixels of all frames of a preview


class ClipMedia(Media):
    """Clips (channels, time, height, width), gray, in colours or with alpha; `fps` frames a second."""

    suffixes = ANIMATIONS
    reads = (*ANIMATED, *VIDEOS)
    noun, nouns = "clip", "clips"
    count = SHOWN
    most = 400

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Channels of frames of pixels."""
        return CLIP_AXES if ndim == 4 else ()

    def check(self, field: Field) -> None:
        """A clip has 1, 3 or 4 channels, two frames or more, a range, and a rate.

        ValueError for other fields.
        """
        fps = field.facts.get("fps")
        if field.axes != CLIP_AXES or field.shape[0] not in (1, 3, 4) or field.shape[1] < 2:
            raise ValueError("a clip is channel (1, 3 or 4) x time (2 frames or more) x height x width")
        if field.dtype != "float32" or field.range is None:
            raise ValueError("a clip has the type float32 and a range")
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not _SLOWEST <= fps <= _FASTEST:
            raise ValueError(f"a clip has the fact `fps`, {_SLOWEST:g} to {_FASTEST:g} frames a second")

    def describe(self, field: Field) -> str:
        """Frames, their size and rate."""
        channels, frames, height, width = field.shape
        colours = {1: "gray", 3: "colours", 4: "colours with alpha"}[channels]
        return f"{frames} frames of {height} x {width} pixels, {colours}, {field.facts['fps']:g} a second"

    def viewer(self, field: Field) -> Viewer:
        """Frames that move at their rate."""
        return Viewer(name="frames", options={"rate": field.facts["fps"]})

    def preview(
        self,
        field: Field,
        samples: Array,
        *,
        real: Array | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        columns: int | None = None,
    ) -> Preview:
        """The first clips in a grid, moving together; with inputs, these to the left of the results."""
        shown = [(one, values[:SHOWN]) for one, values in beside]
        clips, columns = _after(shown, _frames(field, samples[:SHOWN]), columns)
        fitting = max(1, _PREVIEW // clips[0].size)
        return Preview(suffix=".webp", data=self._file(field, clips[:fitting], ".webp", columns))

    def neighbours(self, field: Field, sample: Array, training: Array, real: Array) -> Preview:
        """Three rows: clips, the nearest training clip of each, the nearest held-out clip of each."""
        rows = np.concatenate([sample, training, real])
        return Preview(suffix=".webp", data=self._file(field, rows, ".webp", len(sample)))

    def write(
        self,
        field: Field,
        samples: Array,
        path: Path,
        *,
        columns: int | None = None,
        beside: Sequence[tuple[Field, Array]] = (),
        single: bool = False,
    ) -> list[Path]:
        """A grid of clips that move together; a single clip in its own size.

        .webp keeps every value, .gif those of gray clips and 256 colours of others, .mp4 is compressed.
        """
        clips, columns = _after(beside, _frames(field, samples), columns)
        content = self._file(field, clips, path.suffix, columns, where=str(path))
        write_bytes(path, content)
        return [path]

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> Array:
        """The first frames of a file as one clip, each `every`-th, with as many as the field has."""
        frame, every = frame_for(field, options), int(options.get("every", 1))
        return read_clip(path, frame, 0, field.shape[1], every).transpose(1, 0, 2, 3)[None]

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """Another rate, if the file has one."""
        try:
            own = rate_of(path) / int(options.get("every", 1))
        except (OSError, ValueError, DataError):
            return ""
        fps = field.facts["fps"]
        return "" if abs(own / fps - 1) < 0.1 else f"{own:.3g} frames a second are taken as {fps:.3g}"

    def metric_values(self, field: Field, samples: Array, excluded: Collection[str] = ()) -> Array:
        """Pixels as uint8 (n, time, height, width, channels)."""
        return _frames(field, samples)

    def corruptions(
        self, field: Field, values: Array, random: np.random.Generator
    ) -> Mapping[str, Callable[[], Array]]:
        """Frames in a random order, the first frame only, noisy frames."""

        def shuffled() -> Array:
            order = random.permuted(np.tile(np.arange(values.shape[1]), (len(values), 1)), axis=1)
            mixed: Array = np.take_along_axis(values, order[:, :, None, None, None], axis=1)
            return mixed

        def noisy() -> Array:
            # One clip at a time: as floats all of them take many times the memory.
            changed = [clip + NOISE * random.standard_normal(clip.shape, np.float32) for clip in values]
            return np.stack([np.rint(clip).clip(0, 255).astype(np.uint8) for clip in changed])

        def still() -> Array:
            return np.broadcast_to(values[:, :1], values.shape)

        return {"shuffled": shuffled, "still": still, "noisy": noisy}

    @staticmethod
    def _file(field: Field, clips: Pixels, suffix: str, columns: int | None, where: str = "") -> bytes:
        """Clips (n, time, height, width, channels) as the content of a file."""
        grids = [
            clips[0, k] if len(clips) == 1 else sheet(clips[:, k], columns) for k in range(clips.shape[1])
        ]
        images = [Image.fromarray(drawn[..., 0] if drawn.shape[2] == 1 else drawn) for drawn in grids]
        return encode_animation(images, suffix, 1 / field.facts["fps"], where=where, exact=True)


def _after(
    beside: Sequence[tuple[Field, Array]], clips: Pixels, columns: int | None
) -> tuple[Pixels, int | None]:
    """Inputs and results by turns, and a row for each result; without inputs as they are."""
    if not beside:
        return clips, columns
    every = [*(_frames(*pair) for pair in beside), clips]
    return np.stack(every, 1).reshape(-1, *clips.shape[1:]), len(every)


def _frames(field: Field, samples: Array) -> Pixels:
    """Samples (n, channels, time, height, width) as uint8 (n, time, height, width, channels)."""
    count, channels, frames, height, width = samples.shape
    if samples.dtype != np.uint8 or field.original not in (None, (0, 255)):
        flat = as_floats(field, samples).reshape(count, channels, frames * height, width)
        return to_pixels(field, flat).reshape(count, frames, height, width, channels)
    return np.ascontiguousarray(samples.transpose(0, 2, 3, 4, 1))
