"""The conformance kit for plugins: what an author runs before a release, and ganzoo over its own plugins.

Three ways in: `ganzoo plugin check NAME`; `class TestMine(PluginSuite): plugin = "mine"` in a test file;
and `check_plugin(name)`, which yields a `Result` for each check. `CHECKS` are the functions themselves.
"""

from __future__ import annotations

import importlib

__all__ = ["CHECKS", "PluginSuite", "Result", "Session", "check_plugin", "session_of"]

_PLACES = {"PluginSuite": "pytest_suite"}  # for which alone pytest is needed


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES.get(name, 'runner')}"), name)
