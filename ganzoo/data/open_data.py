"""Opens the data of a plan. Only this module calls the factories of dataset plugins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.api.sources import ArraySource, ItemSource
from ganzoo.api.specs import RecipeSpec
from ganzoo.config.advice import as_options, endings_of, reads, sources_for, unpack
from ganzoo.config.plan import Choice, Plan
from ganzoo.data.dataset import Dataset, of_classes, open_source
from ganzoo.data.validation import Array
from ganzoo.errors import DataError, PluginError
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, calling, factory_of


def open_data(plan: Plan) -> Dataset:
    """Open the data of a plan. DataError for a fault of the data, PluginError for a fault of the plugin."""
    try:
        dataset = open_dataset(plan.dataset, plan.data.source, plan.kinds)
    except DataError as error:
        archive = unpack(_path(plan))
        if advice := archive or _other_dataset(plan):
            fix = archive or advice + f"; {error.fix}" * bool(error.fix)
            raise DataError(error.what, where=error.where, fix=fix) from error
        raise
    return dataclasses.replace(dataset, notes=(*_few(dataset, plan.kinds), *dataset.notes))


def _path(plan: Plan) -> Path:
    return Path(plan.data.source.partition(":")[2]).expanduser()


def _other_dataset(plan: Plan) -> str:
    """The option that reads the files at the path of the plan, if its own dataset reads none of them."""
    path = _path(plan)
    item, registry = plan.dataset.item, plan.kinds.registry
    try:
        if not item.spec.reads or not path.name or reads(item, endings_of(path)):
            return ""
        recipes = registry.matches(RecipeSpec, plan.name)
        return as_options(sources_for(path, registry, recipes[0] if len(recipes) == 1 else None))
    except OSError:
        return ""


def _few(dataset: Dataset, kinds: Kinds) -> tuple[str, ...]:
    """A note for so few samples that they are learned by heart."""
    if dataset.count >= kinds.few(dataset.fields):
        return ()
    nouns = kinds.unit(dataset.fields).nouns
    text = f"few {nouns}, {dataset.count}: samples soon are copies of them; more {nouns} help, or --from "
    return (text + "with weights that exist",)


def open_held_out(choice: Choice, source: str, kinds: Kinds) -> Dataset | None:
    """Open the held-out samples of a dataset; None if it has none. Errors as in `open_data`."""
    if not choice.item.spec.held_out:
        return None
    return _open(choice, source, "held_out", kinds)


def open_dataset(choice: Choice, source: str, kinds: Kinds) -> Dataset:
    """Open a dataset, `NAME` or `NAME:ARGUMENT`. Errors as in `open_data`."""
    dataset = _open(choice, source, "factory", kinds)
    if dataset is None:
        raise _broken(choice.item, "returned None", "return an ArraySource or an ItemSource")
    return dataset


def _open(choice: Choice, named: str, part: str, kinds: Kinds) -> Dataset | None:
    item = choice.item
    factory = factory_of(item, part)
    with calling(item):
        try:
            source = factory(named.partition(":")[2], choice.options)
        except OSError as error:
            raise DataError(
                f"The data cannot be read: {error.strerror or error}.",
                where=str(error.filename or named),
                fix="check that the files exist and that you may read them",
            ) from error
    if source is None:
        return None
    if isinstance(source, ItemSource):
        if source.keys is not None and len(source.keys) != len(source.items):
            said = f"returned {len(source.keys):,} keys for {len(source.items):,} items"
            raise _broken(item, said, "return a key for each item, or None")
        if (source.draw is None) == bool(source.drawn_from):
            raise _broken(item, "returned one of `draw` and `drawn_from`", "return both, or none")
        draw = None if source.draw is None else _guarded(item, source.draw)
        source = dataclasses.replace(source, read=_guarded(item, source.read), draw=draw)
    elif not isinstance(source, ArraySource):
        raise _broken(item, f"returned {type(source).__name__}", "return an ArraySource or an ItemSource")
    elif not all(isinstance(array, np.ndarray) for array in source.arrays.values()):
        raise _broken(item, "returned something else than NumPy arrays", "return arrays, not lists")
    fields = kinds.assign(source.fields, api=item.plugin.api)
    dataset = open_source(dataclasses.replace(source, fields=fields))
    if not choice.only and not choice.without:
        return dataset
    return of_classes(dataset, choice.only, choice.without, lenient=choice.lenient)


def _guarded(item: Item[Any], read: Callable[..., Mapping[str, Array]]) -> Callable[..., Mapping[str, Array]]:
    """The plugin's `read` or `draw`. OSError and ValueError, for unusable items, pass; others are wrapped."""

    def guarded(*given: Any) -> Mapping[str, Array]:
        try:
            sample = read(*given)
        except (OSError, ValueError):
            raise
        except Exception:
            with calling(item):
                raise
        if not isinstance(sample, Mapping):
            raise _broken(
                item, f"returned {type(sample).__name__} for an item", "return the arrays by field name"
            )
        return sample

    return guarded


def _broken(item: Item[Any], what: str, fix: str) -> PluginError:
    return PluginError(f"The dataset '{item.name}' {what}.", where=item.qualified, fix=fix)
