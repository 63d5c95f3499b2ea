"""How well the watermark survives changes of pictures, and what it costs: writes benchmarks/watermark.json.

    python -m benchmarks.watermark --set "NAME=BUNDLE" --set "NAME=FOLDER@64"
    python -m benchmarks.watermark --set "NAME=BUNDLE" --n 1000 --only fed    # adds to the results

A set is a bundle without a watermark, or a folder of pictures, made squares of so many pixels. The pattern is
as strong as an export would choose. `ganzoo.watermark.detect` gets the changed picture and the key, no more.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import ganzoo
from benchmarks.machine import describe
from ganzoo.api import PIXELS, Field
from ganzoo.evaluation.small_weights import frechet_of
from ganzoo.exporting.watermark import as_jpeg, cropped, weakest
from ganzoo.registry.registry import load_registry
from ganzoo.watermark import PERIOD, detect, luminance, pattern
from ganzoo_metrics.paired import psnr, ssim

KEY = "benchmarks.watermark"
Pixels = NDArray[np.uint8]


def pillow(change: Callable[[Image.Image], Image.Image]) -> Callable[[Pixels], Pixels]:
    """A change of Pillow's images as one of arrays (height, width, channels)."""

    def changed(pixels: Pixels) -> Pixels:
        return np.atleast_3d(np.asarray(change(Image.fromarray(pixels.squeeze()))))

    return changed


def resized(factor: float) -> Callable[[Pixels], Pixels]:
    """Another size, bicubic."""
    return pillow(
        lambda image: image.resize(
            (round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC
        )
    )


def levels(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Pixels], Pixels]:
    """A change of values, rounded and clipped."""
    return lambda pixels: np.clip(np.rint(change(pixels.astype(float))), 0, 255).astype(np.uint8)


def noisy(deviation: float) -> Callable[[Pixels], Pixels]:
    """Normal noise."""
    random = np.random.default_rng(0)
    return levels(lambda values: values + random.normal(0, deviation, values.shape))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "none": lambda pixels: pixels,
    "JPEG 90": lambda pixels: as_jpeg(pixels, 90),
    "JPEG 70": lambda pixels: as_jpeg(pixels, 70),
    "JPEG 50": lambda pixels: as_jpeg(pixels, 50),
    "cropped to 80 % of the area": cropped,
    "cropped to 80 %, JPEG 70": lambda pixels: as_jpeg(cropped(pixels), 70),
    "resized to 50 %": resized(0.5),
    "resized to 75 %": resized(0.75),
    "resized to 150 %": resized(1.5),
    "resized to 50 % and back": lambda pixels: resized(2.0)(resized(0.5)(pixels)),
    "noise of 5 levels": noisy(5.0),
    "noise of 10 levels": noisy(10.0),
    "brightness x 0.8": levels(lambda values: 0.8 * values),
    "brightness x 1.2": levels(lambda values: 1.2 * values),
    "mirrored": lambda pixels: pixels[:, ::-1],
    "median of 3 x 3 pixels": pillow(lambda image: image.filter(ImageFilter.MedianFilter(3))),
    "turned by 2 degrees": pillow(lambda image: image.rotate(2, Image.Resampling.BICUBIC)),
}


def marked(pictures: Pixels, strength: float) -> Pixels:
    """Pictures (n, height, width, channels) with the pattern, as the graph of an export writes them."""
    rows, columns = (np.arange(size) % PERIOD for size in pictures.shape[1:3])
    return levels(lambda values: values + strength * pattern(KEY)[rows][:, columns, None])(pictures)


def without_mean(pictures: Pixels) -> Pixels:
    """The attack of someone with many pictures: what they share beside smooth colours is taken away."""
    lights = np.stack([luminance(pixels) for pixels in pictures])
    smooth = np.stack(
        [
            np.asarray(Image.fromarray(light.astype(np.uint8)).filter(ImageFilter.MedianFilter(5)))
            for light in lights
        ]
    )
    shared = (lights - smooth).mean(0)
    return levels(lambda values: values - shared[..., None])(pictures)


