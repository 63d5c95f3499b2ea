"""Which checks apply to a plugin, and their results."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ganzoo.api.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ImporterSpec,
    LossSpec,
    RecipeSpec,
    TermSpec,
    TrackerSpec,
)
from ganzoo.config.plan import Choice
from ganzoo.data.open_data import open_dataset
from ganzoo.errors import GanzooError, PluginError, UsageError
from ganzoo.fields import DataInfo
from ganzoo.registry.discovery import Plugin
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.testing.check import STAGES, Check, Failed, NotApplicable
from ganzoo.testing.checks import CHECKS
from ganzoo.testing.data_targets import TARGETS
from ganzoo.testing.synthetic import COUNT, SYNTHETIC
from ganzoo.testing.targets import (
    ArchitectureTarget,
    AugmentationTarget,
    ImporterTarget,
    LossTarget,
    PluginTarget,
    RecipeTarget,
    RecordTarget,
    Target,
    TermTarget,
    TrackerTarget,
)

Status = Literal["passed", "failed", "skipped", "blocked"]
"""`skipped`: the check does not apply. `blocked`: a check that it needs has failed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one check of one target; `text` says why it did not pass."""

    check: str
    target: str
    status: Status
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckCase:
    """One check of one target."""

    check: Check
    target: Target

    def __str__(self) -> str:
        return f"{self.target} {self.check.name}"


class Session:
    """The checks of one plugin. Each runs once; checks that need a failed check are blocked."""

    def __init__(self, cases: Sequence[CheckCase]) -> None:
        self.cases = tuple(cases)
        self._results: dict[str, Result] = {}

    def result(self, case: CheckCase) -> Result:
        """The result of a case; the checks that it needs run first."""
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
        """The checks that this check names, and all checks of the parts of its target."""
        for other in self.cases:
            same = other.target is case.target
            if other.check.name in case.check.needs if same else _is_part(other.target, case.target):
                yield other


def _is_part(part: Target, whole: Target) -> bool:
    """Whether `part` is a part of `whole`: its record; for a recipe, also what it names.

    A term depends on all networks and losses, because the networks for its test are chosen later.
    """
    if part.stage == "record":
        return str(part) == str(whole)
    if whole.stage in ("media", "extractor", "metric"):  # they are tested on its samples
        return part.stage == "dataset"
    if whole.stage == "term":
        return part.stage in ("architecture", "loss")
    return isinstance(whole, RecipeTarget) and (part.stage, part.name) in whole.parts


def _result(case: CheckCase, status: Status, text: str = "", seconds: float = 0.0) -> Result:
    return Result(check=case.check.name, target=str(case.target), status=status, text=text, seconds=seconds)


def session_of(
    name: str,
    registry: Registry | None = None,
    data: Iterable[DataInfo] = (),
    sources: Sequence[str] = (),
) -> Session:
    """All checks of the plugin with that name (of its entry point or its distribution).

    `data` names fields that its networks can be built for, if the synthetic ones do not fit. `sources` are
    data of such fields, `NAME` or `NAME:ARGUMENT`; the plugin's own datasets are opened with them, too.
    UsageError when there is no such plugin, PluginError when it did not load.
    """
    registry = registry or load_registry()
    plugin = _found(name, registry)
    if plugin.state != "ok":
        raise PluginError(f"The plugin '{name}' is {plugin.state}: {plugin.reason}")
    infos = (*data, *_infos(sources, registry, plugin))
    registry = Registry([*registry.plugins, SYNTHETIC])
    targets = list(_targets(plugin, registry, infos, sources))
    cases = [
        CheckCase(check, target)
        for stage in STAGES
        for target in targets
        if target.stage == stage
        for check in CHECKS.values()
        if check.stage == stage
    ]
    return Session(cases)


def _infos(sources: Sequence[str], registry: Registry, plugin: Plugin) -> Iterator[DataInfo]:
    """The fields of each source; a dataset of the plugin itself that cannot be opened has none."""
    for source in sources:
        try:
            yield fields_of(source, registry)
        except GanzooError:  # for a dataset of the plugin, a check says it
            if registry.find(DatasetSpec, source.partition(":")[0]).plugin is not plugin:
                raise


def fields_of(source: str, registry: Registry) -> DataInfo:
    """What networks may know of that data, opened with its default options, as if it had few samples."""
    item = registry.find(DatasetSpec, source.partition(":")[0])
    options = None if item.spec.config is None else item.spec.config()
    return replace(open_dataset(Choice(item, options), source, Kinds(registry)).info, count=COUNT)


def check_plugin(
    name: str,
    registry: Registry | None = None,
    data: Iterable[DataInfo] = (),
    sources: Sequence[str] = (),
) -> Iterator[Result]:
    """Yield the results of all checks of a plugin, one after the other; errors as in `session_of`."""
    session = session_of(name, registry, data, sources)
    for case in session.cases:
        yield session.result(case)


def _found(name: str, registry: Registry) -> Plugin:
    matches = registry.plugins_named(name)
    if len(matches) > 1:
        both = " and ".join(f"{plugin.dist}/{plugin.name}" for plugin in matches)
        raise UsageError(
            f"{len(matches)} plugins have the name '{name}'.", where=both, fix="use one of these names"
        )
    return matches[0]


def _targets(
    plugin: Plugin, registry: Registry, data: tuple[DataInfo, ...], sources: Sequence[str]
) -> Iterator[Target]:
    own = Registry([plugin])
    yield PluginTarget(plugin, registry)
    yield from (RecordTarget(item, registry) for item in own.items if not isinstance(item.spec, RecipeSpec))
    yield from (
        TARGETS[item.kind](item, registry, data, sources) for item in own.items if item.kind in TARGETS
    )
    yield from (ArchitectureTarget(item, registry, data) for item in own.of_kind(ArchitectureSpec))
    yield from (LossTarget(item, registry) for item in own.of_kind(LossSpec))
    yield from (TermTarget(item, registry, data) for item in own.of_kind(TermSpec))
    yield from (AugmentationTarget(item, registry) for item in own.of_kind(AugmentationSpec))
    yield from (ImporterTarget(item, registry) for item in own.of_kind(ImporterSpec))
    yield from (TrackerTarget(item, registry) for item in own.of_kind(TrackerSpec))
    yield from (RecipeTarget(item, registry, data) for item in own.of_kind(RecipeSpec))
