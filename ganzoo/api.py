"""All that a plugin imports.

A batch is a `dict[str, Tensor]`. A generator replaces some fields of a batch, a discriminator
reads some fields and writes a score. This module declares the records with which a plugin says
what it offers. It imports neither torch nor numpy, so that listing a zoo of plugins is quick; the
layers among its names (`Bounded`, `initialise` ...) bring torch in when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pluggy

from ganzoo.errors import DataError, SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ganzoo.layers import Bounded, Crop, Maxout, doubling, initialise

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
        if name not in ("Bounded", "Crop", "Maxout", "doubling", "initialise"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ganzoo import layers

        return getattr(layers, name)


# --- fields -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Field:
    """One named column of a batch, declared once for data check, sampler, ONNX and runtime.

    `shape` is that of one sample, without the batch: `(3, 64, 64)` for an RGB picture
    (channels, height, width), `()` for a label. `source` says who fills it: the data set, or a
    random draw (`normal` is N(0, 1), `uniform` is U(-1, 1)). `range` is the closed interval that
    values of a float field lie in; `None` means unbounded. `classes` names the values of an
    int64 label field, in order.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: Literal["float32", "int64"] = "float32"
    source: Literal["data", "normal", "uniform"] = "data"
    range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether a picture can be drawn from it: channels x height x width with 1, 3 or 4 channels."""
        return self.dtype == "float32" and len(self.shape) == 3 and self.shape[0] in (1, 3, 4)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_json` is its inverse."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Field:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """What an architecture may know of the data: its fields and the number of samples."""

    fields: tuple[Field, ...]
    count: int

    def __contains__(self, name: str) -> bool:
        return any(item.name == name for item in self.fields)

    def field(self, name: str) -> Field:
        """The field of that name; DataError when the data has none."""
        for item in self.fields:
            if item.name == name:
                return item
        have = ", ".join(item.name for item in self.fields)
        raise DataError(f"The data has no field '{name}'.", where=f"its fields are: {have}")

    @property
    def signal(self) -> Field:
        """The one float field, for architectures that imitate whatever the data holds."""
        floats = [item for item in self.fields if item.dtype == "float32"]
        if len(floats) != 1:
            names = ", ".join(item.name for item in floats) or "none"
            raise DataError(f"Exactly one float field is needed, the data has: {names}.")
        return floats[0]

    def image(self, *, smallest: int = 1, otherwise: str = "") -> Field:
        """The field `image`, for networks that need pictures of at least `smallest` pixels a side.

        DataError when it is no float field of channels x height x width, or smaller. `otherwise` names
        an architecture that takes any shape, for the message.
        """
        image = self.field("image")
        instead = f"the architecture '{otherwise}' takes any" if otherwise else ""
        if image.dtype != "float32" or len(image.shape) != 3:
            raise DataError(
                "This architecture needs pictures: channels x height x width.",
                where=f"the field 'image' is {image.dtype} of the shape {image.shape}",
                fix=f"{instead} shape" if instead else "choose other data with --data",
            )
        _, height, width = image.shape
        if min(height, width) < smallest:
            raise DataError(
                f"This architecture needs pictures of at least {smallest}x{smallest} pixels.",
                where=f"the field 'image' has {height}x{width}",
                fix=f"{instead} size; or enlarge the pictures" if instead else "enlarge the pictures",
            )
        return image


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
    reject; `batch-norm-in-discriminator` and `spectral-norm-in-discriminator` are found by the core.
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
        """U(0, 1) from the run's own random stream, on the run's device."""
        ...

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) from the run's own random stream, on the run's device."""
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
    it then runs in float32.
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
    the colon (`PATH`), empty when nothing does.
    """

    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(_Spec):
    """A named run: data only. `settings` are by dotted path; the length is counted in images."""

    architecture: str
    loss: str
    data: str = "fashion-5k"
    settings: Mapping[str, Any] = field(default_factory=dict)


# --- geometry -----------------------------------------------------------------------------------


def halvings(height: int, width: int, *, smallest: int = 4) -> int:
    """How often a picture can be halved before its shorter side would fall under `smallest` pixels.

    64 -> 4, 32 -> 3, 28 -> 2 (28, 14, 7). A generator starts from ceil(side / 2**halvings) pixels
    and crops what it has too much, so any size works.
    """
    count = 0
    while min(height, width) >> (count + 1) >= smallest:
        count += 1
    return count


def map_sizes(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Sizes of the maps from the picture down: ceil(side / 2**k) for k = 0..stages."""
    return [(-(-height // 2**k), -(-width // 2**k)) for k in range(stages + 1)]
