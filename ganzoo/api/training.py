"""Interfaces of losses, terms and augmentations, and of the data that they receive in a training step.

Part of `ganzoo.api`. Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


Batch = dict[str, "Tensor"]


class Loss(Protocol):
    """A function of scores. Both methods return a scalar that is minimised."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Loss of the discriminator, from its scores of real and generated samples.

        Both are (N,), or the shape that the discriminator writes as `score`, and carry gradients.
        """
        ...

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Loss of the generator; `real` is None unless the loss's record says `paired`.

        Shapes as in `discriminator`; only `fake` carries a gradient to the generator.
        """
        ...


class View(Protocol):
    """The input of a term: one game in one step. `real` and `fake` have the same fields."""

    @property
    def real(self) -> Batch:
        """Real samples. In a game with an encoder, also what it writes for them.

        Noise that the discriminator reads is in `real` and `fake`, too.
        """
        ...

    @property
    def fake(self) -> Batch:
        """`real` with the generator's fields replaced by generated ones; detached in discriminator steps.

        With `train.conditions`, their conditions are not those of `real`.
        """
        ...

    @property
    def real_outputs(self) -> Batch:
        """The discriminator's outputs for `real`, with a gradient graph in discriminator steps."""
        ...

    @property
    def fake_outputs(self) -> Batch:
        """The discriminator's outputs for `fake`, with a gradient graph."""
        ...

    @property
    def written(self) -> tuple[str, ...]:
        """The fields that the generator writes, in its order, and then those of the game's encoder."""
        ...

    @property
    def noise(self) -> Batch:
        """The noise fields that `fake` was made from."""
        ...

    @property
    def progress(self) -> Tensor:
        """How much of the run is done, 0..1: a scalar on the device, for weights that change over a run.

        Its shape is ().
        """
        ...

    def discriminate(self, batch: Batch) -> Batch:
        """Run this game's discriminator on another batch; `score` is among the keys."""
        ...

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """`batch` with the fields that a generator writes (by default this game's generator).

        The step's noise replaces missing noise fields. `{**view.fake, "z": other}` gives other samples with
        the same conditions.
        """
        ...

    def apply(self, name: str, batch: Batch) -> Batch:
        """What the network of that name, from either side, writes for a batch; noise as in `generate`."""
        ...

    def uniform(self, *shape: int, per_sample: bool = False) -> Tensor:
        """U(0, 1) from the run's own random stream, on the run's device.

        With `per_sample` the first dimension is the number of samples of `real`, or twice that; each sample
        has its own numbers, which do not depend on the process or micro-batch that computes it. Without it,
        the numbers are drawn once per step, the same for all processes and micro-batches. Draw in the same
        order in each call.
        """
        ...

    def normal(self, *shape: int, per_sample: bool = False) -> Tensor:
        """N(0, 1), otherwise like `uniform`."""
        ...


class Augmentation(Protocol):
    """Changes samples before a discriminator sees them; differentiable, for some penalties twice."""

    def __call__(self, images: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Images (N, C, H, W) in float32 by field name -> the same fields, changed.

        Geometric changes must be the same for all fields of a sample. `uniform(N, ...)` gives random numbers
        from the run's own stream, different for each sample; draw in the same order in each call.
        """
        ...

    def observe(self, real_scores: Tensor) -> None:
        """Receives the scores of real samples in each discriminator step; may change buffers.

        They are (N,), or the shape of the discriminator's `score`, and carry no gradient.
        """
        ...
