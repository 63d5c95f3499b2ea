"""Synthetic data, small networks and a loss, for tests of plugins that do not have their own.

They are records of a plugin `testing`, which is not installed: the kit adds it to its registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ganzoo._version import __version__
from ganzoo.api.evaluation import ClassifierData
from ganzoo.api.networks import Networks
from ganzoo.api.sources import ArraySource
from ganzoo.api.specs import ArchitectureSpec, DatasetSpec, ExtractorSpec, LossSpec
from ganzoo.errors import DataError
from ganzoo.fields import DataInfo, Field
from ganzoo.registry.discovery import Plugin

COUNT = 32
CLASSES = ("a", "b", "c")
SHAPES: tuple[tuple[int, ...], ...] = (
    (1, 8, 8), (1, 16, 16), (3, 32, 32), (1, 64, 64), (3, 64, 64), (3, 128, 128), (2,), (1,), (3,), (8,),
)  # fmt: skip
"""Shapes of float fields of the synthetic data, in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Options of the synthetic networks: the shape of the score of a sample."""

    score: Literal["flat", "column", "map"] = "flat"


def candidates(needs: Sequence[str]) -> Iterator[DataInfo]:
    """Data to test an architecture with, the smallest first: the fields that it `needs`, in many shapes.

    A field is a label if its name says so; if `needs` has no float field, one is added.
    """
    labels = [name for name in needs if any(word in name for word in ("label", "class", "condition"))]
    floats = [name for name in needs if name not in labels] or ["image"]
    for shape in SHAPES:
        fields = [Field(name=name, shape=shape, range=_bounds(shape)) for name in floats]
        fields += [Field(name=name, dtype="int64", classes=CLASSES) for name in labels]
        yield DataInfo(fields=tuple(fields), count=COUNT)


def _bounds(shape: tuple[int, ...]) -> tuple[float, float] | None:
    return (-1.0, 1.0) if len(shape) == 3 else None


def source_of(info: DataInfo) -> str:
    """The value of `data.source` for synthetic samples with these fields."""
    text = json.dumps([field.to_json() for field in info.fields])
    return f"{SYNTHETIC.dist}/made-up:{text}"


def open_synthetic(argument: str, config: None = None) -> ArraySource:
    """Factory of the dataset `made-up`: random samples with the fields that `argument` describes in JSON.

    DataError for a text that describes no fields.
    """
    try:
        fields = tuple(Field.from_json(raw) for raw in json.loads(argument))
    except (ValueError, TypeError) as error:
        raise DataError(f"These are not fields: {argument!r:.200}") from error
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for field in fields:
        shape = (COUNT, *field.shape)
        if field.dtype == "int64":
            arrays[field.name] = np.resize(np.arange(max(len(field.classes), 1)), shape)
        elif field.range is not None:
            arrays[field.name] = random.integers(0, 256, shape, np.uint8)
        else:
            arrays[field.name] = random.standard_normal(shape).astype(np.float32)
    return ArraySource(fields=fields, arrays=arrays, identity="made up")


def build_networks(config: SyntheticConfig, data: DataInfo) -> Networks:
    """Factory of the architecture `made-up`."""
    from ganzoo.testing.synthetic_networks import build

    return build(config.score, data)


def build_loss(config: None = None) -> Any:
    """Factory of the loss `made-up`."""
    from ganzoo.testing.synthetic_networks import Logistic

    return Logistic()


class NearestMean:
    """A classifier without a network: the class whose mean is nearest. Its features are the values."""

    identity = protocol = "made up"

    def __init__(self, config: None, data: ClassifierData) -> None:
        values, labels = self(data.pixels), data.labels[:, 0]
        self._means = np.stack([values[labels == k].mean(0) for k in range(data.classes)])
        self.accuracy = float((self.probabilities(data.test_pixels).argmax(2) == data.test_labels).mean())

    def __call__(self, pixels: Any) -> Any:
        """Samples (n, ...) -> their values (n, d)."""
        return pixels.reshape(len(pixels), -1).astype(np.float32)

    def probabilities(self, pixels: Any) -> Any:
        """Samples (n, ...) -> (n, 1, classes)."""
        weights = 1 / (1e-6 + np.square(self(pixels)[:, None] - self._means).mean(2))
        return (weights / weights.sum(1, keepdims=True))[:, None]


CLASSIFIER = ExtractorSpec(
    name="made-up",
    summary="Compares samples with the mean of each class.",
    factory="ganzoo.testing.synthetic:NearestMean",
    distance="made_up",
    trained=True,
)

SYNTHETIC = Plugin(
    name="testing",
    dist="ganzoo-testing",
    version=__version__,
    state="ok",
    api=1,  # fields of any shape: the media claim them
    specs=(
        DatasetSpec(
            name="made-up",
            summary="Random samples of any fields.",
            factory="ganzoo.testing.synthetic:open_synthetic",
            argument="JSON",
        ),
        ArchitectureSpec(
            name="made-up",
            summary="Two small networks for images of any size.",
            factory="ganzoo.testing.synthetic:build_networks",
            config=SyntheticConfig,
            needs=("image",),
        ),
        LossSpec(name="made-up", summary="A logistic loss.", factory="ganzoo.testing.synthetic:build_loss"),
        CLASSIFIER,
    ),
)
"""The records of this module as a plugin."""
