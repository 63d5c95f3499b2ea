"""How samples are looked at: an extractor's features and a judge's opinion, kept where they cost time."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Extractor, Judge, Lesson
from ganzoo.cache import cache_folder
from ganzoo.errors import PluginError
from ganzoo.registry import Item, calling, factory_of
from ganzoo.specs import ExtractorSpec

Array = NDArray[Any]

_SEAL = 32  # bytes in front of kept features, by which they are known to be whole
VALUES = "frechet"  # the name of the Frechet distance of values themselves


class Lens:
    """Features and opinions of samples of one field.

    `extractor` is None for what is no picture: its values are the features. `scale` is the standard
    deviation of each feature over the real samples, by which all are divided.
    """

    def __init__(
        self,
        item: Item[ExtractorSpec] | None,
        options: Any,
        judge: Item[ExtractorSpec] | None,
        lesson: Callable[[], Lesson] | None,
    ) -> None:
        self._item, self._options, self._judge, self._lesson = item, options, judge, lesson
        self.distance = VALUES if item is None else item.spec.distance
        self.has_judge = judge is not None and lesson is not None
        self.scale: Array | float = 1.0

    @cached_property
    def extractor(self) -> Extractor | None:
        """The network, built when it is first needed."""
        if self._item is None:
            return None
        if self._item.spec.trained:
            return self.judge
        made: Extractor = self._call(self._item, self._options)
        return made

    def prepare(self) -> None:
        """Build the extractor now: one that does not work is noticed before the work begins."""
        _ = self.extractor

    @cached_property
    def judge(self) -> Judge:
        """The judge of this data, trained when it is first needed."""
        return self.taught(None)

    def taught(self, lesson: Lesson | None) -> Judge:
        """A judge that learned another lesson than the data's own."""
        if self._judge is None or self._lesson is None:
            raise PluginError("There is no judge for this data.", fix="name `judge` in the metric's needs")
        made: Judge = self._call(self._judge, None, self._lesson() if lesson is None else lesson)
        return made

    def lesson(self) -> Lesson:
        """What the judge of this data learns from."""
        if self._lesson is None:
            raise PluginError("There is no judge for this data.", fix="name `judge` in the metric's needs")
        return self._lesson()

    def fit(self, real: Array) -> None:
        """Take the scale from unscaled features of the real samples (n, d)."""
        if self._item is None or self._item.spec.scaled:
            spread = real.std(0, dtype=np.float64).astype(np.float32)
            self.scale = np.where(spread > 0, spread, np.float32(1))

    def raw_features(self, values: Array, key: str = "") -> NDArray[np.float32]:
        """Features (n, d) as the extractor gives them; kept on disk under `key`, if it names the samples."""
        if self._item is None:
            return values.reshape(len(values), -1).astype(np.float32)
        extractor = self.extractor
        assert extractor is not None  # noqa: S101
        if not key:
            return self._extracted(extractor, values)
        name = hashlib.sha256(f"{extractor.identity}\n{extractor.protocol}\n{key}".encode()).hexdigest()
        kept = read_kept(name)
        if kept is None or len(kept) != len(values):
            kept = self._extracted(extractor, values)
            keep(name, kept)
        return kept

    def guesses(self, values: Array) -> NDArray[np.float32]:
        """Class probabilities of the extractor itself."""
        result: NDArray[np.float32] = self.extractor.probabilities(values)  # type: ignore[union-attr]
        return result[:, 0]

    def _extracted(self, extractor: Extractor, values: Array) -> NDArray[np.float32]:
        assert self._item is not None  # noqa: S101
        with calling(self._item):
            features = np.asarray(extractor(values), np.float32)
        if features.ndim != 2 or len(features) != len(values):
            raise PluginError(
                f"The extractor '{self._item.name}' gave features of shape {features.shape}.",
                where=self._item.qualified,
                fix=f"return ({len(values)}, d)",
            )
        if not np.isfinite(features).all():
            raise PluginError(
                f"The extractor '{self._item.name}' gave features that are not finite.",
                where=self._item.qualified,
            )
        return features

    @staticmethod
    def _call(item: Item[ExtractorSpec], *arguments: Any) -> Any:
        factory = factory_of(item)
        with calling(item):
            return factory(*arguments)


def read_kept(name: str) -> NDArray[np.float32] | None:
    """Features kept on disk; None when they are not there, or not whole."""
    file = cache_folder() / "features" / f"{name}.features"
    try:
        raw = file.read_bytes()
        seal, content = raw[:_SEAL], raw[_SEAL:]
        if seal != hashlib.sha256(content).digest():
            return None
        kept: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.dtype == np.float32 and kept.ndim == 2 else None


def keep(name: str, features: NDArray[np.float32]) -> None:
    """Keep features on disk, whole or not at all; a folder that cannot be written is no error."""
    folder = cache_folder() / "features"
    temporary = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, features)
        temporary.write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())
        temporary.replace(folder / f"{name}.features")
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
