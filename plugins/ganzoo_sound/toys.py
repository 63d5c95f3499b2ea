"""Made-up sounds of four kinds, with which recipes begin before a user has files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KINDS = ("bell", "drum", "hat", "whistle")
RATE = 8_000


def toy_sounds(count: int, length: int, rate: int, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """`count` sounds (count, 1, length) in -1..1 with random pitches, and the numbers of their kinds.

    A struck bell of three partials, a drum whose pitch falls, noise that fades, and a tone with vibrato.
    """
    random = np.random.default_rng(seed)
    time = np.arange(length) / rate
    labels = np.arange(count) % len(KINDS)
    pitch = random.uniform(0.8, 1.25, (count, 1))
    fade = np.exp(-time / (0.12 * random.uniform(0.7, 1.3, (count, 1))))
    start = 2 * np.pi * random.random((count, 1))
    every = (
        sum(np.sin(2 * np.pi * 440 * part * pitch * time + start) / part for part in (1, 2, 3)) * fade / 2,
        np.sin(2 * np.pi * pitch * (80 * time - 9 * np.exp(-time / 0.05)) + start) * fade,
        random.standard_normal((count, length)) * fade**3 / 4,
        np.sin(2 * np.pi * 900 * pitch * time + 4 * np.sin(2 * np.pi * 6 * time) + start) * 0.5,
    )
    sounds = np.stack(every)[labels, np.arange(count)] * random.uniform(0.5, 0.9, (count, 1))
    return sounds[:, None].clip(-1, 1), labels
