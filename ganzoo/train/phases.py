"""The two phases of the game: one step of the discriminators, one step of the generators.

A phase is a function of (parameters, random stream, real batch). It never waits for the device:
what it measures goes to the meter as tensors, read at log ticks only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganzoo.api import Batch, Loss, Networks, View
from ganzoo.networks import noise_fields
from ganzoo.train.engine import Engine
from ganzoo.train.optim import Side
from ganzoo.train.view import GameView


@dataclass(frozen=True)
class Penalty:
    """A term of one role, ready to be computed."""

    name: str
    role: str
    function: Callable[[View], Tensor]
    every: int
    second_order: bool


class Meter:
    """Sums of what the phases measure, kept on the device until a log tick reads their means."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add one measurement, the mean of a tensor of any shape."""
        value = value.detach().mean()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """The means since the last call; this waits for the device."""
        means = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class Phases:
    """Both phases over one set of networks, with the loss and terms of a plan."""

    def __init__(
        self,
        networks: Networks,
        loss: Loss,
        paired: bool,
        penalties: Mapping[str, list[Penalty]],
        engine: Engine,
        meter: Meter,
    ) -> None:
        self.networks = networks
        self.loss = loss
        self.paired = paired
        self.penalties = penalties
        self.engine = engine
        self.meter = meter
        self.noise_fields = noise_fields(networks)

    def discriminator(self, side: Side, real: Batch, count: int, step: int) -> None:
        """One step of all discriminators on `count` real samples and as many generated ones."""
        side.descend(self._total("discriminator", real, count, step))

    def generator(self, side: Side, real: Batch, count: int, step: int) -> None:
        """One step of all generators; `real` gives conditions, and scores to paired losses."""
        side.descend(self._total("generator", real, count, step))

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

    def _total(self, role: str, real: Batch, count: int, step: int) -> Tensor:
        noise = self.engine.noise(self.noise_fields, count)
        total = torch.zeros((), device=self.engine.device)
        for game in self.networks.games:
            with self.engine.autocast():
                view = GameView(self.networks, game, self.engine, role, real, noise)
                total = total + self._adversarial(role, view)
            total = total + self._regularisers(role, view, step)
        return total

    def _adversarial(self, role: str, view: View) -> Tensor:
        fake = view.fake_outputs["score"]
        real = view.real_outputs["score"] if role == "discriminator" or self.paired else None
        if role == "discriminator":
            assert real is not None  # noqa: S101 - tells the type checker what the line above decided
            loss = self.loss.discriminator(real, fake)
            self.meter.add("score_real", real)
            self.meter.add("score_fake", fake)
        else:
            loss = self.loss.generator(fake, real)
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
