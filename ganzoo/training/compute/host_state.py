"""State that a cycle changes on the host. The replay of a CUDA graph repeats kernels, not Python.

Examples: a counter in an attribute, a buffer that is assigned anew instead of changed in place, a random
number drawn on the host. A replay keeps the value of the capture, and no synchronisation shows that.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import Tensor

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)
_COPIED = (np.ndarray, np.random.Generator, np.random.RandomState, random.Random, torch.Generator)


class HostState:
    """The state of some objects at one moment, to compare with a later one.

    It looks into attributes, containers, closures and the globals that a function names.
    """

    def __init__(self, parts: Mapping[str, object], device: torch.device) -> None:
        """`parts` by the names that messages give them; `device` is where the run computes."""
        self._parts = dict(parts)
        self._on_host = device.type == "cpu"
        self._alive: list[object] = []  # no later object may get the identity of one that is compared
        self._before = self._values()

    def changes(self) -> list[str]:
        """What is different now, in words."""
        after = self._values()
        names = dict.fromkeys((*self._before, *after))
        pairs = [(name, self._before.get(name), after.get(name)) for name in names]
        return [_described(name, old, new) for name, old, new in pairs if old != new]

    def _values(self) -> dict[str, tuple[str, object]]:
        values: dict[str, tuple[str, object]] = {}
        if not self._on_host:
            values["torch's generator of the host"] = ("drawn", _content(torch.default_generator))
            values["NumPy's generator"] = ("drawn", _content(np.random.mtrand._rand))
            values["Python's generator"] = ("drawn", random.getstate())
        seen: set[int] = set()
        for name, part in self._parts.items():
            values.update(self._leaves(name, part, seen))
        return values

    def _leaves(self, name: str, value: object, seen: set[int]) -> Iterator[tuple[str, tuple[str, object]]]:
        if isinstance(value, _PLAIN):
            yield name, ("value", value)
            return
        if id(value) in seen or isinstance(value, (type, ModuleType)):
            return
        seen.add(id(value))
        self._alive.append(value)
        if isinstance(value, Tensor):
            yield name, ("tensor", self._identity(value))
        elif isinstance(value, _COPIED):
            yield name, ("copy", _content(value))
        else:
            for key, item in _inside(value):
                yield from self._leaves(f"{name}.{key}" if key else name, item, seen)

    def _identity(self, tensor: Tensor) -> tuple[int, int, int]:
        """Of the tensor and its memory; in host memory changes in place count too, which no graph has."""
        memory = 0
        if tensor.layout is torch.strided:  # others have no storage of their own
            storage = tensor.untyped_storage()
            self._alive.append(storage)
            memory = storage._cdata
        host = tensor.device.type == "cpu" and not self._on_host
        return id(tensor), memory, tensor._version if host else 0


def _inside(value: object) -> Iterable[tuple[str, object]]:
    """What an object is made of; the key is '' where it would tell a reader nothing."""
    if isinstance(value, Mapping):
        named = [(str(key) if isinstance(key, (str, int)) else "", item) for key, item in value.items()]
        return [(key or str(number), item) for number, (key, item) in enumerate(named)]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [(str(number), item) for number, item in enumerate(value)]
    if isinstance(value, partial):
        return [("", value.func), ("", value.args), ("", value.keywords)]
    if isinstance(value, MethodType):
        return [("", value.__self__)]
    if isinstance(value, FunctionType):
        return _variables(value)
    attributes = getattr(value, "__dict__", {})
    # A module's own parts by the names that its `state_dict` has.
    return [
        ("" if key in ("_parameters", "_buffers", "_modules") else key, v) for key, v in attributes.items()
    ]


def _variables(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What a function reads from around it; of the globals only what may be state itself."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, (*_PLAIN, Tensor, np.ndarray, dict, list, deque)):
            yield name, value


def _content(value: object) -> object:
    """The numbers of an array, or the state of a generator; those of the device are the graph's business."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator) and value.device.type == "cpu":
        return value.get_state().numpy().tobytes()
    return None


def _described(name: str, old: tuple[str, object] | None, new: tuple[str, object] | None) -> str:
    kind = (new or old or ("", None))[0]
    if kind == "drawn":
        return f"a cycle draws from {name}"
    if kind == "tensor":
        return f"a cycle binds another tensor to {name}, or changes it in host memory"
    if kind == "copy":
        return f"a cycle changes {name} on the host"
    values = [f"{value[1]!r:.40}" if value else "nothing" for value in (old, new)]
    return f"a cycle changes {name} on the host, from {values[0]} to {values[1]}"
