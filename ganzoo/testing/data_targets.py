"""The targets of checks that need no networks: media, datasets, extractors, metrics."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from ganzoo.api.media import Media, as_floats
from ganzoo.api.sources import ArraySource, ItemSource
from ganzoo.api.specs import DatasetSpec, ExtractorSpec, MediaSpec, MetricSpec, RecipeSpec
from ganzoo.config.plan import Choice
from ganzoo.data.dataset import Dataset
from ganzoo.data.open_data import open_dataset, open_held_out
from ganzoo.errors import DataError, GanzooError, SettingsError, UsageError
from ganzoo.evaluation.metrics import NEEDS, Scorer
from ganzoo.fields import DataInfo, Field, multiples_of, resized, steps_of
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry, calling, factory_of
from ganzoo.testing.check import Failed, NotApplicable, Stage
from ganzoo.testing.evidence import Array, Evidence, clusters, fields_for, fields_of_kind, ramps
from ganzoo.testing.targets import Target

MANY = 37  # samples in one file: odd, and more than a row or a preview has


class DatasetTarget(Target):
    """A dataset with its default options, and the argument that `--data` or a recipe gives."""

    stage: Stage = "dataset"

    def __init__(self, item: Item[DatasetSpec], registry: Registry, sources: Sequence[str] = ()) -> None:
        super().__init__(item.name, registry)
        self.item, self.kinds = item, Kinds(registry)
        self._given = [text for text in sources if text.partition(":")[0] in (item.name, item.qualified)]
        self.choice = Choice(item, None if item.spec.config is None else item.spec.config())

    @cached_property
    def source(self) -> str:
        """The source to open: NAME, or NAME:ARGUMENT. NotApplicable if nobody says an argument."""
        if self._given or not self.item.spec.argument:
            return self._given[0] if self._given else self.name
        for recipe in self.registry.of_kind(RecipeSpec):
            name, _, argument = recipe.spec.data.partition(":")
            if argument and name in (self.name, self.item.qualified):
                with suppress(DataError):  # it may name files that are not here
                    open_dataset(self.choice, recipe.spec.data, self.kinds)
                    return recipe.spec.data
        raise NotApplicable(f"it needs data: --data {self.name}:{self.item.spec.argument}")

    @cached_property
    def dataset(self) -> Dataset:
        """Its checked samples."""
        return open_dataset(self.choice, self.source, self.kinds)

    @cached_property
    def held_out(self) -> Dataset | None:
        """Its held-out samples."""
        return open_held_out(self.choice, self.source, self.kinds)

    def opened(self, part: str = "factory") -> ArraySource | ItemSource | None:
        """What its factory returns, not checked."""
        factory, argument = factory_of(self.item, part), self.source.partition(":")[2]
        with calling(self.item):
            found: ArraySource | ItemSource | None = factory(argument, self.choice.options)
        return found


class MediaTarget(Target):
    """A media with its default options."""

    stage: Stage = "media"

    def __init__(
        self,
        item: Item[MediaSpec],
        registry: Registry,
        data: Sequence[DataInfo],
        own: Sequence[DatasetTarget],
    ) -> None:
        """`own`: datasets of the same plugin, whose samples are taken first."""
        super().__init__(item.name, registry, data)
        self.item, self._own = item, own
        self._folder = Path(tempfile.mkdtemp(prefix="ganzoo-check-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @cached_property
    def media(self) -> Media:
        """The media."""
        return Kinds(self.registry).of(self.item.qualified)

    @cached_property
    def samples(self) -> list[tuple[Field, Array]]:
        """Fields of this kind, each with samples."""
        names, found = (self.name, self.item.qualified), list[tuple[Field, Array]]()
        for target in self._own:
            with suppress(GanzooError, NotApplicable):  # its own checks say what is wrong with it
                found += [
                    (field, as_floats(field, target.dataset.arrays[field.name][:MANY]))
                    for field in target.dataset.fields
                    if field.kind in names
                ]
        fields = [field for name in names for field in fields_of_kind(name, Kinds(self.registry), self.data)]
        found += [(field, ramps(field, MANY)) for field in dict.fromkeys(fields)]
        if not found:
            raise Failed(
                "No made-up field is of this kind, and no dataset of the plugin has one.",
                "name data: `ganzoo plugin check NAME --data SOURCE`, or `sources` of the suite",
            )
        return found

    def cases(self) -> Iterator[tuple[Field, Array]]:
        """Samples that previews and files must show: many, one, those at the ends of the range, other sizes."""
        for field, samples in self.samples:
            yield field, samples.copy()
            yield field, samples[:1].copy()
            if field.range is not None:
                for end in field.range:
                    yield field, samples[:2] * 0 + end
            steps = {axis: count + 1 for axis, count in steps_of([field]).items()}
            if multiples_of([field]):
                yield field, ramps(field, 3, resized(field, steps).shape)

    def path(self, suffix: str) -> Path:
        """The path of a file in a new folder."""
        return Path(tempfile.mkdtemp(dir=self._folder)) / f"samples{suffix}"


class MetricTarget(Target):
    """A metric with its default options, and made-up samples that have what it needs."""

    stage: Stage = "metric"

    def __init__(self, item: Item[MetricSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item.name, registry, data)
        self.item = item

    @property
    def unknown(self) -> list[str]:
        """Needs that nothing here can meet."""
        kinds = Kinds(self.registry)
        known = {*NEEDS, *(item.spec.distance for item in self.registry.of_kind(ExtractorSpec))}
        needs = self.item.spec.needs
        return [
            need for need in needs if need not in known and not kinds.knows(need) and need[:6] != "field:"
        ]

    def evidence(self, *more: str) -> Iterator[Evidence]:
        """What it needs, and `more`, for fields of the kinds that it is for."""
        kinds, needs = Kinds(self.registry), {*self.item.spec.needs, *more}
        distances = {item.spec.distance for item in self.registry.of_kind(ExtractorSpec)} & needs
        for field in fields_for(needs, self.registry, self.data):
            yield Evidence(field, kinds, needs, "".join(sorted(distances)[:1]))

    def scorer(self, evidence: Evidence) -> Scorer:
        """A new function of the metric."""
        return Scorer([self.item], evidence.space, evidence.real_data, targets="targets" in evidence.needs)


class ExtractorTarget(Target):
    """An extractor with its default options, and made-up samples that it takes."""

    stage: Stage = "extractor"

    def __init__(self, item: Item[ExtractorSpec], registry: Registry, data: Sequence[DataInfo]) -> None:
        super().__init__(item.name, registry, data)
        self.item = item

    @cached_property
    def extractor(self) -> Any:
        """The extractor, trained on samples of the first field. NotApplicable without the files it needs."""
        try:
            return self.built()
        except (SettingsError, UsageError, DataError) as error:
            raise NotApplicable(f"it cannot be built with its default options: {error}") from error

    def built(self) -> Any:
        """A new extractor."""
        spec, factory = self.item.spec, factory_of(self.item)
        options = spec.config() if spec.config else None
        if not spec.trained:
            return factory(options)
        evidence = Evidence(self._fields[0], Kinds(self.registry), ("classifier",))
        return factory(options, evidence.classifier_data)

    @cached_property
    def _fields(self) -> list[Field]:
        kinds = Kinds(self.registry)
        fields = [field for kind in self.item.spec.kinds for field in fields_of_kind(kind, kinds, self.data)]
        found = [field for field in fields if kinds.of(field.kind).extractable(field)]
        if not found:
            raise NotApplicable("no made-up samples are of its kinds: --data SOURCE")
        return found[:1] if self.item.spec.trained else found

    def samples(self, n: int) -> Iterator[Array]:
        """Samples of each field that it takes, in the form for extractors."""
        kinds = Kinds(self.registry)
        for field in self._fields:
            yield kinds.of(field.kind).metric_values(field, clusters(field, 1)[0][:n])
