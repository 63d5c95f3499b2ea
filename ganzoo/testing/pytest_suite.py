"""The checks as a pytest class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from ganzoo.fields import DataInfo
from ganzoo.testing.runner import CheckCase, Session, session_of

_SESSIONS: dict[type, Session] = {}


class PluginSuite:
    """All checks of a plugin, one test for each: `class TestMine(PluginSuite): plugin = "mine"`.

    `plugin` is the name of its entry point. `data` names fields that its networks can be built for, if the
    synthetic images, rows and labels do not fit. `sources` are data for its datasets and networks, as in
    `--data`.
    """

    plugin: ClassVar[str]
    data: ClassVar[Sequence[DataInfo]] = ()
    sources: ClassVar[Sequence[str]] = ()

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each check of each of the plugin's records."""
        cases = _session(type(self)).cases
        metafunc.parametrize("case", cases, ids=[str(case).replace(" ", "-") for case in cases])

    def test_plugin(self, case: CheckCase) -> None:
        """Fails with the check's text; skipped if the check does not apply, or needs one that failed."""
        result = _session(type(self)).result(case)
        if result.status in ("skipped", "blocked"):
            pytest.skip(result.text)
        if result.status == "failed":
            pytest.fail(f"{case}\n{result.text}", pytrace=False)


def _session(suite: type[PluginSuite]) -> Session:
    if suite not in _SESSIONS:
        _SESSIONS[suite] = session_of(suite.plugin, data=suite.data, sources=suite.sources)
    return _SESSIONS[suite]
