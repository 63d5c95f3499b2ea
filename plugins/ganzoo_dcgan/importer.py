"""Weights of DCGANs in the layout of github.com/pytorch/examples: one sequence of layers from z to image.

Facts of that layout (`dcgan/main.py`): ConvTranspose2d(nz, 8 ngf, 4, 1, 0), then four of (4, 2, 1) with half
the channels each, BatchNorm and ReLU between them, Tanh at the end; no biases. D mirrors it. Names are
`main.0.weight`, `main.1.running_mean` and so on. Only the order and the shapes of the layers are used here,
so other names of the sequence, other sizes, widths and numbers of channels are recognised, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataInfo, Field, Imported, Weights

Array = NDArray[np.generic]
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def recognise(found: Weights) -> Imported | None:
    """A DCGAN's generator: transposed convolutions of 4x4 with BatchNorm between them."""
    layers = _layers(found)
    kernels = [shape for _, shape in layers if len(shape) == 4]
    order = "".join("c" if len(shape) == 4 else "n" for _, shape in layers)
    stages = len(kernels) - 1
    if order != "cn" * stages + "c" or not 1 <= stages <= 8:
        return None
    widths = [shape[0] for shape in kernels[1:]]
    width, channels = widths[-1], kernels[-1][1]
    chained = all(a[1] == b[0] for a, b in pairwise(kernels))
    published = [width * min(8, 2**k) for k in reversed(range(stages))]
    if not chained or widths != published or any(shape[2:] != (4, 4) for shape in kernels):
        return None
    biases = {f"{name}.bias" in found for name, shape in layers if len(shape) == 4}
    if channels > 4 or biases != {False}:
        return None
    side = 4 * 2**stages
    latent = kernels[0][0]
    weights = {"generator": dict(_generator(found, layers))}
    discriminator = _discriminator(found, channels, stages)
    options: dict[str, Any] = {
        "latent": latent, "generator_width": width, "stages": stages, "head": "strided", "bias": False,
        "init": "normal", "discriminator_norm": "batch",
    }  # fmt: skip
    if discriminator is not None:
        options["discriminator_width"], weights["discriminator"] = discriminator
    image = Field(name="image", shape=(channels, side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    return Imported(
        architecture="dcgan",
        options=options,
        data=DataInfo(fields=(image,), count=0),
        weights=weights,
        unknown=(
            "the range of the pixels: -1..1 is assumed, as after Tanh",
            "the distribution of z: N(0, 1) is assumed",
        ),
    )


def _layers(found: Weights) -> list[tuple[str, tuple[int, ...]]]:
    """The layers with weights and the shapes of these, in the order of the file."""
    return [
        (key.removesuffix(".weight"), shape) for key, shape in found.shapes.items() if key.endswith("weight")
    ]


def _generator(found: Weights, layers: list[tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, Array]]:
    """Our names: `project` is the first layer, as a matrix; BatchNorm, ReLU and a layer follow each other."""
    first, *rest = layers
    weight = found[f"{first[0]}.weight"]
    yield "project.weight", weight.reshape(len(weight), -1).T
    for at, (name, shape) in enumerate(rest):
        place = f"layers.{at // 2 * 3 + 2 * (len(shape) == 4)}"
        for part in _STATISTICS if len(shape) == 1 else ("weight",):
            yield f"{place}.{part}", found[f"{name}.{part}"]


def _discriminator(found: Weights, channels: int, stages: int) -> tuple[int, dict[str, Array]] | None:
    """Width and weights of a D of the same layout beside the generator; None where the file has none."""
    for other in found.others.values():
        layers = _layers(other)
        order = "".join("c" if len(shape) == 4 else "n" for _, shape in layers)
        fits = order == "c" + "cn" * (stages - 1) + "c" and layers[0][1][1] == channels
        if other.path == found.path or not fits or layers[-1][1][0] != 1 or layers[-1][1][2:] != (4, 4):
            continue
        weights: dict[str, Array] = {}
        place = 0
        for name, shape in layers[:-1]:
            for part in _STATISTICS if len(shape) == 1 else ("weight",):
                weights[f"layers.{place}.{part}"] = other[f"{name}.{part}"]
            place += 2 if place == 0 or len(shape) == 1 else 1
        weights[f"layers.{place + 1}.weight"] = other[f"{layers[-1][0]}.weight"].reshape(1, -1)
        return layers[0][1][0], weights
    return None


def example() -> Mapping[str, Any]:
    """A generator and a discriminator of 16x16 pixels in that layout."""
    random = np.random.default_rng(0)

    def layer(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.1, shape).astype(np.float32)

    def norm(width: int) -> dict[str, Array]:
        return {
            "weight": 1 + layer(width), "bias": layer(width),
            "running_mean": layer(width), "running_var": 1 + layer(width) ** 2,
        }  # fmt: skip

    g: dict[int, dict[str, Array]] = {
        0: {"weight": layer(8, 16, 4, 4)}, 1: norm(16),
        3: {"weight": layer(16, 8, 4, 4)}, 4: norm(8), 6: {"weight": layer(8, 3, 4, 4)},
    }  # fmt: skip
    d: dict[int, dict[str, Array]] = {
        0: {"weight": layer(8, 3, 4, 4)},
        2: {"weight": layer(16, 8, 4, 4)},
        3: norm(16),
        5: {"weight": layer(1, 16, 4, 4)},
    }
    return {
        name: {f"main.{at}.{key}": value for at, own in net.items() for key, value in own.items()}
        for name, net in (("netG", g), ("netD", d))
    }
