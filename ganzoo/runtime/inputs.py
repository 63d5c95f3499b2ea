"""Whether what a caller asks of a generator exists: labels by number or name, arrays for inputs.

Needs numpy alone, as runtime.py does; all that is wrong is a UsageError that names what there is.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError
from ganzoo.fields import Field

__all__ = ["Values", "checked", "labels", "spread"]

Values = NDArray[Any] | float | Sequence[float]
"""What a caller gives for an input: a value for each sample, or numbers that hold for all of them."""

_NAMEABLE = 8
"""Values of an input that a person would give one by one."""


def labels(n: int, label: int | str | Sequence[int], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """A class for each of `n` samples: one number or name for all, or a number for each."""
    try:
        if isinstance(label, (int, np.integer)):
            return np.full(n, label, dtype=np.int64)
        if isinstance(label, str):
            return np.full(n, _number(label, classes), dtype=np.int64)
        return np.array([operator.index(item) for item in label], dtype=np.int64)
    except (TypeError, OverflowError) as error:
        raise UsageError(
            f"A label is a whole number or a name, not {label!r:.80}.", fix=_listed(classes)
        ) from error


def _number(label: str, classes: tuple[str, ...]) -> int:
    """The class of that name, or else the number that the text spells."""
    if label in classes:
        return classes.index(label)
    try:
        return int(label)
    except ValueError:
        close = difflib.get_close_matches(label, classes, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UsageError(f"There is no class '{label}'.", fix=f"{hint}{_listed(classes)}") from None


def spread(field: Field, values: Values, n: int) -> Any:
    """The numbers of one sample for all `n`: as many as the field has, or one for a constant. Arrays stay."""
    if isinstance(values, np.ndarray):
        return values
    numbers = np.asarray(values, dtype=object)
    if not all(isinstance(number, (int, float, np.number)) for number in numbers.flat):
        return values
    whole = np.asarray(values, dtype=float)
    one = field.source == "constant" and whole.ndim == 0
    if whole.size != prod(field.shape) and not one:
        return values
    if field.dtype == "int64" and (whole != np.rint(whole)).any():
        return values
    return np.full((n, *field.shape), whole if one else whole.reshape(field.shape), dtype=field.dtype)


def checked(field: Field, values: Any, n: int) -> NDArray[Any]:
    """The values, which must be an array (n, *field.shape) of the declared dtype, with classes that exist."""
    shape, dtype = getattr(values, "shape", None), getattr(values, "dtype", None)
    if shape != (n, *field.shape) or dtype != field.dtype:
        given = f"{values!r:.60}" if dtype is None else f"{dtype} of shape {shape}"
        size = prod(field.shape)
        alike = f", or {size} number{'s' * (size != 1)} for all samples alike" if size <= _NAMEABLE else ""
        raise UsageError(
            f"'{field.name}' was given as {given}.",
            fix=f"the generator needs {field.dtype} of shape {(n, *field.shape)}{alike}",
        )
    if field.classes:  # onnxruntime takes -1 for the last class without a word
        wrong = values[(values < 0) | (values >= len(field.classes))]
        if wrong.size:
            raise UsageError(f"There is no class {int(wrong.flat[0])}.", fix=_listed(field.classes))
    array: NDArray[Any] = values
    return array


def _listed(classes: Sequence[str]) -> str:
    if not classes:
        return "the classes have no names: give a number"
    shown = ", ".join(f"{index} {name}" for index, name in enumerate(classes[:20]))
    return f"the classes are: {shown}" + (
        f" ... {len(classes) - 1} {classes[-1]}" if len(classes) > 20 else ""
    )
