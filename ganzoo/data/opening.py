"""From a plan to its store: the dataset plugin's factory is called here and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from ganzoo.api import ArraySource, ItemSource
from ganzoo.data.checks import Array
from ganzoo.data.store import Store, open_source
from ganzoo.errors import DataError, PluginError
from ganzoo.plan import Plan
from ganzoo.registry import calling, factory_of


def open_data(plan: Plan, progress: Callable[[int, int], None] | None = None) -> Store:
    """Open the data that a plan names. DataError says what is wrong with it, PluginError with the plugin.

    `progress(done, total)` is called while pictures are decoded for the first time.
    """
    item = plan.dataset.item
    factory = factory_of(item)
    with calling(item):
        try:
            source = factory(plan.data_argument, plan.dataset.options)
        except OSError as error:
            raise DataError(
                f"The data cannot be read: {error.strerror or error}.",
                where=str(error.filename or plan.data.source),
                fix="check that the files are there and that you may read them",
            ) from error
    if isinstance(source, ItemSource):
        source = dataclasses.replace(source, read=_guarded(plan, source.read))
    elif not isinstance(source, ArraySource):
        raise _broken(plan, f"gave {type(source).__name__}", "return an ArraySource or an ItemSource")
    elif not all(isinstance(array, np.ndarray) for array in source.arrays.values()):
        raise _broken(plan, "gave something else than NumPy arrays", "hand over arrays, not lists")
    return open_source(source, progress=progress)


def _guarded(plan: Plan, read: Callable[[int], Mapping[str, Array]]) -> Callable[[int], Mapping[str, Array]]:
    """`read`, which is the plugin's code; what says that an item is unreadable goes on to the decoder."""

    def guarded(index: int) -> Mapping[str, Array]:
        try:
            sample = read(index)
        except (OSError, ValueError):
            raise
        except Exception:
            with calling(plan.dataset.item):
                raise
        if not isinstance(sample, Mapping):
            raise _broken(plan, f"read an item as {type(sample).__name__}", "return the arrays by field name")
        return sample

    return guarded


def _broken(plan: Plan, what: str, fix: str) -> PluginError:
    item = plan.dataset.item
    return PluginError(f"The dataset '{item.name}' {what}.", where=item.qualified, fix=fix)
