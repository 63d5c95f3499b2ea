"""What depends on the real samples alone is computed once for all that are compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ganzoo.api import Samples

T = TypeVar("T")


class OfTheLast(Generic[T]):
    """A function of samples that keeps the last ones and their result, and looks them up by identity."""

    def __init__(self, function: Callable[[Samples], T]) -> None:
        self._function = function
        self._kept: tuple[Samples, T] | None = None

    def __call__(self, samples: Samples) -> T:
        """The result for these samples, computed when they are not the last ones."""
        if self._kept is None or self._kept[0] is not samples:
            self._kept = (samples, self._function(samples))
        return self._kept[1]
