"""Synthetic volumes with the values of a 12-bit scanner: a bright shell, tissue, and bodies inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field
from ganzoo_volumes.config import PhantomsConfig
from ganzoo_volumes.media import AXES

HELD_OUT = 500
SHELL, TISSUE, NOISE = 3000.0, 1000.0, 30.0  # of 0..4095
WIDEST = 180.0  # millimetres of a side
CLASSES = ("one body", "two bodies", "three bodies")


def open_phantoms(argument: str = "", config: PhantomsConfig | None = None) -> ArraySource:
    """`volume` (1, side, side, side), 0..4095 as -1..1, and `label`: how many bodies are inside."""
    config = config or PhantomsConfig()
    return _drawn(argument, config, config.count, ())


def open_held_out(argument: str = "", config: PhantomsConfig | None = None) -> ArraySource:
    """500 other volumes of the same distribution."""
    return _drawn(argument, config or PhantomsConfig(), HELD_OUT, (1,))


def _drawn(argument: str, config: PhantomsConfig, count: int, spawn_key: tuple[int, ...]) -> ArraySource:
    if argument:
        raise DataError("The data set 'phantoms' takes no argument.", where=argument, fix="--data phantoms")
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=spawn_key)))
    labels = random.integers(0, len(CLASSES), count)
    volumes = np.stack([_phantom(random, config.side, int(label) + 1) for label in labels])
    step = WIDEST / config.side
    field = Field(
        name="volume",
        shape=volumes.shape[1:],
        kind="volume",
        axes=AXES,
        range=(-1.0, 1.0),
        original=(0.0, 4095.0),
        facts={"values": "uint16", "spacing": [step] * 3, "units": "mm", "window": [0.0, 3200.0]},
    )
    return ArraySource(
        fields=(field, Field(name="label", dtype="int64", classes=CLASSES)),
        arrays={"volume": volumes, "label": labels},
        identity=f"phantoms: {count} of {config.side}^3, seed {config.seed}"
        + (", held out" if spawn_key else ""),
    )


def _phantom(random: np.random.Generator, side: int, bodies: int) -> NDArray[np.uint16]:
    """(1, side, side, side): an ellipsoid shell that is higher than wide, filled, with spheres inside."""
    places = (np.indices((side,) * 3) + 0.5) / side * 2 - 1
    radii = random.uniform((0.75, 0.6, 0.5), (0.92, 0.8, 0.7))
    shift = random.uniform(-0.06, 0.06, 3)
    distance = _distance(places, shift, radii)
    values = np.where(distance < 1, SHELL, 0.0)
    values[distance < 0.82] = TISSUE
    for _ in range(bodies):
        centre = shift + random.uniform(-0.4, 0.4, 3) * radii
        radius = random.uniform(0.12, 0.24)
        values[_distance(places, centre, np.full(3, radius)) < 1] = random.uniform(1600, 2600)
    values += NOISE * random.standard_normal(values.shape)
    return np.rint(values).clip(0, 4095).astype(np.uint16)[None]


def _distance(
    places: NDArray[np.float64], centre: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The distance from the centre in radii, (side, side, side)."""
    apart = (places - centre[:, None, None, None]) / radii[:, None, None, None]
    distance: NDArray[np.float64] = np.sqrt(np.square(apart).sum(0))
    return distance
