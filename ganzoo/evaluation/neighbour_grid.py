"""An image of generated samples and their nearest real neighbours, which shows whether a model copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ganzoo import images
from ganzoo.evaluation.comparison import Comparison
from ganzoo.fields import Field
from ganzoo.util.files import storage

COLUMNS = 20

ROWS = ("sample", "nearest\ntraining image", "nearest\nheld-out image")
HALVES = ("the first samples", "the most suspicious ones: close to a training image")
_LEFT, _TOP = 120, 24  # pixels for captions


def nearest_image_grid(comparison: Comparison, field: Field, path: Path) -> None:
    """Write three rows: samples, the nearest training image of each, the nearest held-out image of each.

    The left half shows the first samples. The right half shows those that are nearest to a training image,
    relative to held-out ones. Nothing is written for other samples than images, or without training samples.
    """
    if not field.is_image or comparison.training is None or comparison.neighbours is None:
        return
    places, others, ratio = comparison.neighbours
    half = min(COLUMNS // 2, len(places) // 2)
    first = np.arange(half)
    suspects = half + np.argsort(ratio[half:])[:half]
    shown = np.concatenate([first, suspects])
    rows = [
        comparison.fake.values[shown],
        comparison.training.values[places[shown]],
        comparison.real.values[others[shown]],
    ]
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    images.save(_captioned(images.grid(np.concatenate(rows), columns=len(shown))), path)


def _captioned(grid: Image.Image) -> Image.Image:
    """The grid on white, with captions for its rows and its halves."""
    sheet = Image.new("RGB", (_LEFT + grid.width, _TOP + grid.height), "white")
    sheet.paste(grid, (_LEFT, _TOP), grid if grid.mode == "RGBA" else None)
    pen = ImageDraw.Draw(sheet)
    for number, text in enumerate(ROWS):
        pen.text((8, _TOP + (number + 0.5) * grid.height / len(ROWS) - 12), text, fill="black")
    for number, text in enumerate(HALVES):
        pen.text((_LEFT + number * grid.width / len(HALVES) + 4, 6), text, fill="black")
    pen.line([(middle := _LEFT + grid.width // 2, 0), (middle, sheet.height)], fill="black")
    return sheet
