"""The hooks that a plugin may implement, one for each kind of record in `ganzoo.api.specs`.

Each hook takes no arguments and returns a list of records of its kind. No hook runs inside a training step,
so the order in which plugins are found never changes a result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pluggy

from ganzoo.api.specs import SPECS, Spec

hookspec = pluggy.HookspecMarker("ganzoo")


def _hook(kind: type[Spec]) -> Callable[[], list[Any]]:
    def hook() -> list[Any]:
        raise AssertionError("a hook specification is never called")

    hook.__name__ = hook.__qualname__ = kind.hook
    hook.__doc__ = inspect.getdoc(kind)
    return hookspec(hook)


HOOKS: dict[str, type[Spec]] = {kind.hook: kind for kind in SPECS}
"""The kind of record that each hook returns, in the order in which kinds are listed."""

globals().update({name: _hook(kind) for name, kind in HOOKS.items()})
