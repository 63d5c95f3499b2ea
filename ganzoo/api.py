"""All that a plugin imports.

A batch is a `dict[str, Tensor]`. A generator replaces some fields of a batch, a discriminator
reads some fields and writes a score. This module declares the records with which a plugin says
what it offers. It imports neither torch nor numpy, so that listing a zoo of plugins is quick; the
layers among its names (`Bounded`, `initialise` ...) bring torch in when they are first used, and so do
`nearest` and `squared_distances` with numpy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import Column, DataInfo, Field, halvings, map_sizes, places
from ganzoo.judging import Evidence, Extractor, Judge, Lesson, Samples
from ganzoo.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ExtractorSpec,
    LossSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    both_sides,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ganzoo.cache import cache_folder, keep_cached, read_cached
    from ganzoo.layers import Bounded, Crop, Fir, Maxout, as_maps, doubling, initialise
    from ganzoo.pairs import nearest, squared_distances

__all__ = [
    "API_VERSION",
    "ArchitectureSpec",
    "ArraySource",
    "Augmentation",
    "AugmentationSpec",
    "Batch",
    "Bounded",
    "Column",
    "Crop",
    "DataError",
    "DataInfo",
    "DatasetSpec",
    "Evidence",
    "Extractor",
    "ExtractorSpec",
    "Field",
    "Fir",
    "Game",
    "ItemSource",
    "Judge",
    "Lesson",
    "Loss",
    "LossSpec",
    "Maxout",
    "MetricSpec",
    "Net",
    "Networks",
    "RecipeSpec",
    "Samples",
    "SettingsError",
    "TermSpec",
    "View",
    "as_maps",
    "both_sides",
    "cache_folder",
    "doubling",
    "halvings",
    "hookimpl",
    "initialise",
    "keep_cached",
    "map_sizes",
    "nearest",
    "places",
    "read_cached",
    "squared_distances",
]

API_VERSION = 1
"""Raised when a record changes in a way that old plugins cannot follow.

A plugin module may set `GANZOO_API_VERSION`; without it, version 1 is assumed."""

hookimpl = pluggy.HookimplMarker("ganzoo")

Batch = dict[str, "Tensor"]

_LATER = {
    **dict.fromkeys(
        ("Bounded", "Crop", "Fir", "Maxout", "as_maps", "doubling", "initialise"), "ganzoo.layers"
    ),
    **dict.fromkeys(("nearest", "squared_distances"), "ganzoo.pairs"),
    **dict.fromkeys(("cache_folder", "keep_cached", "read_cached"), "ganzoo.cache"),
}

if not TYPE_CHECKING:  # a type checker would take any name at all for one of this module

    def __getattr__(name):
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_LATER[name]), name)


# --- networks -----------------------------------------------------------------------------------


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
    """Changes pictures before a discriminator sees them, differentiably, twice where penalties need that."""

    def __call__(self, pictures: Batch, uniform: Callable[..., Tensor]) -> Batch:
        """Pictures (N, C, H, W) in float32 by field name -> the same fields, changed.

        What moves pixels has to move those of all fields alike. `uniform(N, ...)` gives random numbers from
        the run's own stream, different for each sample; ask in the same order in each call.
        """
        ...

    def observe(self, real_scores: Tensor) -> None:
        """Told the scores of real samples in each step of the discriminator; may change buffers."""
        ...


# --- data sources -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """Data that is in memory, or memory-mapped, already.

    Arrays have the samples in the first dimension. A float32 field with a `range` may be stored as
    uint8: 0..255 is then mapped onto that range on the device. `identity` goes into the run record.
    With `weights` (N,) training sees samples in proportion to them; evaluation sees each as often as any.
    """

    fields: tuple[Field, ...]
    arrays: Mapping[str, NDArray[Any]]
    weights: NDArray[np.float64] | None = None
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
