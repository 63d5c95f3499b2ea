"""Whether what a caller asks of a generator exists: labels by number or name, arrays for inputs.

Needs numpy alone, as runtime.py does; all that is wrong is a UsageError that names what there is.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field
from ganzoo.errors import UsageError

__all__ = ["checked", "labels"]


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


def checked(field: Field, values: Any, n: int) -> NDArray[Any]:
    """The values, which must be an array (n, *field.shape) of the declared dtype, with classes that exist."""
    shape, dtype = getattr(values, "shape", None), getattr(values, "dtype", type(values).__name__)
    if shape != (n, *field.shape) or dtype != field.dtype:
        raise UsageError(
            f"'{field.name}' was given as {dtype} of shape {shape}.",
            fix=f"the generator needs {field.dtype} of shape {(n, *field.shape)}",
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
