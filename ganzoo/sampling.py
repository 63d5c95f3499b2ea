"""Random inputs of generators: the same rows for the same seed on every machine.

Computes numbers from (seed, field, row) and interpolates between two latents. Uses none of torch's
random streams, which belong to the training loop.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError
from ganzoo.fields import Field

__all__ = ["can_draw", "draw", "interpolate"]

_WORDS = 4  # Philox4x64 gives four 64-bit words for each counter step
_BLOCK = 2**15  # values computed at once: more would take more memory and not fit into the CPU cache
_LN2, _TURN = 0.6931471805599453, 6.283185307179586
_ARTANH = [1 / (2 * k + 1) for k in range(11)]
_SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(12)]


def can_draw(field: Field) -> bool:
    """Whether `draw` can draw the field: float noise, a constant, or a label with named classes."""
    if field.dtype == "int64":
        return bool(field.classes)
    return field.source != "data"


def draw(fields: Sequence[Field], n: int, seed: int, start: int = 0) -> dict[str, NDArray[Any]]:
    """Rows `start` to `start + n` of each field, as arrays of shape (n, *field.shape).

    Noise is float32: N(0, 1) for `normal`, U(-1, 1) for `uniform`. A `constant` is its default. Labels are
    int64, uniform over the classes or by their `shares`. Row i is a function of (seed, field name, field
    shape, i) alone, so a longer draw begins with the shorter one. Only Philox's raw words are used: numpy
    promises that these never change, and makes no such promise for the methods of `Generator`. All further
    operations are ones that IEEE 754 rounds correctly, so every bit is the same on every machine.

    UsageError for a seed outside 0..2**64-1, a negative n or start, and a field that cannot be drawn.
    """
    if not 0 <= seed < 2**64:
        raise UsageError(f"The seed {seed} is not in 0..2**64-1.", fix="choose a whole number such as 0")
    if n < 0 or start < 0:
        raise UsageError(
            f"Rows {start} to {start + n} cannot be drawn.", fix="n and start must not be negative"
        )
    return {field.name: _column(field, n, seed, start) for field in fields}


def interpolate(a: NDArray[Any], b: NDArray[Any], steps: int, source: str) -> NDArray[Any]:
    """`steps` points from `a` to `b`, both included: shape (steps, *a.shape), float32.

    `source="normal"` interpolates on the sphere (White 2016, "Sampling Generative Networks": points on the
    line between two Gaussian vectors are shorter than any vector of the training). Other sources interpolate
    linearly. `a` and `b` are exact; points on the sphere between them may differ in the last bit between
    machines. UsageError for different shapes, and for less than one step.
    """
    if a.shape != b.shape:
        raise UsageError(f"Latents of shapes {a.shape} and {b.shape} cannot be connected.")
    if steps < 1:
        raise UsageError(f"An interpolation of {steps} steps is empty.", fix="ask for 2 steps or more")
    t = np.linspace(0.0, 1.0, steps).reshape(-1, *([1] * a.ndim))
    first, last = a.astype(np.float64), b.astype(np.float64)
    left, right = 1.0 - t, t
    if source == "normal":
        lengths = float(np.linalg.norm(first) * np.linalg.norm(last))
        cosine = float(np.vdot(first, last)) / lengths if lengths else 1.0
        angle = math.acos(min(1.0, max(-1.0, cosine)))
        if math.sin(angle) > 1e-6:  # parallel vectors span no arc; the line gives the same points
            left, right = np.sin(left * angle) / math.sin(angle), np.sin(right * angle) / math.sin(angle)
    walk = np.empty((steps, *a.shape), dtype=np.float32)
    for rows in _blocks(steps, a.size):
        walk[rows] = left[rows] * first + right[rows] * last
    walk[0] = a
    if steps > 1:
        walk[-1] = b
    return walk


def _column(field: Field, n: int, seed: int, start: int) -> NDArray[Any]:
    if not can_draw(field):
        raise UsageError(
            f"The field '{field.name}' is not random: its values must be given.",
            where=f"{field.dtype} of shape {field.shape}, source '{field.source}'",
        )
    if field.source == "constant":
        return np.full((n, *field.shape), field.default, dtype=field.dtype)
    size = math.prod(field.shape)
    column = np.empty((n, size), dtype=field.dtype)
    for rows in _blocks(n, size):
        count = rows.stop - rows.start
        words = _words(field.name, count, size + size % 2, seed, start + rows.start)
        if field.dtype == "int64" and field.shares:
            ends = np.cumsum(field.shares)  # added in order: the same bits on every machine
            column[rows] = ends[:-1].searchsorted(_doubles(words[:, :size]) * ends[-1], "right")
        elif field.dtype == "int64":
            column[rows] = words[:, :size] % np.uint64(len(field.classes))  # bias: under classes / 2**64
        elif field.source == "uniform":
            column[rows] = 2.0 * _doubles(words[:, :size]) - 1.0
        else:
            column[rows] = _normal(_doubles(words))[:, :size]
    return column.reshape(n, *field.shape)


def _blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cover `rows` rows of `width` values; each has about `_BLOCK` values, or one row."""
    step = max(1, _BLOCK // max(width, 1))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def _normal(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """N(0, 1) from U[0, 1) by Box and Muller: each pair of columns becomes a pair."""
    radius = np.sqrt(-2.0 * _log(1.0 - unit[:, 0::2]))  # 1 - u is exact, and in (0, 1]
    turns = unit[:, 1::2]
    normal = np.empty_like(unit)
    normal[:, 0::2] = radius * _sine(turns + 0.25)
    normal[:, 1::2] = radius * _sine(turns)
    return normal


# numpy's log, cos and sin differ in the last bit between machines. These two functions are as exact (errors
# under 1e-15) and use only operations that every machine rounds correctly.


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of positive x = m * 2**e with m near 1: log m = 2 artanh((m - 1) / (m + 1))."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    return (exponent - small) * _LN2 + 2.0 * ratio * _polynomial(ratio * ratio, _ARTANH)


def _sine(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sine of an angle in full turns, by the Taylor series within a quarter of a turn."""
    turns = turns - np.rint(turns)
    turns = np.where(np.abs(turns) > 0.25, np.copysign(0.5, turns) - turns, turns)
    angle = _TURN * turns
    return angle * _polynomial(angle * angle, _SINE)


def _polynomial(x: NDArray[np.float64], coefficients: Sequence[float]) -> NDArray[np.float64]:
    result = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def _words(name: str, n: int, size: int, seed: int, start: int) -> NDArray[np.uint64]:
    """The first `size` random words of each row; every row starts at its own counter step."""
    steps = -(-size // _WORDS)
    stream = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    philox = np.random.Philox(counter=start * steps, key=np.array([seed, stream], dtype=np.uint64))
    return philox.random_raw(n * steps * _WORDS).reshape(n, steps * _WORDS)[:, :size]


def _doubles(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """U[0, 1) from the 53 highest bits of each word."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
