"""A generator of a run with its trained weights, on the CPU, and the fields of its networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from ganzoo.api.networks import Net
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.networks.apply import declared
from ganzoo.registry.registry import Registry
from ganzoo.runs.load import Trained, Which, load_trained
from ganzoo.runs.run import Run


def open_generator(
    path: Path,
    registry: Registry,
    name: str = "generator",
    which: Which = "newest",
    note: Callable[[str], None] = warnings.warn,
) -> tuple[Net, Mapping[str, Field], Trained]:
    """The generator, with averaged weights if the run keeps an average.

    UsageError when the run has none of that name.
    """
    trained = load_trained(Run.open(path, writes=False), registry, which, note)
    nets = trained.networks.generators
    if name == "generator" and len(nets) == 1:
        name = next(iter(nets))
    if name not in nets:
        raise UsageError(f"The run has no generator '{name}'.", fix=f"--generator: {', '.join(nets)}")
    return nets[name], declared(trained.networks, trained.info), trained