def pictures_of(source: str, count: int) -> Pixels:
    """Samples of a bundle, or pictures of a folder as squares of the side after `@`."""
    path, _, side = source.partition("@")
    if not side:
        return ganzoo.load(path).images(count, seed=1)
    files = sorted(Path(path).iterdir())
    order = np.random.default_rng(0).permutation(len(files))[:count]
    made = []
    for at in order:
        with Image.open(files[at]) as image:
            size = (int(side), int(side))
            made.append(np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS)))
    return np.stack(made)


def strength_for(pictures: Pixels) -> float:
    """What an export would choose, by the first 64 samples."""
    return weakest(lambda strength: [marked(pictures[:64], strength)], KEY)[0]


def measure_fed(pictures: Pixels, strength: float) -> dict[str, Any]:
    """The Frechet distance of marked, unmarked and JPEG pictures to as many other unmarked ones."""
    channels, height, width = pictures.shape[3], *pictures.shape[1:3]
    field = Field(name="image", shape=(channels, height, width), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    half = len(pictures) // 2
    first, others = pictures[:half], pictures[half : 2 * half].transpose(0, 3, 1, 2)
    signed, packed = marked(first, strength), np.stack([as_jpeg(one, 90) for one in first])
    measure = frechet_of(load_registry())
    found: dict[str, Any] = {}
    for kind, made in (("marked", signed), ("JPEG 90", packed)):
        name, changed, plain = measure(field, made.transpose(0, 3, 1, 2), first.transpose(0, 3, 1, 2), others)
        found |= {"name": name, "n": half, "unmarked": plain, kind: changed}
    return {"distance": found}


def measure(pictures: Pixels, unmarked: Pixels, strength: float) -> dict[str, Any]:
    """Quality, shares found by change, and false alarms among more unmarked pictures."""
    signed = marked(pictures, strength)
    changed = {name: [change(pixels) for pixels in signed] for name, change in CHANGES.items()}
    changed["mean of all taken away"] = list(without_mean(signed))
    found = {
        name: sum(detect(pixels, KEY).found for pixels in made) / len(made) for name, made in changed.items()
    }
    alarms = [detect(pixels, KEY).probability for pixels in unmarked]
    return {
        "n": len(pictures),
        "size": list(pictures.shape[1:3]),
        "strength": strength,
        "psnr": psnr(signed, pictures),
        "ssim": ssim(signed, pictures),
        "found": found,
        "unmarked": len(alarms),
        "alarms": {str(limit): sum(value <= limit for value in alarms) for limit in (1e-6, 1e-3, 1e-1)},
    }


def main() -> None:
    """Measure the sets and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--set", dest="sets", action="append", required=True, metavar="NAME=SOURCE")
    parser.add_argument("--n", type=int, default=200, help="marked pictures of each set")
    parser.add_argument("--unmarked", type=int, default=400, help="pictures of each set without a mark")
    parser.add_argument("--only", choices=["fed"], help="nothing but the Frechet distance of 2 n pictures")
    parser.add_argument("--strength", type=float, help="in place of the one that an export would choose")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/watermark.json"))
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": describe(), "key": KEY, "sets": {}}
    if options.output.exists():
        results = json.loads(options.output.read_text())
    for text in options.sets:
        name, _, source = text.partition("=")
        begun = time.process_time()
        found = results["sets"].setdefault(name, {})
        if options.only:
            pictures = pictures_of(source, 2 * options.n)
            found |= measure_fed(pictures, options.strength or strength_for(pictures))
        else:
            pictures = pictures_of(source, options.n + options.unmarked)
            strength = options.strength or strength_for(pictures)
            found |= measure(pictures[: options.n], pictures[options.n :], strength)
            found["cpu_seconds"] = round(time.process_time() - begun, 1)
        print(name, json.dumps(results["sets"][name]), flush=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
