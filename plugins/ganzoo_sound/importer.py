"""Weights of HiFi-GAN's generators in the authors' layout (github.com/jik876/hifi-gan, `models.py`).

Facts of that layout: `conv_pre`, `ups.I`, `resblocks.J` (the kernels of stage 0, then those of stage 1 ...)
with `convs1.K` and `convs2.K` (ResBlock 1) or `convs.K` (ResBlock 2), `conv_post`; all with weight norm.
Transposed convolutions have kernels of twice their rate in V1 to V3 (`config_v1.json` to `config_v3.json`).
Discriminators are in another file, `do_...`: `mpd` and `msd` with `discriminators.I.convs.K` and `conv_post`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataInfo, Field, Imported, Weights
from ganzoo_sound.spectra import MelScale

Array = NDArray[np.generic]

FRAMES = 32  # 8,192 samples at the published hop of 256, as in the authors' training
PAIRS = (1, 3, 5)  # dilations of ResBlock 1, for each kernel
PERIODS, SCALES = 5, 3  # parts of the published discriminator
SINGLES = ((1, 2), (2, 6), (3, 12))  # of ResBlock 2, by kernel


def recognise(found: Weights) -> Imported | None:
    """A generator of HiFi-GAN: V1, V2, V3, and others of their kind with other rates, widths and kernels."""
    first, last = found.shape("conv_pre.weight"), found.shape("conv_post.weight")
    stages = _count(found, "ups.{}.weight")
    blocks = _count(found, "resblocks.{}.convs1.0.weight")
    pairs = blocks > 0
    blocks = blocks or _count(found, "resblocks.{}.convs.0.weight")
    if len(first) != 3 or last[:1] != (1,) or not stages or not blocks or blocks % stages:
        return None
    name = "convs1" if pairs else "convs"
    steps = _count(found, f"resblocks.0.{name}.{{}}.weight")
    kernels = [found.shape(f"resblocks.{at}.{name}.0.weight")[2] for at in range(blocks // stages)]
    rates = [found.shape(f"ups.{at}.weight")[2] // 2 for at in range(stages)]
    dilations = [PAIRS[:steps]] * len(kernels) if pairs else [row[:steps] for row in SINGLES[: len(kernels)]]
    if any(len(row) != steps for row in dilations) or len(dilations) < len(kernels) or min(rates) < 1:
        return None
    hop = prod(rates)
    scale = MelScale(rate=22_050, n_fft=4 * hop, hop=hop, mels=first[1], fmax=8_000.0)
    frames = -(-FRAMES * 256 // hop)
    weights: dict[str, Mapping[str, Array]] = {
        "generator": dict(_named(found, stages, len(kernels), steps, pairs=pairs))
    }
    if judge := dict(_judge(found)):
        weights["discriminator"] = judge
    return Imported(
        architecture="hifi-gan",
        options={
            "rates": rates, "width": first[0], "kernels": kernels, "pairs": pairs, "discriminator_divisor": 1,
            "dilation_steps": [number for row in dilations for number in row],
        },
        data=DataInfo(
            fields=(
                Field(
                    name="mel", shape=(scale.mels, frames), kind="mel", axes=("frequency", "time"),
                    facts=scale.facts(),
                ),
                Field(
                    name="sound", shape=(1, frames * hop), kind="sound", axes=("channel", "time"),
                    range=(-1.0, 1.0), facts={"rate": scale.rate, "mel": scale.facts()},
                ),
            ),
            count=0,
        ),
        weights=weights,
        unknown=(
            "sampling rate and mel scale: 22,050 Hz, a window of 4 hops, 0 to 8,000 Hz, as for LJ Speech",
            "the rates of the stages: half of the kernels are assumed, as in V1 to V3",
            f"the dilations: {dilations} are assumed, as published",
        ),
    )  # fmt: skip


def _count(found: Weights, name: str) -> int:
    count = 0
    while name.format(count) in found:
        count += 1
    return count


def _named(
    found: Weights, stages: int, kernels: int, steps: int, *, pairs: bool
) -> Iterator[tuple[str, Array]]:
    """The arrays in our names; an activation stands before each convolution in the sequence of a step."""
    places = {"first": "conv_pre", "last": "conv_post"}
    for stage in range(stages):
        places[f"stages.{stage}.up"] = f"ups.{stage}"
        for kernel in range(kernels):
            block = f"resblocks.{stage * kernels + kernel}"
            for step in range(steps):
                ours = f"stages.{stage}.blocks.{kernel}.steps.{step}"
                places[f"{ours}.1"] = f"{block}.{'convs1' if pairs else 'convs'}.{step}"
                if pairs:
                    places[f"{ours}.3"] = f"{block}.convs2.{step}"
    for ours, theirs in places.items():
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", found[f"{theirs}.{part}"]


def _judge(found: Weights) -> Iterator[tuple[str, Array]]:
    """The parts of the discriminator, of periods and then of scales, as published; nothing for others."""
    parts = [
        (side, f"discriminators.{at}")
        for side, count in ((found.other("mpd"), PERIODS), (found.other("msd"), SCALES))
        for at in range(count)
        if side is not None and f"discriminators.{at}.conv_post.weight" in side
    ]
    if len(parts) < PERIODS + SCALES:
        return
    for at, (side, name) in enumerate(parts):
        layers = range(_count(side, f"{name}.convs.{{}}.weight"))
        places = {f"layers.{k}": f"convs.{k}" for k in layers} | {"last": "conv_post"}
        for ours, theirs in places.items():
            for part in ("weight", "bias"):
                yield f"parts.{at}.{ours}.{part}", side[f"{name}.{theirs}.{part}"]


def example(*, pairs: bool = False, width: int = 16) -> Mapping[str, Any]:
    """A small generator in that layout: two stages of rates 8 and 4, with weight norm."""
    random = np.random.default_rng(0)
    arrays: dict[str, Array] = {}

    def layer(name: str, *shape: int, outputs: int = 0) -> None:
        v = random.normal(0, 0.1, shape).astype(np.float32)
        arrays[f"{name}.weight_v"] = v
        arrays[f"{name}.weight_g"] = np.float32(1.1) * np.sqrt((v**2).sum((1, 2), keepdims=True))
        arrays[f"{name}.bias"] = random.normal(0, 0.1, outputs or shape[0]).astype(np.float32)

    layer("conv_pre", width, 20, 7)
    for stage, rate in enumerate((8, 4)):
        inner = width // 2 ** (stage + 1)
        layer(f"ups.{stage}", 2 * inner, inner, 2 * rate, outputs=inner)
        for at, kernel in enumerate((3, 7, 11) if pairs else (3, 5, 7)):
            for name in ("convs1", "convs2") if pairs else ("convs",):
                for step in range(3 if pairs else 2):
                    layer(f"resblocks.{3 * stage + at}.{name}.{step}", inner, inner, kernel)
    layer("conv_post", 1, width // 4, 7)
    return {"generator": arrays}
