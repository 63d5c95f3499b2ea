"""Weights of FastGAN in the layout of github.com/odegeasslbc/FastGAN-pytorch: `g`, `d`, `g_ema`.

`g_ema` is a list: the parameters in the order in which the network's code makes them, without the statistics
of the norms and without the vectors of the spectral norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, DataInfo, Field, Imported, Weights

Array = NDArray[np.generic]
Read = Callable[[str], Array]

SIDES = (256, 512, 1024)
NORM = ("weight", "bias", "running_mean", "running_var")
CODE = (
    "init", "feat_8", "feat_16", "feat_32", "feat_64", "feat_128", "feat_256", "se_64", "se_128", "se_256",
    "to_128", "to_big", "feat_512", "se_512", "feat_1024",
)  # fmt: skip
"""The parts of the generator in the order of the authors' code."""


def recognise(found: Weights) -> Imported | None:
    """A generator of that layout; its averaged weights where the file has them beside the last ones."""
    latent, *_ = found.shape("init.init.0.weight") or (0,)
    if not latent or "to_big.weight" not in found or "se_64.main.1.weight" not in found:
        return None
    side = max(side for side in SIDES if f"feat_{side}.1.weight" in found)
    unknown = ["the range of the pixels (-1..1 assumed, as the authors' code writes images)"]
    averages = averaged(found)
    if averages:
        unknown.append("the spectral norms of the averaged weights (computed anew)")
    elif any(key.isdigit() for key in found.others.get("g_ema", ())):
        unknown.append("which entry of g_ema is which (left out: the last weights are used)")
    weights = dict(generator(side, lambda key: averages[key] if key in averages else found[key]))
    found.skip("to_128.weight")  # the authors' second output, of 128 pixels
    if averages:
        found.skip()
    colours = len(weights["to_image.weight"])
    image = Field(name="image", shape=(colours, side, side), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    return Imported(
        architecture="fastgan",
        recipe="fastgan-paper",
        options={
            "latent": latent,
            "generator_width": found.shapes["init.init.0.weight"][1] // 32,
            "output": "tanh" if side == SIDES[-1] else "clip",
        },
        data=DataInfo(fields=(image,), count=0),
        weights={"generator": weights},
        unknown=(*unknown, "the distribution of z (N(0, 1) assumed)"),
    )


def generator(side: int, read: Read) -> Iterator[tuple[str, Array]]:
    """G in our names, with weights from `read`."""
    first = read("init.init.0.weight")
    yield "project.weight", first.reshape(len(first), -1).T
    for part in NORM:
        yield f"norm.{part}", read(f"init.init.1.{part}")
    for k in range(side.bit_length() - 3):
        source, target = f"feat_{2 ** (k + 3)}", f"blocks.{k}"
        heavy = k % 2 == 0
        for at, place in enumerate((1, 5) if heavy else (1,)):
            yield f"{target}.convolutions.{at}.weight", read(f"{source}.{place}.weight")
            for part in NORM:
                yield f"{target}.norms.{at}.{part}", read(f"{source}.{place + 1 + heavy}.{part}")
        if heavy:
            noises = [read(f"{source}.{place}.weight") for place in (2, 6)]
            yield f"{target}.strength", np.concatenate(noises)
    for k in range(min(4, side.bit_length() - 6)):
        source = f"se_{2 ** (k + 6)}"
        yield f"excite.{k}.squeeze.weight", read(f"{source}.main.1.weight")
        yield f"excite.{k}.gate.weight", read(f"{source}.main.3.weight")
    yield "to_image.weight", read("to_big.weight")


def averaged(found: Weights) -> dict[str, Array]:
    """The arrays of `g_ema` by their names, with spectral norm; empty where there are none that fit."""
    entries = found.others.get("g_ema")
    if entries is None or found.path not in ("g", "") or not all(key.isdigit() for key in entries):
        return {}
    names = sorted((key for key in found if key.rpartition(".")[2] in NORM[:2]), key=order)
    shapes = [entries.shape(str(k)) for k in range(len(entries))]
    if shapes != [found.shapes[name] for name in names]:
        return {}
    arrays = [entries[str(k)] for k in range(len(entries))]
    # With spectral norm folded in they are 1, but for the vectors of the file, which lag behind.
    norms = [largest(found[name]) for name in names if name.endswith("main.3.weight") or "to_" in name]
    normed = abs(float(np.median(norms)) - 1) < 0.2
    return {
        name: array / np.float32(largest(array, transposed=name.startswith("init.")))
        if normed and array.ndim == 4
        else array
        for name, array in zip(names, arrays, strict=True)
    }


def order(name: str) -> tuple[int, list[int], bool]:
    """For sorting names as the authors' code makes the parameters."""
    part, *rest = name.split(".")
    return CODE.index(part), [int(item) for item in rest if item.isdigit()], name.endswith("bias")


def largest(weight: Array, *, transposed: bool = False) -> float:
    """The largest singular value of a convolution's weight as a matrix (outputs, others)."""
    matrix = np.asarray(weight.swapaxes(0, 1) if transposed else weight, np.float64)
    matrix = matrix.reshape(len(matrix), -1)
    return float(np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T)[-1]))


def example() -> Mapping[str, Any]:
    """The generator for 256x256 pixels with ngf = 8."""
    random = np.random.default_rng(0)
    widths = [128, 64, 32, 16, 16, 8, 4]
    shapes: dict[str, tuple[int, ...]] = {"init.init.0.weight": (5, 256, 4, 4), "to_big.weight": (3, 4, 3, 3)}
    norms = {"init.init.1": 256}
    for k, (inputs, outputs) in enumerate(pairwise(widths)):
        name = f"feat_{2 ** (k + 3)}"
        shapes[f"{name}.1.weight"] = (2 * outputs, inputs, 3, 3)
        norms[f"{name}.{2 + (k % 2 == 0)}"] = 2 * outputs
        if k % 2 == 0:
            shapes |= {f"{name}.2.weight": (1,), f"{name}.6.weight": (1,)}
            shapes[f"{name}.5.weight"] = (2 * outputs, outputs, 3, 3)
            norms[f"{name}.7"] = 2 * outputs
    for k in range(3):
        small, large = widths[k], widths[k + 4]
        name = f"se_{2 ** (k + 6)}.main"
        shapes |= {f"{name}.1.weight": (large, small, 4, 4), f"{name}.3.weight": (large, large, 1, 1)}
    net = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, width in norms.items():
        for part in NORM:
            values = np.abs(random.normal(0, 1, width))
            # Variances near 0 would magnify rounding, norm after norm.
            net[f"{name}.{part}"] = (values + (part == "running_var") / 2).astype(np.float32)
    return {"g": {f"module.{name}": value for name, value in net.items()}}
