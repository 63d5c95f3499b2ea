"""The result of an evaluation: scores, reference rows and the protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """`scores` and each row of `reference` map score names to values; `better` says which direction is good.

    `protocol` is what one must know to repeat the evaluation; `notes` are for the reader.
    """

    name: str
    n: int
    protocol: Mapping[str, Any]
    scores: Mapping[str, float]
    reference: Mapping[str, Mapping[str, float]]
    better: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; values that are not finite are null."""
        return {
            "name": self.name,
            "n": self.n,
            "protocol": dict(self.protocol),
            "scores": _finite(self.scores),
            "reference": {name: _finite(row) for name, row in self.reference.items()},
            "better": dict(self.better),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
        }


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def too_few(distance: str, n: int, features: int) -> list[str]:
    """A note if a Frechet distance has fewer samples than features: the covariance has not full rank."""
    few = f"{distance} is not reliable with {n:,} samples, fewer than its {features:,} features: use more"
    return [few] if n < features else []


def conclusions(
    scores: Mapping[str, float], reference: Mapping[str, Mapping[str, float]], n: int | None = None
) -> list[str]:
    """What the scores of `n` samples mean in words, where they are clear."""
    found = []
    coverage, density = scores.get("coverage"), scores.get("density")
    others, repeated = (reference.get(name, {}).get("coverage") for name in ("real", "repeated"))
    if coverage is not None and others is not None:
        found.append(f"the samples cover {coverage:.0%} of the real ones; other real ones cover {others:.0%}")
    collapsed = coverage is not None and repeated is not None and coverage < repeated
    if collapsed:
        found.append(
            f"collapsed, or not realistic at all: a few repeated real samples cover more, {repeated:.0%}"
        )
        if density is not None and density > 0.3:
            found.append(f"the density of {density:.2f} is that of a few good samples: mode collapse")
    few = reference.get("few_classes", {}).get("modes")
    modes, all_modes = scores.get("modes"), reference.get("real", {}).get("modes")
    if modes is not None and all_modes is not None and modes < all_modes:
        half = " (half of the classes)" if few is not None and modes <= few else ""
        found.append(f"modes are missing: {modes:.0f} of {all_modes:.0f}{half}")
    ratio, copied = scores.get("memorisation"), scores.get("copied")
    if ratio is not None and copied is not None:
        # `copied` is a difference of two counts: an excess of 4 samples has a probability of 1/16 by chance
        # (sign test), one of 5 has 1/32. Below 500 samples this is more than the 1 %.
        good = ratio >= 0.9 and copied <= 0.01
        by_chance = ratio >= 0.9 and bool(n) and copied <= 4.5 / n
        verdict = "passed" if good else "undecided for so few samples" if by_chance else "FAILED"
        if not (good and collapsed):  # samples far from all real ones pass, which means nothing
            found.append(
                f"memorisation check {verdict}: the median sample is {ratio:.2f} "
                "times as far from the nearest training sample as from the nearest held-out one; "
                f"{copied:.1%} more than expected by chance are at least twice as near to a training sample"
            )
    return found
