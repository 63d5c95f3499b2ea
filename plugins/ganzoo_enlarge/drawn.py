"""The data `toy-crops`: drawn squares of stripes, discs and edges, and smaller ones made from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ItemSource
from ganzoo_enlarge.config import DrawnConfig
from ganzoo_enlarge.degrade import Pair, pair_fields

VERSION = 3
_HELD_OUT, _HELD_OUT_COUNT = 1, 200

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """`ItemSource.read`: square i of the part (0 training, 1 held out)."""

    config: DrawnConfig
    part: int

    def __call__(self, index: int) -> dict[str, Pixels]:
        """The field `picture` of square `index`."""
        random = np.random.default_rng([self.config.seed, self.part, index])
        return {"picture": drawn(self.config.size, random)}


def drawn(size: int, random: np.random.Generator) -> Pixels:
    """A square (3, size, size): a background, and five shapes in plain or striped colours."""
    finer = 4 if size <= 64 else 2  # drawn so many times larger, then averaged: edges are smooth
    fine = finer * size
    y, x = np.mgrid[:fine, :fine] / fine
    picture = np.empty((3, fine, fine), np.float32)
    picture[:] = random.uniform(0, 255, (3, 1, 1))
    for _ in range(5):
        angle, centre = random.uniform(0, np.pi), random.uniform(0, 1, 2)
        across = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        down = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        wide, high = random.uniform(0.05, 0.4, 2)
        disc = random.random() < 0.5
        inside = (
            (across / wide) ** 2 + (down / high) ** 2 < 1
            if disc
            else (abs(across) < wide) & (abs(down) < high)
        )
        striped = inside & (np.sin(across * random.uniform(20, 150)) > 0)
        picture[:, inside] = random.uniform(0, 255, (3, 1))
        if random.random() < 0.5:
            picture[:, striped] = random.uniform(0, 255, (3, 1))
    means = picture.reshape(3, size, finer, size, finer).mean((2, 4))
    pixels: Pixels = np.rint(means).astype(np.uint8)
    return pixels


def open_drawn(argument: str, config: DrawnConfig | None = None) -> ItemSource:
    """Factory of `toy-crops`: `a` and `b`, `size` pixels a side, for training."""
    config = config or DrawnConfig()
    return _source(config, config.count, 0)


def open_held_out_drawn(argument: str, config: DrawnConfig | None = None) -> ItemSource:
    """Up to 200 other squares."""
    config = config or DrawnConfig()
    return _source(config, min(config.count, _HELD_OUT_COUNT), _HELD_OUT)


def _source(config: DrawnConfig, count: int, part: int) -> ItemSource:
    pair = Pair(config.size, config.factor, config.degradation)
    fields, drawn_from = pair_fields(3, pair, config.size)
    return ItemSource(
        fields=fields,
        drawn_from=drawn_from,
        draw=pair,
        items=[f"square {index}" for index in range(count)],
        read=Drawn(config, part),
        fingerprint=repr((VERSION, config, count, part, np.__version__)),
        identity=f"toy-crops: {count:,} squares",
    )
