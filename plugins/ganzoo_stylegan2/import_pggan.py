"""Weights of progressive GANs in the layout of github.com/facebookresearch/pytorch_GAN_zoo: `avgG`, `netD`.

There a layer returns (W x + b) sqrt(2 / inputs), so its bias is scaled, too; ours returns W x / sqrt(inputs)
+ b, and the factor sqrt(2) is part of the activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from ganzoo.api import DataError, Imported, Weights
from ganzoo_stylegan2.importing import LATENT, RANGE, Array, data_of, doubling, numbers


def recognise(found: Weights) -> Imported | None:
    """A generator of that layout, fully grown.

    None for other layouts, DataError for weights that are still fading in, or another slope of the leaky
    ReLU.
    """
    if "formatLayer.module.weight" not in found or "groupScale0.0.module.weight" not in found:
        return None
    config = found.facts.get("config", {})
    if config.get("alpha") or not config.get("equalizedlR", True):
        raise DataError(
            "Only fully grown progressive GANs with equalised learning rates are known.",
            where=f"alpha = {config.get('alpha', 0)}, equalizedlR = {config.get('equalizedlR', True)}",
        )
    if config.get("leakyReluLeak", 0.2) != 0.2:
        raise DataError(f"The slope of the leaky ReLU is {config['leakyReluLeak']}, only 0.2 is known.")
    stages = len({key.split(".")[1] for key in found if key.startswith("scaleLayers.")})
    blocks = [f"scaleLayers.{k}" for k in range(stages)]
    widths = [found.shapes[f"{block}.1.module.weight"][0] for block in blocks[::-1]]
    width, widest = doubling([*widths, found.shapes["groupScale0.0.module.weight"][0]])
    generator = dict(layer(found, "formatLayer", "project"))
    generator |= layer(found, "groupScale0.0", "first")
    for k, block in enumerate(blocks):
        for at in (0, 1):
            generator |= layer(found, f"{block}.{at}", f"blocks.{k}.{at}")
    generator |= layer(found, f"toRGBLayers.{stages}", "to_image", last=True)
    options = {
        "latent": found.shapes["formatLayer.module.weight"][1], "generator_width": width,
        "discriminator_width": width, "widest": widest,
    }  # fmt: skip
    weights: dict[str, Mapping[str, Array]] = {"generator": generator}
    judge = found.other("netD")
    if judge is not None and judge.shape("decisionLayer.module.weight")[:1] == (1,):
        weights["discriminator"] = discriminator(judge, stages)
    side, colours = 4 * 2**stages, len(generator["to_image.bias"])
    unknown = [RANGE, LATENT, *([] if config else ["whether the last doubling was blended in wholly"])]
    return Imported(
        architecture="pggan", options=options, weights=weights,
        data=data_of((colours, side, side)), unknown=tuple(unknown),
    )  # fmt: skip


def layer(found: Weights, source: str, target: str, *, last: bool = False) -> Iterator[tuple[str, Array]]:
    """Weight and bias in our scale; `last`: without an activation after it."""
    weight, bias = found[f"{source}.module.weight"], found[f"{source}.module.bias"]
    factor = np.float32(np.sqrt(2)) if last else np.float32(1)
    yield f"{target}.weight", weight * factor
    yield f"{target}.bias", bias * factor / np.float32(np.sqrt(prod(weight.shape[1:])))


def discriminator(found: Weights, stages: int) -> dict[str, Array]:
    """D in our names: the reverse order of the scales."""
    weights = dict(layer(found, f"fromRGBLayers.{stages}", "from_image"))
    for k in range(stages):
        for at in (0, 1):
            weights |= layer(found, f"scaleLayers.{stages - 1 - k}.{at}", f"blocks.{k}.{at}")
    weights |= layer(found, "groupScaleZero.0", "last")
    # Their minibatch deviation in groups of 4 divides by 3, ours by 4.
    last = np.asarray(weights["last.weight"], np.float32)
    weights["last.weight"] = np.concatenate([last[:, :-1], last[:, -1:] * np.float32(np.sqrt(4 / 3))], 1)
    weights |= layer(found, "groupScaleZero.1", "hidden")
    return weights | dict(layer(found, "decisionLayer", "score", last=True))


def example() -> Mapping[str, Any]:
    """Both networks for 8x8 pixels; G without its layers for smaller images, which are not needed."""
    made = numbers()
    g = {
        "formatLayer": (128, 6), "groupScale0.0": (8, 8, 3, 3), "scaleLayers.0.0": (4, 8, 3, 3),
        "scaleLayers.0.1": (4, 4, 3, 3), "toRGBLayers.1": (3, 4, 1, 1),
    }  # fmt: skip
    d = {
        "fromRGBLayers.0": (8, 3, 1, 1), "fromRGBLayers.1": (4, 3, 1, 1), "scaleLayers.0.0": (4, 4, 3, 3),
        "scaleLayers.0.1": (8, 4, 3, 3), "groupScaleZero.0": (8, 9, 3, 3), "groupScaleZero.1": (8, 128),
        "decisionLayer": (1, 8),
    }  # fmt: skip
    file: dict[str, Any] = {
        part: {
            f"{name}.module.{kind}": made(*(shape if kind == "weight" else shape[:1]))
            for name, shape in net.items()
            for kind in ("weight", "bias")
        }
        for part, net in (("netG", g), ("avgG", g), ("netD", d))
    }
    return {**file, "config": {"alpha": 0, "leakyReluLeak": 0.2, "equalizedlR": True}}
