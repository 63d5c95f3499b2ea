"""The order of the samples, and their way to the device.

The order of the data is a function of (seed, stream, position) alone: `position` counts the samples
that a stream has taken, so one integer resumes it. Streams are independent orders over the same data.
The only augmentation in this module is the horizontal flip.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganzoo.api.media import holds_indices, stored_span
from ganzoo.data.dataset import Dataset
from ganzoo.data.drawing import Ahead
from ganzoo.data.validation import blocks
from ganzoo.errors import DataError
from ganzoo.fields import Field

_KEPT_EPOCHS = 8

Picked = dict[str, Tensor]
"""The samples that `Batches.select` chose, on the device: stored rows, or only their indices."""

_INDICES, _MIRRORED = "#indices", "#mirrored"


def order(seed: int, stream: str, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of one epoch: a permutation of 0..count-1, shape (count,).

    A pure function of its arguments. It sorts raw PCG64 output, which NumPy never changes (NEP 19);
    `Generator.permutation` may change between versions.
    """
    return np.argsort(_bits(seed, f"order/{stream}", epoch, count), kind="stable").astype(
        np.int64, copy=False
    )


def weighted(
    seed: int, stream: str, epoch: int, ends: NDArray[np.float64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The samples of an epoch in proportion to their weights, with cumulative sums `ends` (count,).

    Systematic sampling: `count` equally spaced points with a random offset select among the weights. So a
    sample with an expected number of 2.3 comes two or three times. `order` shuffles the result.
    """
    offset = float(_bits(seed, f"weights/{stream}", epoch, 1)[0] >> np.uint64(11)) * 2.0**-53
    points = (np.arange(len(order)) + offset) * (ends[-1] / len(order))
    samples: NDArray[np.int64] = ends[:-1].searchsorted(points, "right")[order]
    return samples


def indices(seed: int, stream: str, position: int, n: int, count: int) -> NDArray[np.int64]:
    """The `n` sample indices from `position` on, shape (n,).

    Each epoch of `count` positions has every index exactly once; a batch may span several epochs.
    """
    parts = [
        order(seed, stream, epoch, count)[start:stop] for epoch, start, stop in _spans(position, n, count)
    ]
    return np.concatenate(parts)


def _bits(seed: int, purpose: str, epoch: int, count: int) -> NDArray[np.uint64]:
    """`count` raw 64-bit numbers that depend on all arguments."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{count}/{purpose}".encode()).digest()
    entropy = np.frombuffer(digest, "<u4").tolist()
    return np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(count)


def _spans(position: int, n: int, count: int) -> Iterator[tuple[int, int, int]]:
    """(epoch, start, stop) for each epoch in the positions position..position+n-1."""
    if position < 0 or n < 1 or count < 1:
        raise ValueError(f"position {position}, n {n} and count {count} must be at least 0, 1 and 1")
    end = position + n
    while position < end:
        epoch, start = divmod(position, count)
        stop = min(count, start + end - position)
        yield epoch, start, stop
        position += stop - start


class Batches:
    """Batches of a dataset as tensors on one device.

    If the arrays have fewer than `resident_bytes` bytes (default on CUDA: half of the free memory), they
    are copied to the device once and indexed there, images as uint8. Otherwise they are indexed on the
    host. On a CPU the arrays of the dataset are used directly. Samples that a dataset draws anew depend on
    (seed, epoch, sample) alone.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        seed: int,
        device: torch.device,
        flip: bool = False,
        resident_bytes: int | None = None,
    ) -> None:
        self.count = dataset.count
        self.device = device
        self.seed = seed
        self.flip = flip
        self._fields = {field.name: field for field in dataset.fields}
        self._ends = None if dataset.weights is None else np.cumsum(dataset.weights)
        # np.asarray drops the memmap subclass, whose indexing is several times slower.
        self._host = {name: np.asarray(array) for name, array in dataset.arrays.items()}
        self._one_hot = {
            name
            for name, array in self._host.items()
            if holds_indices(self._fields[name], array.shape[1:], array.dtype)
        }
        self._spans = {
            name: stored_span(self._fields[name], array.dtype)
            for name, array in self._host.items()
            if array.dtype.kind in "iu" and self._fields[name].dtype == "float32"
        }
        size = sum(array.nbytes for array in self._host.values())
        budget = _budget(device) if resident_bytes is None else resident_bytes
        self._ahead = None if dataset.drawing is None else Ahead(dataset.drawing, seed, self._host)
        self._last: dict[str, int] = {}
        self._order = lru_cache(_KEPT_EPOCHS)(self._new_order)
        self.resident = size < budget and self._ahead is None
        self._resident = (
            {name: _copied(array, device) for name, array in self._host.items()} if self.resident else {}
        )
        self._epochs: OrderedDict[tuple[str, int], tuple[Tensor, Tensor | None]] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(self._fields)

    def take(
        self, stream: str, position: int, n: int, names: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """The `n` samples of `stream` from `position` on; all fields unless `names` are given.

        Images are float32 (n, channels, height, width) in their field's range, labels int64 (n,). With
        `flip`, half of the samples are mirrored along the axis `width` of their fields; the choice depends on
        (seed, stream, position) alone. Each call returns new tensors.
        """
        names = tuple(self._fields) if names is None else tuple(names)
        return self.materialize(self.select(stream, position, n, names), names)

    def select(self, stream: str, position: int, n: int, names: Sequence[str]) -> Picked:
        """Choose the samples that `take` would return; `materialize` makes the batch from them."""
        unknown = [name for name in names if name not in self._fields]
        if unknown:
            raise DataError(
                f"The data has no field '{unknown[0]}'.", where=f"its fields are: {', '.join(self._fields)}"
            )
        if not names:
            return {}
        index_parts, mirrored_parts = [], []
        for epoch, start, stop in _spans(position, n, self.count):
            permutation, mirrored = self._epoch(stream, epoch)
            index_parts.append(permutation[start:stop])
            if mirrored is not None:
                mirrored_parts.append(mirrored[start:stop])
        indices = _joined(index_parts)
        if self._ahead is not None:
            picked = self._drawn(self._ahead, stream, position, n, names)
        elif self.resident:
            picked = {_INDICES: indices}
        else:
            picked = {name: self._rows(name, indices) for name in names}
        if mirrored_parts:
            picked[_MIRRORED] = _joined(mirrored_parts)
        return picked

    def materialize(self, picked: Picked, names: Sequence[str]) -> dict[str, Tensor]:
        """The batch of the selected samples. Works only on the device, so that CUDA can capture it."""
        mirrored = picked.get(_MIRRORED)
        return {
            name: self._scaled(
                self._fields[name],
                self._resident[name].index_select(0, picked[_INDICES]) if self.resident else picked[name],
                mirrored,
            )
            for name in names
        }

    def _new_order(self, stream: str, epoch: int) -> NDArray[np.int64]:
        samples = order(self.seed, stream, epoch, self.count)
        if self._ends is not None:
            samples = weighted(self.seed, stream, epoch, self._ends, samples)
        return samples

    def _epoch(self, stream: str, epoch: int) -> tuple[Tensor, Tensor | None]:
        key = (stream, epoch)
        if key not in self._epochs:
            permutation = torch.from_numpy(self._order(stream, epoch))
            if self.resident:
                permutation = _on_device(permutation, self.device)
            mirrored = None
            if self.flip:
                bits = _bits(self.seed, f"flip/{stream}", epoch, self.count) >> np.uint64(63)
                mirrored = _on_device(torch.from_numpy(bits.astype(np.bool_)), self.device)
            self._epochs[key] = (permutation, mirrored)
            while len(self._epochs) > _KEPT_EPOCHS:
                self._epochs.popitem(last=False)
        self._epochs.move_to_end(key)
        return self._epochs[key]

    def _drawn(self, ahead: Ahead, stream: str, position: int, n: int, names: Sequence[str]) -> Picked:
        """The samples of a batch, drawn for their epochs; the next batch is begun."""
        found = ahead.take(stream, (position, n), self._samples(stream, position, n))
        step = position - self._last.get(stream, position)
        self._last[stream] = position
        if step > 0:  # a stream that goes on
            after = position + step
            ahead.prepare(stream, (after, n), self._samples(stream, after, n))
        return {name: _on_device(torch.from_numpy(found[name]), self.device) for name in names}

    def _samples(self, stream: str, position: int, n: int) -> list[tuple[int, int]]:
        """(row, epoch) of `n` samples."""
        return [
            (int(row), epoch)
            for epoch, start, stop in _spans(position, n, self.count)
            for row in self._order(stream, epoch)[start:stop]
        ]

    def _rows(self, name: str, indices: Tensor) -> Tensor:
        rows = torch.from_numpy(self._host[name].take(indices.numpy(), axis=0))
        return _on_device(rows, self.device)

    def _scaled(self, field: Field, values: Tensor, mirrored: Tensor | None) -> Tensor:
        if field.name in self._one_hot and field.range is not None:
            low, high = field.range
            empty = torch.full((*values.shape, field.shape[-1]), low, device=values.device)
            return empty.scatter_(-1, values.long()[..., None], high)
        if values.dtype == torch.uint16:  # torch cannot mirror it
            values = values.float()
        if mirrored is not None and "width" in field.axes:
            axis = field.axes.index("width") - len(field.axes)
            mask = mirrored.view(-1, *(1 for _ in field.axes))
            values = torch.where(mask, values.flip(axis), values)
        if field.name in self._spans and field.range is not None:
            (first, last), (low, high) = self._spans[field.name], field.range
            # Centred arithmetic gives both ends of -1..1 and 0..1 exactly, on every device.
            values = values.float().sub_((first + last) / 2).mul_((high - low) / (last - first))
            if low + high != 0:
                values.add_((low + high) / 2)
        return values


def _on_device(values: Tensor, device: torch.device) -> Tensor:
    """The values on the device; the host does not wait for a copy to CUDA.

    Pinned memory comes from PyTorch's caching allocator, which keeps it until the copy is done.
    """
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _budget(device: torch.device) -> int:
    """The default for the bytes that the data may take on the device."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) // 2


def _copied(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """A copy on the device, made in blocks, because the data may exceed the host's free memory."""
    first = torch.from_numpy(np.array(array[:1]))
    copy = torch.empty(array.shape, dtype=first.dtype, device=device)
    start = 0
    for block in blocks(array):
        copy[start : start + len(block)] = torch.from_numpy(np.array(block))
        start += len(block)
    return copy
