"""The targets of checks: a plugin, its records, and what these build, once for all their checks."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic

import numpy as np
import onnx
import torch
from PIL import Image

from ganzoo.api.networks import Net, Networks
from ganzoo.api.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    ImporterSpec,
    LossSpec,
    RecipeSpec,
    TermSpec,
    TrackerSpec,
)
from ganzoo.api.tracking import TrackedRun, Tracker
from ganzoo.api.training import Batch
from ganzoo.config.plan import Choice, Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.open_data import open_data
from ganzoo.errors import DataError, GanzooError, SettingsError
from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.fields import DataInfo, Field
from ganzoo.foreign.arrays import Budget, LazyArray
from ganzoo.foreign.tree import Part, parts_of
from ganzoo.images import encode_image
from ganzoo.importing.recognise import Match, recognised
from ganzoo.networks.apply import apply, declared, example
from ganzoo.networks.build import build_networks
from ganzoo.networks.exports import Exported, exported
from ganzoo.registry.discovery import GROUP, Plugin
from ganzoo.registry.entry_points import named
from ganzoo.registry.registry import Item, Registry, SpecT, factory_of, made_by
from ganzoo.runs.load import Trained, load_trained
from ganzoo.runs.run import Run
from ganzoo.testing.check import Failed, NotApplicable, Stage
from ganzoo.testing.synthetic import SYNTHETIC, candidates, source_of
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.reporting.tracking import built_tracker
from ganzoo.training.session import resume, start

BATCH = 4
MADE = f"{SYNTHETIC.dist}/made-up"
TINY = {
    "train.device": "cpu",  # here equal runs give equal bytes
    "train.precision": "fp32",
    "train.threads": 1,
    "train.batch_size": BATCH,
    "train.generator_batch_size": BATCH,
    "train.n_critic": 1,
    "train.pack": 1,
    "train.samples": 4,
    "train.sample_every": 10**9,
    "train.checkpoint_every": 10**9,
}
"""Settings that shrink a recipe; its networks and their options stay."""


class Target:
    """Something of a plugin that checks test."""

    stage: Stage

    def __init__(self, name: str, registry: Registry, data: Sequence[DataInfo] = ()) -> None:
        """`data`: fields that the networks can be built for, as the plugin's author says."""
        self.name = name
        self.registry = registry
        self.data = tuple(data)

    def __str__(self) -> str:
        return f"{self.stage} {self.name}"


class PluginTarget(Target):
    """The plugin as a whole."""

    stage: Stage = "plugin"

    def __init__(self, plugin: Plugin, registry: Registry) -> None:
        super().__init__(plugin.name, registry)
        self.plugin = plugin

    @cached_property
    def entry_point(self) -> EntryPoint:
        """Its entry point; NotApplicable for a plugin that is not installed."""
        for point in entry_points(group=GROUP):
            if (named(point.dist)[0], point.name) == (self.plugin.dist, self.plugin.name):
                return point
        raise NotApplicable("it has no entry point")


class ItemTarget(Target, Generic[SpecT]):
    """One record."""

    def __init__(self, item: Item[SpecT], registry: Registry, data: Sequence[DataInfo] = ()) -> None:
        super().__init__(item.name, registry, data)
        self.item = item


class RecordTarget(ItemTarget[Any]):
    """One record, of any kind."""

    stage: Stage = "record"

    def __str__(self) -> str:
        return f"{self.item.kind} {self.name}"


class BuiltTarget(ItemTarget[SpecT]):
    """Something that is built for data: the smallest synthetic data that fits, or the author's."""

    def plans(self) -> Iterator[Plan]:
        """Plans to try, with the smallest data first."""
        raise NotImplementedError

    @cached_property
    def plan(self) -> Plan:
        """The first of the plans whose networks can be built."""
        refusals: list[str] = []
        for plan in self.plans():
            try:
                info = open_data(plan).info
            except GanzooError as error:  # for the plugin's own datasets there are other checks
                refusals.append(str(error).replace("\n", " "))
                continue
            try:
                plan = plan.fitted(info)
                build_networks(plan, info)
                return plan
            except (DataError, SettingsError) as error:
                refusals.append(str(error).replace("\n", " "))
        last = f" The last error: {refusals[-1]}" if refusals else ""
        raise Failed(
            f"It cannot be built for any of {len(refusals)} kinds of small data.{last}",
            "name data that fits in the suite: `data = DataInfo(fields=(...), count=32)`",
        )

    @cached_property
    def info(self) -> DataInfo:
        """The fields of that plan's data."""
        return open_data(self.plan).info

    def networks(self, seed: int = 0) -> Networks:
        """New networks, initialised with that seed."""
        plan = replace(self.plan, train=replace(self.plan.train, seed=seed))
        return build_networks(plan, self.info)

    def _made_up(self, needs: Sequence[str]) -> Iterator[str]:
        """Sources of synthetic data."""
        for info in (*self.data, *candidates(needs)):
            yield source_of(info)


