"""The targets of checks that need no networks: datasets, media, extractors, metrics."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ganzoo.api.media import Media, as_floats
from ganzoo.api.sources import ArraySource, ItemSource
from ganzoo.api.specs import DatasetSpec, ExtractorSpec, RecipeSpec
from ganzoo.config.plan import Choice
from ganzoo.data.dataset import Dataset
from ganzoo.data.open_data import open_dataset
from ganzoo.errors import DataError, GanzooError, SettingsError, UsageError
from ganzoo.evaluation.detection import SCORES
from ganzoo.evaluation.metrics import NEEDS, Scorer
from ganzoo.fields import DataInfo, Field, resized, steps_of
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry, calling, factory_of
from ganzoo.testing.check import Failed, NotApplicable, Stage
from ganzoo.testing.evidence import Array, Evidence, clusters, fields_for, fields_of_kind, ramps
from ganzoo.testing.targets import Target

MANY = 37  # samples in one file: odd, and more than a row or a preview has


class DataTarget(Target):
    """A record with its default options. `sources` are those of `--data`, `data` their fields."""

    def __init__(
        self, item: Item[Any], registry: Registry, data: Sequence[DataInfo], sources: Sequence[str]
    ) -> None:
        super().__init__(item.name, registry, data)
        self.item, self.sources, self.kinds = item, sources, Kinds(registry)
        self.stage = cast(Stage, item.kind)
        self.names = (item.name, item.qualified)
        self.options = item.spec.config() if item.spec.config else None

    @cached_property
    def own(self) -> list[Dataset]:
        """The datasets of the plugin that can be opened: the checks of the others say what is wrong."""
        found = []
        for item in Registry([self.item.plugin]).of_kind(DatasetSpec):
            with suppress(GanzooError, NotApplicable):
                found.append(DatasetTarget(item, self.registry, (), self.sources).dataset)
        return found

    @property
    def known(self) -> list[DataInfo]:
        """The fields of the data that is there."""
        return [*self.data, *(dataset.info for dataset in self.own)]


class DatasetTarget(DataTarget):
    """A dataset, with the argument that `--data` or a recipe gives."""

    @cached_property
    def source(self) -> str:
        """The source to open: NAME, or NAME:ARGUMENT. NotApplicable if nobody says an argument."""
        for text in self.sources:
            if text.partition(":")[0] in self.names:
                return text
        if not self.item.spec.argument:
            return self.name
        for recipe in self.registry.of_kind(RecipeSpec):
            if recipe.spec.data.partition(":")[0] in self.names:
                with suppress(GanzooError):  # it may name files that are not here
                    self.opened(recipe.spec.data)
                    return recipe.spec.data
        raise NotApplicable(f"it needs data: --data {self.name}:{self.item.spec.argument}")

    def opened(self, source: str) -> Dataset:
        """The checked samples of a source."""
        return open_dataset(Choice(self.item, self.options), source, self.kinds)

    @cached_property
    def dataset(self) -> Dataset:
        """Its checked samples."""
        return self.opened(self.source)

    def made(self) -> ArraySource | ItemSource:
        """What its factory returns, not checked."""
        factory, argument = factory_of(self.item), self.source.partition(":")[2]
        with calling(self.item):
            found: ArraySource | ItemSource = factory(argument, self.options)
        return found


class MediaTarget(DataTarget):
    """A media record, with samples of the plugin's own datasets and with made-up ones."""

    @cached_property
    def media(self) -> Media:
        """The media."""
        return self.kinds.of(self.item.qualified)

    @cached_property
    def samples(self) -> list[tuple[Field, Array]]:
        """Fields of this kind, each with samples."""
        found = [
            (field, as_floats(field, data.arrays[field.name][:MANY]))
            for data in self.own
            for field in data.fields
            if field.kind in self.names
        ]
        fields = fields_of_kind(self.item.qualified, self.kinds, self.data)
        found += [(field, ramps(field, MANY, field.shape)) for field in fields]
        if not found:
            raise Failed(
                "No made-up field is of this kind, and no dataset of the plugin has one.",
                "name data: `ganzoo plugin check NAME --data SOURCE`, or `sources` of the suite",
            )
        return found

    def cases(self) -> Iterator[tuple[Field, Array]]:
        """Samples that previews and files must show: many, one, at the ends of the range, other sizes."""
        for field, samples in self.samples:
            yield field, samples.copy()
            yield field, samples[:1].copy()
            yield from ((field, samples[:2] * 0 + end) for end in field.range or ())
            if field.free:
                steps = {axis: count + 1 for axis, count in steps_of([field]).items()}
                yield field, ramps(field, 3, resized(field, steps).shape)

    def path(self, suffix: str) -> Path:
        """The path of a file in a new folder."""
        return Path(tempfile.mkdtemp(dir=self._folder)) / f"samples{suffix}"

    @cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="ganzoo-check-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder


class MetricTarget(DataTarget):
    """A metric, and made-up samples that have what it needs."""

    @cached_property
    def _distances(self) -> set[str]:
        return {item.spec.distance for item in self.registry.of_kind(ExtractorSpec)}

    @property
    def unknown(self) -> list[str]:
        """Needs that nothing here can meet."""
        named = {*NEEDS, *self._distances}
        needs = [need for need in self.item.spec.needs if not need.startswith("field:")]
        return [need for need in needs if need not in named and not self.kinds.knows(need)]

    def evidence(self, *more: str) -> Iterator[tuple[Evidence, Scorer]]:
        """What it needs, and `more`, for fields of the kinds that it is for; each with a new function."""
        needs = {*self.item.spec.needs, *more}
        distance = "".join(sorted(self._distances & needs)[:1])
        has = {SCORES} if SCORES in needs else None
        fields = [*fields_for(needs, self.registry, self.known)]
        for field in fields[:1] if has else fields:
            made = Evidence(field, self.kinds, needs, distance)
            yield made, Scorer([self.item], made.space, made.real_data, targets="targets" in needs, has=has)


class ExtractorTarget(DataTarget):
    """An extractor, trained on made-up samples if it is a classifier."""

    @cached_property
    def extractor(self) -> Any:
        """The extractor. NotApplicable if it needs files of the user."""
        try:
            return self.built()
        except (SettingsError, UsageError, DataError) as error:
            raise NotApplicable(f"it cannot be built with its default options: {error}") from error

    def built(self) -> Any:
        """A new extractor."""
        factory, trained = factory_of(self.item), self.item.spec.trained
        data = [Evidence(self._fields[0], self.kinds, ()).classifier_data] if trained else []
        return factory(self.options, *data)

    @cached_property
    def _fields(self) -> list[Field]:
        fields = [
            field
            for kind in self.item.spec.kinds
            for field in fields_of_kind(kind, self.kinds, self.known)
            if self.kinds.of(field.kind).extractable(field)
        ]
        if not fields:
            raise NotApplicable("no made-up samples are of its kinds: --data SOURCE")
        return fields[:1] if self.item.spec.trained else fields

    def samples(self, n: int) -> Iterator[Array]:
        """Samples of each field that it takes, in the form for extractors."""
        for field in self._fields:
            yield self.kinds.of(field.kind).metric_values(field, clusters(field, 1)[0][:n])


TARGETS: dict[str, type[DataTarget]] = {
    "dataset": DatasetTarget, "media": MediaTarget, "extractor": ExtractorTarget, "metric": MetricTarget,
}  # fmt: skip
