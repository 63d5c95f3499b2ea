"""From entry points to plugin records: who is there, in which state, and what each one offers.

Each plugin is imported, registered and asked inside its own `try`, so one that fails becomes a row
with a reason and never breaks the rest. Looking names up is `registry.py`'s work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

import pluggy

from ganzoo import hookspecs
from ganzoo.api import (
    API_VERSION,
    ArchitectureSpec,
    DatasetSpec,
    LossSpec,
    RecipeSpec,
    TermSpec,
)
from ganzoo.errors import PluginError

GROUP = "ganzoo"
NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

Kind = Literal["architecture", "loss", "term", "recipe", "dataset"]
Spec = ArchitectureSpec | LossSpec | TermSpec | RecipeSpec | DatasetSpec
State = Literal["ok", "disabled", "incompatible", "broken"]

HOOKS: Mapping[str, tuple[Kind, type[Any]]] = {
    "ganzoo_architectures": ("architecture", ArchitectureSpec),
    "ganzoo_losses": ("loss", LossSpec),
    "ganzoo_terms": ("term", TermSpec),
    "ganzoo_recipes": ("recipe", RecipeSpec),
    "ganzoo_datasets": ("dataset", DatasetSpec),
}


# Options of the core that stand in the same tables of settings as a plugin's.
RESERVED: Mapping[str, frozenset[str]] = {
    "ganzoo_architectures": frozenset({"name"}),
    "ganzoo_losses": frozenset({"name"}),
    "ganzoo_terms": frozenset({"every"}),
    "ganzoo_datasets": frozenset({"source", "flip"}),
}


class IncompatibleError(PluginError):
    """The plugin was written for another version of the plugin API."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One entry point: where it comes from, what became of it, and the records it offers."""

    name: str
    dist: str
    version: str
    state: State
    reason: str = ""
    items: tuple[tuple[Kind, Spec], ...] = ()


@dataclass(frozen=True)
class Selection:
    """Which plugins may be imported. `allow=None` allows all; names are plugin, dist or dist/plugin."""

    allow: frozenset[str] | None = None
    block: frozenset[str] = frozenset()
    strict: bool = field(default=False)

    @classmethod
    def from_environment(cls, block: Iterable[str] = ()) -> Selection:
        """Read GANZOO_PLUGINS (allow-list, empty allows none), GANZOO_DISABLE and GANZOO_STRICT."""
        allowed = os.environ.get("GANZOO_PLUGINS")
        return cls(
            allow=None if allowed is None else frozenset(_names(allowed)),
            block=frozenset(_names(os.environ.get("GANZOO_DISABLE", ""))) | frozenset(block),
            strict=is_strict(),
        )

    def refusal(self, name: str, dist: str) -> str:
        """Why this plugin must not be imported; empty when it may."""
        keys = {name, dist, f"{dist}/{name}"}
        if self.block & keys:
            return "switched off by --no-plugin or GANZOO_DISABLE"
        if self.allow is not None and not self.allow & keys:
            return "not in GANZOO_PLUGINS"
        return ""


def is_strict() -> bool:
    """Whether GANZOO_STRICT asks for errors instead of rows and messages."""
    return os.environ.get("GANZOO_STRICT", "") not in ("", "0")


