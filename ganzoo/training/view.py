"""What losses and terms can read of one game in one step: the implementation of `api.View`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ganzoo.api.networks import Game, Net, Networks
from ganzoo.api.training import Augmentation, Batch
from ganzoo.networks.apply import apply
from ganzoo.training.shards import StepRandom


@dataclass(frozen=True)
class Generated:
    """Samples that a game's generator made for a shard, their noise, what its encoder made of real ones."""

    noise: Batch
    fake: Batch
    encoded: Batch = field(default_factory=dict)


class GameView:
    """One game of the networks with a real batch and the generated batch that belongs to it.

    Outputs are computed on first use. `learns` names the role whose step this is. In a generator step, real
    samples are scored without an autograd graph, unless an encoder learns from them; in a discriminator step,
    generated samples are detached, and with `joint` one call of the discriminator scores both batches.
    `guesses`: random numbers whose shape has a row for each sample are each sample's own unless the term says
    otherwise (plugin API 1).
    """

    def __init__(
        self,
        networks: Networks,
        game: Game,
        random: StepRandom,
        *,
        learns: str,
        real: Batch,
        drawn: Generated,
        joint: bool = False,
        augmentation: Augmentation | None = None,
        images: Collection[str] = (),
        progress: Callable[[], Tensor] | None = None,
    ) -> None:
        self._nets = {**networks.generators, **networks.discriminators}
        self._generator = networks.generators[game.generator]
        self._discriminator = networks.discriminators[game.discriminator]
        self._random = random
        self.noise = drawn.noise
        self._generator_learns = learns == "generator"
        self._joint = joint
        self._augmentation = augmentation
        self._images = [name for name in self._discriminator.reads if name in images]
        self._progress = progress
        self.encodes = bool(game.encoder)
        prior = {name: drawn.noise[name] for name in self._discriminator.reads if name in drawn.noise}
        self.real = {**prior, **real, **self._detached(drawn.encoded)}
        self.fake = {**prior, **self._detached(drawn.fake)}
        self.written = (*self._generator.writes, *drawn.encoded)
        self.guesses = False

    def _detached(self, batch: Batch) -> Batch:
        if self._generator_learns:
            return batch
        return {name: value.detach() for name, value in batch.items()}

    @property
    def progress(self) -> Tensor:
        """The done share of the run, a scalar on the device."""
        return torch.zeros(()) if self._progress is None else self._progress()

    @cached_property
    def real_outputs(self) -> Batch:
        """Outputs of the discriminator for the real batch."""
        if self._scores_jointly:
            return self._both_outputs[0]
        with torch.set_grad_enabled(self.encodes or not self._generator_learns):
            return self.discriminate(self.real)

    @cached_property
    def fake_outputs(self) -> Batch:
        """Outputs of the discriminator for the generated batch."""
        return self._both_outputs[1] if self._scores_jointly else self.discriminate(self.fake)

    @property
    def _scores_jointly(self) -> bool:
        return self._joint and not self._generator_learns

    @cached_property
    def _both_outputs(self) -> tuple[Batch, Batch]:
        """Outputs for both batches from one call: fewer, larger kernels."""
        both = {name: torch.cat([self.real[name], self.fake[name]]) for name in self._discriminator.reads}
        halves = {name: value.chunk(2) for name, value in self.discriminate(both).items()}
        return {name: half[0] for name, half in halves.items()}, {
            name: half[1] for name, half in halves.items()
        }

    def discriminate(self, batch: Batch) -> Batch:
        """The discriminator's outputs in float32, so that losses are computed in full precision.

        With an augmentation, the discriminator gets augmented samples.
        """
        if self._augmentation is not None and self._images:
            images = {name: batch[name] for name in self._images}
            # Augmentations move pixels by matrix products, which would blur them in bf16.
            with torch.autocast(images[self._images[0]].device.type, enabled=False):
                batch = {**batch, **self._augmentation(images, self._each_sample)}
        return {name: value.float() for name, value in apply(self._discriminator, batch).items()}

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """`batch` with the fields that a generator writes, in float32. Missing noise is that of the step."""
        net = self._nets[generator] if generator else self._generator
        return generated(net, batch, self.noise)

    def apply(self, name: str, batch: Batch) -> Batch:
        """What a network writes for `batch`, in float32. Missing noise is that of the step."""
        outputs = apply(self._nets[name], {**self.noise, **batch})
        return {key: value.float() for key, value in outputs.items()}

    def contents(self) -> str:
        """The fields that a term can read here, for messages."""
        return (
            f"the discriminator writes {', '.join(self._discriminator.writes)}; "
            f"samples have {', '.join(self.fake)}; noise is {', '.join(self.noise) or 'absent'}"
        )

    def uniform(self, *shape: int, per_sample: bool | None = None) -> Tensor:
        """U(0, 1) on the run's device."""
        return self._random.uniform(*shape, per_sample=self._per_sample(shape, per_sample))

    def normal(self, *shape: int, per_sample: bool | None = None) -> Tensor:
        """N(0, 1) on the run's device."""
        return self._random.normal(*shape, per_sample=self._per_sample(shape, per_sample))

    def _per_sample(self, shape: tuple[int, ...], said: bool | None) -> bool:
        return self.guesses and self._random.has_rows(*shape) if said is None else said

    def _each_sample(self, *shape: int) -> Tensor:
        """U(0, 1) for an augmentation: the rows are samples, unless a term made its own batch of them."""
        return self._random.uniform(*shape, per_sample=self._random.has_rows(*shape))


def generated(net: Net, batch: Batch, noise: Batch) -> Batch:
    """`batch` with the fields that a generator writes, in float32."""
    written = apply(net, {**noise, **batch})
    return {**batch, **{name: value.float() for name, value in written.items()}}
