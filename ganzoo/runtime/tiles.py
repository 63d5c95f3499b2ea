"""Run a generator with free axes on large samples in overlapping tiles, and blend the seams.

A tile is computed with more of its surroundings than it keeps. How much is measured on the sample itself:
the smallest overlap at which twice as much changes no result by more than `TOLERANCE`. Nothing here knows
what a sample is; an axis is free or not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.util.progress import report_progress
from ganzoo.util.system import free_memory

if TYPE_CHECKING:
    from ganzoo.runtime.generator import Generator

__all__ = ["Overlap", "auto_tile", "measured_overlap", "run_in_tiles"]

Arrays = dict[str, NDArray[Any]]
Span = tuple[int, int]

TOLERANCE = 0.5 / 255
"""The difference that more surroundings may make, as a share of the range of values."""

SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32)
"""Sides of automatic tiles that are tried, in elements of the first input."""

FEATHER = 4  # a quarter of the overlap is blended

_PROBE = 16  # elements of a side that overlaps are compared on
_PROBES = 3
_FIRST, _LAST = 8, 256  # overlaps that are tried, in elements of the first input
_TENSORS = 6  # of the size of the largest one, that are in memory at once
_SHARE = 0.5  # of the free memory


@dataclass(frozen=True)
class Overlap:
    """`steps` that a tile sees beyond its edge, and the largest difference that twice as many make."""

    steps: int
    difference: float

    @property
    def enough(self) -> bool:
        """Whether more surroundings would make no difference."""
        return self.difference <= TOLERANCE


def auto_tile(generator: Generator) -> int:
    """The side of a tile in elements of the first input; 0 if the whole sample fits into the memory.

    `generator` has the size of the whole sample. UsageError if not even small tiles fit.
    """
    if not generator.multiples:
        return 0
    budget = _SHARE * free_memory() / (4 * _TENSORS)
    error: UsageError | None = None
    steps, size = generator.steps, _elements(generator)
    for side in (0, *SIDES):
        # The widest part that is computed: `measured_overlap` tries up to twice the tile on both sides.
        window = {
            axis: count if not side else min(count, max(1, (4 * side + _PROBE) // size[axis]))
            for axis, count in steps.items()
        }
        try:
            if generator.largest_tensor(window) <= budget:
                return side
        except UsageError as failed:
            error = failed
    raise error or UsageError(
        "There is too little free memory for even a small part of the sample.",
        where=f"{free_memory() / 2**20:.0f} MiB are free",
        fix="close other programs, or use a smaller generator",
    )


def run_in_tiles(
    generator: Generator, inputs: Mapping[str, NDArray[Any]], side: int, *, batch_size: int = 64
) -> tuple[Arrays, Overlap]:
    """All outputs for inputs of a large size, computed in tiles of `side` elements of the first input.

    `generator` has the size of the whole sample. Returns the outputs and the overlap that was measured.
    UsageError for a generator that writes something for the whole sample, such as a score.
    """
    for field in generator.outputs:
        if missing := [axis for axis in generator.multiples if axis not in field.free]:
            raise UsageError(
                f"The generator cannot work in tiles: '{field.name}' has no free axis '{missing[0]}'.",
                fix="--tile 0, or smaller inputs",
            )
        if field.dtype != "float32":
            raise UsageError(
                f"The generator cannot work in tiles: '{field.name}' has whole numbers, which do not blend.",
                fix="--tile 0, or smaller inputs",
            )
    size = _elements(generator)
    steps = {axis: max(1, side // size[axis]) for axis in generator.steps}
    overlap = measured_overlap(generator, inputs, steps)
    results = {
        field.name: np.zeros(generator.shape_of(field, len(next(iter(inputs.values())))), np.float32)
        for field in generator.outputs
    }
    cores = [_cores(generator.steps[axis], steps[axis]) for axis in generator.steps]
    total = math.prod(len(parts) for parts in cores)
    # The seams of a tile must not meet: else weights would not sum to 1.
    feather = min(overlap.steps / FEATHER, *((stop - start) / 2 for part in cores for start, stop in part))
    for done, chosen in enumerate(itertools.product(*cores)):
        core = dict(zip(generator.steps, chosen, strict=True))
        window = _widened(core, overlap.steps, generator.steps)
        made = generator.run(_cut(inputs, generator.inputs, window), batch_size=batch_size)
        for field in generator.outputs:
            _add(results[field.name], made[field.name], generator, field, core, window, feather)
        report_progress("tiles computed", done + 1, total)
    return {
        field.name: np.rint(results[field.name]).astype(np.uint8)
        if field.name in generator.layouts
        else results[field.name]
        for field in generator.outputs
    }, overlap


def measured_overlap(
    generator: Generator, inputs: Mapping[str, NDArray[Any]], steps: Mapping[str, int]
) -> Overlap:
    """The smallest overlap in steps that makes results independent of what lies beyond it.

    Results of a few small parts of the first sample are compared for an overlap and twice as much. If no
    overlap is enough, a quarter of the tile.
    """
    size = min(_elements(generator).values())
    first = {name: values[:1] for name, values in inputs.items()}
    least = max(1, _FIRST // size)
    most = max(least, min(_LAST // size, *steps.values()))
    worst, tried = 0.0, least
    while tried <= most:
        worst = max(
            _change(generator, first, core, tried)
            for core in _probes(generator.steps, max(1, _PROBE // size))
        )
        if worst <= TOLERANCE:
            return Overlap(tried, worst)
        tried *= 2
    return Overlap(max(least, min(steps.values()) // 4), worst)


def _probes(steps: Mapping[str, int], length: int) -> Iterator[dict[str, Span]]:
    """Small parts of the sample, spread over its diagonal."""
    for at in range(_PROBES):
        yield {
            axis: (start, min(count, start + length))
            for axis, count in steps.items()
            for start in [max(0, count * (2 * at + 1) // (2 * _PROBES) - length // 2)]
        }


def _change(
    generator: Generator, inputs: Mapping[str, NDArray[Any]], core: dict[str, Span], steps: int
) -> float:
    """How much a part changes when it is computed with twice the surroundings, as a share of the range."""
    found: list[list[NDArray[Any]]] = []
    for surroundings in (steps, 2 * steps):
        window = _widened(core, surroundings, generator.steps)
        made = generator.run(_cut(inputs, generator.inputs, window))
        found.append([
            made[field.name][_places(generator, field, core, window)].astype(np.float32)
            for field in generator.outputs
        ])  # fmt: skip
    worst = 0.0
    for field, a, b in zip(generator.outputs, *found, strict=True):
        low, high = (
            (0, 255) if field.name in generator.layouts else field.range or (0.0, float(np.abs(b).max()))
        )
        worst = max(worst, float(np.abs(a - b).max()) / max(high - low, 1e-12))
    return worst


def _elements(generator: Generator) -> dict[str, int]:
    """Elements of the first input (else output) with the axis in a step."""
    found: dict[str, int] = {}
    for field in (*generator.inputs, *generator.outputs):
        for axis, multiple in field.free.items():
            found.setdefault(axis, multiple)
    return found


def _cores(count: int, most: int) -> list[Span]:
    """Parts of about equal length that cover `count` steps, none longer than `most`."""
    parts = -(-count // most)
    ends = [at * count // parts for at in range(parts + 1)]
    return list(itertools.pairwise(ends))


def _widened(core: Mapping[str, Span], steps: int, whole: Mapping[str, int]) -> dict[str, Span]:
    return {
        axis: (max(0, start - steps), min(whole[axis], stop + steps)) for axis, (start, stop) in core.items()
    }


def _cut(inputs: Mapping[str, NDArray[Any]], fields: Sequence[Field], window: Mapping[str, Span]) -> Arrays:
    """The part of each input inside the window; inputs without free axes stay whole."""
    found = {}
    for field in fields:
        cuts = [slice(None)] * (len(field.shape) + 1)
        for axis, multiple in field.free.items():
            start, stop = window[axis]
            cuts[field.axes.index(axis) + 1] = slice(start * multiple, stop * multiple)
        found[field.name] = np.ascontiguousarray(inputs[field.name][tuple(cuts)])
    return found


def _places(
    generator: Generator, field: Field, core: Mapping[str, Span], window: Mapping[str, Span]
) -> tuple[slice, ...]:
    """Where an output array for the window has the core."""
    cuts = [slice(None)] * (len(field.shape) + 1)
    for axis, multiple in field.free.items():
        (start, stop), begins = core[axis], window[axis][0]
        cuts[generator.dimension(field, axis)] = slice(
            (start - begins) * multiple, (stop - begins) * multiple
        )
    return tuple(cuts)


def _add(
    result: NDArray[np.float32],
    made: NDArray[Any],
    generator: Generator,
    field: Field,
    core: Mapping[str, Span],
    window: Mapping[str, Span],
    feather: float,
) -> None:
    """Add a tile to the whole output, with weights that fall from 1 to 0 across its seams."""
    kept = _widened(core, math.ceil(feather), generator.steps)
    part = made[_places(generator, field, kept, window)].astype(np.float32)
    for axis, multiple in field.free.items():
        at = generator.dimension(field, axis)
        weights = _weights(kept[axis], core[axis], generator.steps[axis], multiple, feather)
        part *= weights.reshape([-1 if place == at else 1 for place in range(part.ndim)])
    whole = {axis: (0, count) for axis, count in generator.steps.items()}
    result[_places(generator, field, kept, whole)] += part


def _weights(kept: Span, core: Span, count: int, multiple: int, feather: float) -> NDArray[np.float32]:
    """The weight of each element of `kept`: those of two neighbours sum to 1."""
    places = kept[0] + (np.arange((kept[1] - kept[0]) * multiple) + 0.5) / multiple
    weights = np.ones(len(places))
    for edge, away in ((core[0], places - core[0]), (core[1], core[1] - places)):
        if 0 < edge < count:
            weights = weights * ((away + feather) / (2 * feather)).clip(0, 1)
    return weights.astype(np.float32)
