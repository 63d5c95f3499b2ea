"""Weights of StyleGAN2 in the layout of rosinality/stylegan2-pytorch: `g_ema`, `latent_avg`, `d`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.api import Imported, Weights
from ganzoo_stylegan2.importing import (
    LATENT,
    RANGE,
    RATE,
    Array,
    check_filters,
    column,
    data_of,
    doubling,
    mapping,
    numbers,
    renamed,
)

DENSE = {"weight": "weight", "bias": "bias"}
SCALE = {"to_scale.weight": "conv.modulation.weight", "to_scale.bias": "conv.modulation.bias"}
SAMPLES = 4096
"""Latents whose styles are averaged where a file has no average; the authors' number."""


def recognise(found: Weights) -> Imported | None:
    """A generator of that layout."""
    if "input.input" not in found or "to_rgb1.conv.modulation.weight" not in found:
        return None
    check_filters(found, ".kernel")
    stages = sum(key.startswith("to_rgbs.") and key.endswith(".bias") for key in found) // 2
    layers = ["conv1", *(f"convs.{k}" for k in range(2 * stages))]
    images = ["to_rgb1", *(f"to_rgbs.{k}" for k in range(stages))]
    dense = [f"style.{k}" for k in range(1, 100) if f"style.{k}.weight" in found]
    widths = [found.shapes[f"{layer}.conv.weight"][1] for layer in layers[::-2]]
    width, widest = doubling(widths)
    style, latent = found.shapes[f"{dense[0]}.weight"]
    options: dict[str, Any] = {
        "latent": latent, "style": style, "mapping_layers": len(dense), "mapping_rate": 0.01,
        "generator_width": width, "discriminator_width": width, "widest": widest, "noise_input": False,
    }  # fmt: skip
    generator = dict(mapping(found, "mapping", dense))
    generator["start"] = found["input.input"][0]
    for k, layer in enumerate(layers):
        generator[f"layers.{k}.conv.weight"] = found[f"{layer}.conv.weight"][0]
        generator |= renamed(found, layer, f"layers.{k}.conv", SCALE)
        generator[f"layers.{k}.strength"] = found[f"{layer}.noise.weight"].reshape(())
        generator[f"layers.{k}.bias"] = column(found[f"{layer}.activate.bias"])
    for k, layer in enumerate(images):
        generator[f"to_image.{k}.weight"] = found[f"{layer}.conv.weight"][0]
        generator |= renamed(found, layer, f"to_image.{k}", SCALE)
    generator["biases"] = np.stack([column(found[f"{layer}.bias"]) for layer in images])
    noises = [found[f"noises.noise_{k}"].ravel() for k in range(len(layers))]
    generator["noise"] = np.concatenate(noises)
    unknown = [RANGE, LATENT, RATE]
    whole = found.others.get("")
    if whole is not None and whole.shape("latent_avg") == (style,):
        generator["average"] = whole["latent_avg"]
    else:
        generator["average"] = mean_style(generator, len(dense))
        unknown.append(f"the mean style, towards which psi goes (computed from {SAMPLES:,} latents)")
    weights: dict[str, Mapping[str, Array]] = {"generator": generator}
    judge = found.other("d")
    if judge is not None and f"convs.{stages}.conv1.0.weight" in judge:
        weights["discriminator"] = discriminator(judge, stages)
    side = 4 * 2**stages
    return Imported(
        architecture="stylegan2", recipe="stylegan2-paper", options=options, weights=weights,
        data=data_of((len(generator["biases"][0]), side, side)), unknown=tuple(unknown),
    )  # fmt: skip


def mean_style(weights: Mapping[str, Array], layers: int) -> Array:
    """The mean of the mapping network's output over random latents of a fixed seed."""
    first = weights["mapping.layers.0.weight"]
    hidden = np.random.default_rng(0).standard_normal((SAMPLES, first.shape[1])).astype(np.float32)
    hidden /= np.sqrt(np.square(hidden).mean(1, keepdims=True) + 1e-8)
    for k in range(layers):
        weight = weights[f"mapping.layers.{k}.weight"]
        hidden = hidden @ (weight.T * (0.01 / np.sqrt(weight.shape[1]))).astype(np.float32)
        hidden += np.float32(0.01) * np.asarray(weights[f"mapping.layers.{k}.bias"], np.float32)
        hidden = np.sqrt(2).astype(np.float32) * np.where(hidden > 0, hidden, 0.2 * hidden)
    return np.asarray(hidden.mean(0), np.float32)


def discriminator(found: Weights, stages: int) -> dict[str, Array]:
    """D in our names; the authors give it the channels of G."""
    parts = {"from_image.weight": "convs.0.0.weight", "from_image.bias": "convs.0.1.bias"}
    for k in range(stages):
        block, ours = f"convs.{k + 1}", f"blocks.{k}"
        parts |= {
            f"{ours}.conv1.weight": f"{block}.conv1.0.weight", f"{ours}.conv1.bias": f"{block}.conv1.1.bias",
            f"{ours}.conv2.weight": f"{block}.conv2.1.weight", f"{ours}.conv2.bias": f"{block}.conv2.2.bias",
            f"{ours}.shortcut.weight": f"{block}.skip.1.weight",
        }  # fmt: skip
    parts |= {"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias"}
    for ours, theirs in (("hidden", "final_linear.0"), ("score", "final_linear.1")):
        parts |= {f"{ours}.{name}": f"{theirs}.{name}" for name in DENSE}
    return {ours: found[theirs] for ours, theirs in parts.items()}


def example() -> Mapping[str, Any]:
    """Both networks for 8x8 pixels."""
    made = numbers()
    g: dict[str, Any] = {"input.input": made(1, 8, 4, 4)}
    for k in (1, 2):
        g |= {f"style.{k}.weight": 100 * made(6, 6), f"style.{k}.bias": made(6)}
    for k, (name, inputs, outputs) in enumerate((("conv1", 8, 8), ("convs.0", 8, 4), ("convs.1", 4, 4))):
        side = 4 if k == 0 else 8
        g |= {
            f"{name}.conv.weight": made(1, outputs, inputs, 3, 3), f"{name}.activate.bias": made(outputs),
            f"{name}.conv.modulation.weight": made(inputs, 6), f"{name}.conv.modulation.bias": made(inputs),
            f"{name}.noise.weight": made(1), f"noises.noise_{k}": made(1, 1, side, side),
        }  # fmt: skip
    for name, width in (("to_rgb1", 8), ("to_rgbs.0", 4)):
        g |= {
            f"{name}.conv.weight": made(1, 3, width, 1, 1), f"{name}.bias": made(1, 3, 1, 1),
            f"{name}.conv.modulation.weight": made(width, 6), f"{name}.conv.modulation.bias": made(width),
        }  # fmt: skip
    shapes = {
        "convs.0.0.weight": (4, 3, 1, 1), "convs.0.1.bias": (4,), "convs.1.conv1.0.weight": (4, 4, 3, 3),
        "convs.1.conv1.1.bias": (4,), "convs.1.conv2.1.weight": (8, 4, 3, 3), "convs.1.conv2.2.bias": (8,),
        "convs.1.skip.1.weight": (8, 4, 1, 1), "final_conv.0.weight": (8, 9, 3, 3), "final_conv.1.bias": (8,),
        "final_linear.0.weight": (8, 128), "final_linear.0.bias": (8,), "final_linear.1.weight": (1, 8),
        "final_linear.1.bias": (1,),
    }  # fmt: skip
    return {"g_ema": g, "d": {name: made(*shape) for name, shape in shapes.items()}}
