"""Weights of R3GAN in the layout of github.com/brownvc/R3GAN: pickles with `G_ema` and `D`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataError, DataInfo, Field, Imported, Weights

Array = NDArray[np.generic]
BLOCK = {
    "layers.0.weight": "LinearLayer1.Layer.weight", "layers.0.bias": "NonLinearity1.Bias",
    "layers.2.weight": "LinearLayer2.Layer.weight", "layers.2.bias": "NonLinearity2.Bias",
    "layers.4.weight": "LinearLayer3.Layer.weight",
}  # fmt: skip
"""The names of a residual block's arrays: ours, and theirs."""


def recognise(found: Weights) -> Imported | None:
    """A generator of that layout. None for other layouts, DataError for a variant of it that is not known."""
    found = plain(found)
    if "MainLayers.0.Layers.0.Basis" not in found or "AggregationLayer.Layer.weight" not in found:
        return None
    stages = stages_of(found)
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    filters = [key for key in found if key.endswith("Resampler.Kernel")]
    if not all(found.shapes[key] == (4, 4) and np.allclose(found[key], kernel) for key in filters):
        raise DataError("The network has another filter for doubling maps than [1, 3, 3, 1].")
    widths = [found.shapes[f"{stage[-1]}.LinearLayer1.Layer.weight"][1] for stage in stages]
    counts = {len(stage) - 1 for stage in stages}
    width, widest = widths[-1], max(widths)
    if widths[::-1] != [min(width * 2**k, widest) for k in range(len(widths))] or len(counts) > 1:
        raise DataError(
            "This R3GAN has channels that do not double, or stages of different depths.",
            where=f"channels {widths}, blocks {sorted(counts)}",
        )
    first = found.shapes["MainLayers.0.Layers.1.LinearLayer2.Layer.weight"]
    embedded, classes = found.shape("EmbeddingLayer.weight") or (0, 0)
    inputs = found.shapes["MainLayers.0.Layers.0.LinearLayer.weight"][1]
    options: dict[str, Any] = {
        "latent": inputs - embedded, "generator_width": width, "discriminator_width": width,
        "widest": widest, "blocks": counts.pop(), "expansion": first[0] // widths[0], "group": first[1],
        "conditional": bool(classes), "class_width": embedded or 64,
    }  # fmt: skip
    weights: dict[str, Mapping[str, Array]] = {"generator": generator(found, stages)}
    judge = found.other("D")
    if judge is not None and (own := discriminator(plain(judge))):
        weights["discriminator"] = own
    colours, side = len(found["AggregationLayer.Layer.weight"]), 4 * 2 ** (len(stages) - 1)
    image = Field(name="image", shape=(colours, side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    label = Field(name="label", dtype="int64", classes=tuple(map(str, range(classes))))
    return Imported(
        architecture="r3gan", recipe="r3gan-paper", options=options, weights=weights,
        data=DataInfo(fields=(image, label) if classes else (image,), count=0),
        unknown=(
            "the range of the pixels (-1..1 assumed, as the authors' code writes images)",
            "the distribution of z (N(0, 1) assumed)",
            *(["the names of the classes"] if classes else []),
        ),
    )  # fmt: skip


def plain(found: Weights) -> Weights:
    """The network itself, without the part `Model` in which the authors' training puts it."""
    return found.under("Model") if all(key.startswith("Model.") for key in found) else found


def stages_of(found: Weights) -> list[list[str]]:
    """The names of the layers of each stage, in their order."""
    names = {tuple(map(int, key.split(".")[1:4:2])) for key in found if key.startswith("MainLayers.")}
    stages: list[list[str]] = [[] for _ in {stage for stage, _ in names}]
    for stage, layer in sorted(names):
        stages[stage].append(f"MainLayers.{stage}.Layers.{layer}")
    return stages


class _Layers(dict[str, Array]):
    """Arrays of our sequence of layers, filled in order; `place` is the number of layers so far."""

    place = 0

    def add(self, found: Weights, names: Mapping[str, str], source: str) -> None:
        """One layer with these arrays: their names by ours."""
        for ours, theirs in names.items():
            self[f"layers.{self.place}.{ours}"] = found[f"{source}.{theirs}"]
        self.place += 1

    def mix(self, found: Weights, source: str) -> None:
        """A convolution that changes the number of channels, where the file has one."""
        if f"{source}.LinearLayer.Layer.weight" in found:
            self.add(found, {"weight": "LinearLayer.Layer.weight"}, source)


def generator(found: Weights, stages: list[list[str]]) -> dict[str, Array]:
    """G in our names: the basis, residual blocks, and before each later stage a doubling of two layers."""
    layers = _Layers()
    for k, (transition, *blocks) in enumerate(stages):
        if k == 0:
            layers.add(found, {"maps": "Basis", "linear.weight": "LinearLayer.weight"}, transition)
        else:
            layers.mix(found, transition)
            layers.place += 2
        for block in blocks:
            layers.add(found, BLOCK, block)
    layers.add(found, {"weight": "weight"}, "AggregationLayer.Layer")
    return with_classes(found, layers)


def discriminator(found: Weights) -> dict[str, Array]:
    """D in our names, empty if it is another network."""
    if "ExtractionLayer.Layer.weight" not in found:
        return {}
    layers = _Layers()
    layers.add(found, {"weight": "weight"}, "ExtractionLayer.Layer")
    for *blocks, transition in stages_of(found):
        for block in blocks:
            layers.add(found, BLOCK, block)
        if f"{transition}.Basis.weight" not in found:
            layers.place += 2
            layers.mix(found, transition)
    layers.add(found, {"weight": "Basis.weight"}, transition)
    layers.place += 1
    layers.add(found, {"weight": "LinearLayer.weight"}, transition)
    return with_classes(found, layers)


def with_classes(found: Weights, layers: dict[str, Array]) -> dict[str, Array]:
    """The layers, and the vectors of the classes if there are any."""
    if "EmbeddingLayer.weight" in found:
        layers["embed.weight"] = found["EmbeddingLayer.weight"].T
    return dict(layers)


def example() -> Mapping[str, Any]:
    """Both networks for 8x8 pixels, with one block for each stage."""
    random = np.random.default_rng(0)

    def block(width: int) -> dict[str, tuple[int, ...]]:
        inner = 2 * width
        return {
            "LinearLayer1.Layer.weight": (inner, width, 1, 1), "NonLinearity1.Bias": (inner,),
            "LinearLayer2.Layer.weight": (inner, 4, 3, 3), "NonLinearity2.Bias": (inner,),
            "LinearLayer3.Layer.weight": (width, inner, 1, 1),
        }  # fmt: skip

    g: dict[str, dict[str, tuple[int, ...]]] = {
        "MainLayers.0.Layers.0": {"Basis": (8, 4, 4), "LinearLayer.weight": (8, 6)},
        "MainLayers.0.Layers.1": block(8),
        "MainLayers.1.Layers.0": {"LinearLayer.Layer.weight": (4, 8, 1, 1)},
        "MainLayers.1.Layers.1": block(4), "AggregationLayer": {"Layer.weight": (3, 4, 1, 1)},
    }  # fmt: skip
    d: dict[str, dict[str, tuple[int, ...]]] = {
        "ExtractionLayer": {"Layer.weight": (4, 3, 1, 1)}, "MainLayers.0.Layers.0": block(4),
        "MainLayers.0.Layers.1": {"LinearLayer.Layer.weight": (8, 4, 1, 1)},
        "MainLayers.1.Layers.0": block(8),
        "MainLayers.1.Layers.1": {"Basis.weight": (8, 1, 4, 4), "LinearLayer.weight": (1, 8)},
    }  # fmt: skip
    return {
        part: {
            f"Model.{name}.{key}": random.normal(0, 0.3, shape).astype(np.float32)
            for name, own in net.items()
            for key, shape in own.items()
        }
        for part, net in (("G_ema", g), ("D", d))
    }
