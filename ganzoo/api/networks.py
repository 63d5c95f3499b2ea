"""The networks that an architecture returns: modules, the fields that they read and write, and games.

Part of `ganzoo.api`. Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ganzoo.fields import Field

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Net:
    """A module with the fields that it reads and writes.

    `module.forward` is called with the fields of `reads`, in that order, as plain tensors by position.
    It has no other parameters. Two or more parameters must have the names of the fields, so that none is
    confused with another. A single one may have any name: its field's name may be known only from the data.
    It returns one tensor (or a tuple of tensors, in the order of `writes`). Discriminators write `score`, of
    any shape. A generator writes no field that it reads.

    A discriminator may score `pack` samples together. It then writes N / pack scores: the core calls it
    with (N / pack, pack * C, ...) in place of (N, C, ...), and with labels (N / pack, pack). With
    `train.pack` the core sets `pack` itself.

    `rates` gives parts of the module learning rates of their own: a factor for each prefix of parameter
    names (`{"mapping": 0.01}`, StyleGAN2). Users can set others with `generator.rates`.
    """

    module: nn.Module
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ("score",)
    pack: int = 1
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Game:
    """Which generator plays against which discriminator, by their names in `Networks`."""

    generator: str = "generator"
    discriminator: str = "discriminator"


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks of an architecture.

    `fields` declares the fields that the data does not have: the noise that generators read, and
    other fields that they write. `tags` name properties that a loss or term may reject; the core
    itself detects `batch-norm-in-discriminator`.
    """

    generators: Mapping[str, Net]
    discriminators: Mapping[str, Net]
    games: tuple[Game, ...] = (Game(),)
    fields: tuple[Field, ...] = ()
    tags: tuple[str, ...] = ()

    @classmethod
    def pair(
        cls,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: Field,
        writes: str,
        conditions: tuple[str, ...] = (),
    ) -> Networks:
        """The common case: one generator that `writes` one field, and one discriminator of that field.

        The generator reads `latent` and then the fields of `conditions`. The discriminator reads the
        written field and then the same conditions.
        """
        return cls(
            generators={
                "generator": Net(module=generator, reads=(latent.name, *conditions), writes=(writes,))
            },
            discriminators={"discriminator": Net(module=discriminator, reads=(writes, *conditions))},
            fields=(latent,),
        )
