"""Checks the values that a caller gives to a generator: labels by number or name, arrays for inputs.

Needs only numpy. Each error is a UsageError that names the allowed values.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.util.text import some

__all__ = ["Values", "checked", "class_number", "labels", "spread", "steps_for"]

Values = NDArray[Any] | float | Sequence[float]
"""The value of an input: an array with a value for each sample, or numbers that apply to all samples."""

_FEW = 8
"""The largest number of values that a person would type for one sample."""


def labels(n: int, label: int | str | Sequence[int], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """A class for each of `n` samples: one number or name for all, or a number for each.

    The result is (n,) int64. UsageError for what is neither a number nor a class.
    """
    try:
        if isinstance(label, (int, np.integer)):
            return np.full(n, label, dtype=np.int64)
        if isinstance(label, str):
            return np.full(n, class_number(label, classes), dtype=np.int64)
        return np.array([operator.index(item) for item in label], dtype=np.int64)
    except (TypeError, OverflowError) as error:
        raise UsageError(
            f"A label is a whole number or a name, not {label!r:.80}.", fix=_listed(classes)
        ) from error


def class_number(label: str, classes: tuple[str, ...]) -> int:
    """The index of the class with that name, or else the text as a number.

    UsageError for an unknown name, which suggests one that is close.
    """
    if label in classes:
        return classes.index(label)
    try:
        return int(label)
    except ValueError:
        close = difflib.get_close_matches(label, classes, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UsageError(f"There is no class '{label}'.", fix=f"{hint}{_listed(classes)}") from None


def spread(field: Field, values: Values, n: int) -> Any:
    """Repeat the numbers of one sample `n` times; a constant field needs only one. Arrays are unchanged."""
    if isinstance(values, np.ndarray):
        return values
    numbers = np.asarray(values, dtype=object)
    if not all(isinstance(number, (int, float, np.number)) for number in numbers.flat):
        return values
    sample = np.asarray(values, dtype=float)
    one = field.source == "constant" and sample.ndim == 0
    if sample.size != prod(field.shape) and not one:
        return values
    if field.dtype == "int64" and (sample != np.rint(sample)).any():
        return values
    return np.full((n, *field.shape), sample if one else sample.reshape(field.shape), dtype=field.dtype)


def steps_for(
    multiples: Mapping[str, int], size: Mapping[str, int], inputs: Sequence[Field], given: Mapping[str, Any]
) -> dict[str, int]:
    """Steps of the free axes that a caller sets: by `size`, in multiples of `multiples`, or by arrays.

    UsageError for what is no free axis or no multiple, and where two do not agree.
    """
    found: dict[str, tuple[int, str]] = {}

    def add(axis: str, count: Any, multiple: int, what: str) -> None:
        steps = count // multiple
        if not isinstance(count, (int, np.integer)) or count < 1 or count % multiple:
            near = [max(steps, 1) * multiple, (max(steps, 1) + 1) * multiple]
            raise UsageError(
                f"{what} has {axis}={count}, but that must be a positive multiple of {multiple}.",
                fix=f"{axis}={near[0]} or {axis}={near[1]}",
            )
        if found.setdefault(axis, (int(steps), what))[0] != steps:
            raise UsageError(
                f"{what} and {found[axis][1]} do not agree on the axis '{axis}'.", fix="give its size once"
            )

    for axis, count in size.items():
        if axis not in multiples:
            raise UsageError(
                f"The generator has no free axis '{axis}'.",
                fix=f"its free axes are: {', '.join(multiples)}"
                if multiples
                else "leave the size out: all sizes are fixed",
            )
        add(axis, count, multiples[axis], "The size")
    for field in inputs:
        shape = getattr(given.get(field.name), "shape", ())
        if len(shape) == len(field.shape) + 1:
            for axis, multiple in field.free.items():
                add(axis, shape[field.axes.index(axis) + 1], multiple, f"The array for '{field.name}'")
    return {axis: steps for axis, (steps, _) in found.items()}


def checked(field: Field, values: Any, n: int) -> NDArray[Any]:
    """The values; UsageError unless they are an array (n, *field.shape) of the declared dtype and classes."""
    shape, dtype = getattr(values, "shape", None), getattr(values, "dtype", None)
    if shape != (n, *field.shape) or dtype != field.dtype:
        given = f"{values!r:.60}" if dtype is None else f"{dtype} of shape {shape}"
        size = prod(field.shape)
        one = f", or {size} number{'s' * (size != 1)} for all samples" if size <= _FEW else ""
        raise UsageError(
            f"'{field.name}' was given as {given}.",
            fix=f"the generator needs {field.dtype} of shape {(n, *field.shape)}{one}",
        )
    if field.classes:  # onnxruntime silently treats -1 as the last class
        wrong = values[(values < 0) | (values >= len(field.classes))]
        if wrong.size:
            raise UsageError(f"There is no class {int(wrong.flat[0])}.", fix=_listed(field.classes))
    array: NDArray[Any] = values
    return array


def _listed(classes: Sequence[str]) -> str:
    if not classes:
        return "the classes have no names: give a number"
    return f"the classes are: {some([f'{index} {name}' for index, name in enumerate(classes)])}"
