"""What a dataset hands over: arrays, or items to decode.

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
