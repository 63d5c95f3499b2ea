"""Weights of StyleGAN3 (T and R) in the layout of github.com/NVlabs/stylegan3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.api import DataError, Imported, Weights
from ganzoo_stylegan2.config import AliasFreeConfig
from ganzoo_stylegan2.import_stylegan2 import DENSE, discriminator
from ganzoo_stylegan2.importing import (
    LATENT,
    RANGE,
    RATE,
    Array,
    classes_of,
    column,
    data_of,
    mapping,
    numbered,
    numbers,
    renamed,
)

LAYER = re.compile(r"synthesis\.(L(\d+)_(\d+)_(\d+))\.weight")
GIVEN = {
    "critical": "num_critical", "first_cutoff": "first_cutoff", "first_stopband": "first_stopband",
    "last_stopband": "last_stopband_rel", "margin": "margin_size", "taps": "filter_size",
    "oversampling": "lrelu_upsampling", "scale": "output_scale", "magnitude": "magnitude_ema_beta",
}  # fmt: skip
"""Our options and the authors' arguments, of the same defaults."""


def recognise(found: Weights) -> Imported | None:
    """A generator of that layout; DataError where its layers are built in another way."""
    matched = sorted((int(hit[2]), hit[1]) for key in found if (hit := LAYER.fullmatch(key)))
    names = [name for _, name in matched]
    if "synthesis.input.freqs" not in found or len(names) < 3:
        return None
    last, layers = names[-1], [f"synthesis.{name}" for name in names]
    side, colours = int(last.split("_")[1]), found.shapes[f"{layers[-1]}.weight"][0]
    fc, classes = numbered(found, "mapping.fc"), classes_of(found)
    style, given = found.shapes[f"{fc[-1]}.weight"][0], found.options
    widths = [found.shapes[f"{layer}.weight"][0] for layer in layers[:-1]]
    options: dict[str, Any] = {
        "latent": found.shapes[f"{fc[0]}.weight"][1] - (style if classes else 0),
        "style": style,
        "mapping_layers": len(fc),
        "mapping_rate": given.get("mapping_kwargs", {}).get("lr_multiplier", 0.01),
        "average": given.get("mapping_kwargs", {}).get("w_avg_beta", 0.998),
        "generator_width": widths[-1],
        "discriminator_width": widths[-1],
        "widest": max(widths),
        "conditional": bool(classes),
        "clamp": float(given.get("conv_clamp", 0 if given.get("num_fp16_res") == 0 else 256)),
        "layers": len(layers) - 1,
        "kernel": found.shapes[f"{layers[0]}.weight"][2],
        "radial": len(found.shapes[f"{layers[0]}.down_filter"]) == 2,
        **{ours: given[theirs] for ours, theirs in GIVEN.items() if theirs in given},
    }
    check(found, names, AliasFreeConfig(**options), side, colours)
    generator = dict(mapping(found, "mapping", fc))
    if classes:
        generator |= renamed(found, "mapping.embed", "mapping.embed", DENSE)
    generator["average"] = found["mapping.w_avg"]
    first = {"weight": "weight", "frequencies": "freqs", "phases": "phases"}
    affine = {"affine.weight": "affine.weight", "affine.bias": "affine.bias"}
    generator |= renamed(found, "synthesis.input", "input", {**first, **affine})
    for k, layer in enumerate(layers):
        parts = {"conv.weight": "weight", **{f"conv.to_scale.{name}": f"affine.{name}" for name in DENSE}}
        generator |= renamed(found, layer, f"layers.{k}", {**parts, "magnitude": "magnitude_ema"})
        generator[f"layers.{k}.bias"] = column(found[f"{layer}.bias"])
    weights: dict[str, Mapping[str, Array]] = {"generator": generator}
    if judge := discriminator(found.other("D"), [2**k for k in range(2, side.bit_length())]):
        weights["discriminator"], own = judge
        options |= own
    unknown = [RANGE, LATENT, *(["the names of the classes"] if classes else [])]
    if not given:
        unknown += [RATE, "bounds of the activations (256 assumed, the published one)"]
    if not np.allclose(found["synthesis.input.transform"], np.eye(3)):
        unknown.append("the transform that the file applies to the image was left out: use rotate, translate")
    return Imported(
        architecture="stylegan3", options=options, weights=weights,
        data=data_of((colours, side, side), classes), unknown=tuple(unknown),
    )  # fmt: skip


def check(found: Weights, names: list[str], config: AliasFreeConfig, side: int, colours: int) -> None:
    """Compare sizes, channels and filters with those that the options give; DataError where they differ."""
    from ganzoo_stylegan2.aliasfree import lowpass, signals

    plan = signals(config, side, colours)
    for k, (name, after) in enumerate(zip(names, plan, strict=True)):
        before = plan[max(k - 1, 0)]
        rate = max(before.rate, after.rate) * config.oversampling
        fits = name == f"L{k}_{after.size}_{after.channels}"
        if fits and k < config.layers:
            radial = config.radial and k < config.layers - config.critical
            up = lowpass(config.taps * (rate // before.rate), before, rate).numpy()
            down = lowpass(config.taps * (rate // after.rate), after, rate, radial=radial).numpy()
            for key, kernel in (("up_filter", up), ("down_filter", down)):
                stored = found[f"synthesis.{name}.{key}"]
                fits = fits and stored.shape == kernel.shape and np.allclose(stored, kernel, atol=1e-5)
        if not fits:
            raise DataError(
                "The layers of this StyleGAN3 are not those of the published code with these options.",
                where=f"{name}, expected L{k}_{after.size}_{after.channels} and its filters",
            )


def example() -> Mapping[str, Any]:
    """The generator of configuration T for 16x16 pixels with eight channels."""
    from ganzoo_stylegan2.aliasfree import lowpass, signals

    made, config = numbers(), AliasFreeConfig(generator_width=8, discriminator_width=8, widest=8)
    plan = signals(config, 16, 3)
    net = {
        "mapping.w_avg": made(6), "mapping.fc0.weight": 100 * made(6, 5), "mapping.fc0.bias": made(6),
        "synthesis.input.weight": made(8, 8), "synthesis.input.freqs": made(8, 2),
        "synthesis.input.phases": made(8), "synthesis.input.affine.weight": 0.1 * made(4, 6),
        "synthesis.input.affine.bias": np.array([1, 0, 0, 0], np.float32),
        "synthesis.input.transform": np.eye(3),
    }  # fmt: skip
    for k, after in enumerate(plan):
        before, kernel = plan[max(k - 1, 0)], 3 if k < 14 else 1
        name, rate = f"synthesis.L{k}_{after.size}_{after.channels}", 2 * max(before.rate, after.rate)
        net |= {
            f"{name}.weight": made(after.channels, 8, kernel, kernel), f"{name}.bias": made(after.channels),
            f"{name}.affine.weight": made(8, 6), f"{name}.affine.bias": made(8),
            f"{name}.magnitude_ema": np.float32(1),
        }  # fmt: skip
        if k < config.layers:
            net[f"{name}.up_filter"] = lowpass(6 * rate // before.rate, before, rate).numpy()
            net[f"{name}.down_filter"] = lowpass(6 * rate // after.rate, after, rate).numpy()
    return {"G_ema": net}
