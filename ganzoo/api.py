"""All that a plugin imports.

A batch is a `dict[str, Tensor]`. A generator replaces some fields of a batch, a discriminator
reads some fields and writes a score. This module declares the records with which a plugin says
what it offers. It imports neither torch nor numpy, so that listing a zoo of plugins is quick; the
layers among its names (`Bounded`, `initialise` ...) bring torch in when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pluggy

from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import DataInfo, Field, halvings, map_sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ganzoo.layers import Bounded, Crop, Maxout, as_maps, doubling, initialise

__all__ = [
    "API_VERSION",
    "ArchitectureSpec",
    "ArraySource",
    "Batch",
    "Bounded",
    "Crop",
    "DataError",
    "DataInfo",
    "DatasetSpec",
    "Field",
    "Game",
    "ItemSource",
    "Loss",
    "LossSpec",
    "Maxout",
    "Net",
    "Networks",
    "RecipeSpec",
    "SettingsError",
    "TermSpec",
    "View",
    "as_maps",
    "doubling",
    "halvings",
    "hookimpl",
    "initialise",
    "map_sizes",
]

API_VERSION = 1
"""Raised when a record changes in a way that old plugins cannot follow.

A plugin module may set `GANZOO_API_VERSION`; without it, version 1 is assumed."""

hookimpl = pluggy.HookimplMarker("ganzoo")

Batch = dict[str, "Tensor"]

if not TYPE_CHECKING:  # a type checker would take any name at all for one of this module

    def __getattr__(name):
        if name not in ("Bounded", "Crop", "Maxout", "as_maps", "doubling", "initialise"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ganzoo import layers

        return getattr(layers, name)


# --- networks -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Net:
    """A module with the fields that it reads and writes.

    `module.forward` is called with the fields of `reads`, in that order, as plain tensors by position.
    It has no other parameters; two or more are named as the fields, so that none is mistaken for
    another, a single one as it likes: its field's name may be known only from the data. It returns one
    tensor (or a tuple of tensors, in the order of `writes`). Discriminators write `score`, of any
    shape. A generator writes no field that it reads.
    """

    module: nn.Module
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ("score",)


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


# --- losses and terms ---------------------------------------------------------------------------


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

    def discriminate(self, batch: Batch) -> Batch:
        """Run this game's discriminator on another batch; `score` is among the keys."""
        ...

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """`batch` with the fields that a generator (this game's when unnamed) writes."""
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


# --- data sources -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """Data that is in memory, or memory-mapped, already.

    Arrays have the samples in the first dimension. A float32 field with a `range` may be stored as
    uint8: 0..255 is then mapped onto that range on the device. `identity` goes into the run record.
    """

    fields: tuple[Field, ...]
    arrays: Mapping[str, NDArray[Any]]
    identity: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ItemSource:
    """Data that must be decoded item by item; the core decodes once into a cache.

    `read(i)` returns one sample's arrays by field name, images as uint8; it raises OSError or
    ValueError for an item that cannot be used: such items are counted, listed and left out.
    `fingerprint` changes whenever the decoded result would.
    """

    fields: tuple[Field, ...]
    items: Sequence[str]
    read: Callable[[int], Mapping[str, NDArray[np.generic]]]
    fingerprint: str
    identity: str = ""
    notes: tuple[str, ...] = ()


# --- records ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """What all records share.

    `name` matches `[a-z0-9]+([._-][a-z0-9]+)*`. `summary` is one line. `paper` cites the source.
    """

    name: str
    summary: str
    paper: str = ""


@dataclass(frozen=True, kw_only=True)
class _Buildable(_Spec):
    """A record with a factory, named by an import string and loaded on first use.

    `config` is a frozen dataclass of options with defaults. The factory of a record without `config`
    gets None in its place: `factory(None)`, for architectures `factory(None, data)`, for datasets
    `factory(argument, None)`. `defaults` are settings that come with this choice, by dotted path
    (`{"train.batch_size": 128, "generator.lr": 1e-4}`); a path into a table that has no such option
    (`architecture.discriminator_norm`, say) is passed over.
    """

    factory: str
    config: type[Any] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(_Buildable):
    """Networks. `factory(config, data: DataInfo) -> Networks`; `needs` names data fields."""

    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LossSpec(_Buildable):
    """An adversarial loss. `factory(config) -> Loss`.

    `paired`: the generator's loss needs the scores of real samples too. `rejects` maps a tag of
    `Networks` to the reason why this loss cannot work with it, and what to do instead.
    """

    paired: bool = False
    rejects: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TermSpec(_Buildable):
    """A regulariser beside the loss.

    `kind="penalty"`: `factory(config) -> fn(view: View) -> Tensor`, a scalar added to the loss of
    `role`. `kind="constraint"`: `factory(config) -> fn(module) -> None`, applied in place to each
    network of `role` after its optimiser step. A penalty may be lazy: with `every=k` the loop adds
    it in each k-th step, times k. `second_order` says that it differentiates through a gradient:
    it then runs in float32. A penalty (or loss) that keeps state is an nn.Module with buffers: it is
    moved to the device and saved with the run. Of several processes each calls it with its share of the
    batch, and buffers of floating point get their mean over the processes after each cycle.
    """

    role: Literal["discriminator", "generator"] = "discriminator"
    kind: Literal["penalty", "constraint"] = "penalty"
    every: int = 1
    second_order: bool = False
    rejects: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(_Buildable):
    """A kind of data, chosen by `--data NAME` or `--data NAME:ARGUMENT`.

    `factory(argument: str, config) -> ArraySource | ItemSource`; `argument` describes what follows
    the colon, empty when nothing does. An argument described as `PATH` is kept as an absolute path in
    a run's settings.
    """

    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(_Spec):
    """A named run: data only. `settings` are by dotted path; the length is counted in images."""

    architecture: str
    loss: str
    data: str = "fashion-5k"
    settings: Mapping[str, Any] = field(default_factory=dict)
