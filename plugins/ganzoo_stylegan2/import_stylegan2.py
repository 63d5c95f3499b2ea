"""Weights of StyleGAN2 in the layout of NVlabs/stylegan2-ada-pytorch, and in that of NVlabs/stylegan3.

The files have the arguments of the network beside its weights; state dicts without them are read, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.api import DataError, Imported, Weights
from ganzoo_stylegan2.importing import (
    LATENT,
    RANGE,
    RATE,
    Array,
    check_filters,
    classes_of,
    column,
    data_of,
    doubling,
    mapping,
    numbered,
    numbers,
    renamed,
)

AFFINE = {"conv.to_scale.weight": "affine.weight", "conv.to_scale.bias": "affine.bias"}
DENSE = {"weight": "weight", "bias": "bias"}


def recognise(found: Weights) -> Imported | None:
    """A generator of NVIDIA's layout; DataError for its variants that this zoo does not have."""
    if "synthesis.b4.const" not in found or "mapping.fc0.weight" not in found:
        return None
    sides = [4]
    while f"synthesis.b{2 * sides[-1]}.conv1.weight" in found:
        sides.append(2 * sides[-1])
    if len(sides) < 2 or any(f"synthesis.b{side}.torgb.weight" not in found for side in sides):
        raise DataError("Only StyleGAN2's generator of skip connections is known, from 8x8 pixels on.")
    check_filters(found, "resample_filter")
    layers = ["synthesis.b4.conv1", *(f"synthesis.b{s}.conv{k}" for s in sides[1:] for k in (0, 1))]
    widths = [found.shapes[f"synthesis.b{side}.conv1.weight"][0] for side in sides[::-1]]
    width, widest = doubling(widths)
    given = dict(found.options)
    given |= given.get("synthesis_kwargs", {})
    fixed = f"{layers[0]}.noise_const" in found
    if not fixed:
        raise DataError("The generator has no noise, unlike any published StyleGAN2.")
    fc, classes = numbered(found, "mapping.fc"), classes_of(found)
    style = found.shapes[f"{fc[-1]}.weight"][0]
    # The later of NVIDIA's codes, which has no `synthesis_kwargs`, bounds activations unless told otherwise.
    bound = 256 if given and "synthesis_kwargs" not in given and given.get("num_fp16_res") != 0 else 0
    options: dict[str, Any] = {
        "latent": found.shapes[f"{fc[0]}.weight"][1] - (style if classes else 0),
        "style": style,
        "mapping_layers": len(fc),
        "mapping_rate": given.get("mapping_kwargs", {}).get("lr_multiplier", 0.01),
        "average": given.get("mapping_kwargs", {}).get("w_avg_beta", 0.998),
        "generator_width": width,
        "discriminator_width": width,
        "widest": widest,
        "conditional": bool(classes),
        "clamp": float(given.get("conv_clamp", bound)),
        "noise_input": False,
    }
    generator = dict(mapping(found, "mapping", fc))
    if classes:
        generator |= renamed(found, "mapping.embed", "mapping.embed", DENSE)
    generator |= {"average": found["mapping.w_avg"], "start": found["synthesis.b4.const"]}
    for k, layer in enumerate(layers):
        names = {"conv.weight": "weight", **AFFINE, "strength": "noise_strength"}
        generator |= renamed(found, layer, f"layers.{k}", names)
        generator[f"layers.{k}.bias"] = column(found[f"{layer}.bias"])
    generator["noise"] = np.concatenate([found[f"{layer}.noise_const"].ravel() for layer in layers])
    for k, side in enumerate(sides):
        names = {"weight": "weight", "to_scale.weight": "affine.weight", "to_scale.bias": "affine.bias"}
        generator |= renamed(found, f"synthesis.b{side}.torgb", f"to_image.{k}", names)
    biases = [column(found[f"synthesis.b{side}.torgb.bias"]) for side in sides]
    generator["biases"] = np.stack(biases)
    shape = (len(biases[0]), sides[-1], sides[-1])
    weights: dict[str, Mapping[str, Array]] = {"generator": generator}
    if judge := discriminator(found.other("D"), sides):
        weights["discriminator"], own = judge
        options |= own
    unknown = [RANGE, LATENT, *(["the names of the classes"] if classes else [])]
    if not given:
        unknown += [RATE, "bounds of the activations (none assumed)"]
    return Imported(
        architecture="stylegan2",
        recipe="stylegan2-paper",
        options=options,
        data=data_of(shape, classes),
        weights=weights,
        unknown=tuple(unknown),
    )


