"""The watch: reads the log of a run line by line and says in words what goes wrong. It never changes the run.

No rule knows the loss: scores enter as their AUC, which has neither a scale nor a zero, and gradient norms
are compared with the run's own past. docs/watching.md has the rules, and the runs that the limits come from.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganzoo.config.plan import Plan
from ganzoo.config.schedule import options_at
from ganzoo.util.text import Unit

# Log lines that are "now", and how many are kept to compare with.
FEWEST, MOST = 10, 50

# Collapse: the samples' mean distance as a share of that of real samples. Before this share of a run and this
# many cycles, samples are alike because nothing is learned yet.
ALIKE, EARLY, FEWEST_CYCLES = 0.4, 0.1, 200

# Absurd: the root mean square of all parameters (0.01 to 3 at the start), and the median of losses.
LARGEST_PARAMETER, LARGEST_LOSS = 1e3, 1e4

# Median AUC: the discriminator is blind this near to 0.5 (FEWEST lines), sure this near to 0 or 1 (MOST), and
# weak below this (MOST) while its own loss is above that of the first line.
BLIND, SURE, WEAK = 0.2, 0.005, 0.01

# A gradient norm has faded when its median is below this share of the largest median of FEWEST lines.
FADED = 0.02

# A jump: a gradient norm, or the gap between scores (at least SMALLEST_GAP), is so many times its median.
LARGE, SMALLEST_GAP = 30.0, 0.1

# An oscillation: so many changes of the AUC between these sides within MOST lines.
LOW, HIGH, SWINGS = 0.2, 0.8, 8

# Indistinguishable: median AUC of MOST lines this near to 0.5, and their quartiles, after one of FEWEST lines
# of at least TOLD.
EQUAL, QUARTILES, TOLD = 0.03, 0.12, 0.9

# No progress: over this share of the run, and so many scores, none was better by this share of the best.
STILL, SCORES, BETTER = 1 / 3, 3, 0.01

# Faults that explain what else is seen afterwards.
CAUSES = {
    "absurd sizes",
    "still generator",
    "still discriminator",
    "dead discriminator",
    "weak discriminator",
    "saturated discriminator",
    "oscillation",
}

ROLES = ("generator", "discriminator")


@dataclass(frozen=True)
class Finding:
    """Something that the watch saw: what, in words, and what to change first."""

    kind: str
    seen: str
    change: str

    def __str__(self) -> str:
        return f"{self.seen}. {self.change[0].upper()}{self.change[1:]}"


class Diagnostics:
    """Follows a run from log line to log line. `past` are the lines of its log, `reported` known kinds.

    `ends` says that the last line shows what `train.stop` waits for.
    """

    def __init__(
        self,
        plan: Plan,
        past: Iterable[Mapping[str, Any]] = (),
        reported: Iterable[str] = (),
        unit: Unit | None = None,
    ) -> None:
        self.ends = False
        self._unit = unit or Unit()
        self._plan = plan
        self._past: deque[Mapping[str, float]] = deque(maxlen=MOST)
        self._largest = dict.fromkeys(ROLES, 0.0)
        self._first_loss: float | None = None  # of the discriminator, before it has learned
        self._told = False
        self._best: tuple[float, float, int] | None = None  # score (lower is better), share, images
        self._scored = 0  # lines with a score since then
        self._reported: set[str] = set()
        for record in past:
            self.look(record)
        self._reported |= set(reported)

    def look(self, record: Mapping[str, Any]) -> list[Finding]:
        """What a log line shows for the first time."""
        values = record["values"]
        gap = abs(values.get("score_real", 0.0) - values.get("score_fake", 0.0))
        self._past.append({**values, "gap": gap, "images": record["images"]})
        if self._first_loss is None:
            self._first_loss = values.get("loss_discriminator")
        found = [*self._progress(record), *self._sizes()]
        if len(self._past) > FEWEST:
            faults = self._dead() or self._still() or self._one_sided()
            faults = faults or [*self._gradients(), *self._swings()]
            found += faults or self._indistinguishable()
        found = self._unexplained(found)
        self.ends = self._plan.train.stop in {finding.kind for finding in found}
        return self._fresh(found)

    def look_at_samples(self, share: float, steps: int, spread: float | None) -> list[Finding]:
        """Whether samples with that `spread` are alike, at this share of the run, after `steps` cycles."""
        if spread is None or share < EARLY or steps < FEWEST_CYCLES or spread >= ALIKE:
            return []
        seen = (
            f"the samples are nearly alike: they are {spread:.2f} times as far apart as real ones (mode "
            "collapse?). Look at the newest file in samples/ first"
        )
        change = "try a loss with a gradient penalty (+wgan-gp), a lower generator.lr, or a larger batch"
        return self._fresh(self._unexplained([Finding("collapse", seen, change)]))

    def _unexplained(self, found: Iterable[Finding]) -> list[Finding]:
        causes = self._reported & CAUSES
        return [finding for finding in found if not causes - {finding.kind} or finding.kind == "plateau"]

    def _fresh(self, found: Iterable[Finding]) -> list[Finding]:
        fresh = {finding.kind: finding for finding in found if finding.kind not in self._reported}
        self._reported |= fresh.keys()
        return list(fresh.values())

    def _sizes(self) -> list[Finding]:
        """Sizes that are absurd, whatever they were before."""
        sizes = {}
        for role in ROLES:
            size, loss = self._past[-1].get(f"parameter_rms_{role}", 0.0), self._median(f"loss_{role}")
            sizes[f"the root mean square of the {role}'s parameters is"] = size, LARGEST_PARAMETER
            sizes[f"the {role}'s loss is"] = loss, LARGEST_LOSS
        absurd = [f"{what} {size:.3g}" for what, (size, limit) in sizes.items() if size > limit]
        seen = f"the sizes are absurd: {', '.join(absurd)}"
        change = f"start again with usual rates (1e-5 to 1e-2): {self._lower(*ROLES, most=2e-4)}"
        return [Finding("absurd sizes", seen, change)] if absurd else []

    def _still(self) -> list[Finding]:
        """Networks that get gradients, while their parameters keep the same size to the last digit."""
        found = []
        for role in ROLES:
            sizes = [line.get(f"parameter_rms_{role}") for line in list(self._past)[-FEWEST:]]
            same = sizes[0] is not None and sizes.count(sizes[0]) == len(sizes)
            if same and self._median(f"gradient_norm_{role}") > 0:
                rate = options_at(getattr(self._plan, role), 0.0, 0).lr
                seen = (
                    f"the {role} does not change: the root mean square of its parameters is {sizes[0]:.6g} "
                    f"in all of the last {FEWEST} log lines"
                )
                change = f"{role}.lr is {rate:g}: a higher one lets it learn"
                found.append(Finding(f"still {role}", seen, change))
        return found

    def _dead(self) -> list[Finding]:
        """A discriminator that tells nothing, of which the generator cannot learn."""
        auc, faded = self._auc(FEWEST), self._faded("discriminator", FEWEST)
        if auc is None:
            return []
        equal = all(line["score_auc"] == 0.5 for line in list(self._past)[-FEWEST:])
        if not equal and (abs(auc - 0.5) > BLIND or not faded):
            return []
        seen = (
            "the discriminator is dead: it gives real and generated samples nearly the same scores (AUC "
            f"{auc:.2f}), and {faded or 'all of them are equal'}. The generator can learn nothing from it"
        )
        change = f"start again with a lower rate: {self._lower('discriminator')}; or another loss (+wgan-gp)"
        return [Finding("dead discriminator", seen, change)]

    def _one_sided(self) -> list[Finding]:
        """A discriminator that is always wrong, or so surely right that nobody can learn any more."""
        long = self._auc(MOST)
        if long is None:
            return []
        faded = {role: fell for role in ROLES if (fell := self._faded(role, FEWEST))}
        lower = self._lower("discriminator")
        loss = statistics.median(line.get("loss_discriminator", 0.0) for line in list(self._past)[-FEWEST:])
        if long <= WEAK and self._first_loss is not None and loss > self._first_loss:
            # Wrong, not a loss that wants low scores for real samples: its own loss tells these two apart.
            seen = (
                "the discriminator does not keep up: it takes generated samples for real ones and the "
                f"reverse (AUC {long:.3f}), and its loss rose from {self._first_loss:.3g} to {loss:.3g}"
            )
            change = (
                f"start again with a higher discriminator.lr; or a lower rate: {self._lower('generator')}"
            )
            return [Finding("weak discriminator", seen, change)]
        if abs(long - 0.5) >= 0.5 - SURE and faded:
            seen = (
                "the discriminator is saturated: it tells all real from generated samples (AUC "
                f"{long:.3f}), and {' and '.join(faded.values())}. The generator cannot follow it"
            )
            change = f"start again with a lower rate: {lower}; or a loss that does not saturate (+wgan-gp)"
            return [Finding("saturated discriminator", seen, change)]
        return []

    def _gradients(self) -> list[Finding]:
        """Gradients that fade, whatever the scores are; and jumps against the median of the lines before."""
        found = []
        for role, other in (ROLES, ROLES[::-1]):
            if fell := self._faded(role, MOST):
                seen = f"the {role} hardly learns any more: {fell}. The {other} may be too strong"
                found.append(Finding(f"small {role}", seen, f"try a lower {other}.lr, or another loss"))
        jumps = {f"the gradient norm of the {role} is": (f"gradient_norm_{role}", 1e-12) for role in ROLES}
        jumps["the gap between scores of real and generated samples is"] = ("gap", SMALLEST_GAP)
        for what, (name, smallest) in jumps.items():
            now, before = self._past[-1].get(name, 0.0), self._median(name, slice(0, -1))
            if now > LARGE * max(before, smallest):
                seen = f"training takes very large steps: {what} {now:.3g}, it was {before:.3g} before"
                change = f"try lower rates: {self._lower(*ROLES)}; or a gradient penalty"
                found.append(Finding("large steps", seen, change))
        return found

    def _swings(self) -> list[Finding]:
        """Each player in turn is far ahead of the other."""
        known = [line["score_auc"] for line in self._past if "score_auc" in line]
        sides = [auc >= HIGH for auc in known if not LOW < auc < HIGH]
        swings = sum(first != second for first, second in pairwise(sides))
        seen = (
            f"the two networks oscillate: {swings} times in {len(known)} log lines the discriminator went "
            f"from right (AUC above {HIGH}) to wrong (below {LOW}) or back"
        )
        change = f"lower both rates: {self._lower(*ROLES)}; less momentum (betas); or a gradient penalty"
        return [Finding("oscillation", seen, change)] if swings >= SWINGS else []

    def _indistinguishable(self) -> list[Finding]:
        """The discriminator could tell real from generated samples, and cannot any more, though it learns."""
        recent, auc = self._auc(FEWEST), self._auc(MOST)
        self._told = self._told or (recent is not None and recent >= TOLD)
        if auc is None or abs(auc - 0.5) > EQUAL or not self._told:
            return []
        low, _, high = statistics.quantiles((line["score_auc"] for line in self._past), n=4)
        if low < 0.5 - QUARTILES or high > 0.5 + QUARTILES:
            return []
        seen = (
            "the discriminator can no longer tell real from generated samples: since "
            f"{self._unit.count(int(self._past[0]['images']))} it is right as often as wrong (AUC {auc:.2f})"
        )
        change = "compare the samples with real ones, and the scores: if they are good, you can stop"
        return [Finding("indistinguishable", seen, change)]

    def _progress(self, record: Mapping[str, Any]) -> list[Finding]:
        """No better score of `keep_best` over a third of the run."""
        train = self._plan.train
        share = train.share(record["images"], record.get("seconds", 0.0))
        score = train.score({**record["values"], **record.get("scores", {})})
        if score is None:
            return []
        if self._best is None or score[1] < self._best[0] - BETTER * abs(self._best[0]):
            self._best, self._scored = (score[1], share, record["images"]), 0
            return []
        best, then, images = self._best
        self._scored += 1
        if share - then < STILL - 1e-9 or self._scored < SCORES:
            return []
        sign = -1 if train.keep_best.startswith("max:") else 1
        seen = (
            f"no progress: {score[0]} has not become better for a third of the run, since "
            f"{self._unit.count(images)} ({sign * best:.3g}; now {sign * score[1]:.3g})"
        )
        change = "stop here and use the best checkpoint (--stop plateau does so), or try lower rates"
        return [Finding("plateau", seen, change)]

    def _median(self, name: str, lines: slice = slice(-FEWEST, None)) -> float:
        """The median of the size of a value; 0 if fewer than FEWEST lines have it."""
        known = [abs(line[name]) for line in list(self._past)[lines] if name in line]
        return statistics.median(known) if len(known) >= FEWEST else 0.0

    def _auc(self, count: int) -> float | None:
        """The median AUC of so many lines; None if fewer have it."""
        known = [line["score_auc"] for line in list(self._past)[-count:] if "score_auc" in line]
        return statistics.median(known) if len(known) == count else None

    def _faded(self, role: str, count: int) -> str:
        """How far the median of so many gradient norms fell below the largest one; empty if it did not."""
        name = f"gradient_norm_{role}"
        largest = self._largest[role] = max(self._median(name), self._largest[role])
        now = self._median(name, slice(-count, None))
        fell = len(self._past) >= count and now < FADED * largest
        return f"the gradient norm of the {role} fell from {largest:.3g} to {now:.3g}" if fell else ""

    def _lower(self, *roles: str, most: float = 1.0) -> str:
        """The options that set a tenth of these rates, or `most` where that is less."""
        rates = {role: min(most, options_at(getattr(self._plan, role), 0.0, 0).lr / 10) for role in roles}
        return " ".join(f"--set {role}.lr={rate:.2g}" for role, rate in rates.items())
