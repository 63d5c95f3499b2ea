"""Which checks apply to a plugin, and their results."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ganzoo.api.specs import ArchitectureSpec, AugmentationSpec, LossSpec, RecipeSpec, TermSpec
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.fields import DataInfo
from ganzoo.registry.discovery import Plugin
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.testing.check import STAGES, Check, Failed, NotApplicable
from ganzoo.testing.checks import CHECKS
from ganzoo.testing.synthetic import SYNTHETIC
from ganzoo.testing.targets import (
    ArchitectureTarget,
    AugmentationTarget,
    LossTarget,
    PluginTarget,
    RecipeTarget,
    RecordTarget,
    Target,
    TermTarget,
)

Status = Literal["passed", "failed", "skipped", "blocked"]
"""`skipped`: there is nothing to look at. `blocked`: a check that it builds upon has failed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one check of one subject; `text` says why it has not passed."""

    check: str
    target: str
    status: Status
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckCase:
    """One check of one subject."""

    check: Check
    target: Target

    def __str__(self) -> str:
        return f"{self.target} {self.check.name}"


class Session:
    """The checks of one plugin. Each runs once; those that need a failed one are skipped."""

    def __init__(self, cases: Sequence[CheckCase]) -> None:
        self.cases = tuple(cases)
        self._results: dict[str, Result] = {}

    def result(self, case: CheckCase) -> Result:
        """The result of a case, after those that it needs."""
        if str(case) not in self._results:
            self._results[str(case)] = self._run(case)
        return self._results[str(case)]

    def _run(self, case: CheckCase) -> Result:
        for other in self._needed(case):
            if self.result(other).status in ("failed", "blocked"):
                return _result(case, "blocked", f"needs: {other}")
        begun = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case.check.function(case.target)
            return _result(case, "passed", seconds=time.perf_counter() - begun)
        except NotApplicable as reason:
            return _result(case, "skipped", str(reason), time.perf_counter() - begun)
        except (Failed, GanzooError) as error:
            return _result(case, "failed", str(error), time.perf_counter() - begun)
        except Exception as error:  # the plugin's code may raise anything
            text = f"{type(error).__name__}: {error}"
            return _result(case, "failed", text, time.perf_counter() - begun)

    def _needed(self, case: CheckCase) -> Iterator[CheckCase]:
        """Those that the check names, and all of what its subject is made of."""
        for other in self.cases:
            same = other.target is case.target
            if other.check.name in case.check.needs if same else _is_part(other.target, case.target):
                yield other


def _is_part(part: Target, whole: Target) -> bool:
    """Whether the second is made of the first: of its own record, terms and recipes of networks and losses.

    Which of a plugin's networks a term is tried in is only known when it is.
    """
    if part.stage == "record":
        return part.name == str(whole)
    if whole.stage == "term":
        return part.stage in ("architecture", "loss")
    return isinstance(whole, RecipeTarget) and (part.stage, part.name) in whole.parts


def _result(case: CheckCase, status: Status, text: str = "", seconds: float = 0.0) -> Result:
    return Result(check=case.check.name, target=str(case.target), status=status, text=text, seconds=seconds)


def session_of(name: str, registry: Registry | None = None, data: Iterable[DataInfo] = ()) -> Session:
    """All checks of the plugin of that name: of its entry point, or of its distribution.

    `data` are fields that its networks can be built for, where the made-up ones do not suit them.
    UsageError when there is no such plugin, PluginError when it did not load.
    """
    registry = registry or load_registry()
    plugin = _found(name, registry)
    if plugin.state != "ok":
        raise PluginError(f"The plugin '{name}' is {plugin.state}: {plugin.reason}")
    registry = Registry([*registry.plugins, SYNTHETIC])
    targets = list(_targets(plugin, registry, tuple(data)))
    cases = [
        CheckCase(check, target)
        for stage in STAGES
        for target in targets
        if target.stage == stage
        for check in CHECKS.values()
        if check.stage == stage
    ]
    return Session(cases)


def check_plugin(
    name: str, registry: Registry | None = None, data: Iterable[DataInfo] = ()
) -> Iterator[Result]:
    """The results of all checks of a plugin, one after the other; errors are those of `session_of`."""
    session = session_of(name, registry, data)
    for case in session.cases:
        yield session.result(case)


def _found(name: str, registry: Registry) -> Plugin:
    matches = registry.plugins_named(name)
    if len(matches) > 1:
        both = " and ".join(f"{plugin.dist}/{plugin.name}" for plugin in matches)
        raise UsageError(f"'{name}' means {len(matches)} plugins.", where=both, fix="name one of them")
    return matches[0]


def _targets(plugin: Plugin, registry: Registry, data: tuple[DataInfo, ...]) -> Iterator[Target]:
    own = Registry([plugin])
    yield PluginTarget(plugin, registry)
    yield from (RecordTarget(item, registry) for item in own.items if not isinstance(item.spec, RecipeSpec))
    yield from (ArchitectureTarget(item, registry, data) for item in own.of_kind(ArchitectureSpec))
    yield from (LossTarget(item, registry) for item in own.of_kind(LossSpec))
    yield from (TermTarget(item, registry, data) for item in own.of_kind(TermSpec))
    yield from (AugmentationTarget(item, registry) for item in own.of_kind(AugmentationSpec))
    yield from (RecipeTarget(item, registry, data) for item in own.of_kind(RecipeSpec))
