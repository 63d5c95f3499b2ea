"""The embedded images as pairs of an image and its transform, or as two classes without pairs."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np

from ganzoo.api import ArraySource, DataError
from ganzoo_datasets import fashion
from ganzoo_datasets.config import FashionPairsConfig, FashionUnpairedConfig
from ganzoo_datasets.transforms import Transform


def open_pairs(argument: str = "", config: FashionPairsConfig | None = None) -> ArraySource:
    """`b` (1, 28, 28) in -1..1 with its `label`, and `a`, its transform."""
    _refuse_argument("fashion-pairs", argument)
    return _transformed(fashion.open_fashion_5k(), config or FashionPairsConfig())


def open_held_out_pairs(argument: str = "", config: FashionPairsConfig | None = None) -> ArraySource:
    """The held-out images of `fashion-5k` with the same transform."""
    _refuse_argument("fashion-pairs", argument)
    return _transformed(fashion.open_held_out(), config or FashionPairsConfig())


def open_unpaired(argument: str = "", config: FashionUnpairedConfig | None = None) -> ArraySource:
    """`a` and `b`, both (1, 28, 28) in -1..1: 500 images each of two classes, in the file's order.

    DataError for an unknown class, or the same class twice.
    """
    _refuse_argument("fashion-unpaired", argument)
    return _classes(fashion.open_fashion_5k(), config or FashionUnpairedConfig())


def open_held_out_unpaired(argument: str = "", config: FashionUnpairedConfig | None = None) -> ArraySource:
    """The held-out images of both classes."""
    _refuse_argument("fashion-unpaired", argument)
    return _classes(fashion.open_held_out(), config or FashionUnpairedConfig())


def _transformed(source: ArraySource, config: FashionPairsConfig) -> ArraySource:
    pixels = source.arrays["image"].astype(np.uint8, copy=False)
    transform = Transform(config.transform, config.factor, config.threshold)
    image, label = source.fields
    channels, height, width = image.shape
    return ArraySource(
        fields=(
            replace(image, name="a", shape=transform.shape((channels, height, width))),
            replace(image, name="b"),
            label,
        ),
        arrays={"a": transform(pixels), "b": pixels, "label": source.arrays["label"]},
        identity=f"pairs {' '.join(map(str, astuple(transform)))} of {source.identity}",
    )


def _classes(source: ArraySource, config: FashionUnpairedConfig) -> ArraySource:
    unknown = [name for name in (config.a, config.b) if name not in fashion.CLASSES]
    if unknown or config.a == config.b:
        raise DataError(
            f"There is no class '{unknown[0]}' of clothes."
            if unknown
            else "data.a and data.b are the same class.",
            where=f"data.a is {config.a}, data.b is {config.b}",
            fix=f"choose two of: {', '.join(fashion.CLASSES)}",
        )
    labels = source.arrays["label"]
    sides = {
        side: source.arrays["image"][labels == fashion.CLASSES.index(name)]
        for side, name in (("a", config.a), ("b", config.b))
    }
    image = source.fields[0]
    return ArraySource(
        fields=tuple(replace(image, name=name) for name in sides),
        arrays=sides,
        identity=f"{config.a} and {config.b} of {source.identity}",
    )


def _refuse_argument(name: str, argument: str) -> None:
    if argument:
        raise DataError(
            f"The data set '{name}' takes no argument.",
            where=f"--data {name}:{argument}",
            fix=f"--data {name}; folders of your own are --data {name.removeprefix('fashion-')}:PATH",
        )
