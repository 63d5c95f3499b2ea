"""Generated samples beside their nearest real neighbours: whether a model copies can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganzoo import pictures
from ganzoo.api import Field
from ganzoo.evaluate.evidence import Case
from ganzoo.files import storage

COLUMNS = 20


def nearest_picture(case: Case, field: Field, path: Path) -> None:
    """Three rows: samples, the nearest training picture of each, the nearest held-out one.

    The left half are the first samples; the right half those that are nearest to a training picture in
    comparison with held-out ones. Nothing is drawn of what is no picture, or where there is nothing to
    compare with.
    """
    if not field.is_image or case.training is None or case.neighbours is None:
        return
    places, others, ratio = case.neighbours
    half = min(COLUMNS // 2, len(places) // 2)
    first = np.arange(half)
    suspects = half + np.argsort(ratio[half:])[:half]
    shown = np.concatenate([first, suspects])
    rows = [case.fake.values[shown], case.training.values[places[shown]], case.real.values[others[shown]]]
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(np.concatenate(rows), columns=len(shown)), path)
