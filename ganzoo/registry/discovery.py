"""Discovers plugins by their entry points: the state of each one and the records that it offers.

Each plugin is imported, registered and called inside its own `try`. A plugin that fails becomes a row
with a reason and never breaks the others; `containment.py` undoes its changes to the process. Importing a
plugin and calling its hooks may take 20 s each, or GANZOO_PLUGIN_TIMEOUT seconds (0: no limit);
`containment.limited` says where the limit works. `registry.py` looks names up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from ganzoo.api import API_VERSION, API_VERSIONS, hookspecs
from ganzoo.api.hookspecs import HOOKS
from ganzoo.api.specs import Spec
from ganzoo.errors import PluginError, UsageError
from ganzoo.registry.containment import TookTooLongError, contained, limited
from ganzoo.registry.entry_points import entry_points_one_by_one, named
from ganzoo.util.text import printable

GROUP = "ganzoo"
SECONDS = 20.0
ENTRY_POINT = re.compile(r"\w+(\.\w+)*(\s*:\s*\w+(\.\w+)*)?\s*(\[.*\])?")

State = Literal["ok", "disabled", "incompatible", "broken"]


class IncompatibleError(PluginError):
    """The plugin was written for another version of the plugin API."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One entry point: where it comes from, its state, and the records that it offers."""

    name: str
    dist: str
    version: str
    state: State
    reason: str = ""
    specs: tuple[Spec, ...] = ()
    api: int = API_VERSION


@dataclass(frozen=True)
class Selection:
    """Which plugins may be imported. `allow=None` allows all; names are plugin, dist or dist/plugin."""

    allow: frozenset[str] | None = None
    block: frozenset[str] = frozenset()
    strict: bool = field(default=False)

    @classmethod
    def from_environment(cls, block: Iterable[str] = ()) -> Selection:
        """Read GANZOO_PLUGINS (allow-list; empty allows none), GANZOO_DISABLE and GANZOO_STRICT."""
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
    """Whether GANZOO_STRICT is set: problems of plugins raise errors instead of being listed."""
    return os.environ.get("GANZOO_STRICT", "") not in ("", "0")


def time_limit() -> float:
    """How many seconds a plugin may take, from GANZOO_PLUGIN_TIMEOUT; 0 is no limit."""
    text = os.environ.get("GANZOO_PLUGIN_TIMEOUT", "")
    try:
        seconds = float(text or SECONDS)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 1e6:
        raise UsageError(
            f"A plugin's time limit is a number of seconds, not '{text}'.",
            where="the environment variable GANZOO_PLUGIN_TIMEOUT",
            fix="GANZOO_PLUGIN_TIMEOUT=60, or 0 for no limit",
        )
    return seconds


