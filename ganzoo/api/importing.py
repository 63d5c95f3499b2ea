"""What an importer receives and returns: the weights of a foreign file, and the network that they fit.

Part of `ganzoo.api`. Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError
from ganzoo.foreign.arrays import LazyArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.fields import DataInfo

    Array = NDArray[Any]


__all__ = ["Imported", "Weights", "read_weights"]


class Weights(Mapping[str, "Array"]):
    """The arrays of one network in a file, by names joined with dots.

    A prefix that wrappers add (`module.`, `_orig_mod.`) is gone, and weight norm and spectral norm are folded
    into plain weights. `shapes` has no cost; `weights[key]` reads the values, half precision as float32.
    """

    def __init__(
        self,
        arrays: Mapping[str, LazyArray],
        *,
        path: str = "",
        options: Mapping[str, Any] | None = None,
        class_name: str = "",
        others: Mapping[str, Weights] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._arrays = dict(arrays)
        self.shapes = {key: value.shape for key, value in self._arrays.items()}
        """The shape of each array."""
        self.path = path
        """Where the network is in the file: `G_ema`, `state_dict.netG`; empty for the whole file."""
        self.options: Mapping[str, Any] = options or {}
        """The arguments that the file says the network was made with (`_init_kwargs` of NVIDIA's files)."""
        self.class_name = class_name
        """The class that the file says it is of, as text; empty where it says none."""
        self.others: Mapping[str, Weights] = {} if others is None else others
        """All networks of the file by path, this one too: a discriminator is among them."""
        self.facts: Mapping[str, Any] = facts or {}
        """The numbers and texts of the file beside its arrays, nested: epochs, hyper-parameters."""
        self._read: set[int] = set()

    def __getitem__(self, key: str) -> Array:
        array = self._arrays[key]
        self._read.add(id(array))
        return array.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def under(self, prefix: str) -> Weights:
        """The arrays named `<prefix>.<key>`, by key."""
        start = f"{prefix}."
        own = {key.removeprefix(start): a for key, a in self._arrays.items() if key.startswith(start)}
        part = Weights(own, path=f"{self.path}.{prefix}".strip("."), others=self.others, facts=self.facts)
        part._read = self._read
        return part

    def beside(self, others: Mapping[str, Weights]) -> Weights:
        """The same network, of which nothing was read yet, beside these."""
        return Weights(
            self._arrays,
            path=self.path,
            options=self.options,
            class_name=self.class_name,
            others=others,
            facts=self.facts,
        )

    def skip(self, *names: str) -> None:
        """Say that the network here does not need these arrays, or all if none is named."""
        for key in names or self._arrays:
            if key in self._arrays:
                self._read.add(id(self._arrays[key]))

    @property
    def unread(self) -> tuple[str, ...]:
        """The names whose values nobody read or skipped yet, without counters."""
        return tuple(
            key
            for key, array in self._arrays.items()
            if id(array) not in self._read and not key.endswith("num_batches_tracked")
        )

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array; empty where there is none of that name, which is no error."""
        return self.shapes.get(key, ())

    def other(self, *names: str) -> Weights | None:
        """The first network of the file whose path ends in one of these names (`D`, `netD`), if any."""
        for name in names:
            for path, weights in self.others.items():
                if path.rpartition(".")[2] == name:
                    return weights
        return None


def read_weights(path: Path) -> Weights:
    """All arrays of a file of weights by name, in the formats of `ganzoo import`; no code of the file runs.

    UsageError for a file that is none of these, damaged, or without arrays.
    """
    from ganzoo.foreign.read import read_file
    from ganzoo.foreign.tree import parts_of

    contents = read_file(path)
    try:
        parts = parts_of(contents.tree, contents.budget)
    except ValueError as error:
        raise UsageError(f"The file is refused: {error}.", where=str(path)) from error
    if not parts:
        raise UsageError("The file has no arrays by name.", where=str(path))
    return Weights(parts[0].arrays, path=parts[0].path)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """An architecture of this zoo, its options, the data that it is for, and weights in its own names.

    `weights` has a mapping for each network of `Networks` by its name: every generator must be there, a
    discriminator that is missing starts anew. All names and shapes must agree exactly; only counters
    (`num_batches_tracked`) may be missing. `data` has the fields that the networks read and write: sizes,
    channels, range, names of classes; its count is 0 where the file does not say it.

    `unknown` names what the file does not say and had to be assumed, one line each: "the range of the pixels
    (-1..1 assumed: the network ends in tanh)". `recipe` is the one that continues such training, by default
    the architecture with the loss `non-saturating`. `settings` are further settings by dotted path of a
    training that continues, such as optimiser rates.
    """

    architecture: str
    data: DataInfo
    weights: Mapping[str, Mapping[str, Array]]
    options: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    recipe: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