class ArchitectureTarget(BuiltTarget[ArchitectureSpec]):
    """An architecture with its default options."""

    stage: Stage = "architecture"

    def plans(self) -> Iterator[Plan]:
        """Plans with the synthetic loss, on synthetic data, then on the data of recipes that use it."""
        target = f"{self.item.qualified}+{MADE}"
        for source in self._made_up(self.item.spec.needs):
            yield resolve(target, self.registry, overrides={**TINY, "data.source": source})
        for recipe in self.registry.of_kind(RecipeSpec):
            if recipe.spec.architecture in (self.item.name, self.item.qualified):
                with suppress(GanzooError):  # another package's recipe may need data that is not here
                    yield resolve(target, self.registry, overrides={**TINY, "data.source": recipe.spec.data})

    @cached_property
    def fields(self) -> dict[str, Field]:
        """All fields that its networks read and write, by name."""
        return declared(self.networks(), self.info)

    @property
    def has_terms(self) -> bool:
        """Whether a recipe with this architecture has a term."""
        recipes = [item.spec for item in self.registry.of_kind(RecipeSpec)]
        names = (self.item.name, self.item.qualified)
        mine = [spec for spec in recipes if spec.architecture in names]
        return any(path.startswith("terms.") for spec in mine for path in spec.settings)

    def batch(self, n: int) -> Batch:
        """Synthetic samples of all fields, the same for the same `n`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(n)
            return example(self.fields.values(), n)


class LossTarget(ItemTarget[LossSpec]):
    """A loss with its default options."""

    stage: Stage = "loss"

    def loss(self) -> Any:
        """A new instance of the loss."""
        return made_by(self.item)


class TermTarget(BuiltTarget[TermSpec]):
    """A term with its default options, in the first game that it can be computed in."""

    stage: Stage = "term"

    def plans(self) -> Iterator[Plan]:
        """Shrunk plans of recipes that use it, then one with synthetic networks."""
        for recipe in self.registry.of_kind(RecipeSpec):
            try:
                plan = resolve(recipe.qualified, self.registry)
            except GanzooError:
                continue
            if any(term.item.qualified == self.item.qualified for term in plan.terms.values()):
                for source in (*self._made_up(plan.architecture.item.spec.needs), plan.data.source):
                    yield resolve(recipe.qualified, self.registry, overrides={**TINY, "data.source": source})
        yield self.made_up("flat")

    def made_up(self, score: str) -> Plan:
        """A plan with synthetic networks, with scores of that shape."""
        source = source_of(next(candidates(("image",))))
        options = {"architecture.score": score, "data.source": source}
        return resolve(f"{MADE}+{MADE}+{self.item.qualified}", self.registry, overrides={**TINY, **options})


class AugmentationTarget(ItemTarget[AugmentationSpec]):
    """An augmentation with its default options."""

    stage: Stage = "augmentation"

    def augmentation(self) -> Any:
        """A new instance that has seen high real scores, so that an adaptive augmentation does something."""
        augment = made_by(self.item)
        for _ in range(8):
            augment.observe(torch.ones(100_000))
        return augment


class TrackerTarget(ItemTarget[TrackerSpec]):
    """A tracker with the options that need no server, and a run directory with a log line and samples."""

    stage: Stage = "tracker"

    @cached_property
    def folder(self) -> Path:
        """A run directory, which is removed when the checks of the tracker have ended."""
        folder = Path(tempfile.mkdtemp(prefix="ganzoo-check-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        (folder / "samples").mkdir()
        (folder / "samples" / "000000000008.png").write_bytes(encode_image(Image.new("L", (8, 8)), ".png"))
        (folder / "samples" / "000000000008-b.other").write_bytes(b"of a kind that no tracker knows")
        return folder

    def tracker(self) -> Tracker:
        """A new instance. NotApplicable if its package is not installed."""
        spec = self.item.spec
        given = {
            name: value.replace("{folder}", str(self.folder)) if isinstance(value, str) else value
            for name, value in spec.offline.items()
        }
        try:
            return built_tracker(Choice(self.item, spec.config(**given) if spec.config else None))
        except SettingsError as error:
            raise NotApplicable(error.what) from error

    def run(self, known_as: str = "") -> TrackedRun:
        """The run, as one that is new or has been tracked before."""
        settings = {"train.batch_size": 64, "train.keep_best": "", "terms.lab/drift.every": 1}
        return TrackedRun(name=self.folder.name, folder=self.folder, settings=settings, known_as=known_as)

    @property
    def samples(self) -> list[Path]:
        """The previews in the run directory."""
        return sorted((self.folder / "samples").iterdir())


class ImporterTarget(ItemTarget[ImporterSpec]):
    """An importer, with the example of its family as if it were a file."""

    stage: Stage = "importer"

    @cached_property
    def parts(self) -> list[Part]:
        """The networks of the example."""
        example = factory_of(self.item, "example")
        return parts_of(_as_file(example()), Budget())

    @cached_property
    def match(self) -> Match:
        """What it makes of its example."""
        found = recognised(self.parts, {}, Registry([self.item.plugin]))
        mine = [match for match in found if match.item.name == self.item.name]
        if not mine:
            raise Failed("It answers None for its own example.", "compare the names and shapes of `example`")
        return next((match for match in mine if match.is_average), mine[0])

    def answers(self, tree: Mapping[str, Any]) -> list[Match]:
        """What it makes of another file."""
        found = recognised(parts_of(_as_file(tree), Budget()), {}, Registry([self.item.plugin]))
        return [match for match in found if match.item.name == self.item.name]


def _as_file(node: Any) -> Any:
    """A tree with its arrays as they are read from a file."""
    if isinstance(node, Mapping):
        return {key: _as_file(value) for key, value in node.items()}
    if isinstance(node, np.ndarray | np.generic):
        array = np.asarray(node)
        return LazyArray(array.shape, array.dtype.name, lambda: array)
    return node


class RecipeTarget(BuiltTarget[RecipeSpec]):
    """A recipe, shrunk to a batch of 4 and to the smallest data that fits its networks."""

    stage: Stage = "recipe"

    def __init__(self, item: Item[RecipeSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item, registry, data)
        self.folder = Path(tempfile.mkdtemp(prefix="ganzoo-check-"))  # for runs and bundles
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def plans(self) -> Iterator[Plan]:
        """Plans on synthetic data, then on its own data."""
        own = resolve(self.item.qualified, self.registry)
        for source in (*self._made_up(own.architecture.item.spec.needs), own.data.source):
            yield self.shrunk(source, cycles=4)

    @cached_property
    def parts(self) -> frozenset[tuple[str, str]]:
        """The records that it names, by stage and name; nothing if it does not resolve."""
        try:
            items = resolve(self.item.qualified, self.registry).items
        except GanzooError:
            return frozenset()
        return frozenset((item.kind, item.name) for item in items)

    def shrunk(self, source: str, cycles: int) -> Plan:
        """That many cycles on that data, with packs of at most two."""
        pack = min(2, resolve(self.item.qualified, self.registry).train.pack)
        length = {"data.source": source, "train.images": cycles * BATCH, "train.pack": pack}
        return resolve(self.item.qualified, self.registry, overrides={**TINY, **length})

    @cached_property
    def whole(self) -> Run:
        """A run of 4 cycles without a pause."""
        return start(self.plan, self.folder / "whole", NullReporter())[0]

    def in_parts(self) -> Run:
        """The same run, paused after 2 cycles and resumed."""
        run, _ = start(self.plan, self.folder / "parts", NullReporter(), pause_at=2 * BATCH)
        run = Run.open(run.path)
        return resume(run, resolve(str(run.settings_file), self.registry), NullReporter())[0]

    @cached_property
    def trained(self) -> Trained:
        """The networks of that run."""
        return load_trained(self.whole, self.registry, "newest", lambda note: None)

    @cached_property
    def exported(self) -> dict[str, tuple[onnx.ModelProto, Exported]]:
        """The ONNX graph of each generator, not checked yet, and what it was made from."""
        parts = exported(self.trained.networks, self.info)
        return {
            name: (export_graph(part.net, part.inputs, part.outputs), part) for name, part in parts.items()
        }


def fields_written(net: Net, batch: Batch) -> Batch:
    """The outputs of a network for a batch, in eval mode and without an autograd graph."""
    module = deepcopy(net.module).eval()
    with torch.no_grad():
        return apply(replace(net, module=module), batch)


def every_net(networks: Networks) -> dict[str, Net]:
    """Generators and discriminators by name."""
    return {**networks.generators, **networks.discriminators}
