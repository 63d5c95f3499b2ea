"""The two phases of a cycle: one step of the discriminators, one step of the generators.

A phase is a function of (parameters, random stream, real batch). It never waits for the device, so that
it can be captured as a CUDA graph: measurements go to the meter as tensors, and only log ticks read them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganzoo.api.networks import Networks
from ganzoo.api.training import Batch
from ganzoo.data.batches import Batches
from ganzoo.fields import Field
from ganzoo.networks.apply import noise_fields
from ganzoo.training.compute.device import Engine
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.microbatches import MicroBatching
from ganzoo.training.objective import Objective
from ganzoo.training.player import Player
from ganzoo.training.replay_buffer import ReplayBuffer
from ganzoo.training.schedules import Schedules
from ganzoo.training.shards import Shard, StepRandom, shards
from ganzoo.training.step_snapshot import StepSnapshot
from ganzoo.training.view import GameView, Generated, generated
from ganzoo.util.error_notes import Blame

ROLES = ("generator", "discriminator")
MEASURED = (
    "score_real",
    "score_fake",
    "score_auc",
    *(f"{what}_{role}" for what in ("loss", "gradient_norm", "parameter_rms") for role in ROLES),
)
"""Values in every run's log. It also has its penalties by name and, with `on_nan` "skip", skipped steps."""


class Meter:
    """Sums of the measurements of the phases, kept on the device until a log tick reads their means.

    A `tolerant` meter ignores values that are not finite. Means are over all ranks.
    """

    def __init__(self, ranks: Ranks | None = None, tolerant: bool = False) -> None:
        self.ranks = ranks or Ranks()
        self.tolerant = tolerant
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}
        self._half: Tensor | None = None  # kept: a new constant would be one more kernel in each step

    def add(self, name: str, value: Tensor, weight: float = 1.0) -> None:
        """Add the mean of a tensor of any shape, with the weight of its shard (1 for a whole step).

        It works in place, so that a CUDA graph can replay it.
        """
        self.add_means({name: value.detach().float().mean()}, weight)

    def add_scores(self, real: Tensor, fake: Tensor, weight: float) -> None:
        """Add the means of scores, and how often a real one is higher than a generated one.

        These three need as many kernels as two calls of `add`.
        """
        real, fake = (scores.detach().float().flatten() for scores in (real, fake))
        if self._half is None:
            self._half = real.new_full((), 0.5)
        means = torch.stack([real, fake, higher(real, fake, self._half)]).mean(1)
        self.add_means(
            dict(zip(("score_real", "score_fake", "score_auc"), means.unbind(), strict=True)), weight
        )

    def add_means(self, means: Mapping[str, Tensor], weight: float) -> None:
        """Add scalars, with the weight of their shard."""
        for name, value in means.items():
            if name not in self.sums:
                self.sums[name], self.counts[name] = torch.zeros_like(value), torch.zeros_like(value)
        sums, counts = ([kept[name] for name in means] for kept in (self.sums, self.counts))
        values = list(means.values())
        if self.tolerant:
            finite = [torch.isfinite(value) for value in values]
            values = [torch.where(kept, value, 0.0) for kept, value in zip(finite, values, strict=True)]
            for count, kept in zip(counts, finite, strict=True):
                count.add_(kept, alpha=weight)
        else:
            torch._foreach_add_(counts, weight)
        torch._foreach_add_(sums, values, alpha=weight)

    def totals(self) -> tuple[Batch, Batch]:
        """Sums and counts over all ranks, sorted by name."""
        names = sorted(self.sums)
        if not names:
            return {}, {}
        both = torch.stack([*(self.sums[name] for name in names), *(self.counts[name] for name in names)])
        self.ranks.add_up([both])
        sums, counts = both.chunk(2)
        return dict(zip(names, sums, strict=True)), dict(zip(names, counts, strict=True))

    def means(self) -> dict[str, float]:
        """The means since the last `read`. This waits for the device."""
        sums, counts = self.totals()
        if not sums:
            return {}
        numbers = torch.stack([*sums.values(), *counts.values()]).tolist()
        means = zip(sums, numbers[: len(sums)], numbers[len(sums) :], strict=True)
        return {name: total / count for name, total, count in means if count}

    def read(self) -> dict[str, float]:
        """Return the means and reset them."""
        means = self.means()
        if self.sums:
            torch._foreach_zero_([*self.sums.values(), *self.counts.values()])
        return means


