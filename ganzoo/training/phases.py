"""The two phases of the game: one step of the discriminators, one step of the generators.

A phase is a function of (parameters, random stream, real batch). It never waits for the device, so that
a CUDA graph can hold it: what it measures goes to the meter as tensors, read at log ticks only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganzoo.api.networks import Networks
from ganzoo.api.training import Augmentation, Batch, Loss, View
from ganzoo.networks.apply import noise_fields
from ganzoo.training.compute.device import Engine
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.microbatches import MicroBatching
from ganzoo.training.player import Player
from ganzoo.training.replay_buffer import ReplayBuffer
from ganzoo.training.shards import Shard, StepRandom, shards
from ganzoo.training.step_snapshot import StepSnapshot
from ganzoo.training.view import GameView, generated
from ganzoo.util.error_notes import Blame

ROLES = ("generator", "discriminator")
MEASURED = (
    "score_real",
    "score_fake",
    *(f"{what}_{role}" for what in ("loss", "gradient_norm") for role in ROLES),
)
"""What each run's log has, beside its penalties by name and, where steps may be skipped, their share."""


@dataclass(frozen=True)
class Penalty:
    """A term of one role, ready to be computed."""

    name: str
    role: str
    function: Callable[[View], Tensor]
    every: int
    second_order: bool


@dataclass(frozen=True)
class GeneratedBatch:
    """What the generators made of one part of a batch: of each game the samples, and their noise."""

    noises: list[Batch]
    fakes: list[Batch]


class Meter:
    """Sums of what the phases measure, kept on the device until a log tick reads their means.

    A `tolerant` meter leaves out what is not finite. Means are those of all ranks.
    """

    def __init__(self, ranks: Ranks | None = None, tolerant: bool = False) -> None:
        self.ranks = ranks or Ranks()
        self.tolerant = tolerant
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor, weight: float = 1.0) -> None:
        """Add the mean of a tensor of any shape, measured in a whole step or in a part of that weight.

        In place: a CUDA graph repeats it.
        """
        value = value.detach().float().mean()
        if name not in self.sums:
            self.sums[name], self.counts[name] = torch.zeros_like(value), torch.zeros_like(value)
        if self.tolerant:
            finite = torch.isfinite(value)
            self.sums[name].add_(torch.where(finite, value, 0.0), alpha=weight)
            self.counts[name].add_(finite, alpha=weight)
        else:
            self.sums[name].add_(value, alpha=weight)
            self.counts[name].add_(weight)

    def totals(self) -> tuple[Batch, Batch]:
        """Sums and counts of all ranks together, in the order of their names."""
        names = sorted(self.sums)
        if not names:
            return {}, {}
        both = torch.stack([*(self.sums[name] for name in names), *(self.counts[name] for name in names)])
        self.ranks.add_up([both])
        sums, counts = both.chunk(2)
        return dict(zip(names, sums, strict=True)), dict(zip(names, counts, strict=True))

    def means(self) -> dict[str, float]:
        """The means since the last `read`; this waits for the device."""
        sums, counts = self.totals()
        if not sums:
            return {}
        numbers = torch.stack([*sums.values(), *counts.values()]).tolist()
        means = zip(sums, numbers[: len(sums)], numbers[len(sums) :], strict=True)
        return {name: total / count for name, total, count in means if count}

    def read(self) -> dict[str, float]:
        """The means, and begin new ones."""
        means = self.means()
        if self.sums:
            torch._foreach_zero_([*self.sums.values(), *self.counts.values()])
        return means


