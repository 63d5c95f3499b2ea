"""Generated samples and their nearest real neighbours, which show whether a model copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganzoo.evaluation.comparison import Comparison
from ganzoo.registry.kinds import Kinds
from ganzoo.util.files import write_bytes

COLUMNS = 20


def write_neighbours(comparison: Comparison, kinds: Kinds, path: Path) -> None:
    """Write samples, the nearest training sample of each, the nearest held-out sample of each.

    The first half are the first samples, the second half those that are nearest to a training sample,
    relative to held-out ones. Nothing is written for kinds that cannot show it, or without training samples.
    The ending of the path becomes that of what the media record writes.
    """
    if comparison.training is None or comparison.neighbours is None:
        return
    places, others, ratio = comparison.neighbours
    half = min(COLUMNS // 2, len(places) // 2)
    suspects = half + np.argsort(ratio[half:])[:half]
    shown = np.concatenate([np.arange(half), suspects])
    preview = kinds.of(comparison.field.kind).neighbours(
        comparison.field,
        comparison.fake.values[shown],
        comparison.training.values[places[shown]],
        comparison.real.values[others[shown]],
    )
    for suffix, data in (preview.files if preview is not None else {}).items():
        write_bytes(path.with_suffix(suffix), data)
