"""Checks that whole arrays or single items fit the declarations of their fields.

Problems are returned as text, because a wrong array ends the command, while a wrong item is only
counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api.media import stored_span
from ganzoo.fields import Field

Array = NDArray[Any]

_TOLERANCE = 1e-5
"""How far a float may lie outside its range, relative to the width of the range, for rounding errors."""

_LARGEST = float(np.finfo(np.float32).max)

_STORED = (np.uint8, np.uint16, np.int16, np.int32)
"""Types in which the values of a float field may be stored: see `as_floats`."""

_BLOCK_BYTES = 1 << 24


def stored_dtype(field: Field, dtype: np.dtype[Any]) -> np.dtype[Any] | str:
    """The type in which values of `dtype` are stored for this field, or a description of the problem.

    Labels become int64, floats float32; small integers stay for a float field with a range.
    """
    if field.dtype == "int64":
        return np.dtype(np.int64) if dtype.kind in "iu" else f"{dtype} where whole numbers are declared"
    if dtype in _STORED:
        if field.range is not None:
            return dtype
        low, high = stored_span(field, dtype)
        return f"{dtype} for a field without a range to map {low:.0f}..{high:.0f} onto"
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return f"{dtype} where float32 (or uint8, uint16, int16, int32, for a field with a range) is declared"


def value_problem(field: Field, values: Array, *, indices: bool = False) -> str:
    """The problem with values of the right type; empty if there is none."""
    if indices:
        low, high, count = int(values.min()), int(values.max()), field.shape[-1]
        return "" if low >= 0 and high < count else f"indices {low}..{high} of {count} (0..{count - 1})"
    if values.dtype.kind in "iu" and field.dtype == "float32":
        if field.original is None:
            return ""
        low, high = int(values.min()), int(values.max())
        first, last = field.original
        within = first <= low and high <= last
        return "" if within else f"values {low}..{high} outside the original values {first:g}..{last:g}"
    if field.dtype == "int64":
        if not field.classes:
            return ""
        low, high = int(values.min()), int(values.max())
        count = len(field.classes)
        return (
            "" if low >= 0 and high < count else f"values {low}..{high} for {count} classes (0..{count - 1})"
        )
    low_value, high_value = float(values.min()), float(values.max())
    if not (np.isfinite(low_value) and np.isfinite(high_value)):
        return "values that are not finite (NaN or infinity)"
    if max(-low_value, high_value) > _LARGEST:
        return f"values {low_value:g}..{high_value:g}, too large for float32"
    if field.range is not None:
        low_end, high_end = field.range
        tolerance = _TOLERANCE * (high_end - low_end)
        if low_value < low_end - tolerance or high_value > high_end + tolerance:
            return f"values {low_value:g}..{high_value:g} outside the range {low_end:g}..{high_end:g}"
    return ""


def blocks(array: Array) -> Iterator[Array]:
    """The array in blocks of samples of about 16 MiB, so that a memory-mapped one is never read whole."""
    step = max(1, _BLOCK_BYTES // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), step):
        yield array[start : start + step]
