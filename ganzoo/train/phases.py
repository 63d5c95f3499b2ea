"""The two phases of the game: one step of the discriminators, one step of the generators.

A phase is a function of (parameters, random stream, real batch). It never waits for the device, so that
a CUDA graph can hold it: what it measures goes to the meter as tensors, read at log ticks only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganzoo.api import Batch, Loss, Networks, View
from ganzoo.networks import noise_fields
from ganzoo.train.engine import Engine
from ganzoo.train.optim import Side
from ganzoo.train.view import GameView, generated


@dataclass(frozen=True)
class Penalty:
    """A term of one role, ready to be computed."""

    name: str
    role: str
    function: Callable[[View], Tensor]
    every: int
    second_order: bool


@dataclass(frozen=True)
class Drawn:
    """What the generators made in one step: the batch of each game, all from the same noise."""

    noise: Batch
    fakes: list[Batch]


class Meter:
    """Sums of what the phases measure, kept on the device until a log tick reads their means."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add one measurement, the mean of a tensor of any shape. In place: a CUDA graph repeats it."""
        value = value.detach().mean()
        if name not in self.sums:
            self.sums[name], self.counts[name] = torch.zeros_like(value), torch.zeros_like(value)
        self.sums[name].add_(value)
        self.counts[name].add_(1)

    def read(self) -> dict[str, float]:
        """The means since the last call; this waits for the device."""
        if not self.sums:
            return {}
        sums = torch.stack([*self.sums.values(), *self.counts.values()]).tolist()
        means = zip(self.sums, sums[: len(self.sums)], sums[len(self.sums) :], strict=True)
        torch._foreach_zero_([*self.sums.values(), *self.counts.values()])
        return {name: total / count for name, total, count in means if count}


class Phases:
    """Both phases over one set of networks, with the loss and terms of a plan."""

    def __init__(
        self,
        networks: Networks,
        sides: Mapping[str, Side],
        engine: Engine,
        meter: Meter,
        loss: Loss,
        penalties: Mapping[str, list[Penalty]],
        *,
        paired: bool = False,
        reuse_fakes: bool = False,
        joint: Collection[str] = (),
    ) -> None:
        """`joint` names the discriminators that may judge real and generated samples in one batch."""
        self.networks = networks
        self.sides = sides
        self.engine = engine
        self.meter = meter
        self.loss = loss
        self.penalties = penalties
        self.paired = paired
        self.reuse_fakes = reuse_fakes
        self.joint = frozenset(joint)
        self.noise_fields = noise_fields(self.networks)
        self._kept: Drawn | None = None

    def discriminator(self, real: Batch, count: int, step: int, last: bool) -> None:
        """One step of all discriminators on `count` real samples and as many generated ones.

        `last`: the generators' phase is next, which may reuse the generated samples.
        """
        keep = last and self.reuse_fakes
        drawn = self._drawn(real, count, learn=keep)
        if keep:
            self._kept = drawn
        self.sides["discriminator"].descend(self._total("discriminator", real, drawn, step))

    def generator(self, real: Batch, count: int, step: int) -> None:
        """One step of all generators; `real` gives conditions, and scores to paired losses."""
        drawn = self._kept or self._drawn(real, count, learn=True)
        self._kept = None
        self.sides["generator"].descend(self._total("generator", real, drawn, step))

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

    def _drawn(self, real: Batch, count: int, learn: bool) -> Drawn:
        noise = self.engine.noise(self.noise_fields, count)
        with self.engine.autocast(), torch.set_grad_enabled(learn):
            generators = [self.networks.generators[game.generator] for game in self.networks.games]
            return Drawn(noise, [generated(net, real, noise) for net in generators])

    def _total(self, role: str, real: Batch, drawn: Drawn, step: int) -> Tensor:
        total = torch.zeros((), device=self.engine.device)
        for game, fake in zip(self.networks.games, drawn.fakes, strict=True):
            view = GameView(
                self.networks,
                game,
                self.engine,
                learns=role,
                real=real,
                fake=fake,
                noise=drawn.noise,
                joint=game.discriminator in self.joint,
            )
            with self.engine.autocast():
                total = total + self._adversarial(role, view)
            total = total + self._regularisers(role, view, step)
        return total

    def _adversarial(self, role: str, view: View) -> Tensor:
        if role == "discriminator":
            real, fake = view.real_outputs["score"], view.fake_outputs["score"]
            loss = self.loss.discriminator(real, fake)
            self.meter.add("score_real", real)
            self.meter.add("score_fake", fake)
        else:
            fake = view.fake_outputs["score"]
            loss = self.loss.generator(fake, view.real_outputs["score"] if self.paired else None)
        self.meter.add(f"loss_{role}", loss)
        return loss

    def _regularisers(self, role: str, view: View, step: int) -> Tensor:
        total = torch.zeros((), device=self.engine.device)
        for penalty in self.penalties[role]:
            if step % penalty.every == 0:
                # A bf16 double backward was off by up to 15 % in a conv critic's gradients.
                with self.engine.autocast(enabled=not penalty.second_order):
                    value = penalty.function(view)
                self.meter.add(penalty.name, value)
                total = total + value * penalty.every
        return total