class Phases:
    """Both phases over one set of networks, with the loss and terms of a plan."""

    def __init__(
        self,
        networks: Networks,
        players: Mapping[str, Player],
        engine: Engine,
        meter: Meter,
        loss: Loss,
        penalties: Mapping[str, list[Penalty]],
        *,
        augmentation: Augmentation | None = None,
        images: Collection[str] = (),
        paired: bool = False,
        reuse_fakes: bool = False,
        joint: Collection[str] = (),
        memory: MicroBatching | None = None,
        stateful: Collection[nn.Module] = (),
        replay: ReplayBuffer | None = None,
    ) -> None:
        """`joint` names the discriminators that may judge real and generated samples in one batch.

        An augmentation changes those of the fields `images` that a discriminator reads.
        """
        self.networks = networks
        self.players = players
        self.engine = engine
        self.meter = meter
        self.loss = loss
        self.penalties = penalties
        self.augmentation = augmentation
        self.images = frozenset(images)
        self.paired = paired
        self.reuse_fakes = reuse_fakes
        self.joint = frozenset(joint)
        self.memory = memory or MicroBatching()
        self.stateful = tuple(stateful)
        self.replay = replay
        self.noise_fields = noise_fields(self.networks)
        self._kept: dict[Shard, GeneratedBatch] = {}
        self._kept_noise: Batch = {}

    def discriminator(self, real: Batch, count: int, step: int, last: bool) -> None:
        """One step of all discriminators on `count` real samples and as many generated ones.

        `count` is the global batch, `real` this rank's share of it. `last`: the generators' phase is
        next, which may reuse the generated samples.
        """
        self._learn("discriminator", real, count, step, keep=last and self.reuse_fakes)

    def generator(self, real: Batch, count: int, step: int) -> None:
        """One step of all generators; `real` gives conditions, and scores to paired losses."""
        self._learn("generator", real, count, step, keep=False)

    def _learn(self, role: str, real: Batch, count: int, step: int, keep: bool) -> None:
        try:
            self._step(role, real, count, step, keep)
        except BaseException:
            # What is kept for the other phase may be memory of a broken capture, which no kernel wrote.
            self._kept.clear()
            self._kept_noise = {}
            raise

    def _step(self, role: str, real: Batch, count: int, step: int, keep: bool) -> None:
        """Gradients of this rank's share of the batch, part after part, then one step."""
        player, random = self.players[role], StepRandom(self.engine)
        noise = self._kept_noise or self.engine.noise(self.noise_fields, count)
        snapshot = StepSnapshot(player, self._modules()) if player.skips else None
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
                self.memory.halve(error, len(self.engine.ranks.share(count)))
            self.memory.release()  # only here has the error let go of what it held
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
        self, role: str, real: Batch, noise: Batch, random: StepRandom, count: int, step: int, keep: bool
    ) -> None:
        share = self.engine.ranks.share(count)
        shared = shards(share, count, self.memory.at_once, self.memory.pack)
        # The graphs of several parts would need as much memory as the whole: their samples are made again.
        keep = keep and len(shared) == 1
        learns = keep or role == "generator"
        for shard in shared:
            random.begin(shard)
            rows = shard.rows(real, share.start)
            drawn = self._kept.get(shard) or self._drawn(rows, shard.rows(noise), learns)
            if keep:
                self._kept[shard] = drawn
            if self.replay is not None and role == "discriminator":
                drawn = self._replayed(self.replay, drawn, shard)
            total = self._total(role, rows, drawn, step, random, shard.weight)
            self.players[role].add_gradients(total if shard.weight == 1 else total * shard.weight)

    def parts(self) -> dict[str, object]:
        """All that a step computes with and that a plugin wrote, by names for messages."""
        named: dict[str, object] = {"the loss": self.loss, "the augmentation": self.augmentation}
        for role in ROLES:
            named |= {f"the term '{term.name}'": term.function for term in self.penalties[role]}
            named |= {f"a constraint of the {role}s": self.players[role].constraints}
        nets = {"generator": self.networks.generators, "discriminator": self.networks.discriminators}
        for role, those in nets.items():
            named |= {f"the {role} '{name}'": net.module for name, net in those.items()}
        return named

    def _modules(self) -> list[nn.Module]:
        nets = (*self.networks.generators.values(), *self.networks.discriminators.values())
        return [*(net.module for net in nets), *self.stateful]

    def due(self, steps: int, n_critic: int) -> tuple[tuple[str, ...], ...]:
        """The terms of each step of a cycle: cycles with equal ones do the same work."""
        turns = [("discriminator", steps * n_critic + turn) for turn in range(n_critic)]
        return tuple(
            tuple(penalty.name for penalty in self.penalties[role] if step % penalty.every == 0)
            for role, step in (*turns, ("generator", steps))
        )

    def reads(self, role: str, data: set[str]) -> list[str]:
        """The data fields that a phase of this role needs."""
        nets = [*self.networks.generators.values(), *self.networks.discriminators.values()]
        if role == "discriminator" or self.paired or self.penalties["generator"]:
            return sorted({name for net in nets for name in (*net.reads, *net.writes)} & data)
        needed: set[str] = set()
        for game in self.networks.games:
            generator = self.networks.generators[game.generator]
            judged = self.networks.discriminators[game.discriminator].reads
            needed |= set(generator.reads) | (set(judged) - set(generator.writes))
        return sorted(needed & data)

    def _drawn(self, real: Batch, noise: Batch, learn: bool) -> GeneratedBatch:
        with self.engine.autocast(), torch.set_grad_enabled(learn):
            generators = [self.networks.generators[game.generator] for game in self.networks.games]
            fakes = [generated(net, real, noise) for net in generators]
            return GeneratedBatch([noise] * len(fakes), fakes)

    def _replayed(self, replay: ReplayBuffer, drawn: GeneratedBatch, shard: Shard) -> GeneratedBatch:
        """Some samples exchanged for earlier ones, together with all that those were made from."""
        games = zip(drawn.noises, drawn.fakes, strict=True)
        mixed = [replay.mixed(game, {**noise, **fake}, shard) for game, (noise, fake) in enumerate(games)]
        return GeneratedBatch(
            [{name: both[name] for name in noise} for noise, both in zip(drawn.noises, mixed, strict=True)],
            [{name: both[name] for name in fake} for fake, both in zip(drawn.fakes, mixed, strict=True)],
        )

    def _total(
        self,
        role: str,
        real: Batch,
        drawn: GeneratedBatch,
        step: int,
        random: StepRandom,
        weight: float = 1.0,
    ) -> Tensor:
        total = torch.zeros((), device=self.engine.device)
        for game, noise, fake in zip(self.networks.games, drawn.noises, drawn.fakes, strict=True):
            view = GameView(
                self.networks,
                game,
                random,
                learns=role,
                real=real,
                fake=fake,
                noise=noise,
                joint=game.discriminator in self.joint,
                augmentation=self.augmentation,
                images=self.images,
            )
            with self.engine.autocast():
                total = total + self._adversarial(role, view, weight)
            total = total + self._regularisers(role, view, step, weight)
        return total

    def _adversarial(self, role: str, view: View, weight: float) -> Tensor:
        if role == "discriminator":
            real, fake = view.real_outputs["score"], view.fake_outputs["score"]
            with Blame("the loss"):
                loss = self.loss.discriminator(real, fake)
            if self.augmentation is not None:
                self.augmentation.observe(real.detach())
            self.meter.add("score_real", real, weight)
            self.meter.add("score_fake", fake, weight)
        else:
            fake = view.fake_outputs["score"]
            given = view.real_outputs["score"] if self.paired else None
            with Blame("the loss"):
                loss = self.loss.generator(fake, given)
        self.meter.add(f"loss_{role}", loss, weight)
        return loss

    def _regularisers(self, role: str, view: GameView, step: int, weight: float) -> Tensor:
        total = torch.zeros((), device=self.engine.device)
        for penalty in self.penalties[role]:
            if step % penalty.every == 0:
                # A bf16 double backward was off by up to 15 % in a conv critic's gradients.
                blame = Blame(f"the term '{penalty.name}'", view.contents)
                with blame, self.engine.autocast(enabled=not penalty.second_order):
                    value = penalty.function(view)
                self.meter.add(penalty.name, value, weight)
                total = total + value * penalty.every
        return total
