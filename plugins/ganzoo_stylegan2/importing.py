"""What the importers of this package share: renamed arrays, widths that double, the mapping network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataError, DataInfo, Field, Weights

Array = NDArray[np.generic]
Names = Mapping[str, str]

RANGE = "the range of the pixels (-1..1 assumed, as the authors' code writes images)"
LATENT = "the distribution of z (N(0, 1) assumed)"
RATE = "the rate of the mapping network's layers (0.01 assumed, the published one)"
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def renamed(found: Weights, source: str, target: str, names: Names) -> Iterator[tuple[str, Array]]:
    """The arrays `source.<their name>` as `target.<our name>`, for each of our names."""
    for ours, theirs in names.items():
        yield f"{target}.{ours}", found[f"{source}.{theirs}"]


def column(values: Array) -> Array:
    """(channels,) or (1, channels, 1, 1) -> (channels, 1, 1)."""
    return values.reshape(-1, 1, 1)


def doubling(widths: Sequence[int]) -> tuple[int, int]:
    """`width` and `widest` of channels from the largest maps to the smallest; DataError for other widths."""
    widest = max(widths)
    if list(widths) != [min(widths[0] * 2**k, widest) for k in range(len(widths))]:
        raise DataError(
            "The numbers of channels do not double at each halving, up to a largest number.",
            where=f"from the image down: {', '.join(map(str, widths))}",
        )
    return widths[0], widest


def mapping(found: Weights, target: str, layers: Iterable[str]) -> Iterator[tuple[str, Array]]:
    """The linear layers of a mapping network, in our names."""
    for k, layer in enumerate(layers):
        yield from renamed(found, layer, f"{target}.layers.{k}", {"weight": "weight", "bias": "bias"})


def numbered(found: Weights, name: str) -> list[str]:
    """The layers `<name>0`, `<name>1` ... that the file has."""
    count = 0
    while f"{name}{count}.weight" in found:
        count += 1
    return [f"{name}{k}" for k in range(count)]


def classes_of(found: Weights) -> int:
    """The number of classes that a mapping network reads."""
    named = any(key.startswith("mapping.embed.") for key in found)
    return found.shapes["mapping.embed.weight"][1] if named else 0


def check_filters(found: Weights, ending: str) -> None:
    """DataError for a filter for halving and doubling that is not [1, 3, 3, 1], whatever its gain."""
    for key, shape in found.shapes.items():
        if key.endswith(ending):
            kernel = found[key] if shape == (4, 4) else np.zeros((4, 4))
            if not np.allclose(kernel, FILTER * kernel.sum(), atol=1e-4) or not kernel.any():
                raise DataError(
                    "The network has another filter for doubling maps than [1, 3, 3, 1].", where=f"'{key}'"
                )


def data_of(shape: tuple[int, int, int], classes: int = 0) -> DataInfo:
    """Images of that shape, and class labels if there are classes."""
    image = Field(name="image", shape=shape, range=(-1.0, 1.0), kind="image", axes=PIXELS)
    label = Field(name="label", dtype="int64", classes=tuple(map(str, range(classes))))
    return DataInfo(fields=(image, label) if classes else (image,), count=0)


def numbers(seed: int = 0) -> Any:
    """A function from a shape to made-up values, for the examples."""
    random = np.random.default_rng(seed)
    return lambda *shape: np.asarray(random.standard_normal(shape), np.float32)
