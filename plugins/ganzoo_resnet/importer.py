"""Weights of SNGAN, SAGAN, projection GANs and BigGAN in the layouts of three projects (see `layouts.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataInfo, Field, Imported, Weights
from ganzoo_resnet.judges import judge_of
from ganzoo_resnet.layouts import BIGGAN, MIMICRY, STUDIO, Layout

Array = NDArray[np.generic]
STATISTICS = ("running_mean", "running_var")


def recognise_biggan(found: Weights) -> Imported | None:
    """A generator of BigGAN-PyTorch: BigGAN of 32 to 512 pixels, SAGAN, SNGAN (not BigGAN-deep)."""
    return _recognise(found, BIGGAN)


def recognise_studio(found: Weights) -> Imported | None:
    """A residual generator of StudioGAN: `resnet` and `big_resnet`."""
    return _recognise(found, STUDIO)


def recognise_mimicry(found: Weights) -> Imported | None:
    """A residual generator of mimicry: SNGAN, SSGAN, InfoMax-GAN, SAGAN, projection GAN."""
    return _recognise(found, MIMICRY)


def _recognise(found: Weights, layout: Layout) -> Imported | None:
    places = {match[1] for key in found if (match := re.fullmatch(layout.block, key))}
    blocks = sorted(places, key=lambda place: [int(number) for number in re.findall(r"\d+", place)])
    end = str(int(re.findall(r"\d+", blocks[-1])[0]) + 1) if blocks else ""
    last_norm, last = layout.last_norm.format(end), layout.last.format(end)
    first, image = found.shape(f"{layout.first}.weight"), found.shape(f"{last}.weight")
    convs = [found.shape(f"{block}.{layout.convs[0]}.weight") for block in blocks]
    if len(first) != 2 or len(image) != 4 or image[0] > 4 or any(len(shape) != 4 for shape in convs):
        return None
    widths = [shape[1] for shape in convs] + [image[1]]
    bottom = isqrt(first[0] // widths[0])
    if first[0] != bottom**2 * widths[0] or not 4 <= bottom <= 7:
        return None  # these networks begin with a map of 4 to 7 pixels
    if len(_attention_places(found, layout)) > 1:
        return None
    attended = _attended(found, layout, blocks)
    side = bottom * 2 ** len(blocks)
    shared = found.shape("shared.weight")
    tables = _tables(found, f"{blocks[0]}.{layout.norms[0]}", layout)
    options: dict[str, Any] = {
        "latent": first[1],
        "widths": widths,
        "attention": bottom * 2 ** (attended + 1) if attended >= 0 else 0,
        "attention_pooling": attended >= 0,
        "upsampling": layout.upsampling,
        "norm_eps": layout.eps,
    }
    fields = [Field(name="image", shape=(image[0], side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)]
    if tables:
        linear = bool(shared) and tables[0].shape[1] >= shared[1]
        classes = shared[0] if linear else tables[0].shape[0]
        part = tables[0].shape[1] - shared[1] if linear else 0
        options |= {
            "latent": first[1] + part * len(blocks),
            "shared_embedding": shared[1] if linear else 0,
            "split_latent": part > 0,
            "separate_tables": linear,
        }
        fields.append(Field(name="label", dtype="int64", classes=tuple(map(str, range(classes)))))
    weights = dict(_blocks(found, layout, blocks, joined=not options.get("separate_tables", False)))
    if attended >= 0:
        weights |= _attention(found, layout, blocks, attended)
    weights |= {"upward.project.weight": found[f"{layout.first}.weight"]}
    weights |= {"upward.project.bias": found[f"{layout.first}.bias"]}
    weights |= {f"upward.to_image.{part}": found[f"{last}.{part}"] for part in ("weight", "bias")}
    weights |= {f"upward.norm.{key}": value for key, value in _norm(found, last_norm, layout).items()}
    if options.get("separate_tables"):
        weights["embed.weight"] = found["shared.weight"]
    if shared and not tables:
        found.skip("shared.weight")  # without conditions nothing reads it
    unknown = [
        "the range of the pixels: -1..1 is assumed, as after tanh",
        "the distribution of z: N(0, 1) is assumed",
    ]
    if tables:
        unknown.append("the names of the classes: numbers are used")
    if layout is MIMICRY and attended >= 0:
        unknown.append(f"where attention stands: after block {attended + 1} is assumed, as published")
    networks: dict[str, Mapping[str, Array]] = {"generator": weights}
    if judge := judge_of(found, layout, side, options["attention"], unknown):
        networks["discriminator"], own = judge
        options |= own
    return Imported(
        architecture="sn-resnet-conditional" if tables else "sn-resnet",
        options=options,
        data=DataInfo(fields=tuple(fields), count=0),
        weights=networks,
        unknown=tuple(unknown),
    )


def _blocks(
    found: Weights, layout: Layout, blocks: list[str], *, joined: bool
) -> Iterator[tuple[str, Array]]:
    for at, block in enumerate(blocks):
        ours = f"upward.blocks.{at}"
        for name, theirs in zip(("conv1", "conv2", "shortcut"), layout.convs, strict=True):
            for part in ("weight", "bias"):
                yield f"{ours}.{name}.{part}", found[f"{block}.{theirs}.{part}"]
        for name, theirs in zip(("norm1", "norm2"), layout.norms, strict=True):
            norm = f"{block}.{theirs}"
            tables = _tables(found, norm, layout)
            if not tables:
                yield from ((f"{ours}.{name}.{key}", a) for key, a in _norm(found, norm, layout).items())
                continue
            inner = norm if layout is BIGGAN else f"{norm}.bn"
            for part in STATISTICS:
                yield (
                    f"{ours}.{name}.norm.{part}",
                    found[f"{inner}.{part.replace('running_', layout.stored)}"],
                )
            if joined:
                yield f"{ours}.{name}.table.weight", np.concatenate(tables, axis=1)
            else:
                yield f"{ours}.{name}.table.gain.weight", tables[0]
                yield f"{ours}.{name}.table.shift.weight", tables[1]


def _tables(found: Weights, norm: str, layout: Layout) -> tuple[Array, ...]:
    """The gain minus 1 and the shift of a conditional norm; empty for one without conditions."""
    if len(found.shape(f"{norm}.embed.weight")) == 2:
        gain, shift = np.split(found[f"{norm}.embed.weight"], 2, axis=1)
        return np.asarray(gain - layout.gain_offset, np.float32), shift
    for gain_name, shift_name in (("gain", "bias"), ("embed0", "embed1")):
        if len(found.shape(f"{norm}.{gain_name}.weight")) == 2:
            return found[f"{norm}.{gain_name}.weight"], found[f"{norm}.{shift_name}.weight"]
    return ()


def _norm(found: Weights, norm: str, layout: Layout) -> dict[str, Array]:
    gain = f"{norm}.gain" if f"{norm}.gain" in found else f"{norm}.weight"
    arrays = {"weight": found[gain], "bias": found[f"{norm}.bias"]}
    return arrays | {part: found[f"{norm}.{part.replace('running_', layout.stored)}"] for part in STATISTICS}


def _attention_places(found: Weights, layout: Layout) -> list[str]:
    names = "|".join(layout.attention[:4])
    places = [match[1] for key in found if (match := re.fullmatch(rf"(.+)\.(?:{names})\.weight", key))]
    return list(dict.fromkeys(places))


def _attended(found: Weights, layout: Layout, blocks: list[str]) -> int:
    """The number of the block before the attention; -1 without."""
    places = _attention_places(found, layout)
    if not places:
        return -1
    if layout is MIMICRY:  # in the middle of the blocks with these channels, as published
        channels = found.shapes[f"{places[0]}.{layout.attention[0]}.weight"][1]
        fits = [
            at
            for at, block in enumerate(blocks)
            if found.shape(f"{block}.{layout.convs[1]}.weight")[0] == channels
        ]
        return fits[len(fits) // 2] if fits else -1
    number = int(places[0].split(".")[1])
    return sum(int(block.split(".")[1]) <= number for block in blocks) - 1


def _attention(found: Weights, layout: Layout, blocks: list[str], attended: int) -> dict[str, Array]:
    (place,), ours = _attention_places(found, layout), f"upward.blocks.{attended}.attention"
    names = zip(("query", "key", "value", "out"), layout.attention, strict=False)
    weights = {f"{ours}.{name}.weight": found[f"{place}.{theirs}.weight"] for name, theirs in names}
    return {**weights, f"{ours}.gamma": found[f"{place}.{layout.attention[4]}"].reshape(1)}


def example_biggan() -> Mapping[str, Any]:
    """BigGAN of 16x16 pixels with attention, shared embedding and split z."""
    return _example(
        BIGGAN, ["blocks.0.0", "blocks.1.0"], "blocks.0.1", shared=6, part=4, gain="gain", shift="bias"
    )


def example_studio() -> Mapping[str, Any]:
    """A conditional `resnet` of 16x16 pixels with attention, without shared embedding."""
    return _example(STUDIO, ["blocks.0.0", "blocks.2.0"], "blocks.1.0", gain="embed0", shift="embed1")


def example_mimicry() -> Mapping[str, Any]:
    """SNGAN of 16x16 pixels, without labels."""
    return _example(MIMICRY, ["block2", "block3"], "")


def _example(
    layout: Layout,
    blocks: list[str],
    attention: str,
    *,
    shared: int = 0,
    part: int = 0,
    gain: str = "",
    shift: str = "",
) -> Mapping[str, Any]:
    random, width, classes = np.random.default_rng(0), 8, 3
    arrays: dict[str, Array] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        arrays[f"{name}.weight"] = random.normal(0, 0.2, shape).astype(np.float32)
        if bias:
            arrays[f"{name}.bias"] = random.normal(0, 0.2, shape[0]).astype(np.float32)

    def statistics(name: str, inner: str = "") -> None:
        arrays[f"{name}{inner}.{layout.stored}mean"] = random.normal(0, 0.2, width).astype(np.float32)
        arrays[f"{name}{inner}.{layout.stored}var"] = random.uniform(0.5, 2, width).astype(np.float32)

    end = str(int(re.findall(r"\d+", blocks[-1])[0]) + 1)
    layer(layout.first, 16 * width, part or 5)
    for block in blocks:
        for name, kernel in zip(layout.convs, (3, 3, 1), strict=True):
            layer(f"{block}.{name}", width, width, kernel, kernel)
        for name in layout.norms:
            norm = f"{block}.{name}"
            for table in filter(None, (gain, shift)):
                shape = (width, shared + part) if shared else (classes, width)
                layer(f"{norm}.{table}", *shape, bias=False)
            if not gain:
                layer(norm, width)
            statistics(norm, ".bn" if gain and layout is not BIGGAN else "")
    if attention:
        for name, sizes in zip(layout.attention, ((1, 8), (1, 8), (4, 8), (8, 4)), strict=False):
            layer(f"{attention}.{name}", *sizes, 1, 1, bias=False)
        arrays[f"{attention}.{layout.attention[4]}"] = np.full(() if layout is BIGGAN else 1, 0.7, np.float32)
    if shared:
        layer("shared", classes, shared, bias=False)
    last = layout.last_norm.format(end)
    layer(last, width)
    if layout is BIGGAN:
        arrays[f"{last}.gain"] = arrays.pop(f"{last}.weight")
    statistics(last)
    layer(layout.last.format(end), 3, width, 3, 3)
    return arrays
