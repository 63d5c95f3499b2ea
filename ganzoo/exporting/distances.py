"""The Frechet distance of samples before and after weights are stored smaller.

The function that computes it comes from the caller, because it needs extractors and metrics. It compares the
samples of small weights, and those of full weights from the same inputs, with others of full weights. The
second figure is what chance gives with so many samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import sampling
from ganzoo.errors import DataError, ExportError, PluginError, UsageError
from ganzoo.exporting.onnx_graph import example_inputs
from ganzoo.fields import Field
from ganzoo.runtime.ort_session import cpu_session
from ganzoo.util.progress import lasting, report_progress

__all__ = ["MOST_SHARE", "MOST_WORSE", "Distance", "Frechet", "compared"]

Array = NDArray[Any]

Frechet = Callable[[Field, Array, Array, Array], tuple[str, float, float]]
"""Samples of a field (n, *shape) by small weights, by full ones, and others by full ones -> the name of the
distance, and those of the first two to the third. UsageError or DataError where it cannot be computed."""

MOST_WORSE, MOST_SHARE = 0.5, 0.01
"""How much larger the distance may be: the larger of a number and a share."""

_MOST, _FEWEST = 1000, 200
_STEP, _SMALL_STEP = 64, 8  # samples at a time; of large ones few, because activations are larger still
_SMALL = 2**16  # bytes of a sample: RGB of 73 x 73
_SECONDS = 60.0  # for all samples, roughly
_BYTES = 2**28  # of the samples of one file


@dataclass(frozen=True, kw_only=True)
class Distance:
    """The distance of `samples` by small weights, and by full weights, to others by full weights.

    Of the output for which the small ones are worst. `missing` says why there is none; it is empty if there
    is one.
    """

    name: str = ""
    small: float = 0.0
    full: float = 0.0
    samples: int = 0
    missing: str = ""


def compared(
    plain: bytes,
    small: bytes,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    batch: int | None,
    frechet: Frechet | None,
) -> Distance:
    """The distances between the samples of two graphs; ExportError where the small one is too far.

    What is wrong with a plugin in `frechet` is raised, and does not count as not measured.
    """
    floats = [field for field in outputs if field.dtype == "float32"]
    if frechet is None or not floats:
        return Distance(missing="no way to compute it was given" if floats else "no output has numbers")
    if not all(sampling.can_draw(field) for field in inputs):
        return Distance(missing="samples depend on what a user gives")
    size = 4 * sum(math.prod(field.shape) for field in floats)
    step = batch or (_STEP if size <= _SMALL else _SMALL_STEP)
    fitting = min(_MOST, _BYTES // size)
    if fitting < _FEWEST:
        return Distance(missing=f"{_FEWEST} samples are more than {_BYTES >> 20} MiB")
    if fitting // step * step < _FEWEST:
        return Distance(missing=f"no multiple of the batch size {step:,} is from {_FEWEST} to {fitting:,}")
    sessions = cpu_session(plain), cpu_session(small)
    begun = time.perf_counter()
    sessions[0].run(None, example_inputs(inputs, step))
    each = (time.perf_counter() - begun) / step
    count = int(min(fitting, _SECONDS / max(3 * each, 1e-9))) // step * step
    if count < _FEWEST:
        return Distance(missing="it would take too much time")
    rows = example_inputs(inputs, 2 * count)
    first, others = range(0, count, step), range(count, 2 * count, step)
    with lasting("comparing the samples of small and full weights"):
        made: list[list[Array]] = []
        for session, starts in ((sessions[1], first), (sessions[0], first), (sessions[0], others)):
            parts = []
            for start in starts:
                chosen = {name: values[start : start + step] for name, values in rows.items()}
                parts.append(session.run([field.name for field in floats], chosen))
                report_progress("samples compared", len(made) * count + start % count + step, 3 * count)
            made.append([_as_declared(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)])
        try:
            found = [frechet(field, *arrays) for field, *arrays in zip(floats, *made, strict=True)]
        except PluginError:
            raise
        except (UsageError, DataError) as error:
            return Distance(missing=error.what)
    distances = [
        Distance(name=name, small=changed, full=full, samples=count) for name, changed, full in found
    ]
    for distance in distances:
        if not _excess(distance) <= 0:  # NaN is too much, too
            raise ExportError(
                f"Samples of small weights are farther from others: {distance.name} {distance.small:.2f}, "
                f"full weights {distance.full:.2f}.",
                where=f"{count} samples; {MOST_WORSE} or {MOST_SHARE:.0%} more is allowed",
                fix="--fp16 in place of --int8, or neither",
            )
    return max(distances, key=_excess)


def _excess(distance: Distance) -> float:
    """How much more the small weights' distance is than is allowed."""
    return distance.small - distance.full - max(MOST_WORSE, MOST_SHARE * distance.full)


def _as_declared(samples: Array) -> Array:
    """uint8 pictures (n, height, width, channels) with the axes of the field."""
    return samples.transpose(0, 3, 1, 2) if samples.dtype == np.uint8 else samples
