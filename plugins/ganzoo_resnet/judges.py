"""Discriminators of SNGAN, SAGAN, projection GANs and BigGAN in the layouts of three projects."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Weights
from ganzoo_resnet.layouts import MIMICRY, Layout

Array = NDArray[np.generic]
ATTENTION = ("query", "key", "value", "out")


def judge_of(
    found: Weights, layout: Layout, side: int, attended: int, unknown: list[str]
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """The weights of a discriminator beside G in our names, and its options; None if none can be built.

    `side`: pixels of the images. `attended`: those of the maps after which both have attention; 0 without.
    Attention in another place keeps that place in the names: such weights do not fit. `unknown` gets what
    the file does not say.
    """
    for judge in found.others.values():
        score = next((key for key in judge.shapes if re.fullmatch(rf"{layout.score}\.weight", key)), "")
        if judge.path != found.path and judge.shape(score)[:1] == (1,):
            made = _read(judge, layout, score.removesuffix(".weight"), side, attended, unknown)
            if made is None:
                unknown.append("a discriminator for these images: the one beside the generator is left out")
            return made
    return None


def _read(
    judge: Weights, layout: Layout, score: str, side: int, attended: int, unknown: list[str]
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    places = [match[1] for key in judge if (match := re.fullmatch(layout.block, key))]
    blocks = sorted(places, key=lambda place: [int(number) for number in re.findall(r"\d+", place)])
    conv1, conv2, shortcut = layout.convs
    shapes = [judge.shape(f"{block}.{conv1}.weight") for block in blocks]
    widths = [judge.shape(f"{block}.{conv2}.weight")[0] for block in blocks]
    inputs = [shape[1] for shape in shapes]
    same = [a == b for a, b in zip(inputs, widths, strict=True)]
    if len(blocks) < 2 or inputs[1:] != widths[:-1]:
        return None
    # A shortcut without a convolution says that a block does not halve. Where all have one, the last block
    # does not, as published.
    bare = sum(f"{block}.{shortcut}.weight" not in judge for block in blocks)
    tail = bare or int(side != layout.all_halve)
    halved = len(blocks) - tail
    smallest = side >> halved
    if halved < 1 or smallest < 2 or 0 < attended < smallest:
        return None
    inner = [shape[0] for shape in shapes[1:]]
    weights: dict[str, Array] = {}
    for at, block in enumerate(blocks):
        for ours, theirs in zip(("conv1", "conv2", "shortcut"), layout.convs, strict=True):
            if ours != "shortcut" or at < halved or not same[at]:
                for part in ("weight", "bias"):
                    weights[f"downward.blocks.{at}.{ours}.{part}"] = judge[f"{block}.{theirs}.{part}"]
    expected = max(0, (side // attended).bit_length() - 2) if attended else -1
    weights |= _attention(judge, layout, blocks, expected, unknown)
    bias = f"{score}.bias" in judge
    weights |= {f"score.{part}": judge[f"{score}.{part}"] for part in ("weight", "bias")[: 1 + bias]}
    if f"{layout.embed}.weight" in judge and f"{layout.embed}.bias" not in judge:
        weights["embed.weight"] = judge[f"{layout.embed}.weight"]
    # The only row of the score has length 1 under spectral norm.
    normed = abs(float(np.linalg.norm(weights["score.weight"])) - 1) < 1e-3
    return weights, {
        "discriminator_widths": widths,
        "discriminator_base": smallest,
        "discriminator_tail": tail,
        "discriminator_hidden": "outputs" if inner == widths[1:] else "inputs",
        "discriminator_norm": "spectral" if normed else "none",
        "activated_shortcut": layout.activated_shortcut,
        "score_bias": bias,
    }


def _attention(
    judge: Weights, layout: Layout, blocks: list[str], expected: int, unknown: list[str]
) -> dict[str, Array]:
    """All attention, after the blocks that the names say, or else after that of the maps that G's has."""
    names = layout.attention
    weights: dict[str, Array] = {}
    for key in judge:
        if not (match := re.fullmatch(rf"(.+)\.{names[0]}\.weight", key)):
            continue
        place, at = match[1], max(0, expected)
        if layout is MIMICRY:
            unknown.append(f"where attention of the discriminator stands: after block {at + 1} is assumed")
        else:
            number = int(place.split(".")[1])
            at = sum(int(block.split(".")[1]) <= number for block in blocks) - 1
        if at != expected:
            after = f"after block {at + 1} of its {len(blocks)}" if expected >= 0 else "at all"
            unknown.append(f"a discriminator that fits: attention is not built {after}, as it has it")
        ours = f"downward.blocks.{at}.attention"
        for name, theirs in zip(ATTENTION, names, strict=False):
            weights[f"{ours}.{name}.weight"] = judge[f"{place}.{theirs}.weight"]
        weights[f"{ours}.gamma"] = judge[f"{place}.{names[4]}"].reshape(1)
    return weights
