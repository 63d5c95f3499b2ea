"""What a dataset's factory returns: arrays, or items to decode.

Part of `ganzoo.api`. Importing this imports no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganzoo.fields import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Row = tuple[str, str, str]
"""A fact about data for the user: name, value, and a remark or an empty text."""


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """Data that is already in memory, or memory-mapped.

    The first dimension of each array counts the samples. A float32 field with a `range` may be stored as
    uint8: 0..255 is then mapped onto that range on the device. One whose vectors along the last axis are
    one-hot may be stored as indices: integers of `shape[:-1]`. `identity` goes into the run record.
    With `weights` (N,) training draws samples in proportion to them; evaluation uses all equally. `card` are
    facts for the user, shown before training and kept in the run. `damaged`: files that cannot be read, with
    the reasons; `unfit`: files that are sound, but no samples of this kind; of `files` in all, if these are
    not as many as the items and both together. The core notes and lists them, and refuses data with too many
    damaged ones.
    """

    fields: tuple[Field, ...]
    arrays: Mapping[str, NDArray[Any]]
    weights: NDArray[np.float64] | None = None
    identity: str = ""
    notes: tuple[str, ...] = ()
    card: tuple[Row, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    files: int = 0


Draw = Callable[[Mapping[str, "NDArray[Any]"], "np.random.Generator"], Mapping[str, "NDArray[Any]"]]


@dataclass(frozen=True, kw_only=True)
class ItemSource:
    """Data that must be decoded item by item; the core decodes it once into a cache.

    `read(i)` returns the arrays of one sample by field name, images as uint8. It raises OSError or
    ValueError for an item that cannot be used; such items are counted, listed and skipped.
    `fingerprint` must change whenever the decoded result changes. `keys`, one for each item, say the same of
    single items: an item whose key was decoded before is not decoded again. `card`, `damaged`, `unfit` and
    `files` as for `ArraySource`.

    With `draw`, a sample is drawn anew in each epoch of training: a random crop, noise. `read` then returns
    the fields `drawn_from`, which the cache keeps, and `draw(sample, random)` makes the `fields` by these
    two alone. Evaluation and previews use one drawing that stays.

    `read` may be called in forked processes, `draw` in threads.
    """

    fields: tuple[Field, ...]
    items: Sequence[str]
    read: Callable[[int], Mapping[str, NDArray[np.generic]]]
    fingerprint: str
    identity: str = ""
    notes: tuple[str, ...] = ()
    keys: Sequence[str] | None = None
    drawn_from: tuple[Field, ...] = ()
    draw: Draw | None = None
    card: tuple[Row, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    files: int = 0
