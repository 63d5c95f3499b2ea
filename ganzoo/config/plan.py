"""A plan: the records of a fully resolved run, its settings and the origin of each value.

`resolve.py` makes plans. This module looks up no names and opens no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ganzoo.api.specs import TermSpec
from ganzoo.config.advice import recipes_for
from ganzoo.config.settings import (
    CORE_TABLES,
    DataSettings,
    EmaSettings,
    Key,
    OptimizerSettings,
    TrainSettings,
    meanings,
    option_names,
    plain,
)
from ganzoo.errors import DataError
from ganzoo.fields import DataInfo
from ganzoo.registry.discovery import Plugin
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item
from ganzoo.util.text import Unit

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """A record with its options: an instance of its config dataclass, None when it has none.

    `only` and `without`: the classes of a dataset that are used, see `DataSettings`. `lenient`: they were
    chosen for other data, see `of_classes`.
    """

    item: Item[Any]
    options: Any
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    lenient: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of a loss: those of its record and those of its options."""
        return (*self.item.spec.tags, *_property(self.options, "tags", ()))

    @property
    def rejects(self) -> Mapping[str, str]:
        """The tags that an augmentation with these options cannot work with, and the reasons."""
        return _property(self.options, "rejects", {})


@dataclass(frozen=True)
class TermChoice:
    """A term with its options and how often it is computed."""

    item: Item[TermSpec]
    options: Any
    every: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A fully resolved run.

    `other_data`: the data is not that of the recipe, the combination or the complete settings file.
    """

    name: str
    train: TrainSettings
    generator: OptimizerSettings
    discriminator: OptimizerSettings
    ema: EmaSettings
    data: DataSettings
    dataset: Choice
    architecture: Choice
    loss: Choice
    terms: Mapping[str, TermChoice]
    dropped_terms: tuple[str, ...]
    origins: Mapping[Key, str]
    other_data: bool = False
    kinds: Kinds = field(compare=False)
    augment: Choice | None = None
    track: Choice | None = None
    fit: Callable[[DataInfo], Plan] | None = field(default=None, compare=False)

    def fitted(self, info: DataInfo) -> Plan:
        """The plan with the settings that its recipe has for such data; itself if it has none.

        DataError as in `check_data`: the rules of a recipe read the fields that its architecture needs.
        """
        if self.fit is None:
            return self
        self.check_data(info)
        return self.fit(info)

    @property
    def items(self) -> tuple[Item[Any], ...]:
        """The records that this run uses."""
        chosen = (self.dataset, self.architecture, self.loss, self.augment, self.track, *self.terms.values())
        return tuple(choice.item for choice in chosen if choice is not None)

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plugins that this run uses, each once."""
        unique = {(item.plugin.dist, item.plugin.name): item.plugin for item in self.items}
        return tuple(unique[key] for key in sorted(unique))

    def settings(self) -> dict[str, Any]:
        """Nested tables, ready for TOML: training from them repeats the run.

        Names are qualified, and `complete` says that the recipe need not be looked up again. So a run
        still works when a recipe is renamed or another plugin offers the same names.
        """
        terms: dict[str, Any] = {
            term.item.qualified: {"every": term.every, **_options(term.options)}
            for term in self.terms.values()
        }
        terms.update(dict.fromkeys(self.dropped_terms, False))
        _, colon, argument = self.data.source.partition(":")
        if argument and self.dataset.item.spec.argument == "PATH":
            argument = str(Path(argument).expanduser().absolute())
        train = plain(self.train)
        if self.train.warm_start:
            train["warm_start"] = str(Path(self.train.warm_start).expanduser().absolute())
        if self.train.condition_table:
            train["conditions"] = f"table:{self.train.condition_table}"
        tables: dict[str, Any] = {
            "recipe": self.name,
            "complete": True,
            "train": train,
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema,
            "data": {
                **plain(self.data),
                "source": f"{self.dataset.item.qualified}{colon}{argument}",
                **_options(self.dataset.options),
            },
            "architecture": {"name": self.architecture.item.qualified, **_options(self.architecture.options)},
            "loss": {"name": self.loss.item.qualified, **_options(self.loss.options)},
            "terms": terms,
        }
        for name, choice in (("augment", self.augment), ("track", self.track)):
            if choice is not None:
                tables[name] = {"name": choice.item.qualified, **_options(choice.options)}
        result: dict[str, Any] = plain(tables)
        return result

    def lasting(self, images: int | None, minutes: float | None = None) -> Plan:
        """The same plan with this length in place of `train.about_minutes`."""
        train = replace(self.train, about_minutes=None, images=images, minutes=minutes)
        said = f"{self.train.length(Unit())} on this data"
        return replace(self, train=train, origins={**self.origins, ("train", "images"): said})

    def is_default(self, path: Key) -> bool:
        """Whether neither the recipe nor the user has set the value at that path."""
        return self._as_set(path) not in self.origins

    def _as_set(self, path: Key) -> Key:
        """The path as a key of `origins`, where a term has the name that was used in the settings."""
        if path[0] != "terms":
            return path
        names = {term.item.qualified: name for name, term in self.terms.items()}
        return ("terms", names.get(path[1], path[1]), *path[2:])

    def origin(self, path: Key) -> str:
        """The layer that set the value at that path, and what its default means if that is no value."""
        path = self._as_set(path)
        owners = {
            "architecture": self.architecture,
            "loss": self.loss,
            "data": self.dataset,
            "augment": self.augment,
            "track": self.track,
        }
        owner = owners.get(path[0])
        if path in self.origins:
            return self.origins[path]
        core = CORE_TABLES.get(path[0])
        if owner is not None and path[-1] not in option_names(core):
            meaning = meanings(owner.item.spec.config).get(path[-1])
            return f"{owner.item.kind} {owner.item.name}" + (f": {meaning}" if meaning else "")
        return f"term {path[1]}" if path[0] == "terms" else "core"

    def check_data(self, info: DataInfo) -> None:
        """DataError when the data lacks a field that the architecture needs."""
        missing = [name for name in self.architecture.item.spec.needs if name not in info]
        if not missing:
            return
        others = recipes_for(info, self.kinds.registry)
        fix = (
            f"recipes for such data: {others}; or choose other data with --data"
            if others
            else "choose other data with --data, or a recipe that does not need it"
        )
        if missing == ["label"]:
            fix = (
                "put the images into one sub-folder for each class (folder:PATH), "
                "or choose a recipe without labels"
            )
        raise DataError(
            f"The architecture '{self.architecture.item.name}' needs the field '{missing[0]}', "
            f"which the data does not have.",
            where=f"data {self.data.source} has: {', '.join(field.name for field in info.fields)}",
            fix=fix,
        )


def _property(options: Any, name: str, default: T) -> T:
    """The property `name` of a config; `default` if it has none, or only an option of that name."""
    found = isinstance(getattr(type(options), name, None), property)
    return getattr(options, name) if found else default


def _options(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {} if options is None else plain(options)
    return result
