"""Random inputs of generators: the same rows for the same seed on every machine.

Owns the step from (seed, field, row) to numbers and the walk between two latents. Does not choose
fields, run networks or know of torch's random streams, which the training loop uses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field
from ganzoo.errors import UsageError

__all__ = ["can_draw", "draw", "interpolate"]

_WORDS = 4  # Philox4x64 gives four 64-bit words a counter step


def can_draw(field: Field) -> bool:
    """Whether `draw` can fill it: float noise, or a label with named classes."""
    if field.dtype == "int64":
        return bool(field.classes)
    return field.source in ("normal", "uniform")


def draw(fields: Sequence[Field], n: int, seed: int, start: int = 0) -> dict[str, NDArray[Any]]:
    """Rows `start` to `start + n` of each field, as arrays of shape (n, *field.shape).

    Noise is float32: N(0, 1) for `normal`, U(-1, 1) for `uniform`. Labels are int64, uniform over
    the classes. Row i is a function of (seed, field name, field shape, i) alone, so a longer draw
    begins with the shorter one. Only Philox's raw words are used: numpy promises that these never
    change, and makes no such promise for the methods of `Generator`. Labels and uniform noise are
    exact everywhere; normal noise goes through log, cos and sin in float64, whose last bit may
    differ between machines and survives the cast to float32 in about one of 10^8 values.

    UsageError for a seed outside 0..2**64-1, a negative n or start, and a field that nobody draws.
    """
    if not 0 <= seed < 2**64:
        raise UsageError(f"The seed {seed} is not in 0..2**64-1.", fix="choose a whole number such as 0")
    if n < 0 or start < 0:
        raise UsageError(
            f"Rows {start} to {start + n} cannot be drawn.", fix="n and start must not be negative"
        )
    return {field.name: _column(field, n, seed, start) for field in fields}


def interpolate(a: NDArray[Any], b: NDArray[Any], steps: int, source: str) -> NDArray[Any]:
    """`steps` points on the way from `a` to `b`, both ends included: shape (steps, *a.shape), float32.

    `source="normal"` walks on the sphere (White 2016, "Sampling Generative Networks": points on the
    chord of two Gaussian vectors are shorter than any that a generator saw); anything else is a line.
    """
    if a.shape != b.shape:
        raise UsageError(f"Latents of shapes {a.shape} and {b.shape} cannot be connected.")
    if steps < 1:
        raise UsageError(f"A walk of {steps} steps is empty.", fix="ask for 2 steps or more")
    t = np.linspace(0.0, 1.0, steps).reshape(-1, *([1] * a.ndim))
    first, last = a.astype(np.float64), b.astype(np.float64)
    left, right = 1.0 - t, t
    if source == "normal":
        lengths = float(np.linalg.norm(first) * np.linalg.norm(last))
        cosine = float(np.vdot(first, last)) / lengths if lengths else 1.0
        angle = math.acos(min(1.0, max(-1.0, cosine)))
        if math.sin(angle) > 1e-6:  # parallel vectors span no arc; the line is the same walk
            left, right = np.sin(left * angle) / math.sin(angle), np.sin(right * angle) / math.sin(angle)
    walk: NDArray[Any] = (left * first + right * last).astype(np.float32)
    walk[0] = a
    if steps > 1:
        walk[-1] = b
    return walk


def _column(field: Field, n: int, seed: int, start: int) -> NDArray[Any]:
    if not can_draw(field):
        raise UsageError(
            f"The field '{field.name}' is not a random one: its values must be given.",
            where=f"{field.dtype} of shape {field.shape}, source '{field.source}'",
        )
    size = math.prod(field.shape)
    shape = (n, *field.shape)
    if field.dtype == "int64":
        classes = np.uint64(len(field.classes))
        labels = _words(field.name, n, size, seed, start) % classes  # bias: under classes / 2**64
        return labels.astype(np.int64).reshape(shape)
    if field.source == "uniform":
        unit = _doubles(_words(field.name, n, size, seed, start))
        return (2.0 * unit - 1.0).astype(np.float32).reshape(shape)
    unit = _doubles(_words(field.name, n, size + size % 2, seed, start))
    radius = np.sqrt(-2.0 * np.log1p(-unit[:, 0::2]))  # 1 - u is in (0, 1]: the logarithm is finite
    angle = 2.0 * np.pi * unit[:, 1::2]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).reshape(n, unit.shape[1])
    return normal[:, :size].astype(np.float32).reshape(shape)


def _words(name: str, n: int, size: int, seed: int, start: int) -> NDArray[np.uint64]:
    """The first `size` random words of each row; every row starts at a counter step of its own."""
    steps = -(-size // _WORDS)
    stream = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    philox = np.random.Philox(counter=start * steps, key=np.array([seed, stream], dtype=np.uint64))
    return philox.random_raw(n * steps * _WORDS).reshape(n, steps * _WORDS)[:, :size]


def _doubles(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """U[0, 1) from the 53 highest bits of each word."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
