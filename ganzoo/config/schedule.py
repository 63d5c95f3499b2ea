"""Schedules: a setting that changes over a run, written as text, as a function of how far the run is.

    linear 10 -> 0.1                  over the whole run
    cosine 0.2 -> 0.05 over 0..0.1    within the first tenth, then 0.05
    exponential 1 -> 100 over 0..200000 images
    piecewise 0: 10, 0.3: 10, 1: 1    straight lines between these points

Positions are shares of the run in 0..1, or images with the word `images` at the end. Before the first
position a schedule has its first value, after the last one its last: a burn-in is one that ends early.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any, Literal, TypeVar, get_args

OptionsT = TypeVar("OptionsT")
Shape = Literal["linear", "cosine", "exponential", "piecewise"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_RAMP = re.compile(
    rf"(linear|cosine|exponential)\s+({_NUMBER})\s*->\s*({_NUMBER})"
    rf"(?:\s+over\s+({_NUMBER})\s*\.\.\s*({_NUMBER})(\s+images)?)?",
    re.IGNORECASE,
)
_POINTS = re.compile(
    rf"piecewise\s+({_NUMBER}\s*:\s*{_NUMBER}(?:\s*,\s*{_NUMBER}\s*:\s*{_NUMBER})*)(\s+images)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Schedule:
    """Values at positions, and the shape of the way between them.

    `points` are (position, value) in rising order of positions. With `images` positions are images seen,
    else shares of the run.
    """

    text: str
    shape: Shape
    points: tuple[tuple[float, float], ...]
    images: bool = False

    def __str__(self) -> str:
        return self.text

    @property
    def values(self) -> tuple[float, ...]:
        """Its values at the given positions. All others lie between them."""
        return tuple(value for _, value in self.points)

    def at(self, progress: float, images: int) -> float:
        """The value at a share `progress` of the run, after `images` images."""
        place = float(images) if self.images else progress
        if place <= self.points[0][0]:
            return self.points[0][1]
        for (start, first), (stop, last) in pairwise(self.points):
            if place < stop:
                return self._between((place - start) / (stop - start), first, last)
        return self.points[-1][1]

    def _between(self, share: float, first: float, last: float) -> float:
        if self.shape == "exponential":
            return first * math.pow(last / first, share)
        if self.shape == "cosine":
            share = 0.5 * (1.0 - math.cos(math.pi * share))
        return first + share * (last - first)


def is_schedule(value: object) -> bool:
    """Whether a value of a setting is meant as a schedule: a text that begins with the name of a shape."""
    return isinstance(value, str) and value.strip().lower().split(" ")[0] in get_args(Shape)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule. ValueError says what is wrong with it."""
    text = " ".join(text.split())
    if match := _RAMP.fullmatch(text):
        shape, first, last, start, stop, images = match.groups()
        ends = [(float(start or 0), float(first)), (float(stop or 1), float(last))]
        points = tuple(ends)
    elif match := _POINTS.fullmatch(text):
        shape, listed, images = "piecewise", *match.groups()
        pairs = (item.split(":") for item in listed.split(","))
        points = tuple((float(place), float(value)) for place, value in pairs)
    else:
        raise ValueError(
            f"'{text}' is no schedule: write 'linear 1 -> 0.1', 'cosine 1 -> 0 over 0..0.5', "
            "'exponential 1 -> 100 over 0..50000 images' or 'piecewise 0: 1, 0.5: 1, 1: 0'"
        )
    for problem in _problems(shape.lower(), points, bool(images)):
        raise ValueError(f"the schedule '{text}' {problem}")
    return Schedule(text, shape.lower(), points, bool(images))  # type: ignore[arg-type]


def _problems(shape: str, points: tuple[tuple[float, float], ...], images: bool) -> Iterator[str]:
    places, values = zip(*points, strict=True)
    if not all(map(math.isfinite, (*places, *values))):
        yield "has a number that is not finite"
    if any(a >= b for a, b in pairwise(places)):
        yield "needs positions in rising order"
    if places[0] < 0 or (not images and places[-1] > 1):
        yield "has positions outside of the run: they are shares in 0..1, or images with 'images' at the end"
    if shape == "exponential" and min(values) * max(values) <= 0:
        yield "is exponential: its values must be all above 0, or all below"


def replaced(options: OptionsT, number: Callable[[str, Schedule], Any]) -> OptionsT:
    """Options with `number(name, schedule)` in place of each schedule: a copy, if there are any."""

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(plain(name, item) for item in value)
        return number(name, value) if isinstance(value, Schedule) else value

    result = options
    for name in scheduled(options):
        result = copy(options) if result is options else result
        # Config dataclasses are frozen, and checked already.
        object.__setattr__(result, name, plain(name, getattr(options, name)))
    return result


def scheduled(options: object) -> list[str]:
    """The names of the options that are schedules, or have some among their numbers."""
    if not is_dataclass(options):
        return []
    values = ((item.name, getattr(options, item.name)) for item in fields(options))
    return [
        name
        for name, value in values
        if any(isinstance(item, Schedule) for item in (value if isinstance(value, tuple) else (value,)))
    ]


def options_at(options: OptionsT, progress: float, images: int) -> OptionsT:
    """The options at a share `progress` of the run, after `images` images."""
    return replaced(options, lambda _, schedule: schedule.at(progress, images))
