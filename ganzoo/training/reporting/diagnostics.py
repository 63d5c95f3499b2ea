"""Looks at what a run logs and says, in words, when it seems to go wrong. It never changes the run.

Each rule compares a run with its own past or with its data, so that it holds for any loss and any
network. docs/reliability.md has what healthy and sick runs measured, from which the limits were chosen.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping

# Of the mean distance between real samples. Healthy runs were above 0.7 from a tenth of their length on.
ALIKE = 0.4

# Ticks that make a past, and how many of them are kept.
FEWEST, MOST = 10, 50

# Times the median of the past: healthy runs stayed between 0.29 and 6.0.
SMALL, LARGE = 1e-2, 30.0

# Scores that were closer than this count as this close: from nearly equal ones any gap is a large step.
SMALLEST_GAP = 0.1

# Before this share of a run and so many cycles, samples are alike because nothing is learned yet.
EARLY, FEWEST_CYCLES = 0.1, 200


class Diagnostics:
    """Follows the values of a run from tick to tick; `past` are those of its log."""

    def __init__(self, past: Iterable[Mapping[str, float]] = ()) -> None:
        self._past: deque[Mapping[str, float]] = deque(past, maxlen=MOST)
        self._said: set[str] = set()

    def look(self, values: Mapping[str, float]) -> list[str]:
        """What should be said of a log line's values; each kind of thing once."""
        found: dict[str, str] = {}
        if len(self._past) >= FEWEST:
            for role, other in (("generator", "discriminator"), ("discriminator", "generator")):
                found.update(self._gradients(role, other, values))
            found.update(self._scores(values))
        self._past.append(values)
        return self._fresh(found)

    def look_at_samples(self, share: float, steps: int, spread: float | None) -> list[str]:
        """What should be said of samples of that `spread`, at this share of the run, after so many cycles."""
        if spread is None or share < EARLY or steps < FEWEST_CYCLES or spread >= ALIKE:
            return []
        text = (
            f"the samples are nearly alike: they lie {spread:.2f} times as far apart as real ones (mode "
            "collapse?). Look at the newest image in samples/; if it is so, try a loss with a gradient "
            "penalty (+wgan-gp), a lower generator.lr, or a larger batch"
        )
        return self._fresh({"alike": text})

    def _fresh(self, found: Mapping[str, str]) -> list[str]:
        fresh = {kind: text for kind, text in found.items() if kind not in self._said}
        self._said |= fresh.keys()
        return list(fresh.values())

    def _gradients(self, role: str, other: str, values: Mapping[str, float]) -> dict[str, str]:
        name = f"gradient_norm_{role}"
        now, before = values.get(name), self._median(name)
        if now is None or before is None:
            return {}
        change = f"its gradient has the norm {now:.3g}, before it was {before:.3g}"
        if now < SMALL * before:
            return {
                f"small {role}": f"the {role} hardly learns any more: {change}. The {other} may be too "
                f"strong: try a lower {other}.lr, or another loss"
            }
        if now > LARGE * before:
            return {
                f"large {role}": f"the {role} takes wild steps: {change}. Try lower learning rates "
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
            f"{before:.3g}. The discriminator is winning: try a lower discriminator.lr, a smaller "
            "train.n_critic, or a gradient penalty"
        }

    def _median(self, name: str) -> float | None:
        known = [record[name] for record in self._past if name in record]
        return statistics.median(known) if known else None


def _gap(values: Mapping[str, float]) -> float | None:
    if "score_real" not in values or "score_fake" not in values:
        return None
    return abs(values["score_real"] - values["score_fake"])
