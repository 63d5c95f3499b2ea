"""Points from known distributions, so that results can be checked by eye and by counting modes.

Ring and grid follow Metz et al. 2017 (Unrolled GAN, appendix) and Srivastava et al. 2017 (VEEGAN);
`normal1d` is the one-number target N(4, 1.25) of first GAN tutorials.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field, SettingsError
from ganzoo_datasets.config import HELD_OUT_KEY, ToyConfig

Floats = NDArray[np.float64]
Modes = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Modes | None]]


def open_toy(argument: str, config: ToyConfig | None = None) -> ArraySource:
    """`point`, shape (2,) or (1,), unbounded; `label` is the mode for ring, grid and mixture1d.

    The same name, count and seed give the same points. DataError for an unknown name.
    """
    config = config or ToyConfig()
    return _source(argument, config, (), f"toy {argument}, {config.count} points, seed {config.seed}")


def open_held_out(argument: str, config: ToyConfig | None = None) -> ArraySource:
    """As many new points of the same distribution, from a random stream that no seed of `open_toy` gives."""
    config = config or ToyConfig()
    identity = f"toy {argument}, {config.count} held-out points, seed {config.seed}"
    return _source(argument, config, HELD_OUT_KEY, identity)


def _source(argument: str, config: ToyConfig, spawn_key: tuple[int, ...], identity: str) -> ArraySource:
    if argument not in TOYS:
        raise DataError(
            f"There is no toy distribution '{argument}'."
            if argument
            else "The data set 'toy' needs the name of a distribution.",
            where=f"--data toy:{argument}",
            fix=f"choose one of {', '.join(f'toy:{name}' for name in TOYS)}",
        )
    if config.count < 1 or not 0 <= config.seed < 2**64:
        raise SettingsError(
            f"Toy data needs count >= 1 and a seed in 0..2**64-1, not {config.count} and {config.seed}.",
            where="data",
        )
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=spawn_key)))
    points, modes = TOYS[argument](rng, config.count)
    fields = [Field(name="point", shape=points.shape[1:], kind="points", axes=("value",))]
    arrays: dict[str, NDArray[np.float32] | Modes] = {"point": points.astype(np.float32)}
    if modes is not None:
        classes = tuple(str(value) for value in range(_MODES[argument]))
        fields.append(Field(name="label", dtype="int64", classes=classes))
        arrays["label"] = modes
    return ArraySource(fields=tuple(fields), arrays=arrays, identity=identity)


def _around(centres: Floats, sigma: float) -> Draw:
    """Equally likely Gaussians of standard deviation `sigma` around centres (modes, dimensions)."""

    def draw(rng: np.random.Generator, count: int) -> tuple[Floats, Modes]:
        modes = rng.integers(0, len(centres), count)
        return centres[modes] + sigma * rng.standard_normal((count, centres.shape[1])), modes

    return draw


def _rings(rng: np.random.Generator, count: int) -> tuple[Floats, None]:
    """Two circles of radius 1 and 2 around the origin, blurred by 0.05 in both coordinates."""
    radius = rng.integers(1, 3, count).astype(np.float64)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    return circle + 0.05 * rng.standard_normal((count, 2)), None


def _normal(rng: np.random.Generator, count: int) -> tuple[Floats, None]:
    return 4.0 + 1.25 * rng.standard_normal((count, 1)), None


_ANGLES = np.arange(8) * (2.0 * np.pi / 8)
_AXIS = np.arange(-4.0, 5.0, 2.0)
_RING = 2.0 * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_GRID = np.stack(np.meshgrid(_AXIS, _AXIS, indexing="ij"), axis=-1).reshape(-1, 2)
_LINE = np.array([[-4.0], [0.0], [4.0]])
_MODES = {"ring": len(_RING), "grid": len(_GRID), "mixture1d": len(_LINE)}

TOYS: dict[str, Draw] = {
    "ring": _around(_RING, 0.02),
    "rings": _rings,
    "grid": _around(_GRID, 0.05),
    "mixture1d": _around(_LINE, 0.5),
    "normal1d": _normal,
}
