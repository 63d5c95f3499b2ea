"""The watch: reads the log of a run line by line and says in words what goes wrong. It never changes the run.

No rule knows the loss. Scores enter as their AUC, which has neither a scale nor a zero; gradient norms are
compared with the run's own past. Only absurd sizes are absolute. docs/watching.md has the rules, the limits,
and the good and failed runs from which they were chosen.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganzoo.config.plan import Plan
from ganzoo.config.schedule import number_at
from ganzoo.config.settings import STOPS

# Share of the mean distance between real samples. Good runs were above 0.7 after a tenth of their length.
ALIKE = 0.4

# Log lines of "now", and how many lines before them are compared with.
FEWEST, MOST = 10, 50

# Factors of the median of the past: good runs stayed between 0.29 and 6.0.
SMALL, LARGE = 1e-2, 30.0

# A smaller gap between scores counts as this gap: otherwise any change from nearly equal scores is large.
SMALLEST_GAP = 0.1

# Before this share of a run and this many cycles, samples are alike because nothing is learned yet.
EARLY, FEWEST_CYCLES = 0.1, 200

# Absurd: the root mean square of all parameters (initial ones are below 1.5), losses, gradient norms.
LARGEST_PARAMETER, LARGEST_LOSS, LARGEST_GRADIENT = 100.0, 1e4, 1e6

# Mean AUC of FEWEST lines: this far from 0.5 the discriminator is blind; this far from 0 or 1 it is sure.
BLIND, SURE = 0.1, 0.005

# A blind or sure discriminator is a fault if a gradient norm is also below this share of its largest median.
FADED = 0.01

# AUC of one line: changes between these sides that are an oscillation, if as many are within MOST lines.
LOW, HIGH, SWINGS = 0.2, 0.8, 8

# Indistinguishable: mean AUC within this of 0.5 for this share of the run, after it was this far from it.
EQUAL, EQUAL_SHARE, WAS_TOLD = 0.03, 0.1, 0.25

# No progress: over this share of the run the score was not better by this share of itself.
STILL, BETTER = 1 / 3, 0.01

# Faults that explain what else goes wrong in the same run.
CAUSES = ("absurd sizes", "dead discriminator", "saturated discriminator")

ROLES = ("generator", "discriminator")


@dataclass(frozen=True)
class Finding:
    """Something that the watch saw: what, in words, and what to change first."""

    kind: str
    seen: str
    change: str

    def __str__(self) -> str:
        return f"{self.seen}. {self.change[0].upper()}{self.change[1:]}"


Values = Mapping[str, float]


@dataclass(frozen=True)
class _Since:
    """When something began that goes on since: the share of the run, and the number of images."""

    share: float
    images: int


class Diagnostics:
    """Follows a run from log line to log line. `past` are the lines of its log, `reported` known kinds.

    `ends` says whether the run should end, because `train.stop` is what the last line shows.
    """

    def __init__(
        self,
        plan: Plan,
        past: Iterable[Mapping[str, Any]] = (),
        reported: Iterable[str] = (),
    ) -> None:
        self.ends = False
        self._plan = plan
        self._past: deque[Values] = deque(maxlen=MOST)
        self._largest: dict[str, float] = {}
        self._best: tuple[float, _Since] | None = None  # the score of keep_best; lower is better
        self._scored = 0  # lines with a score since then
        self._told = False
        self._equal: _Since | None = None
        self._reported: set[str] = set()
        for record in past:
            self.look(record)
        self._reported = set(reported)

    def look(self, record: Mapping[str, Any]) -> list[Finding]:
        """What a log line shows for the first time."""
        values: Values = record["values"]
        share = self._plan.train.share(record["images"], record.get("seconds", 0.0))
        now = _Since(share, record["images"])
        self._past.append(values)
        found = [*self._sizes(), *self._progress(record, now)]
        if len(self._past) > FEWEST:
            found += self._discriminator() or self._sudden(values)
            found += [*self._swings(), *self._indistinguishable(now)]
        self.ends = self._plan.train.stop in {finding.kind for finding in found}
        return self._fresh(found)

    def look_at_samples(self, share: float, steps: int, spread: float | None) -> list[Finding]:
        """Whether samples with that `spread` are alike, at this share of the run, after `steps` cycles."""
        if spread is None or share < EARLY or steps < FEWEST_CYCLES or spread >= ALIKE:
            return []
        seen = (
            f"the samples are nearly alike: they are {spread:.2f} times as far apart as real ones (mode "
            "collapse?). Look at the newest image in samples/"
        )
        change = "a loss with a gradient penalty (+wgan-gp), a lower generator.lr, or a larger batch"
        return self._fresh([Finding("collapse", seen, f"if they are alike, try {change}")])

    def _fresh(self, found: Iterable[Finding]) -> list[Finding]:
        fresh = []
        for finding in found:
            explained = finding.kind not in STOPS and not self._reported.isdisjoint(CAUSES)
            if finding.kind not in self._reported and not explained:
                self._reported.add(finding.kind)
                fresh.append(finding)
        return fresh

    def _sizes(self) -> list[Finding]:
        """Absurd sizes, whatever they were before."""
        sizes = {}
        for role in ROLES:
            sizes[f"the parameters of the {role} have a root mean square of"] = (
                abs(self._past[-1].get(f"parameter_rms_{role}", 0.0)),
                LARGEST_PARAMETER,
            )
            for name, limit in (("loss", LARGEST_LOSS), ("gradient norm", LARGEST_GRADIENT)):
                size = self._now(f"{name.replace(' ', '_')}_{role}", absolute=True)
                sizes[f"the {name} of the {role} is"] = (size or 0.0, limit)
        absurd = [
            f"{what} {size:.3g} (limit: {limit:g})" for what, (size, limit) in sizes.items() if size > limit
        ]
        if not absurd:
            return []
        change = (
            f"start again with much lower rates: {self._lower(*ROLES, by=100)}; usual ones are 1e-5 to 1e-2"
        )
        return [Finding("absurd sizes", f"the sizes are absurd: {'; '.join(absurd)}", change)]

    def _discriminator(self) -> list[Finding]:
        """A discriminator that tells nothing, or everything, and of which nobody can learn any more."""
        auc = self._auc()
        faded = {role: self._faded(role) for role in ROLES}
        if auc is None:
            return []
        equal = all(line["score_auc"] == 0.5 for line in list(self._past)[-FEWEST:])
        if equal or (abs(auc - 0.5) <= BLIND and faded["discriminator"]):
            seen = (
                "the discriminator is dead: it gives real and generated samples the same scores (AUC "
                f"{auc:.2f}), and {faded['discriminator'] or 'all of them are equal'}. The generator learns "
                "nothing from it"
            )
            change = (
                f"start again with a lower rate: {self._lower('discriminator')}; or another loss (+wgan-gp)"
            )
            return [Finding("dead discriminator", seen, change)]
        if abs(auc - 0.5) >= 0.5 - SURE and any(faded.values()):
            seen = (
                "the discriminator is saturated: it tells all real from generated samples (AUC "
                f"{auc:.3f}), and {' and '.join(filter(None, faded.values()))}. The generator cannot follow it"
            )
            change = (
                f"start again with a lower rate: {self._lower('discriminator')}; a smaller train.n_critic; a "
                "higher generator.lr; or a loss that does not saturate (+wgan-gp)"
            )
            return [Finding("saturated discriminator", seen, change)]
        return []

    def _sudden(self, values: Values) -> list[Finding]:
        """Changes against the median of the lines before."""
        found = []
        for role, other in (ROLES, ROLES[::-1]):
            name = f"gradient_norm_{role}"
            now, before = values.get(name), self._before(name)
            if now is None or before is None:
                continue
            change = f"its gradient norm is {now:.3g}, it was {before:.3g} before"
            if now < SMALL * before:
                seen = f"the {role} hardly learns any more: {change}. The {other} may be too strong"
                found.append(Finding(f"small {role}", seen, f"try a lower {other}.lr, or another loss"))
            if now > LARGE * before:
                seen = f"the {role} takes very large steps: {change}"
                fix = "try lower learning rates (generator.lr, discriminator.lr), or a gradient penalty"
                found.append(Finding(f"large {role}", seen, fix))
        gaps = [gap for line in self._past if (gap := _gap(line)) is not None]
        if len(gaps) > 1 and gaps[-1] > LARGE * max(before := statistics.median(gaps[:-1]), SMALLEST_GAP):
            seen = (
                "the scores of real and generated samples drift apart: by "
                f"{gaps[-1]:.3g}, before by {before:.3g}. The discriminator is too strong"
            )
            fix = "try a lower discriminator.lr, a smaller train.n_critic, or a gradient penalty"
            found.append(Finding("scores", seen, fix))
        return found

    def _swings(self) -> list[Finding]:
        """Each player in turn is far ahead of the other."""
        known = [line["score_auc"] for line in self._past if "score_auc" in line]
        sides = [auc >= HIGH for auc in known if not LOW < auc < HIGH]
        swings = sum(first != second for first, second in pairwise(sides))
        if swings < SWINGS:
            return []
        seen = (
            f"the two networks oscillate: {swings} times in {len(known)} log lines the discriminator went "
            f"from right (AUC above {HIGH}) to wrong (below {LOW}) or back"
        )
        change = f"lower both rates: {self._lower(*ROLES)}; less momentum (betas); or a gradient penalty"
        return [Finding("oscillation", seen, change)]

    def _indistinguishable(self, now: _Since) -> list[Finding]:
        """The discriminator could tell real from generated samples, and cannot any more, though it learns."""
        auc = self._auc()
        if auc is None:
            return []
        self._told = self._told or abs(auc - 0.5) >= WAS_TOLD
        if abs(auc - 0.5) > EQUAL:
            self._equal = None
        elif self._equal is None:
            self._equal = now
        if not self._told or self._equal is None or now.share - self._equal.share < EQUAL_SHARE:
            return []
        seen = (
            "the discriminator can no longer tell real from generated samples: since "
            f"{self._equal.images:,} images it is right as often as wrong (AUC {auc:.2f})"
        )
        change = "compare the samples with real ones, and the scores: if they are good, you can stop"
        return [Finding("indistinguishable", seen, change)]

    def _progress(self, record: Mapping[str, Any], now: _Since) -> list[Finding]:
        """No better score of `keep_best` over a third of the run."""
        score = self._plan.train.score({**record["values"], **record.get("scores", {})})
        if score is None:
            return []
        if self._best is None or score[1] < self._best[0] - BETTER * abs(self._best[0]):
            self._best, self._scored = (score[1], now), 0
            return []
        best, since = self._best
        self._scored += 1
        if now.share - since.share < STILL - 1e-9 or self._scored < 3:
            return []
        seen = (
            f"no progress: {score[0]} has not become better for a third of the run, since "
            f"{since.images:,} images ({abs(best):.3g}; now {abs(score[1]):.3g})"
        )
        change = "stop here and use the best checkpoint (--stop plateau does so), or try lower rates"
        return [Finding("plateau", seen, change)]

    def _now(self, name: str, absolute: bool = False) -> float | None:
        """The median of the newest lines, with the sign or without."""
        known = [line[name] for line in list(self._past)[-FEWEST:] if name in line]
        return statistics.median(map(abs, known) if absolute else known) if len(known) == FEWEST else None

    def _before(self, name: str) -> float | None:
        """The median of the lines before the newest."""
        known = [line[name] for line in list(self._past)[:-1] if name in line]
        return statistics.median(known) if known else None

    def _auc(self) -> float | None:
        known = [line["score_auc"] for line in list(self._past)[-FEWEST:] if "score_auc" in line]
        return statistics.fmean(known) if len(known) == FEWEST else None

    def _faded(self, role: str) -> str:
        """How far the gradient norm fell below its largest median; empty if it did not."""
        now = self._now(name := f"gradient_norm_{role}")
        if now is None:
            return ""
        largest = self._largest[name] = max(now, self._largest.get(name, 0.0))
        fell = now <= FADED * largest
        return f"the gradient norm of the {role} fell from {largest:.3g} to {now:.3g}" if fell else ""

    def _lower(self, *roles: str, by: float = 10) -> str:
        """The options that divide these rates."""
        rates = {role: number_at(getattr(self._plan, role).lr, 0.0, 0) / by for role in roles}
        return " ".join(f"--set {role}.lr={rate:.2g}" for role, rate in rates.items())


def _gap(values: Values) -> float | None:
    if "score_real" not in values or "score_fake" not in values:
        return None
    return abs(values["score_real"] - values["score_fake"])