def discriminator(found: Weights | None, sides: list[int]) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """A residual D in our names and its options; None if there is none, or one of another architecture."""
    if found is None or f"b{sides[-1]}.skip.weight" not in found or "b4.fc.weight" not in found:
        return None
    weights = dict(renamed(found, f"b{sides[-1]}.fromrgb", "from_image", DENSE))
    for k, side in enumerate(sides[:0:-1]):
        for ours, theirs in (("conv1", "conv0"), ("conv2", "conv1")):
            weights |= renamed(found, f"b{side}.{theirs}", f"blocks.{k}.{ours}", DENSE)
        weights[f"blocks.{k}.shortcut.weight"] = found[f"b{side}.skip.weight"]
    for ours, theirs in (("conv", "conv"), ("hidden", "fc"), ("score", "out")):
        weights |= renamed(found, f"b4.{theirs}", ours, DENSE)
    fc = numbered(found, "mapping.fc")
    if "mapping.embed.weight" in found:
        weights |= renamed(found, "mapping.embed", "mapping.embed", DENSE)
        weights |= mapping(found, "mapping", fc)
    widths = [found.shapes[f"b{side}.conv0.weight"][0] for side in sides[:0:-1]]
    width, widest = doubling([*widths, found.shapes["b4.conv.weight"][0]])
    options = {"discriminator_width": width, "discriminator_widest": widest, "label_layers": len(fc) or 8}
    group = found.options.get("epilogue_kwargs", {}).get("mbstd_group_size", 4)
    return weights, {**options, "group": group}


def example() -> Mapping[str, Any]:
    """Both networks for 8x8 pixels with two classes."""
    made = numbers()
    g: dict[str, Any] = {"mapping.w_avg": made(6), "synthesis.b4.const": made(8, 4, 4)}
    d = {f"mapping.embed.{key}": made(*shape) for key, shape in (("weight", (8, 2)), ("bias", (8,)))}

    def dense(net: dict[str, Any], name: str, *shape: int) -> None:
        net |= {f"{name}.weight": made(*shape), f"{name}.bias": made(shape[0])}

    dense(g, "mapping.embed", 6, 2)
    dense(g, "mapping.fc0", 6, 10)
    dense(g, "mapping.fc1", 6, 6)
    for name, inputs, outputs, side in (("b4.conv1", 8, 8, 4), ("b8.conv0", 8, 4, 8), ("b8.conv1", 4, 4, 8)):
        dense(g, f"synthesis.{name}", outputs, inputs, 3, 3)
        dense(g, f"synthesis.{name}.affine", inputs, 6)
        g |= {f"synthesis.{name}.noise_const": made(side, side), f"synthesis.{name}.noise_strength": made()}
    for name, width in (("b4.torgb", 8), ("b8.torgb", 4)):
        dense(g, f"synthesis.{name}", 3, width, 1, 1)
        dense(g, f"synthesis.{name}.affine", width, 6)
    for name, shape in {
        "mapping.fc0": (8, 8), "b8.fromrgb": (4, 3, 1, 1), "b8.conv0": (4, 4, 3, 3), "b8.conv1": (8, 4, 3, 3),
        "b4.conv": (8, 9, 3, 3), "b4.fc": (8, 128), "b4.out": (8, 8),
    }.items():  # fmt: skip
        dense(d, name, *shape)
    for net, name in ((g, "mapping.fc0"), (g, "mapping.fc1"), (d, "mapping.fc0")):
        net[f"{name}.weight"] *= 100  # as published: drawn from N(0, 1) / 0.01
    return {"G_ema": g, "D": {**d, "b8.skip.weight": made(8, 4, 1, 1)}}
