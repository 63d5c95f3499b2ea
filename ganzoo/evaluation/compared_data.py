"""Which data a generator is compared with: what the user names, or what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.api.specs import DatasetSpec
from ganzoo.config.plan import Choice
from ganzoo.config.settings import build
from ganzoo.data.dataset import Dataset, MissingClassError, of_classes
from ganzoo.errors import DataError, UsageError
from ganzoo.evaluation.generators import EvaluatedGenerator
from ganzoo.evaluation.real_data import RealData
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry
from ganzoo.util.text import some, typed

if TYPE_CHECKING:
    from ganzoo.evaluation.evaluate import Request


class _OtherDataError(DataError):
    """Data of the same name that is not the training data."""


@dataclass(frozen=True, kw_only=True)
class ComparedData:
    """The dataset to compare `evaluated` with, and its source."""

    choice: Choice
    source: str
    evaluated: EvaluatedGenerator
    request: Request

    def open(
        self, field: Field, kinds: Kinds, *, reads: Sequence[Field] = (), all_classes: bool = False
    ) -> RealData:
        """Open it; with `all_classes` also those that the generator was not trained on.

        DataError as in `RealData.open`. If the user has not named the data, the message has the command that
        does, also where other data is found in the place of the training data of a bundle.
        """
        choice = replace(self.choice, only=(), without=()) if all_classes else self.choice
        training = self.request.against == "training"
        named, path = self.request.data is not None, self._path
        found_by_name = not named and not self.evaluated.knows_place and path is not None
        try:
            data = RealData.open(choice, self.source, field, kinds, against_training=training, reads=reads)
            if found_by_name:
                self._check_training_data(data.training, all_classes=all_classes)
        except MissingClassError as error:
            raise self._without_class(error, named=named, found_by_name=found_by_name) from error
        except _OtherDataError:
            raise
        except DataError as error:
            if named:
                raise
            raise DataError(
                f"The data it was trained on cannot be used: {error.what}",
                where=error.where,
                fix=f"{self._command()}, if the data is elsewhere now",
            ) from error
        return data

    def _check_training_data(self, opened: Dataset, *, all_classes: bool) -> None:
        """DataError if the generator did not learn from that; MissingClassError without its classes."""
        if all_classes and (self.choice.only or self.choice.without):
            try:
                opened = of_classes(opened, self.choice.only, self.choice.without)
            except MissingClassError:
                raise
            except DataError as error:  # no sample has them
                raise self._other_data("") from error
        if not self.evaluated.learned_from(opened):
            raise self._other_data("", f"; or --data {typed(self.source)} to compare with this one")

    def _other_data(self, why: str, more: str = "") -> DataError:
        """What is found in the place of the training data of a bundle is other data."""
        place = self._path.absolute() if self._path is not None else self.source
        return _OtherDataError(
            f"'{self.source}' of this folder is not the data that the bundle was trained on{why}.",
            where=f"{place}; a bundle keeps only the last part of a path",
            fix=f"{self._command()}{more}",
        )

    def _without_class(self, error: MissingClassError, *, named: bool, found_by_name: bool) -> DataError:
        """The user has not typed the classes of this error: they are those of the training."""
        there = f"its classes are: {some(error.names)}" if error.names else "it has no classes"
        if found_by_name:
            return self._other_data(f": it has no class '{error.name}', {there}")
        chosen = [
            f"data.{option}={','.join(names)}"
            for option, names in (("only", self.choice.only), ("without", self.choice.without))
            if names
        ]
        return DataError(
            f"The data has no class '{error.name}', {there}.",
            where=f"{self.source}; the generator was trained with {' '.join(chosen)}",
            fix="--data SOURCE with this class"
            if named
            else f"{self._command()}, if the data is elsewhere now",
        )

    @property
    def _path(self) -> Path | None:
        """The path in the source, if the dataset is one of files."""
        argument = self.source.partition(":")[2]
        return Path(argument) if argument and self.choice.item.spec.argument == "PATH" else None

    def _command(self) -> str:
        """What names the data, for the same generator."""
        scheme, request = self.source.partition(":")[0], self.request
        data = "SOURCE" if self._path is None else typed(f"{scheme}:/PATH/TO/{self._path.name}")
        which = "" if request.generator == "generator" else f" --generator {typed(request.generator)}"
        return f"ganzoo evaluate {typed(request.source)}{which} --data {data}"


def compared_data(evaluated: EvaluatedGenerator, request: Request, registry: Registry) -> ComparedData:
    """UsageError when neither the user nor the generator names any."""
    source = request.data or evaluated.data
    if not source:
        raise UsageError("The file does not say what it was trained on.", fix="--data SOURCE")
    item = registry.find(DatasetSpec, source.partition(":")[0])
    options = None
    same_kind = evaluated.data.partition(":")[0] in (item.name, item.qualified)
    if item.spec.config is not None:
        # Other data of the same kind is opened with the options of the training data, such as their size.
        own = evaluated.data_options if same_kind else {}
        options = build(item.spec.config, own, "data", {})
    only, without = evaluated.classes if same_kind else ((), ())
    choice = Choice(item, options, only, without, lenient=source != evaluated.data)
    return ComparedData(choice=choice, source=source, evaluated=evaluated, request=request)