def discover(selection: Selection) -> list[Plugin]:
    """All plugins of this environment, sorted by (distribution, name).

    Raises PluginError for the first one that did not load when the selection is strict.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    if os.environ.get("GANZOO_TRACE", "") not in ("", "0"):
        _trace(manager)
    points, found = _entry_points()
    seconds = time_limit()
    for point in points:
        found.append(_without_duplicates(_load(point, manager, selection, seconds), found))
    found.sort(key=lambda plugin: (plugin.dist, plugin.name))
    if selection.strict:
        for plugin in found:
            if plugin.state in ("broken", "incompatible"):
                raise PluginError(
                    f"Plugin '{plugin.name}' is {plugin.state}: {plugin.reason}",
                    where=f"distribution {plugin.dist} {plugin.version} (GANZOO_STRICT is set)",
                )
    return found


def _trace(manager: pluggy.PluginManager) -> None:
    """Write each hook call to stderr: its plugin, what it returned, how long it took."""
    started: list[float] = []

    def before(hook: str, implementations: Sequence[pluggy.HookImpl], options: Mapping[str, Any]) -> None:
        started.append(time.perf_counter())

    def after(
        outcome: pluggy.Result[Any],
        hook: str,
        implementations: Sequence[pluggy.HookImpl],
        options: Mapping[str, Any],
    ) -> None:
        milliseconds = (time.perf_counter() - started.pop()) * 1000
        for implementation in implementations:
            if outcome.exception is not None:
                answer = _described(outcome.exception)
            else:
                answers = outcome.get_result()
                specs = answers[0] if answers and isinstance(answers[0], (list, tuple)) else answers
                answer = ", ".join(str(getattr(spec, "name", spec)) for spec in specs) or "nothing"
            text = f"{implementation.plugin_name}.{hook} in {milliseconds:.1f} ms: {answer}"
            print(f"ganzoo: {printable(text, 400)}", file=sys.stderr)

    manager.add_hookcall_monitoring(before, after)


def _entry_points() -> tuple[list[EntryPoint], list[Plugin]]:
    """The entry points of the group, and the distributions whose entry points cannot be read."""
    unreadable: list[Plugin] = []
    try:
        points = list(entry_points(group=GROUP))
    except Exception:
        # One damaged distribution makes that call fail for all.
        points, problems = entry_points_one_by_one(GROUP)
        unreadable = [
            Plugin(name="?", dist=dist, version=version, state="broken", reason=reason)
            for dist, version, reason in problems
        ]
    # An editable install can show one distribution twice; the same (dist, name, value) is one plugin.
    unique = {(named(point.dist)[0], point.name, point.value): point for point in points}
    return [unique[key] for key in sorted(unique)], unreadable


def _load(point: EntryPoint, manager: pluggy.PluginManager, selection: Selection, seconds: float) -> Plugin:
    dist, version = named(point.dist)

    def result(state: State, reason: str = "", specs: Sequence[Spec] = (), api: int = API_VERSION) -> Plugin:
        return Plugin(
            name=printable(point.name, 80),
            dist=dist,
            version=version,
            state=state,
            reason=printable(" ".join(reason.split()), 400),
            specs=tuple(specs),
            api=api,
        )

    refusal = selection.refusal(point.name, dist)
    if refusal:
        return result("disabled", refusal)
    with contained() as interrupted:
        doing = "to import"
        try:
            with limited(seconds):
                plugin = _import(point)
            doing = "to say what it offers"
            with limited(seconds):
                specs = _register(plugin, f"{dist}/{point.name}", manager)
        except TookTooLongError:
            return result("broken", f"took longer than {seconds:g} s {doing}")
        except IncompatibleError as error:
            return result("incompatible", error.what)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and interrupted.is_set():
                raise
            return result("broken", _described(error))
    return result("ok", specs=specs, api=_api_version(plugin))


def _without_duplicates(plugin: Plugin, others: Sequence[Plugin]) -> Plugin:
    """The plugin; it is broken if another plugin of its distribution offers a record with the same name."""
    for other in others:
        if other.dist == plugin.dist:
            taken = {(spec.record, spec.name) for spec in other.specs}
            for spec in plugin.specs:
                if (spec.record, spec.name) in taken:
                    what = f"{spec.record} '{spec.name}'"
                    reason = f"'{other.name}' of the same distribution also offers the {what}"
                    return dataclasses.replace(plugin, state="broken", reason=reason, specs=())
    return plugin


def _described(error: BaseException) -> str:
    try:
        text = str(error.what if isinstance(error, PluginError) else error)
    except BaseException:
        text = "(its message cannot be shown)"
    return f"{type(error).__name__}: {text}"


def _import(point: EntryPoint) -> Any:
    if not ENTRY_POINT.fullmatch(point.value):
        raise PluginError(f"its entry point '{point.value}' is not the name of a module")
    return point.load()


def _api_version(plugin: Any) -> Any:
    """The version of the plugin API that a plugin was written for; 1 if it does not say."""
    return getattr(plugin, "GANZOO_API_VERSION", 1)


def _register(plugin: Any, key: str, manager: pluggy.PluginManager) -> list[Spec]:
    wanted = _api_version(plugin)
    if wanted not in API_VERSIONS:
        have = " and ".join(map(str, API_VERSIONS))
        raise IncompatibleError(f"it needs plugin API {wanted}, this ganzoo has {have}")
    if manager.has_plugin(key):
        raise PluginError("another entry point of its distribution has the same name")
    if manager.is_registered(plugin):
        raise PluginError(f"its entry point names the same object as plugin '{manager.get_name(plugin)}'")
    try:
        manager.register(plugin, name=key)
        _check_hooks(manager, key)
        return _collect(manager, plugin)
    except BaseException:
        with contextlib.suppress(Exception):
            manager.unregister(name=key)
        raise


def _check_hooks(manager: pluggy.PluginManager, key: str) -> None:
    plugin = manager.get_plugin(key)
    callers = manager.get_hookcallers(plugin) or []
    unknown = [caller.name for caller in callers if caller.name not in HOOKS]
    if unknown:
        raise IncompatibleError(f"it implements hooks that this ganzoo does not have: {', '.join(unknown)}")
    found = {caller.name for caller in callers}
    unmarked = [name for name in HOOKS if callable(getattr(plugin, name, None)) and name not in found]
    if unmarked:
        raise PluginError(f"its function {unmarked[0]} lacks @hookimpl")
    if not callers:
        raise PluginError("it implements no ganzoo hook (is @hookimpl missing?)")


def _collect(manager: pluggy.PluginManager, module: Any) -> list[Spec]:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    specs: list[Spec] = []
    for hook, kind in HOOKS.items():
        for answer in manager.subset_hook_caller(hook, others)():
            if not isinstance(answer, (list, tuple)):
                raise PluginError(f"{hook} must return a list, it returned {type(answer).__name__}")
            for spec in answer:
                if not isinstance(spec, kind):
                    found = type(spec).__name__
                    raise PluginError(f"{hook} must return {kind.__name__} records, it returned {found}")
                specs.append(spec)
    seen: set[tuple[str, str]] = set()
    for spec in specs:
        if (spec.record, spec.name) in seen:
            raise PluginError(f"it offers the {spec.record} '{spec.name}' twice")
        seen.add((spec.record, spec.name))
    return specs


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