def higher(real: Tensor, fake: Tensor, half: Tensor) -> Tensor:
    """Whether the real one of each pair of scores is higher: 1, 0, or `half` (0.5) for equal scores.

    The mean is the area under the ROC curve (AUC; Hanley and McNeil 1982), which depends neither on the scale
    nor on the zero of scores: 0.5 when they do not tell real from generated samples, 1 when they always do.
    """
    return torch.heaviside(real - fake, half)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of generated samples that are not those of the real batch (`train.conditions`).

    `names`: those that each generator reads. `uniform` are drawn, each class equally likely; `others` come
    from rows of a `table` with this `fingerprint`, or else from other samples of the data.
    """

    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    uniform: tuple[Field, ...] = ()
    others: tuple[str, ...] = ()
    table: Batches | None = None
    fingerprint: str = ""

    def of(self, generator: str, batch: Batch) -> Batch:
        """The conditions of that generator in a batch."""
        return {name: batch[name] for name in self.names.get(generator, ()) if name in batch}


@dataclass(eq=False, kw_only=True)
class Phases:
    """Both phases for one set of networks, with the loss and terms of a plan.

    `joint` names the discriminators that may score real and generated samples in one batch. `images` names
    the fields that the augmentation changes, if a discriminator reads them.
    """

    networks: Networks
    players: Mapping[str, Player]
    engine: Engine
    meter: Meter
    objective: Objective
    images: Collection[str] = ()
    reuse_fakes: bool = False
    joint: Collection[str] = ()
    memory: MicroBatching = field(default_factory=MicroBatching)
    conditions: Conditions = field(default_factory=Conditions)
    replay: ReplayBuffer | None = None
    schedules: Schedules | None = None

    def __post_init__(self) -> None:
        self.noise_fields = noise_fields(self.networks)
        self._drawn_fields = (*self.noise_fields, *self.conditions.uniform)
        self._kept: dict[Shard, list[Generated]] = {}
        self._kept_noise: Batch = {}

    def discriminator(
        self, real: Batch, count: int, step: int, last: bool, given: Batch | None = None
    ) -> None:
        """One step of all discriminators on `count` real samples and `count` generated ones.

        `count` is the global batch size, `real` is this rank's share. `last`: the generators' phase comes
        next and may reuse the generated samples. `given`: conditions in place of those of `real`.
        """
        self._learn("discriminator", real, given or {}, count, step, keep=last and self.reuse_fakes)

    def generator(self, real: Batch, count: int, step: int, given: Batch | None = None) -> None:
        """One step of all generators; `real` has their conditions, and the real samples for paired losses."""
        self._learn("generator", real, given or {}, count, step, keep=False)

    def _learn(self, role: str, real: Batch, given: Batch, count: int, step: int, keep: bool) -> None:
        try:
            self._step(role, real, given, count, step, keep)
        except BaseException:
            # What is kept for the other phase may be memory of a failed capture, which no kernel wrote.
            self._kept.clear()
            self._kept_noise = {}
            raise

    def _step(self, role: str, real: Batch, given: Batch, count: int, step: int, keep: bool) -> None:
        """Add up the gradients of this rank's share of the batch, shard by shard; then take one step."""
        player, random = self.players[role], StepRandom(self.engine)
        share = self.engine.ranks.share(count)
        own = Shard(share.start, share.stop, count)
        noise = self._kept_noise or own.rows(self.engine.noise(self._drawn_fields, count)) | given
        snapshot = StepSnapshot(player, self.modules) if player.skips else None
        replay = self.replay if role == "discriminator" else None
        if replay is not None:
            replay.begin(self.engine, count)
        while True:
            try:
                player.clear()
                if replay is not None:
                    replay.restart()
                self._add_gradients(role, real, noise, random, count, step, keep)
                break
            except (RuntimeError, MemoryError) as error:
                self._kept.clear()
                self.memory.halve(error, len(share))
            self.memory.release()  # not inside `except`: the error still holds the tensors there
        self._kept_noise = noise if keep else {}
        if not keep:
            self._kept.clear()
        if replay is not None:
            replay.end(count)
        norm = player.step()
        self.meter.add(f"gradient_norm_{role}", norm)
        if snapshot is not None:
            unsound = ~torch.isfinite(norm)
            snapshot.where(unsound)
            self.meter.add(f"skipped_{role}", unsound.float())

    def _add_gradients(
        self,
        role: str,
        real: Batch,
        noise: Batch,
        random: StepRandom,
        count: int,
        step: int,
        keep: bool,
    ) -> None:
        share = self.engine.ranks.share(count)
        shared = shards(share, count, self.memory.at_once, self.memory.pack)
        # The autograd graphs of all shards need as much memory as the whole batch: generate samples again.
        keep = keep and len(shared) == 1
        learns = keep or role == "generator"
        for shard in shared:
            random.begin(shard)
            rows = shard.rows(real, share.start)
            drawn = self._kept.get(shard) or self.draw(rows, shard.rows(noise, share.start), learn=learns)
            if keep:
                self._kept[shard] = drawn
            if self.replay is not None and role == "discriminator":
                drawn = self._replayed(self.replay, drawn, shard)
            total = self.total(role, rows, drawn, step, random, shard.weight)
            self.players[role].add_gradients(total if shard.weight == 1 else total * shard.weight)

    def parts(self) -> dict[str, object]:
        """The code of plugins that a step runs, by names for messages."""
        named: dict[str, object] = {
            "the loss": self.objective.loss,
            "the augmentation": self.objective.augmentation,
        }
        for role in ROLES:
            named |= {f"the term '{term.name}'": term.function for term in self.objective.penalties[role]}
            named |= {f"a constraint of the {role}s": self.players[role].constraints}
        nets = {"generator": self.networks.generators, "discriminator": self.networks.discriminators}
        for role, those in nets.items():
            named |= {f"the {role} '{name}'": net.module for name, net in those.items()}
        return named

    @property
    def modules(self) -> list[nn.Module]:
        """All modules with a state: the networks, and the stateful modules of the objective."""
        nets = (*self.networks.generators.values(), *self.networks.discriminators.values())
        return [*(net.module for net in nets), *self.objective.stateful.values()]

    def move_schedules(self, progress: float, images: int) -> None:
        """Give scheduled numbers the values of the next cycle."""
        if self.schedules is not None:
            self.schedules.move(progress, images)

    def due(self, steps: int, n_critic: int) -> tuple[tuple[str, ...], ...]:
        """The terms that are due in each step of a cycle. Cycles with the same terms do the same work."""
        turns = [("discriminator", steps * n_critic + turn) for turn in range(n_critic)]
        return tuple(
            tuple(penalty.name for penalty in self.objective.penalties[role] if step % penalty.every == 0)
            for role, step in (*turns, ("generator", steps))
        )

    def reads(self, role: str, data: set[str]) -> list[str]:
        """The data fields that a phase of this role needs."""
        nets = [*self.networks.generators.values(), *self.networks.discriminators.values()]
        if role == "discriminator" or self.objective.paired or self.objective.penalties["generator"]:
            return sorted({name for net in nets for name in (*net.reads, *net.writes)} & data)
        needed: set[str] = set()
        for game in self.networks.games:
            generator = self.networks.generators[game.generator]
            scored = set(self.networks.discriminators[game.discriminator].reads)
            needed |= set(generator.reads)
            if game.encoder:
                needed |= scored | set(self.networks.generators[game.encoder].reads)
            else:
                needed |= scored - set(generator.writes)
        return sorted(needed & data)

    def draw(self, real: Batch, noise: Batch, *, learn: bool) -> list[Generated]:
        """Generated samples of each game; with an autograd graph if the generators `learn` from them.

        Games of the same generator share its samples. `noise` may have conditions, which replace those of
        `real`.
        """
        own = {field.name: noise[field.name] for field in self.noise_fields}
        fakes: dict[str, Batch] = {}
        encoded: dict[str, Batch] = {"": {}}
        with self.engine.autocast(), torch.set_grad_enabled(learn):
            for name in dict.fromkeys(game.generator for game in self.networks.games):
                replaced = self.conditions.of(name, noise)
                fakes[name] = generated(self.networks.generators[name], {**real, **replaced}, own)
            for name in {game.encoder: None for game in self.networks.games if game.encoder}:
                net = self.networks.generators[name]
                whole = generated(net, real, own)
                encoded[name] = {key: whole[key] for key in net.writes}
        return [
            Generated(own, dict(fakes[game.generator]), encoded[game.encoder]) for game in self.networks.games
        ]

    def view(self, game: int, role: str, real: Batch, drawn: Generated, random: StepRandom) -> GameView:
        """What losses and terms can read of a game in a step of this role."""
        played = self.networks.games[game]
        return GameView(
            self.networks,
            played,
            random,
            learns=role,
            real=real,
            drawn=drawn,
            joint=played.discriminator in self.joint,
            augmentation=self.objective.augmentation,
            images=self.images,
            progress=None if self.schedules is None else self.schedules.progress,
        )

    def _replayed(self, replay: ReplayBuffer, drawn: list[Generated], shard: Shard) -> list[Generated]:
        """Exchange some samples for earlier ones from the pool, together with their noise."""
        mixed = [replay.mixed(game, {**made.noise, **made.fake}, shard) for game, made in enumerate(drawn)]
        return [
            Generated(
                {name: (made.noise if name in made.fake else both)[name] for name in made.noise},
                {name: both[name] for name in made.fake},
                made.encoded,
            )
            for made, both in zip(drawn, mixed, strict=True)
        ]

    def total(
        self,
        role: str,
        real: Batch,
        drawn: list[Generated],
        step: int,
        random: StepRandom,
        weight: float = 1.0,
    ) -> Tensor:
        """What this role minimises in a step, for a shard of that weight in the batch."""
        total = torch.zeros((), device=self.engine.device)
        for game, made in enumerate(drawn):
            view = self.view(game, role, real, made, random)
            with self.engine.autocast():
                total = total + self._adversarial(role, view, weight)
            total = total + self._regularisers(role, view, step, weight)
        return total

    def _adversarial(self, role: str, view: GameView, weight: float) -> Tensor:
        if role == "discriminator":
            real, fake = view.real_outputs["score"], view.fake_outputs["score"]
            with Blame("the loss"):
                loss = self.objective.loss.discriminator(real, fake)
            if self.objective.augmentation is not None:
                self.objective.augmentation.observe(real.detach())
            self.meter.add_scores(real, fake, weight)
        elif view.encodes:
            real, fake = view.real_outputs["score"], view.fake_outputs["score"]
            with Blame("the loss"):
                loss = self.objective.loss.discriminator(fake, real)
        else:
            fake = view.fake_outputs["score"]
            given = view.real_outputs["score"] if self.objective.paired else None
            with Blame("the loss"):
                loss = self.objective.loss.generator(fake, given)
        self.meter.add(f"loss_{role}", loss, weight)
        return loss

    def _regularisers(self, role: str, view: GameView, step: int, weight: float) -> Tensor:
        total = torch.zeros((), device=self.engine.device)
        for penalty in self.objective.penalties[role]:
            if step % penalty.every == 0:
                # A bf16 double backward was off by up to 15 % in a conv critic's gradients.
                blame = Blame(f"the term '{penalty.name}'", view.contents)
                with blame, self.engine.autocast(enabled=not penalty.second_order):
                    value = penalty.function(view)
                self.meter.add(penalty.name, value, weight)
                total = total + value * penalty.every
        return total
