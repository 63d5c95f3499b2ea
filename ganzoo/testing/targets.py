"""What checks look at: a plugin, and what its records make, built once and shared by their checks."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import onnx
import torch

from ganzoo.api.networks import Net, Networks
from ganzoo.api.specs import ArchitectureSpec, AugmentationSpec, LossSpec, RecipeSpec, TermSpec
from ganzoo.api.training import Batch
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.open_data import open_data
from ganzoo.errors import DataError, GanzooError, SettingsError
from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.fields import DataInfo, Field
from ganzoo.networks.apply import apply, declared, example
from ganzoo.networks.build import build_networks
from ganzoo.registry.discovery import GROUP, Plugin
from ganzoo.registry.entry_points import named
from ganzoo.registry.registry import Item, Registry, factory_of
from ganzoo.runs.load import Trained, load_trained
from ganzoo.runs.run import Run
from ganzoo.testing.check import Failed, NotApplicable, Stage
from ganzoo.testing.synthetic import SYNTHETIC, candidates, source_of
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start

BATCH = 4
MADE = f"{SYNTHETIC.dist}/made-up"
TINY = {
    "train.device": "cpu",  # where equal runs are equal to the byte
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
"""How a recipe is shrunk; its networks and their options stay."""


class Target:
    """Something of a plugin that checks look at."""

    stage: Stage

    def __init__(self, name: str, registry: Registry, data: Sequence[DataInfo] = ()) -> None:
        """`data`: what the plugin's author says that its networks can be built for."""
        self.name = name
        self.registry = registry
        self.data = tuple(data)

    def __str__(self) -> str:
        return f"{self.stage} {self.name}" if self.stage != "record" else self.name


class PluginTarget(Target):
    """The plugin as a whole."""

    stage: Stage = "plugin"

    def __init__(self, plugin: Plugin, registry: Registry) -> None:
        super().__init__(plugin.name, registry)
        self.plugin = plugin

    @cached_property
    def entry_point(self) -> EntryPoint:
        """Where it comes in; NotApplicable for a plugin that is not installed."""
        for point in entry_points(group=GROUP):
            if (named(point.dist)[0], point.name) == (self.plugin.dist, self.plugin.name):
                return point
        raise NotApplicable("it has no entry point")


class RecordTarget(Target):
    """One record, of any kind."""

    stage: Stage = "record"

    def __init__(self, item: Item[Any], registry: Registry) -> None:
        super().__init__(f"{item.kind} {item.name}", registry)
        self.item = item


class BuiltTarget(Target):
    """Something that is built for data: the smallest made-up data that it takes, or its author's."""

    def plans(self) -> Iterator[Plan]:
        """Plans to try, those for the smallest data first."""
        raise NotImplementedError

    @cached_property
    def plan(self) -> Plan:
        """The first of the plans whose networks can be built."""
        refusals: list[str] = []
        for plan in self.plans():
            try:
                build_networks(plan, open_data(plan).info)
                return plan
            except (DataError, SettingsError) as error:
                refusals.append(str(error).replace("\n", " "))
        last = f" The last refusal: {refusals[-1]}" if refusals else ""
        raise Failed(
            f"It could be built for none of {len(refusals)} kinds of small data.{last}",
            "let the suite name data that it takes: `data = DataInfo(fields=(...), count=32)`",
        )

    @cached_property
    def info(self) -> DataInfo:
        """The fields of that plan's data."""
        return open_data(self.plan).info

    def networks(self, seed: int = 0) -> Networks:
        """Fresh networks, initialised from that seed."""
        plan = replace(self.plan, train=replace(self.plan.train, seed=seed))
        return build_networks(plan, self.info)

    def _made_up(self, needs: Sequence[str]) -> Iterator[str]:
        """Sources of made-up data."""
        for info in (*self.data, *candidates(needs)):
            yield source_of(info)


