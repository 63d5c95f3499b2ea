"""Warm start: a new run begins with the weights of another run, where names and shapes agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ganzoo.errors import UsageError
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.state import Training


def warm_start(training: Training, source: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Load what fits of the newest checkpoint of the run at `source` into the networks and their average.

    Weights and statistics fit if they have the same name and shape. Where the source keeps no average, the
    average begins with the loaded weights. Returns, by name, what was `matched`, had an `other_shape`, was
    `left_out` because this run lacks it, or is `fresh` because the source lacks it. UsageError when nothing
    fits.
    """
    given, manifest = read_newest(Run.open(source, writes=False).checkpoints, note)
    sides = {"generator": training.generator.modules, "discriminator": training.discriminator.modules}
    places = {
        f"networks.{role}.{name}": module for role, nets in sides.items() for name, module in nets.items()
    }
    averages = {f"ema.{name}": module for name, module in training.ema.modules.items()}
    found: dict[str, list[str]] = {"matched": [], "other_shape": [], "left_out": [], "fresh": []}
    own: set[str] = set()
    with torch.no_grad():
        for place, module in (places | (averages if training.ema.active else {})).items():
            for key, value in module.state_dict().items():
                name = f"{place}.{key}"
                other = given.get(name)
                if other is None and place in averages:
                    other = given.get(f"networks.generator.{name.removeprefix('ema.')}")
                fits = other is not None and other.shape == value.shape
                if other is not None and fits:
                    value.copy_(other)
                if place in places:
                    own.add(name)
                    kind = "fresh" if other is None else "matched" if fits else "other_shape"
                    found[kind].append(name)
    found["left_out"] = sorted(name for name in given if name.startswith("networks.") and name not in own)
    if not found["matched"]:
        raise UsageError(
            "Nothing in that run has the names and shapes of these networks.",
            where=f"train.warm_start: {source}",
            fix="choose a run of the same architecture and sizes, or leave it out",
        )
    counts = ", ".join(f"{len(names)} {kind.replace('_', ' ')}" for kind, names in found.items())
    note(f"starts with the weights of {source} after {manifest['images']:,} images: {counts}")
    return {"from": str(source), "images": manifest["images"], **found}
