"""Dataset `moving-fashion`: the embedded garments bounce in a frame, as the digits of Moving MNIST do.

Moving MNIST: Srivastava et al. 2015, arXiv:1502.04681, section 3.2. Here clips have a constant speed, which
is drawn, and 16 frames; the pictures are shrunk to halves so that a CPU can learn them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field
from ganzoo_clips.config import CLIP_AXES, MovingConfig
from ganzoo_datasets.fashion import open_fashion_5k
from ganzoo_datasets.fashion import open_held_out as open_test_fashion

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

FPS = 10
HELD_OUT = 1_000
"""Number of held-out clips, of garments from the test file."""

_BLOCK = 256  # clips that are drawn at once


def open_moving(argument: str, config: MovingConfig | None = None) -> ArraySource:
    """`clip` (1, frames, size, size) in -1..1. With one object also `label`, its class."""
    config = config or MovingConfig()
    return _source(argument, config, config.count, ())


def open_held_out(argument: str, config: MovingConfig | None = None) -> ArraySource:
    """1,000 clips of garments that training does not see."""
    return _source(argument, config or MovingConfig(), HELD_OUT, (1,))


def bounced(start: Floats, speed: Floats, frames: int, room: float) -> Floats:
    """Places (..., frames) in 0..room that move by `speed` (...) a frame from `start` and bounce at both
    ends.

    A bounce mirrors the place at the wall, so the path is a triangle wave of the free path.
    """
    free = start[..., None] + speed[..., None] * np.arange(frames)
    return room - np.abs(np.mod(free, 2 * room) - room)


def _source(argument: str, config: MovingConfig, count: int, spawn_key: tuple[int, ...]) -> ArraySource:
    if argument:
        raise DataError(
            "The data set 'moving-fashion' takes no argument.",
            where=f"--data moving-fashion:{argument}",
            fix="--data moving-fashion, or --data clips:PATH for files of your own",
        )
    garments = (open_test_fashion if spawn_key else open_fashion_5k)()
    pictures, classes = shrunk(garments.arrays["image"][:, 0], config.side), garments.arrays["label"]
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=spawn_key)))
    room = config.size - config.side
    chosen = random.integers(0, len(pictures), (count, config.objects))
    start = random.uniform(0, room, (count, config.objects, 2))
    angle = random.uniform(0, 2 * np.pi, (count, config.objects))
    length = random.uniform(config.slowest, config.fastest, (count, config.objects))
    speed = length[..., None] * np.stack([np.sin(angle), np.cos(angle)], -1)
    places = np.rint(bounced(start, speed, config.frames, room)).astype(np.intp)
    clip = np.empty((count, config.frames, config.size, config.size), np.uint8)
    for first in range(0, count, _BLOCK):
        block = slice(first, first + _BLOCK)
        _draw(clip[block], pictures[chosen[block]], places[block])
    fields = [
        Field(
            name="clip",
            shape=(1, config.frames, config.size, config.size),
            kind="clip",
            axes=CLIP_AXES,
            range=(-1.0, 1.0),
            facts={"fps": FPS},
        )
    ]
    arrays: dict[str, NDArray[np.generic]] = {"clip": clip[:, None]}
    if config.objects == 1:
        fields.append(next(field for field in garments.fields if field.name == "label"))
        arrays["label"] = classes[chosen[:, 0]]
    return ArraySource(
        fields=tuple(fields), arrays=arrays, identity=f"moving-fashion {config} {spawn_key}, {count} clips"
    )


def shrunk(pictures: Pixels, side: int) -> Pixels:
    """Pictures (n, 28, 28) -> (n, side, side), by means of squares of pixels."""
    factor = pictures.shape[1] // side
    if factor == 1:
        return pictures
    squares = pictures.reshape(len(pictures), side, factor, side, factor)
    means: Pixels = np.rint(squares.mean((2, 4))).astype(np.uint8)
    return means


def _draw(clips: Pixels, pictures: Pixels, places: NDArray[np.intp]) -> None:
    """Fill clips (n, frames, size, size) with pictures (n, objects, side, side) at places (n, objects, 2,
    frames).

    Where pictures overlap, the brighter pixel is seen.
    """
    clips[:] = 0
    side = pictures.shape[-1]
    for clip, own, paths in zip(clips, pictures, places, strict=True):
        for picture, (rows, columns) in zip(own, paths, strict=True):
            for frame, top, left in zip(clip, rows, columns, strict=True):
                part = frame[top : top + side, left : left + side]
                np.maximum(part, picture, out=part)
