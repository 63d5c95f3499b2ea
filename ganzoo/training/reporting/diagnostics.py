"""Checks the logged values of a run and warns when it seems to go wrong. It never changes the run.

Each rule compares a run with its own past or with its data, so that it works for any loss and network.
docs/reliability.md has the values of good and failed runs from which the limits were chosen.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping

# Share of the mean distance between real samples. Good runs were above 0.7 after a tenth of their length.
ALIKE = 0.4

# Log lines needed for a comparison with the past, and how many are kept.
FEWEST, MOST = 10, 50

# Factors of the median of the past: good runs stayed between 0.29 and 6.0.
SMALL, LARGE = 1e-2, 30.0

# A smaller gap between scores counts as this gap: otherwise any change from nearly equal scores is large.
SMALLEST_GAP = 0.1

# Before this share of a run and this many cycles, samples are alike because nothing is learned yet.
EARLY, FEWEST_CYCLES = 0.1, 200


class Diagnostics:
    """Follows the values of a run from log line to log line; `past` are the values of its log."""

    def __init__(self, past: Iterable[Mapping[str, float]] = ()) -> None:
        self._past: deque[Mapping[str, float]] = deque(past, maxlen=MOST)
        self._reported: set[str] = set()

    def look(self, values: Mapping[str, float]) -> list[str]:
        """Warnings about the values of a log line; each kind of warning comes once."""
        found: dict[str, str] = {}
        if len(self._past) >= FEWEST:
            for role, other in (("generator", "discriminator"), ("discriminator", "generator")):
                found.update(self._gradients(role, other, values))
            found.update(self._scores(values))
        self._past.append(values)
        return self._fresh(found)

    def look_at_samples(self, share: float, steps: int, spread: float | None) -> list[str]:
        """Warnings about samples with that `spread`, at this share of the run, after `steps` cycles."""
        if spread is None or share < EARLY or steps < FEWEST_CYCLES or spread >= ALIKE:
            return []
        text = (
            f"the samples are nearly alike: they are {spread:.2f} times as far apart as real ones (mode "
            "collapse?). Look at the newest file in samples/. If they are alike, try a loss with a gradient "
            "penalty (+wgan-gp), a lower generator.lr, or a larger batch"
        )
        return self._fresh({"alike": text})

    def _fresh(self, found: Mapping[str, str]) -> list[str]:
        fresh = {kind: text for kind, text in found.items() if kind not in self._reported}
        self._reported |= fresh.keys()
        return list(fresh.values())

    def _gradients(self, role: str, other: str, values: Mapping[str, float]) -> dict[str, str]:
        name = f"gradient_norm_{role}"
        now, before = values.get(name), self._median(name)
        if now is None or before is None:
            return {}
        change = f"its gradient norm is {now:.3g}, it was {before:.3g} before"
        if now < SMALL * before:
            return {
                f"small {role}": f"the {role} hardly learns any more: {change}. The {other} may be too "
                f"strong: try a lower {other}.lr, or another loss"
            }
        if now > LARGE * before:
            return {
                f"large {role}": f"the {role} takes very large steps: {change}. Try lower learning rates "
                "(generator.lr, discriminator.lr), or a gradient penalty"
            }
        return {}

    def _scores(self, values: Mapping[str, float]) -> dict[str, str]:
        gaps = [gap for record in self._past if (gap := _gap(record)) is not None]
        now = _gap(values)
        if now is None or not gaps:
            return {}
        before = statistics.median(gaps)
        if now <= LARGE * max(before, SMALLEST_GAP):
            return {}
        return {
            "scores": f"the scores of real and generated samples drift apart: by {now:.3g}, before by "
            f"{before:.3g}. The discriminator is too strong: try a lower discriminator.lr, a smaller "
            "train.n_critic, or a gradient penalty"
        }

    def _median(self, name: str) -> float | None:
        known = [record[name] for record in self._past if name in record]
        return statistics.median(known) if known else None


def _gap(values: Mapping[str, float]) -> float | None:
    if "score_real" not in values or "score_fake" not in values:
        return None
    return abs(values["score_real"] - values["score_fake"])
