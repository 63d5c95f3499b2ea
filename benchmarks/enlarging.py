"""Scores of enlarged photographs beside bicubic enlargement, for exported generators that enlarge.

    python -m benchmarks.enlarging BUNDLE --photos FOLDER [--photos FOLDER ...] [--beside PNG]

Each photograph is shrunk to 8 bits by Pillow's bicubic filter, or by the degradation of Real-ESRGAN with
`--degradation real` (photograph i of a folder with the seed i), and enlarged again; 4 pixels at each edge do
not count for PSNR. `--beside` writes parts of the photographs: bicubic, the generator, the original.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ganzoo
from ganzoo.runtime.inputs import steps_for
from ganzoo.runtime.tiles import auto_tile, run_in_tiles
from ganzoo_enlarge.degrade import degraded
from ganzoo_enlarge.metrics import enlarged_by_bicubic, perceptual_distance, psnr_y
from ganzoo_enlarge.terms import Light
from ganzoo_metrics.paired import psnr, ssim

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

PART = 240  # pixels of a side of the shown parts


def main() -> None:
    """Print a row for each folder and method, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--degradation", choices=["bicubic", "real"], default="bicubic")
    arguments = parser.parse_args()
    generator = ganzoo.load(arguments.bundle, provider="cpu")
    net, shown = Light().eval(), []
    for folder in arguments.photos:
        rows: dict[str, list[dict[str, float]]] = {"bicubic": [], "generator": []}
        seconds = 0.0
        for at, (name, high) in enumerate(photographs(folder, factor_of(generator))):
            small = shrunk(high, factor_of(generator), arguments.degradation, at)
            begun = time.process_time()
            made = {"generator": enlarged(generator, small)}
            seconds += time.process_time() - begun
            made["bicubic"] = enlarged_by_bicubic(small[None], high.shape[:2])[0]
            for method, image in made.items():
                rows[method].append({"name": name, **scores(net, image, high)})  # type: ignore[dict-item]
            shown.append(beside([made["bicubic"], made["generator"], high]))
        for method, found in rows.items():
            means = {
                key: round(float(np.mean([row[key] for row in found])), 4)
                for key in found[0]
                if key != "name"
            }
            print(json.dumps({"photos": folder.name, "n": len(found), "method": method, **means}))
        gains = [a["psnr_y"] - b["psnr_y"] for a, b in zip(rows["generator"], rows["bicubic"], strict=True)]
        each = {row["name"]: round(gain, 2) for row, gain in zip(rows["generator"], gains, strict=True)}
        print(
            json.dumps(
                {"gain": round(float(np.mean(gains)), 3), "each": each, "cpu_seconds": round(seconds, 1)}
            )
        )
    if arguments.beside is not None:
        Image.fromarray(np.concatenate(shown)).save(arguments.beside)


def factor_of(generator: ganzoo.runtime.Generator) -> int:
    """How many times larger the output is."""
    return generator.outputs[0].shape[1] // generator.inputs[0].shape[1]


def photographs(folder: Path, factor: int) -> Iterator[tuple[str, Pixels]]:
    """Names and pixels (h, w, 3), cut to multiples of `factor`."""
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        height, width = (side - side % factor for side in pixels.shape[:2])
        yield path.stem, pixels[:height, :width]


def shrunk(high: Pixels, factor: int, degradation: str, seed: int) -> Pixels:
    """The photograph, `factor` times smaller."""
    small: Pixels = degraded(high.transpose(2, 0, 1), factor, degradation, np.random.default_rng(seed))
    return np.ascontiguousarray(small.transpose(1, 2, 0))


def enlarged(generator: ganzoo.runtime.Generator, small: Pixels) -> Pixels:
    """What the generator makes of pixels (h, w, 3), as pixels."""
    values = small.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - 1
    given = {generator.inputs[0].name: values}
    whole = generator.resized(steps_for(generator.multiples, {}, generator.inputs, given))
    side = auto_tile(whole)
    made = run_in_tiles(whole, given, side)[0] if side else generator.run(given)
    levels = (made[generator.outputs[0].name][0] + 1) * 127.5
    pixels: Pixels = np.rint(levels.clip(0, 255)).astype(np.uint8).transpose(1, 2, 0)
    return pixels


def scores(net: Light, image: Pixels, high: Pixels) -> dict[str, float]:
    """PSNR of the brightness and of all channels, SSIM, perceptual distance."""
    a, b = image[None], high[None]
    return {
        "psnr_y": psnr_y(a, b),
        "psnr": psnr(a, b),
        "ssim": ssim(a, b),
        "perceptual": perceptual_distance(net, a, b),
    }


def beside(images: Sequence[Pixels]) -> Pixels:
    """The part with the most detail of each image, side by side."""
    high = images[-1].astype(np.float64).mean(2)
    steps = np.abs(np.diff(high, axis=0))[:, :-1] + np.abs(np.diff(high, axis=1))[:-1]
    places = [
        (steps[y : y + PART, x : x + PART].sum(), y, x)
        for y in range(0, high.shape[0] - PART, PART // 2)
        for x in range(0, high.shape[1] - PART, PART // 2)
    ]
    _, y, x = max(places)
    return np.concatenate([image[y : y + PART, x : x + PART] for image in images], axis=1)


if __name__ == "__main__":
    main()
