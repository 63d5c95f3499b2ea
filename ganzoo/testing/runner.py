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
from ganzoo.testing.check import (
    CHECKS,
    STAGES,
    Check,
    Failed,
    NotApplicable,
)
from ganzoo.testing.synthetic import MADE_UP
from ganzoo.testing.targets import (
    ArchitectureSubject,
    AugmentationSubject,
    LossSubject,
    PluginSubject,
    RecipeSubject,
    RecordSubject,
    Subject,
    TermSubject,
)

Status = Literal["passed", "failed", "skipped", "blocked"]
"""`skipped`: there is nothing to look at. `blocked`: a check that it builds upon has failed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one check of one subject; `text` says why it has not passed."""

    check: str
    subject: str
    status: Status
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Case:
    """One check of one subject."""

    check: Check
    subject: Subject

    def __str__(self) -> str:
        return f"{self.subject} {self.check.name}"


class Session:
    """The checks of one plugin. Each runs once; those that need a failed one are skipped."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        self._results: dict[str, Result] = {}

    def result(self, case: Case) -> Result:
        """The result of a case, after those that it needs."""
        if str(case) not in self._results:
            self._results[str(case)] = self._run(case)
        return self._results[str(case)]

    def _run(self, case: Case) -> Result:
        for other in self._needed(case):
            if self.result(other).status in ("failed", "blocked"):
                return _result(case, "blocked", f"needs: {other}")
        begun = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case.check.function(case.subject)
            return _result(case, "passed", seconds=time.perf_counter() - begun)
        except NotApplicable as reason:
            return _result(case, "skipped", str(reason), time.perf_counter() - begun)
        except (Failed, GanzooError) as error:
            return _result(case, "failed", str(error), time.perf_counter() - begun)
        except Exception as error:  # the plugin's code may raise anything
            text = f"{type(error).__name__}: {error}"
            return _result(case, "failed", text, time.perf_counter() - begun)

    def _needed(self, case: Case) -> Iterator[Case]:
        """Those that the check names, and all of what its subject is made of."""
        for other in self.cases:
            same = other.subject is case.subject
            if other.check.name in case.check.needs if same else _is_part(other.subject, case.subject):
                yield other


def _is_part(part: Subject, whole: Subject) -> bool:
    """Whether the second is made of the first: of its own record, terms and recipes of networks and losses.

    Which of a plugin's networks a term is tried in is only known when it is.
    """
    if part.stage == "record":
        return part.name == str(whole)
    if whole.stage == "term":
        return part.stage in ("architecture", "loss")
    return isinstance(whole, RecipeSubject) and (part.stage, part.name) in whole.parts


def _result(case: Case, status: Status, text: str = "", seconds: float = 0.0) -> Result:
    return Result(check=case.check.name, subject=str(case.subject), status=status, text=text, seconds=seconds)


def session_of(name: str, registry: Registry | None = None, data: Iterable[DataInfo] = ()) -> Session:
    """All checks of the plugin of that name: of its entry point, or of its distribution.

    `data` are fields that its networks can be built for, where the made-up ones do not suit them.
    UsageError when there is no such plugin, PluginError when it did not load.
    """
    registry = registry or load_registry()
    plugin = _found(name, registry)
    if plugin.state != "ok":
        raise PluginError(f"The plugin '{name}' is {plugin.state}: {plugin.reason}")
    registry = Registry([*registry.plugins, MADE_UP])
    subjects = list(_subjects(plugin, registry, tuple(data)))
    cases = [
        Case(check, subject)
        for stage in STAGES
        for subject in subjects
        if subject.stage == stage
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


def _subjects(plugin: Plugin, registry: Registry, data: tuple[DataInfo, ...]) -> Iterator[Subject]:
    own = Registry([plugin])
    yield PluginSubject(plugin, registry)
    yield from (RecordSubject(item, registry) for item in own.items if not isinstance(item.spec, RecipeSpec))
    yield from (ArchitectureSubject(item, registry, data) for item in own.of_kind(ArchitectureSpec))
    yield from (LossSubject(item, registry) for item in own.of_kind(LossSpec))
    yield from (TermSubject(item, registry, data) for item in own.of_kind(TermSpec))
    yield from (AugmentationSubject(item, registry) for item in own.of_kind(AugmentationSpec))
    yield from (RecipeSubject(item, registry, data) for item in own.of_kind(RecipeSpec))
