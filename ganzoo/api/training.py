"""What losses, terms and augmentations are given in a step of the training, and what they have to be.

Part of `ganzoo.api`. Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


Batch = dict[str, "Tensor"]


class Loss(Protocol):
    """A formula over scores. Both methods return a scalar that is minimised."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Loss of the discriminator, from its scores of real and generated samples."""
        ...

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Loss of the generator; `real` is given to losses whose record says `paired`."""
        ...


class View(Protocol):
    """What a term sees of one game in one step. Both batches have the same fields."""

    @property
    def real(self) -> Batch:
        """The samples of the data."""
        ...

    @property
    def fake(self) -> Batch:
        """`real` with the fields that the generator wrote; detached when the discriminator learns."""
        ...

    @property
    def real_outputs(self) -> Batch:
        """What the discriminator wrote for `real`, with its graph when the discriminator learns."""
        ...

    @property
    def fake_outputs(self) -> Batch:
        """What the discriminator wrote for `fake`, with its graph."""
        ...

    @property
    def written(self) -> tuple[str, ...]:
        """The fields that the generator writes, in its order."""
        ...

    @property
    def noise(self) -> Batch:
        """What `fake` was made from: this step's noise fields, which no batch has."""
        ...

    def discriminate(self, batch: Batch) -> Batch:
        """Run this game's discriminator on another batch; `score` is among the keys."""
        ...

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """`batch` with the fields that a generator (this game's when unnamed) writes.

        Noise that the batch does not bring is the step's: `{**view.real, "z": other}` makes other samples.
        """
        ...

    def uniform(self, *shape: int) -> Tensor:
        """U(0, 1) from the run's own random stream, on the run's device.

        With as many rows as `real` has samples, or twice as many, each sample has numbers of its own,
        the same in whichever process or micro-batch it is computed. Other shapes are drawn once for a
        step, for all processes. Ask in the same order in each call.
        """
        ...

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), otherwise as `uniform`."""
        ...


class Augmentation(Protocol):
    """Changes images before a discriminator sees them, differentiably, twice where penalties need that."""

    def __call__(self, images: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Images (N, C, H, W) in float32 by field name -> the same fields, changed.

        What moves pixels has to move those of all fields alike. `uniform(N, ...)` gives random numbers from
        the run's own stream, different for each sample; ask in the same order in each call.
        """
        ...

    def observe(self, real_scores: Tensor) -> None:
        """Told the scores of real samples in each step of the discriminator; may change buffers."""
        ...