def discover(selection: Selection) -> list[Plugin]:
    """All plugins of this environment, sorted by (distribution, name).

    Raises PluginError for the first one that did not load when the selection is strict.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    found = [_load(point, manager, selection) for point in _entry_points()]
    if selection.strict:
        for plugin in found:
            if plugin.state in ("broken", "incompatible"):
                raise PluginError(
                    f"Plugin '{plugin.name}' is {plugin.state}: {plugin.reason}",
                    where=f"distribution {plugin.dist} {plugin.version} (GANZOO_STRICT is set)",
                )
    return found


def _entry_points() -> list[EntryPoint]:
    # An editable install can show one distribution twice; the same (dist, name, value) is one plugin.
    unique = {(_dist(point)[0], point.name, point.value): point for point in entry_points(group=GROUP)}
    return [unique[key] for key in sorted(unique)]


def _load(point: EntryPoint, manager: pluggy.PluginManager, selection: Selection) -> Plugin:
    dist, version = _dist(point)

    def result(state: State, reason: str = "", items: Sequence[tuple[Kind, Spec]] = ()) -> Plugin:
        return Plugin(
            name=point.name, dist=dist, version=version, state=state, reason=reason, items=tuple(items)
        )

    refusal = selection.refusal(point.name, dist)
    if refusal:
        return result("disabled", refusal)
    key = f"{dist}/{point.name}"
    try:
        # What a plugin prints while it is imported must not end up in `--json` output.
        with contextlib.redirect_stdout(sys.stderr):
            module = importlib.import_module(point.module)
            _check_api_version(module)
            manager.register(module, name=key)
            _check_hooks(manager, key)
            items = _collect(manager, module)
    except IncompatibleError as error:
        return result("incompatible", error.what)
    except (Exception, SystemExit) as error:
        return result("broken", f"{type(error).__name__}: {' '.join(str(error).split())}")
    return result("ok", items=items)


def _dist(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown", "unknown"
    return point.dist.name, point.dist.version


def _check_api_version(module: ModuleType) -> None:
    wanted = getattr(module, "GANZOO_API_VERSION", 1)
    if wanted != API_VERSION:
        raise IncompatibleError(f"it wants plugin API {wanted}, this ganzoo has {API_VERSION}")


def _check_hooks(manager: pluggy.PluginManager, key: str) -> None:
    plugin = manager.get_plugin(key)
    callers = manager.get_hookcallers(plugin) or []
    unknown = [caller.name for caller in callers if caller.name not in HOOKS]
    if unknown:
        manager.unregister(plugin)
        raise IncompatibleError(f"it implements hooks that this ganzoo does not have: {', '.join(unknown)}")
    found = {caller.name for caller in callers}
    bare = [name for name in HOOKS if callable(getattr(plugin, name, None)) and name not in found]
    if bare:
        raise PluginError(f"its function {bare[0]} lacks @hookimpl")
    if not callers:
        raise PluginError("it implements no ganzoo hook (is @hookimpl missing?)")


def _collect(manager: pluggy.PluginManager, module: ModuleType) -> list[tuple[Kind, Spec]]:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    items: list[tuple[Kind, Spec]] = []
    for hook, (kind, record) in HOOKS.items():
        for answer in manager.subset_hook_caller(hook, others)():
            if not isinstance(answer, (list, tuple)):
                raise PluginError(f"{hook} must return a list, it returned {type(answer).__name__}")
            for spec in answer:
                _check_spec(hook, spec, record)
                items.append((kind, spec))
    seen: set[tuple[str, str]] = set()
    for kind, spec in items:
        if (kind, spec.name) in seen:
            raise PluginError(f"it offers the {kind} '{spec.name}' twice")
        seen.add((kind, spec.name))
    return items


def _check_spec(hook: str, spec: object, record: type[Any]) -> None:
    if not isinstance(spec, record):
        raise PluginError(f"{hook} must return {record.__name__} records, it returned {type(spec).__name__}")
    name = getattr(spec, "name", "")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{name!r} is not a name: lower-case letters and digits, joined by . _ or -")
    factory = getattr(spec, "factory", None)
    if factory is not None and not IMPORT_STRING.fullmatch(factory):
        raise PluginError(f"the factory of '{name}' must be 'package.module:function', not {factory!r}")
    config = getattr(spec, "config", None)
    if config is not None:
        if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
            raise PluginError(f"the config of '{name}' must be a dataclass, not {config!r}")
        clash = RESERVED.get(hook, frozenset()) & {item.name for item in dataclasses.fields(config)}
        if clash:
            raise PluginError(f"the option '{min(clash)}' of '{name}' is one of the core's: rename it")


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
