"""Options of the metrics. Importing this must not import numpy or scipy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NeighboursConfig:
    """The k of k-NN balls: `k_precision` for precision and recall, `k_density` for density and coverage."""

    k_precision: int = 3
    k_density: int = 5


@dataclass(frozen=True, kw_only=True)
class ModesConfig:
    """A point is of high quality within `reach` standard deviations of a mode's centre."""

    reach: float = 3.0
