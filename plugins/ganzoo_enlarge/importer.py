"""Weights of ESRGAN and Real-ESRGAN in the layouts of their authors (facts; BSD-3 and Apache-2.0 code).

* RRDB, newest (BasicSR): `conv_first`, `body.N.rdbK.convM`, `conv_body`, `conv_up1`, `conv_up2`, `conv_hr`,
  `conv_last`; for x2 `conv_first` reads squares of 2x2 pixels as channels.
* RRDB, ESRGAN's own code: `RRDB_trunk.N.RDBK.convM`, `trunk_conv`, `upconv1`, `HRconv`.
* RRDB, oldest: one sequence `model`: 0 the first convolution, `1.sub.N.RDBK.convM.0` the blocks, after them
  `1.sub.N`, then three places for each enlargement, with the convolution in the second, and the last two.
* SRVGG: `body.N`, convolutions at even places and the slopes of PReLU at odd ones.
* Both in ncnn, where layers have numbers in the order of the computation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataError, DataInfo, Field, Imported, Weights
from ganzoo_enlarge.ncnn_graphs import fits, layers_of, rrdb_graph, srvgg_graph

Array = NDArray[np.generic]

SIDE = 32  # pixels of `a` if the training goes on
_OLDEST = "model.1.sub."
_OTHER_NAMES = {
    "trunk_conv": "conv_body",
    "upconv1": "conv_up1",
    "upconv2": "conv_up2",
    "HRconv": "conv_hr",
}


def recognise_rrdb(found: Weights) -> Imported | None:
    """An RRDBNet for x2 or x4 in one of the three layouts."""
    names = dict(_rrdb_names(found))
    blocks = {int(match[1]) for name in names if (match := re.match(r"body\.(\d+)\.rdb", name))}
    needed = {"conv_first.weight", "body.0.rdb1.conv1.weight", "conv_body.weight", "conv_last.weight"}
    if not needed <= names.keys() or blocks != set(range(len(blocks))):
        return None
    first, inner, last = (
        found.shape(names[key])
        for key in ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight")
    )
    if any(len(shape) != 4 for shape in (first, inner, last)):
        return None
    unshuffle = isqrt(max(1, first[1] // last[0])) if first[1] % last[0] == 0 else 1
    total = 2 ** sum(f"conv_up{at}.weight" in names for at in (1, 2, 3))
    scale, channels = total // unshuffle, first[1] // unshuffle**2
    if scale not in (2, 4) or unshuffle not in (1, 2, 4):
        return None
    assumed = ("one step of enlarging: x2 is assumed, x3 has the same names",) if total == 2 else ()
    return _imported(
        "rrdb",
        scale,
        (channels, last[0]),
        options={
            "blocks": len(blocks),
            "width": first[0],
            "growth": inner[0],
            "unshuffle": unshuffle,
        },
        weights={f"net.{ours}": found[theirs] for ours, theirs in names.items()},
        unknown=assumed,
    )


def recognise_srvgg(found: Weights) -> Imported | None:
    """An SRVGGNetCompact for x2, x3 or x4.

    None for other layouts, DataError for files of ncnn that resize the result.
    """
    body = "body."
    if layers := layers_of(found):
        shapes, body = [shape for shape in found.shapes.values() if len(shape) == 4], ""
        if not shapes:
            return None
        graph = srvgg_graph(len(shapes), isqrt(shapes[-1][0] // max(1, shapes[0][1])))
        if [layer["type"] for layer in layers] == [*(kind for kind, _, _ in graph.layers), "Interp"]:
            raise DataError("The network of ncnn resizes what it has made: take the one for x4.")
        if not fits(layers, graph):
            return None
    places = sorted(int(match[1]) for key in found if (match := re.fullmatch(rf"{body}(\d+)\.weight", key)))
    convolutions = [at for at in places if len(found.shape(f"{body}{at}.weight")) == 4]
    if not convolutions or convolutions != [*range(0, convolutions[-1] + 1, 2)] or len(convolutions) < 2:
        return None
    if len(found) != sum(f"{body}{at}.{part}" in found for at in places for part in ("weight", "bias")):
        return None
    first, last = (found.shape(f"{body}{at}.weight") for at in (convolutions[0], convolutions[-1]))
    scale = isqrt(last[0] // max(1, first[1]))
    if scale not in (2, 3, 4) or last[0] != first[1] * scale**2 or first[2:] != (3, 3):
        return None
    slopes = len(places) > len(convolutions)
    assumed = () if slopes else ("the activation: LeakyReLU 0.1 is assumed, ReLU leaves no trace either",)
    return _imported(
        "srvgg",
        scale,
        (first[1], first[1]),
        options={
            "layers": len(convolutions) - 2,
            "width": first[0],
            "activation": "prelu" if slopes else "leaky",
        },
        weights={f"net.body.{key.removeprefix(body)}": found[key] for key in found},
        unknown=assumed,
    )


def _imported(
    architecture: str,
    scale: int,
    channels: tuple[int, int],
    *,
    options: dict[str, Any],
    weights: dict[str, Array],
    unknown: tuple[str, ...],
) -> Imported:
    fields = tuple(
        Field(name=name, shape=(count, side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)
        for name, count, side in zip("ab", channels, (SIDE, scale * SIDE), strict=True)
    )
    return Imported(
        architecture=architecture,
        options=options,
        data=DataInfo(fields=fields, count=0),
        weights={"generator": weights},
        unknown=("the range of the pixels: 0..1 inside the network is assumed", *unknown),
        recipe="real-esrgan-paper",
        settings={"data.factor": scale, "data.size": scale * SIDE},
    )


def _rrdb_names(found: Weights) -> Iterator[tuple[str, str]]:
    """Our name and the file's of each array."""
    if layers := layers_of(found):
        yield from _ncnn_names(found, layers)
        return
    if any(key.startswith(_OLDEST) for key in found):
        yield from _oldest_names(found)
        return
    for key in found:
        ours = re.sub(r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2.", key)
        stem, _, part = ours.rpartition(".")
        yield f"{_OTHER_NAMES.get(stem, stem)}.{part}", key


def _ncnn_names(found: Weights, layers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Convolutions in the order of the computation, if all layers are those of an RRDBNet for x4."""
    count = sum(len(shape) == 4 for shape in found.shapes.values())
    blocks = (count - 6) // 15
    if blocks < 1 or not fits(layers, rrdb_graph(blocks)):
        return
    stems = [f"body.{k}.rdb{d}.conv{c}" for k in range(blocks) for d in (1, 2, 3) for c in range(1, 6)]
    stems = ["conv_first", *stems, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    for at, stem in enumerate(stems):
        yield from ((f"{stem}.{part}", f"{at}.{part}") for part in ("weight", "bias"))


def _oldest_names(found: Weights) -> Iterator[tuple[str, str]]:
    places = sorted(
        {int(match[1]) for key in found if (match := re.match(r"model\.(\d+)\.(?:weight|bias)$", key))}
    )
    ends = [f"conv_up{at + 1}" for at in range(len(places) - 3)]
    outer = dict(zip(places, ("conv_first", *ends, "conv_hr", "conv_last"), strict=False))
    for key in found:
        if match := re.match(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(\w+)$", key):
            yield f"body.{match[1]}.rdb{match[2]}.conv{match[3]}.{match[4]}", key
        elif match := re.match(r"model\.1\.sub\.\d+\.(\w+)$", key):
            yield f"conv_body.{match[1]}", key
        elif match := re.match(r"model\.(\d+)\.(\w+)$", key):
            yield f"{outer[int(match[1])]}.{match[2]}", key


def example_rrdb() -> Mapping[str, Any]:
    """An RRDBNet for x4 with 2 blocks of 8 channels, in the newest layout."""
    random, width, growth = np.random.default_rng(0), 8, 4
    sizes = {"conv_first": (3, width), "conv_body": (width, width), "conv_up1": (width, width)}
    sizes |= {"conv_up2": (width, width), "conv_hr": (width, width), "conv_last": (width, 3)}
    for block in range(2):
        for dense in (1, 2, 3):
            for at in range(5):
                outputs = growth if at < 4 else width
                sizes[f"body.{block}.rdb{dense}.conv{at + 1}"] = (width + at * growth, outputs)
    return {"params_ema": _arrays(sizes, random)}


def example_srvgg() -> Mapping[str, Any]:
    """An SRVGGNetCompact for x4 with 2 inner convolutions of 8 channels."""
    random, width = np.random.default_rng(0), 8
    sizes = {"body.0": (3, width), "body.2": (width, width), "body.4": (width, width), "body.6": (width, 48)}
    slopes = {f"body.{at}.weight": np.full(width, 0.1 * at, np.float32) for at in (1, 3, 5)}
    return {"params": {**_arrays(sizes, random), **slopes}}


def _arrays(sizes: Mapping[str, tuple[int, int]], random: np.random.Generator) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, (inputs, outputs) in sizes.items():
        found[f"{name}.weight"] = random.normal(0, 0.05, (outputs, inputs, 3, 3)).astype(np.float32)
        found[f"{name}.bias"] = random.normal(0, 0.05, outputs).astype(np.float32)
    return found
