"""Weights of pix2pix and CycleGAN in the layout of github.com/junyanz/pytorch-CycleGAN-and-pix2pix.

Facts of that layout (`models/networks.py`), where each file is one network:

* U-Net: `model.model.0` is the outer convolution, `model.model.1.model` the next level and so on inwards. A
  level is LeakyReLU 0, convolution 1, norm 2, inner level 3, ReLU 4, transposed convolution 5, norm 6; the
  innermost lacks norm 2, the outermost all norms. 7 levels for 128 pixels, 8 for 256.
* ResNet: one sequence `model`. Convolutions at 1, 4, 7; 6 or 9 blocks from 10 on, whose `conv_block` has
  convolutions at 1 and 5, or 1 and 6 with dropout; two transposed convolutions; the last convolution.
* Convolutions have biases beside InstanceNorm, which takes them away again, and none beside BatchNorm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataInfo, Field, Imported, Weights

Array = NDArray[np.generic]
NORM = ("weight", "bias", "running_mean", "running_var")
SIDE = 256  # pixels in training, where the layers do not say it
RANGE = "the range of the pixels: -1..1 is assumed, for input and output"
EVAL = (
    "the authors' test.py uses dropout and the statistics of each image unless --eval is given; here there "
    "is no dropout, and the running statistics of BatchNorm are used"
)


def recognise_unet(found: Weights) -> Imported | None:
    """A generator `unet_128`, `unet_256`, or one with another number of levels and channels."""
    levels = _levels(found)
    if not levels:
        return None
    down = [_level(at) + ("1" if at else "0") for at in range(levels)]
    first, batch = found.shape(f"{down[0]}.weight"), f"{_level(1)}2.running_mean" in found
    outputs = found.shape(f"{_level(0)}3.weight")
    if len(first) != 4 or len(outputs) != 4 or first[2:] != (4, 4):
        return None
    width = first[0]
    widths = [width * min(8, 2**at) for at in range(levels)]
    if [found.shape(f"{name}.weight")[:1] for name in down] != [(size,) for size in widths]:
        return None
    side = 2**levels
    return _imported(
        "unet-patch",
        found,
        (first[1], outputs[1], side),
        options={"levels": levels, "generator_width": width, "norm": "batch" if batch else "instance"},
        weights=dict(_unet(found, levels, widths, batch=batch)),
        unknown=(RANGE, EVAL),
    )


def recognise_resnet(found: Weights) -> Imported | None:
    """A generator `resnet_6blocks`, `resnet_9blocks`, or one with another number of blocks and channels."""
    blocks = sorted({int(at) for key in found if (at := _block(key))})
    first = found.shape("model.1.weight")
    if len(first) != 4 or first[2:] != (7, 7) or not blocks or blocks != [*range(10, 10 + len(blocks))]:
        return None
    after = 10 + len(blocks)
    last = found.shape(f"model.{after + 7}.weight")
    if len(last) != 4 or last[2:] != (7, 7):
        return None
    batch = "model.2.running_mean" in found and "model.2.weight" in found
    return _imported(
        "resnet-patch",
        found,
        (first[1], last[0], SIDE),
        options={
            "blocks": len(blocks),
            "generator_width": first[0],
            "norm": "batch" if batch else "instance",
        },
        weights=dict(_resnet(found, len(blocks), batch=batch)),
        unknown=(
            RANGE,
            f"the size of the images: {SIDE}x{SIDE} is assumed, others work",
            *((EVAL,) if batch else ()),
        ),
    )


def _imported(
    architecture: str,
    found: Weights,
    sizes: tuple[int, int, int],
    *,
    options: dict[str, Any],
    weights: dict[str, Array],
    unknown: tuple[str, ...],
) -> Imported:
    inputs, outputs, side = sizes

    def image(name: str, channels: int) -> Field:
        return Field(name=name, shape=(channels, side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)

    every = {"generator": weights}
    judge = found.other("D", "netD", "discriminator")
    patches = _patches(judge, inputs + outputs, "patches.layers") if judge is not None else None
    if patches is None and judge is not None and architecture == "resnet-patch":
        patches = _patches(judge, outputs, "layers")  # of CycleGAN
        if patches is not None:
            options = {**options, "pairs": False}
    if patches is not None:
        every["discriminator"] = patches.pop("weights")
        options = {**options, **patches}
    return Imported(
        architecture=architecture,
        options=options,
        data=DataInfo(fields=(image("a", inputs), image("b", outputs)), count=0),
        weights=every,
        unknown=unknown,
    )


def _level(depth: int) -> str:
    return "model.model." + "1.model." * min(depth, 1) + "3.model." * max(0, depth - 1)


def _levels(found: Weights) -> int:
    """The number of levels of a U-Net; 0 for anything else."""
    depth = 0
    while f"{_level(depth)}{'1' if depth else '0'}.weight" in found:
        depth += 1
    return depth if depth > 2 else 0


def _unet(found: Weights, levels: int, widths: list[int], *, batch: bool) -> Iterator[tuple[str, Array]]:
    for depth in range(levels):
        level, inner = _level(depth), depth == levels - 1
        if not batch:  # the norms take these biases away again
            found.skip(f"{level}1.bias", f"{level}{3 if inner else 5}.bias")
        down, place = (f"{level}1", f"down.{depth}.1") if depth else (f"{level}0", "down.0.0")
        yield f"{place}.weight", found[f"{down}.weight"]
        if depth in (0, levels - 1):  # no norm follows, so a bias counts
            yield f"{place}.bias", found.get(f"{down}.bias", np.zeros(widths[depth], np.float32))
        elif batch:
            yield from ((f"down.{depth}.2.{part}", found[f"{level}2.{part}"]) for part in NORM)
        up, norm = (f"{level}3", f"{level}4") if inner or not depth else (f"{level}5", f"{level}6")
        place = f"up.{levels - 1 - depth}"
        weight = found[f"{up}.weight"]
        # Its input is the skipped maps and then those from inside; here it is the other way round.
        yield f"{place}.1.weight", weight if inner else np.roll(weight, -widths[depth], axis=0)
        if not depth:
            yield f"{place}.1.bias", found[f"{up}.bias"]
        elif batch:
            yield from ((f"{place}.2.{part}", found[f"{norm}.{part}"]) for part in NORM)


def _block(key: str) -> str:
    match = re.match(r"model\.(\d+)\.conv_block\.", key)
    return match[1] if match else ""


def _resnet(found: Weights, blocks: int, *, batch: bool) -> Iterator[tuple[str, Array]]:
    """Our sequence has a module before theirs, which resizes; the inside of blocks is the same."""
    second = 5 if len(found.shape("model.10.conv_block.5.weight")) == 4 else 6
    normed = {f"layers.{at + 1}": f"model.{at}" for at in (1, 4, 7)}
    for block in range(blocks):
        for ours, theirs in ((1, 1), (5, second)):
            normed[f"layers.{11 + block}.layers.{ours}"] = f"model.{10 + block}.conv_block.{theirs}"
    after = 10 + blocks
    normed |= {f"layers.{at + 1}": f"model.{at}" for at in (after, after + 3)}
    for place, name in normed.items():
        yield f"{place}.weight", found[f"{name}.weight"]
        if not batch:
            _ = found[f"{name}.bias"]  # it must be there, but the norm takes it away again
            found.skip(*(f"{_next(name)}.{part}" for part in NORM[2:]))  # of torch before 0.4
        else:
            yield from ((f"{_next(place)}.{part}", found[f"{_next(name)}.{part}"]) for part in NORM)
    for part in ("weight", "bias"):
        yield f"layers.{after + 8}.{part}", found[f"model.{after + 7}.{part}"]


def _next(name: str) -> str:
    start, _, number = name.rpartition(".")
    return f"{start}.{int(number) + 1}"


def _patches(judge: Weights, channels: int, place: str) -> dict[str, Any] | None:
    """Options and weights of a PatchGAN (`NLayerDiscriminator`); its sequence is ours, at `place`."""
    numbers = sorted({int(key.split(".")[1]) for key in judge if re.match(r"model\.\d+\.", key)})
    first = judge.shape("model.0.weight")
    count = (numbers[-1] - 2) // 3 if numbers else 0
    if first[1:2] != (channels,) or count < 1:
        return None
    batch = any(key.endswith("running_mean") for key in judge)
    inner = [f"model.{2 + 3 * at}.bias" for at in range(count)]  # a norm takes them away again
    judge.skip(*inner)
    weights = {
        f"{place}.{key.removeprefix('model.')}": judge[key]
        for key in judge
        if key not in inner and not key.endswith("num_batches_tracked")
    }
    return {
        "weights": weights,
        "patch_layers": count,
        "discriminator_width": first[0],
        "discriminator_norm": "batch" if batch else "instance",
    }


def example_unet() -> Mapping[str, Any]:
    """A U-Net of 4 levels with BatchNorm, for 16x16 pixels."""
    made = _Made()
    levels, width = 4, 4
    widths = [width * min(8, 2**at) for at in range(levels)]
    for depth in range(levels):
        level, inner = _level(depth), depth == levels - 1
        made.conv(f"{level}{1 if depth else 0}", widths[depth], widths[depth - 1] if depth else 3, 4)
        if 0 < depth < levels - 1:
            made.norm(f"{level}2", widths[depth])
        outputs = widths[depth - 1] if depth else 3
        made.conv(f"{level}{3 if inner or not depth else 5}", widths[depth] * (1 if inner else 2), outputs, 4)
        if depth:
            made.norm(f"{level}{4 if inner else 6}", outputs)
    made.arrays[f"{_level(0)}3.bias"] = made.random.normal(0, 0.1, 3).astype(np.float32)
    return made.arrays


def example_resnet(*, blocks: int = 6, dropout: bool = False) -> Mapping[str, Any]:
    """A generator of 6 blocks with InstanceNorm."""
    made, width = _Made(), 4
    made.conv("model.1", width, 3, 7, bias=True)
    made.conv("model.4", 2 * width, width, 3, bias=True)
    made.conv("model.7", 4 * width, 2 * width, 3, bias=True)
    for block in range(blocks):
        for at in (1, 6 if dropout else 5):
            made.conv(f"model.{10 + block}.conv_block.{at}", 4 * width, 4 * width, 3, bias=True)
    after = 10 + blocks
    for at, size in ((after, 2 * width), (after + 3, width)):
        made.conv(f"model.{at}", 2 * size, size, 3)
        made.arrays[f"model.{at}.bias"] = made.random.normal(0, 0.1, size).astype(np.float32)
    made.conv(f"model.{after + 7}", 3, width, 7, bias=True)
    return made.arrays


class _Made:
    """Made-up arrays by name."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.random = np.random.default_rng(0)

    def conv(self, name: str, first: int, second: int, kernel: int, *, bias: bool = False) -> None:
        shape = (first, second, kernel, kernel)
        self.arrays[f"{name}.weight"] = self.random.normal(0, 0.1, shape).astype(np.float32)
        if bias:
            self.arrays[f"{name}.bias"] = self.random.normal(0, 0.1, first).astype(np.float32)

    def norm(self, name: str, width: int) -> None:
        for part in NORM:
            values = self.random.uniform(0.5, 1.5, width).astype(np.float32)
            self.arrays[f"{name}.{part}"] = values if part != "bias" else values - 1
