"""The conformance kit for plugins: authors run it before a release, and ganzoo on its own plugins.

There are three ways to run it: `ganzoo plugin check NAME`; `class TestMine(PluginSuite): plugin = "mine"` in
a test file; and `check_plugin(name)`, which yields a `Result` for each check. `CHECKS` holds the checks.
"""

from __future__ import annotations

from ganzoo.util.lazy import lazy_names

__all__ = ["CHECKS", "PluginSuite", "Result", "Session", "check_plugin", "session_of"]

__getattr__ = lazy_names(
    __name__,
    {
        "ganzoo.testing.runner": ("CHECKS", "Result", "Session", "check_plugin", "session_of"),
        "ganzoo.testing.pytest_suite": ("PluginSuite",),  # only this one needs pytest
    },
)
