"""What a cycle changes on the host is found, whatever keeps it: the replay of a graph would not change it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganzoo.training.compute.host_state import HostState

CUDA = torch.device("cuda")
TOTAL, SHARED = 0, {"calls": 0}


class Plain:
    """An object of a plugin with something of each kind."""

    def __init__(self) -> None:
        self.calls, self.names, self.nested = 0, ["a"], {"inner": {"value": 1.0}}
        self.nan = float("nan")
        self.array = np.zeros(3)
        self.numpy, self.python = np.random.default_rng(0), random.Random(0)
        self.older = np.random.RandomState(0)
        self.torch = torch.Generator()
        self.kept = torch.zeros(2)
        self.sparse = torch.eye(2).to_sparse()
        self.me = self  # circles end

    def act(self) -> None:
        self.calls += 1


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2))
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("seen", torch.zeros(()))


def closure() -> Callable[[], None]:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    return count


def count_global() -> None:
    global TOTAL
    TOTAL += 1


def count_shared() -> None:
    SHARED["calls"] += 1


def changes(part: object, change: Callable[[Any], Any], device: torch.device = CUDA) -> list[str]:
    before = HostState({"the loss": part}, device)
    change(part)
    return before.changes()


def rebind(layer: Layer) -> None:
    layer.seen = layer.seen + 1


def new_data(layer: Layer) -> None:
    layer.norm.weight.data = layer.norm.weight.data.clamp(-1, 1)


@pytest.mark.parametrize(
    ("make", "change", "name"),
    [
        (Plain, lambda part: setattr(part, "calls", 1), "the loss.calls on the host, from 0 to 1"),
        (Plain, lambda part: setattr(part, "late", "x"), "the loss.late on the host, from nothing to 'x'"),
        (Plain, lambda part: part.names.append("b"), "the loss.names.1"),
        (Plain, lambda part: part.nested["inner"].update(value=2.0), "the loss.nested.inner.value"),
        (Plain, lambda part: part.array.__setitem__(0, 1), "the loss.array"),
        (Plain, lambda part: part.numpy.random(), "the loss.numpy"),
        (Plain, lambda part: part.older.rand(), "the loss.older"),
        (Plain, lambda part: part.python.random(), "the loss.python"),
        (Plain, lambda part: torch.rand((), generator=part.torch), "the loss.torch"),
        (Plain, lambda part: setattr(part, "kept", torch.zeros(2)), "the loss.kept"),
        (Plain, lambda part: part.kept.add_(1), "the loss.kept"),
        (Layer, rebind, "the loss.seen"),
        (Layer, new_data, "the loss.norm.weight"),
        (lambda: partial(print, Plain()), lambda part: setattr(part.args[0], "calls", 1), "loss.0.calls"),
        (lambda: Plain().act, lambda part: part(), "the loss.calls"),
        (closure, lambda part: part(), "the loss.calls on the host, from 0 to 1"),
        (lambda: count_global, lambda part: part(), "the loss.TOTAL"),
        (lambda: count_shared, lambda part: part(), "the loss.SHARED.calls"),
        (int, lambda _: torch.rand(()), "draws from torch's generator of the host"),
        (int, lambda _: np.random.rand(), "draws from NumPy's generator"),
        (int, lambda _: random.random(), "draws from Python's generator"),
    ],
)
def test_a_change_is_found_and_named(
    make: Callable[[], object], change: Callable[[Any], Any], name: str
) -> None:
    (found,) = changes(make(), change)
    assert name in found


def test_what_a_graph_repeats_is_no_change() -> None:
    """On the device, work in place; here the CPU is the device."""

    def step(layer: Layer) -> None:
        layer.norm(layer.linear(torch.randn(4, 2))).sum().backward()
        with torch.no_grad():
            layer.seen.add_(1)
            layer.norm.weight.mul_(2)

    assert changes(Layer(), step, torch.device("cpu")) == []
    assert changes(Plain(), lambda part: None) == []


def test_a_new_tensor_is_not_taken_for_the_old_one() -> None:
    """The memory of a tensor that is gone is the first to be used again, its identity too."""
    part = Plain()
    for _ in range(20):
        assert len(changes(part, lambda part: setattr(part, "kept", torch.zeros(2)))) == 1
