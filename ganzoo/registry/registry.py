"""Records by name: lookup, qualified names, ambiguity, suggestions, and lazy loading of factories.

`discovery.py` finds the plugins.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from ganzoo.api.specs import Spec
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.registry.discovery import Plugin, Selection, discover, is_strict
from ganzoo.util.suggest import suggest
from ganzoo.util.text import printable

SpecT = TypeVar("SpecT", bound=Spec)
SpecCo = TypeVar("SpecCo", bound=Spec, covariant=True)


@dataclass(frozen=True)
class Item(Generic[SpecCo]):
    """A record together with the plugin that offers it."""

    spec: SpecCo
    plugin: Plugin

    @property
    def kind(self) -> str:
        """What this kind of record is called."""
        return self.spec.record

    @property
    def name(self) -> str:
        """The bare name; unique unless two distributions offer it."""
        return self.spec.name

    @property
    def qualified(self) -> str:
        """`distribution/name`, which is always unique."""
        return f"{self.plugin.dist}/{self.spec.name}"


class Registry:
    """All records of the plugins that loaded."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)

    @cached_property
    def items(self) -> tuple[Item[Spec], ...]:
        """Every record, sorted by kind, name and distribution."""
        every = [Item(spec, plugin) for plugin in self.plugins for spec in plugin.specs]
        return tuple(sorted(every, key=lambda item: (item.kind, item.name, item.plugin.dist)))

    @property
    def not_loaded(self) -> tuple[Plugin, ...]:
        """Plugins that are disabled, incompatible or broken."""
        return tuple(plugin for plugin in self.plugins if plugin.state != "ok")

    def of_kind(self, record: type[SpecT]) -> list[Item[SpecT]]:
        """All items whose record is of that type."""
        return [Item(item.spec, item.plugin) for item in self.items if isinstance(item.spec, record)]

    def find(self, record: type[SpecT], name: str, near: str = "") -> Item[SpecT]:
        """The item of that record type and (qualified or bare) name.

        If two distributions offer a bare name, distribution `near` comes first: a name in a record means
        what the record's own distribution offers. UsageError when there is no such item, with
        suggestions, or when a bare name is ambiguous.
        """
        kind = record.record
        matches = self.matches(record, name)
        if len(matches) > 1:
            matches = [item for item in matches if item.plugin.dist == near] or matches
        if len(matches) > 1:
            both = " and ".join(item.qualified for item in matches)
            raise UsageError(
                f"The {kind} '{name}' is offered by {len(matches)} plugins.",
                where=both,
                fix=f"name one of them in full: {matches[0].qualified}",
            )
        if not matches:
            known = [item.name for item in self.of_kind(record)]
            raise UsageError(
                f"There is no {kind} '{name}'.",
                where=self._where_else(name),
                fix=suggest(name, known) or f"ganzoo list --kind {kind} shows all {len(known)}",
            )
        return matches[0]

    def canonical(self, record: type[SpecT], name: str, near: str = "") -> str:
        """The shortest unique name of the item: the bare name if possible."""
        item = self.find(record, name, near)
        return item.name if len(self.matches(record, item.name)) == 1 else item.qualified

    def matches(self, record: type[SpecT], name: str) -> list[Item[SpecT]]:
        """All items of that record type with that (qualified or bare) name."""
        return [item for item in self.of_kind(record) if name in (item.name, item.qualified)]

    def plugins_named(self, name: str) -> list[Plugin]:
        """The plugins with that entry point (NAME or DISTRIBUTION/NAME), else all of that distribution.

        Includes plugins that did not load. UsageError when there is none.
        """
        found = [plugin for plugin in self.plugins if name in (plugin.name, f"{plugin.dist}/{plugin.name}")]
        found = found or [plugin for plugin in self.plugins if plugin.dist == name]
        if not found:
            known = sorted({name for plugin in self.plugins for name in (plugin.name, plugin.dist)})
            near = suggest(name.rpartition("/")[2], known)
            near = near or f"one of {', '.join(known)}"
            raise UsageError(
                f"No plugin '{name}' is installed.",
                fix=f"{near}; a package of your own: pip install -e FOLDER",
            )
        return found

    def _where_else(self, name: str) -> str:
        others = sorted({item.kind for item in self.items if name in (item.name, item.qualified)})
        if others:
            return f"'{name}' is the name of: {', '.join(others)}"
        broken = [plugin.name for plugin in self.plugins if plugin.state in ("broken", "incompatible")]
        return f"plugins that did not load: {', '.join(broken)} (see ganzoo list)" if broken else ""


def load_registry(block: Iterable[str] = ()) -> Registry:
    """Discover the plugins of this environment; plugins named in `block` are not imported."""
    return Registry(discover(Selection.from_environment(block)))


def factory_of(item: Item[Any], name: str = "factory") -> Any:
    """Import the factory of a record. PluginError says which plugin failed and why."""
    with calling(item):
        return pkgutil.resolve_name(getattr(item.spec, name))


def made_by(item: Item[Any]) -> Any:
    """What the factory of a record makes with its default options. PluginError as in `calling`."""
    factory = factory_of(item)
    with calling(item):
        return factory(item.spec.config() if item.spec.config else None)


@contextmanager
def calling(item: Item[Any]) -> Iterator[None]:
    """Turn exceptions of the block, which runs a plugin's code, into a PluginError that names the plugin.

    With GANZOO_STRICT set, the plugin's own exception is raised, for debugging.
    """
    try:
        yield
    except GanzooError:
        raise
    except (Exception, SystemExit) as error:  # a plugin must not choose the command's exit code
        if is_strict():
            raise
        place = getattr(item.spec, "factory", item.qualified)  # a recipe has none
        raise PluginError(
            f"The {item.kind} '{item.name}' failed: {type(error).__name__}: {printable(str(error), 2000)}",
            where=f"{place} of {item.plugin.dist} {item.plugin.version}",
            fix="GANZOO_STRICT=1 shows the traceback; if the plugin is not yours, report it to its author",
        ) from error
