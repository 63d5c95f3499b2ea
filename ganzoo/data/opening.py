"""From a plan to its store: the dataset plugin's factory is called here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

from ganzoo.data.store import Store, open_source
from ganzoo.recipes import Plan
from ganzoo.registry import calling, factory_of


def open_data(plan: Plan, progress: Callable[[int, int], None] | None = None) -> Store:
    """Open the data that a plan names. DataError says what is wrong with it.

    `progress(done, total)` is called while pictures are decoded for the first time.
    """
    factory = factory_of(plan.dataset.item)
    with calling(plan.dataset.item):
        return open_source(factory(plan.data_argument, plan.dataset.options), progress=progress)