class ArchitectureTarget(BuiltTarget):
    """An architecture with its default options."""

    stage: Stage = "architecture"

    def __init__(self, item: Item[ArchitectureSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item.name, registry, data)
        self.item = item

    def plans(self) -> Iterator[Plan]:
        """With the made-up loss; on made-up data, then on that of recipes that use it."""
        target = f"{self.item.qualified}+{MADE}"
        for source in self._made_up(self.item.spec.needs):
            yield resolve(target, self.registry, overrides={**TINY, "data.source": source})
        for recipe in self.registry.of_kind(RecipeSpec):
            if recipe.spec.architecture in (self.item.name, self.item.qualified):
                yield resolve(target, self.registry, overrides={**TINY, "data.source": recipe.spec.data})

    @cached_property
    def fields(self) -> dict[str, Field]:
        """All that its networks read and write, by name."""
        return declared(self.networks(), self.info)

    def batch(self, n: int) -> Batch:
        """Made-up samples of all fields, the same for the same `n`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(n)
            return example(self.fields.values(), n)


class LossTarget(Target):
    """A loss with its default options."""

    stage: Stage = "loss"

    def __init__(self, item: Item[LossSpec], registry: Registry) -> None:
        super().__init__(item.name, registry)
        self.item = item

    def loss(self) -> Any:
        """A fresh one."""
        spec = self.item.spec
        return factory_of(self.item)(spec.config() if spec.config else None)


class TermTarget(BuiltTarget):
    """A term with its default options, in the first game that it can be computed in."""

    stage: Stage = "term"

    def __init__(self, item: Item[TermSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item.name, registry, data)
        self.item = item

    def plans(self) -> Iterator[Plan]:
        """Those of recipes that use it, shrunk; then made-up networks."""
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
        """Made-up networks with scores of that shape."""
        source = source_of(next(candidates(("image",))))
        options = {"architecture.score": score, "data.source": source}
        return resolve(f"{MADE}+{MADE}+{self.item.qualified}", self.registry, overrides={**TINY, **options})


class AugmentationTarget(Target):
    """An augmentation with its default options."""

    stage: Stage = "augmentation"

    def __init__(self, item: Item[AugmentationSpec], registry: Registry) -> None:
        super().__init__(item.name, registry)
        self.item = item

    def augmentation(self) -> Any:
        """A fresh one that was told scores of a sure discriminator: one that adapts does something then."""
        spec = self.item.spec
        augment = factory_of(self.item)(spec.config() if spec.config else None)
        for _ in range(8):
            augment.observe(torch.ones(100_000))
        return augment


@dataclass(frozen=True)
class Exported:
    """A generator's graph, and what it was made from."""

    graph: onnx.ModelProto
    net: Net
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


class RecipeTarget(BuiltTarget):
    """A recipe, shrunk to a batch of 4 and to the smallest data that its networks take."""

    stage: Stage = "recipe"

    def __init__(self, item: Item[RecipeSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item.name, registry, data)
        self.item = item
        self.folder = Path(tempfile.mkdtemp(prefix="ganzoo-check-"))  # for runs and bundles
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def plans(self) -> Iterator[Plan]:
        """On made-up data, then on its own."""
        own = resolve(self.item.qualified, self.registry)
        for source in (*self._made_up(own.architecture.item.spec.needs), own.data.source):
            yield self.shrunk(source, cycles=4)

    @cached_property
    def parts(self) -> frozenset[tuple[str, str]]:
        """What it is made of, by stage and name; nothing when it does not resolve."""
        try:
            plan = resolve(self.item.qualified, self.registry)
        except GanzooError:
            return frozenset()
        items = [plan.architecture.item, plan.loss.item, *(term.item for term in plan.terms.values())]
        items += [plan.augment.item] if plan.augment else []
        return frozenset((item.kind, item.name) for item in items)

    def shrunk(self, source: str, cycles: int) -> Plan:
        """So many cycles on that data, pairs judged together in place of larger packs."""
        pack = min(2, resolve(self.item.qualified, self.registry).train.pack)
        length = {"data.source": source, "train.images": cycles * BATCH, "train.pack": pack}
        return resolve(self.item.qualified, self.registry, overrides={**TINY, **length})

    @cached_property
    def whole(self) -> Run:
        """A run of 4 cycles in one piece."""
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
    def exported(self) -> dict[str, Exported]:
        """The ONNX graph of each generator, which no check has seen yet."""
        fields = declared(self.trained.networks, self.info)
        parts = {}
        for name, net in self.trained.networks.generators.items():
            inputs, outputs = (tuple(fields[key] for key in keys) for keys in (net.reads, net.writes))
            parts[name] = Exported(export_graph(net, inputs, outputs), net, inputs, outputs)
        return parts


def fields_written(net: Net, batch: Batch) -> Batch:
    """What a net makes of a batch in eval mode, without a graph."""
    module = deepcopy(net.module).eval()
    with torch.no_grad():
        return apply(replace(net, module=module), batch)


def every_net(networks: Networks) -> dict[str, Net]:
    """Generators and discriminators by name."""
    return {**networks.generators, **networks.discriminators}
