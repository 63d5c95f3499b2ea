"""Sees each operation of a cycle on the pretended device: its kernels, and what no CUDA graph could hold."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Operations without a kernel of their own, beside views: memory that is not written, and names for tensors.
ALLOCATIONS = {
    "aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided",
    "aten::_unsafe_view", "aten::lift_fresh",
}  # fmt: skip
COPIES = {"aten::_to_copy", "aten::copy_", "aten::copy", "prims::device_put"}

# The host waits for what these find, though torch does not tag them as it does `nonzero` and `item`.
WAITS = {
    "aten::multinomial",
    "aten::_linalg_svd",
    "aten::_linalg_eigh",
    "aten::linalg_lstsq",
    "aten::randperm",
}
TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts kernels and keeps findings while a cycle is `watched`; other work passes by."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.findings: dict[str, None] = {}
        self.kernels = 0
        self._on = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A cycle: its kernels are counted from 0."""
        self._on, self.kernels = True, 0
        try:
            yield
        finally:
            self._on = False

    def found(self, what: str) -> None:
        """Keep a finding with the lines of ganzoo or of a plugin that led to it, the innermost first."""
        frames = [
            f for f in traceback.extract_stack() if "ganzoo" in f.filename or "cuda_model" in f.filename
        ]
        own = [f for f in frames if not f.filename.endswith(("watch.py", "cycles.py"))]
        places = [f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno}" for f in reversed(own[-3:])]
        self.findings[f"{what}, in {' < '.join(places)}"] = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name.startswith("aten::_fused_"):  # the optimisers' kernels, which FakeTensorMode does not know
            self._fused(name, args)
            return None
        if not self._on or not name.startswith(("aten::", "prims::device_put")):
            return func(*args, **kwargs)
        given = _tensors([args, kwargs])
        if name in WAITS or (any(tag in func.tags for tag in TAGS) and _waits(name, args)):
            self.found(f"the host waits in {name}")
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.found(f"{name} fails: {error}")
            raise
        self._places(name, given, _tensors(result))
        self.kernels += not (func.is_view or name in ALLOCATIONS)
        return result

    def _places(self, name: str, given: list[Tensor], made: list[Tensor]) -> None:
        devices = {value.device.type for value in (*given, *made)}
        if devices == {"cpu"}:
            self.found(f"{name} computes on the host")
        elif "cpu" in devices and name in COPIES:
            self.found(f"{name} copies between host and device")
        elif "cpu" in devices:
            self.found(f"{name} mixes a tensor of the host with those of the device")

    def _fused(self, name: str, args: tuple[Any, ...]) -> None:
        self.kernels += 1
        lists = [value for value in args if isinstance(value, list) and len(value) == len(args[0])]
        if self._on and any(value.device.type == "cpu" for value in _tensors(args)):
            self.found(f"{name} mixes a tensor of the host with those of the device")
        for values in zip(*lists, strict=True):
            alike = [value for value in values if value.shape == values[0].shape]
            if len({_strides(value) for value in alike}) > 1:
                self.found(
                    f"{name} refuses layouts that differ, of a parameter of shape {tuple(values[0].shape)}"
                )


def _waits(name: str, args: tuple[Any, ...]) -> bool:
    """Indexing waits for a mask only, whose `True`s have to be counted."""
    if not name.startswith("aten::index"):
        return True
    return any(value.dtype in (torch.bool, torch.uint8) for value in _tensors(args[1]))


def _strides(value: Tensor) -> tuple[int, ...]:
    return tuple(stride for stride, size in zip(value.stride(), value.shape, strict=True) if size > 1)


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [tensor for branch in tree for tensor in _tensors(branch)]
