"""What losses and terms see of one game in one step: the implementation of `api.View`."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ganzoo.api import Batch, Game, Networks
from ganzoo.networks import apply
from ganzoo.train.engine import Engine


class GameView:
    """One game of the networks with a real batch and the generated batch made from it.

    Outputs are computed on first use. `learns` names the role whose step this is: real samples are
    scored without a graph when the generator learns, and generated ones are detached when the
    discriminator learns.
    """

    def __init__(
        self, networks: Networks, game: Game, engine: Engine, learns: str, real: Batch, noise: Batch
    ) -> None:
        self._networks = networks
        self._game = game
        self._engine = engine
        self._noise = noise
        self._generator_learns = learns == "generator"
        self.real = real
        self.written = networks.generators[game.generator].writes
        with torch.set_grad_enabled(self._generator_learns):
            self.fake = self.generate(real)

    @cached_property
    def real_outputs(self) -> Batch:
        """Outputs of the discriminator for the real batch."""
        with torch.set_grad_enabled(not self._generator_learns):
            return self.discriminate(self.real)

    @cached_property
    def fake_outputs(self) -> Batch:
        """Outputs of the discriminator for the generated batch."""
        return self.discriminate(self.fake)

    def discriminate(self, batch: Batch) -> Batch:
        """The discriminator's outputs in float32, so that losses are computed in full precision."""
        outputs = apply(self._networks.discriminators[self._game.discriminator], batch)
        return {name: value.float() for name, value in outputs.items()}

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """`batch` with what a generator writes, in float32."""
        net = self._networks.generators[generator or self._game.generator]
        written = apply(net, {**batch, **self._noise})
        return {**batch, **{name: value.float() for name, value in written.items()}}

    def uniform(self, *shape: int) -> Tensor:
        """U(0, 1) on the run's device."""
        return self._engine.uniform(*shape)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) on the run's device."""
        return self._engine.normal(*shape)
