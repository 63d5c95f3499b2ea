"""Files in the layouts of other projects, and what `ganzoo import` makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.importing.networks import build_imported
from ganzoo.importing.recognise import Match, chosen, open_file
from ganzoo.networks.apply import apply
from ganzoo.registry.registry import load_registry

Tree = Mapping[str, Any]


def tensors(tree: Any) -> Any:
    """A tree of arrays as a tree of tensors."""
    if isinstance(tree, Mapping):
        return {key: tensors(value) for key, value in tree.items()}
    return torch.from_numpy(np.array(tree)) if isinstance(tree, np.ndarray) else tree


def imported(
    tree: Tree, folder: Path, *, legacy: bool = False, judge: Tree | None = None, **choice: Any
) -> Match:
    """What the importers make of a file with this tree, as torch.save writes it; `judge` is a second file."""
    file, second = folder / "weights.pth", folder / "judge.pth"
    torch.save(tensors(tree), file, _use_new_zipfile_serialization=not legacy)
    if judge is not None:
        torch.save(tensors(judge), second)
    return chosen(open_file(file, load_registry(), second if judge is not None else None), **choice)


def outputs(match: Match, batch: Mapping[str, Tensor], name: str = "generator") -> dict[str, Tensor]:
    """What a network with the weights of a file writes for a batch."""
    networks = build_imported(match.imported, load_registry())[2]
    net = {**networks.generators, **networks.discriminators}[name]
    net.module.eval()
    with torch.no_grad():
        return apply(net, dict(batch))


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert a.shape == b.shape
    return float((a - b).abs().max())
