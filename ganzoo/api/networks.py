"""Networks as an architecture hands them over: modules with the fields that they read and write, and games.

Part of `ganzoo.api`. Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganzoo.fields import Field

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Net:
    """A module with the fields that it reads and writes.

    `module.forward` is called with the fields of `reads`, in that order, as plain tensors by position.
    It has no other parameters; two or more are named as the fields, so that none is mistaken for
    another, a single one as it likes: its field's name may be known only from the data. It returns one
    tensor (or a tuple of tensors, in the order of `writes`). Discriminators write `score`, of any
    shape. A generator writes no field that it reads.

    A discriminator may judge `pack` samples together, and then writes one score for N / pack rows: the
    core hands it (N / pack, pack * C, ...) in place of (N, C, ...), and labels as (N / pack, pack). With
    `train.pack` the core sets this itself.
    """

    module: nn.Module
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ("score",)
    pack: int = 1


@dataclass(frozen=True, kw_only=True)
class Game:
    """Which generator plays against which discriminator, by their names in `Networks`."""

    generator: str = "generator"
    discriminator: str = "discriminator"


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What an architecture builds.

    `fields` declares the fields that the data does not have: the noise that generators read, and
    anything that they write beside data fields. `tags` name properties that a loss or term may
    reject; `batch-norm-in-discriminator` is found by the core.
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
        """The common case: one generator and one discriminator of the field that it `writes`.

        The generator reads `latent` and the fields of `conditions`; the discriminator reads the
        written field and the same conditions. In that order.
        """
        return cls(
            generators={
                "generator": Net(module=generator, reads=(latent.name, *conditions), writes=(writes,))
            },
            discriminators={"discriminator": Net(module=discriminator, reads=(writes, *conditions))},
            fields=(latent,),
        )
