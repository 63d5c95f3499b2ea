"""The conformance kit for plugins: what an author runs before a release, and ganzoo over its own plugins.

Three ways in: `ganzoo plugin check NAME`; `class TestMine(PluginSuite): plugin = "mine"` in a test file;
and `check_plugin(name)`, which yields a `Result` for each check. `CHECKS` are the functions themselves.
"""

from __future__ import annotations

from ganzoo.util.lazy import lazy_names

__all__ = ["CHECKS", "PluginSuite", "Result", "Session", "check_plugin", "session_of"]

__getattr__ = lazy_names(
    __name__,
    {
        "ganzoo.testing.runner": ("CHECKS", "Result", "Session", "check_plugin", "session_of"),
        "ganzoo.testing.pytest_suite": ("PluginSuite",),  # for which alone pytest is needed
    },
)
