"""Synthetic colour images: a shape on a gray background; the kind of shape decides its colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, ArraySource, DataError, Field
from ganzoo_datasets.config import HELD_OUT_KEY, ShapesConfig
from ganzoo_datasets.transforms import Transform

KINDS = ("disc", "square", "triangle", "ring")
COLOURS = np.array([(0.9, 0.25, 0.2), (0.2, 0.45, 0.95), (0.2, 0.75, 0.25), (0.9, 0.7, 0.1)])
"""The colour of each kind, before it is multiplied by the brightness of the image."""

HELD_OUT = 2_000


def open_shapes(argument: str = "", config: ShapesConfig | None = None) -> ArraySource:
    """`b` (3, size, size) in -1..1 with its `label`, and `a`, the same in gray (1, size, size).

    Position, size and brightness are drawn for each image, so a gray value does not determine the colour. The
    background is gray.
    """
    config = config or ShapesConfig()
    return _drawn(argument, config, config.count, ())


def open_held_out(argument: str = "", config: ShapesConfig | None = None) -> ArraySource:
    """2,000 other images of the same distribution."""
    return _drawn(argument, config or ShapesConfig(), HELD_OUT, HELD_OUT_KEY)


def _drawn(argument: str, config: ShapesConfig, count: int, spawn_key: tuple[int, ...]) -> ArraySource:
    if argument:
        raise DataError(
            "The data set 'coloured-shapes' takes no argument.",
            where=f"--data coloured-shapes:{argument}",
            fix="--data coloured-shapes; a folder of colour images is --data pairs:PATH with "
            "--set data.transform=gray",
        )
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=spawn_key)))
    labels = random.integers(0, len(KINDS), count)
    radius = random.uniform(0.2, 0.4, count)
    centre = random.uniform(radius[:, None], 1 - radius[:, None], (count, 2))
    light, background = random.uniform(0.4, 1, count), random.uniform(0.05, 0.95, count)
    pixels = np.empty((count, 3, config.size, config.size), np.uint8)
    for row, label in enumerate(labels):
        inside = _mask(int(label), config.size, centre[row], float(radius[row]))
        colour = light[row] * COLOURS[label]
        pixels[row] = np.rint(255 * np.where(inside, colour[:, None, None], background[row]))
    gray = Transform("gray")
    return ArraySource(
        fields=(
            Field(
                name="a",
                shape=gray.shape((3, config.size, config.size)),
                kind="image",
                axes=PIXELS,
                range=(-1.0, 1.0),
            ),
            Field(name="b", shape=pixels.shape[1:], kind="image", axes=PIXELS, range=(-1.0, 1.0)),
            Field(name="label", dtype="int64", classes=KINDS),
        ),
        arrays={"a": gray(pixels), "b": pixels, "label": labels.astype(np.int64)},
        identity=f"coloured-shapes: {count} of {config.size}x{config.size}, seed {config.seed}"
        + (", held out" if spawn_key else ""),
    )


def _mask(kind: int, size: int, centre: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """The pixels that a shape covers, (size, size); centre and radius are fractions of the image's side."""
    y, x = (np.indices((size, size)) + 0.5) / size - centre[:, None, None]
    if KINDS[kind] == "square":
        inside = np.maximum(abs(x), abs(y)) <= 0.8 * radius
    elif KINDS[kind] == "triangle":
        inside = (abs(y) <= radius) & (2 * abs(x) <= y + radius)
    else:
        distance, hole = np.hypot(x, y), 0.5 * radius if KINDS[kind] == "ring" else 0.0
        inside = (distance <= radius) & (distance >= hole)
    return np.asarray(inside, np.bool_)
