"""Runs the cycles of a recipe on a pretended CUDA device: shapes, types and devices, but no values.

What runs is ganzoo's own `prepare` and `train_loop`, with its optimisers and averages. Torch's FakeTensorMode
makes the tensors; `fakecuda.cpp`, which must be loaded already, makes torch believe in the device.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypedDict
from unittest import mock

import torch
from torch._decomp import decompositions
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.optim import optimizer

from ganzoo.config.resolve import resolve
from ganzoo.data import batches
from ganzoo.data.batches import Picked
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.training import player, setup
from ganzoo.training.compute import device
from ganzoo.training.compute.cuda_graphs import Cycle
from ganzoo.training.compute.host_state import HostState
from ganzoo.training.loop import train_loop
from ganzoo.training.setup import TrainingSetup, prepare
from tests.cuda_model.faults import planted
from tests.cuda_model.watch import Watch

CUDA = torch.device("cuda", 0)

# Kinds of cycles are looked for among so many: the rarest lazy term of the zoo is due every 16th step.
STEPS = 64

# What needs values. Networks and data are on the CPU still when these run.
REAL = ("open_data", "build_networks", "independent_of_batch", "_set_threads")


class Report(TypedDict):
    """Findings, and the kernels of each kind of cycle, named after the terms that are due in it."""

    findings: list[str]
    kernels: dict[str, int]


def examine(recipe: str, settings: Mapping[str, Any], fault: str = "") -> Report:
    """Run each kind of cycle of a recipe with these settings, and with a fault of `faults` in its loss."""
    watch, kernels = Watch(), dict[str, int]()
    overrides = {"train.device": "cuda", "train.precision": "bf16", **settings}
    with _pretended(), watch, FakeTensorMode(allow_non_fake_inputs=True):
        try:
            prepared = prepare(resolve(recipe, _registry(), overrides=overrides))
            objective = prepared.phases.objective
            objective.loss = planted(fault, objective.loss)
            _run(prepared, watch, kernels)
        except Exception as error:
            traceback.print_exc()
            watch.findings[f"{type(error).__name__}: {error}"] = None
    return {"findings": list(watch.findings), "kernels": kernels}


def _run(prepared: TrainingSetup, watch: Watch, kernels: dict[str, int]) -> None:
    """One cycle with all terms, which creates the state of optimisers and meter; then each kind of cycle."""
    plan, phases = prepared.plan, prepared.phases
    kinds: dict[Hashable, int] = {}
    for step in range(STEPS):
        kinds.setdefault(phases.due(step, plan.train.n_critic), step)
    order: Any = _Order(prepared, [0, *kinds.values()])
    cycles = _Cycles(prepared, watch, kernels)
    train_loop(plan, prepared.training, phases, prepared.batches, cycles, order, lambda: None)


class _Order:
    """In the recorder's place: says which step of the run comes next."""

    def __init__(self, prepared: TrainingSetup, steps: list[int]) -> None:
        self._training, self._steps, self._done = prepared.training, steps, 0
        self._training.steps = steps[0]

    @property
    def share(self) -> float:
        return self._done / len(self._steps)

    def after_cycle(self, images: int) -> None:
        self._done += 1
        self._training.steps = self._steps[min(self._done, len(self._steps) - 1)]


class _Cycles:
    """In the repeater's place: watches each cycle, and counts all but the first."""

    def __init__(self, prepared: TrainingSetup, watch: Watch, kernels: dict[str, int]) -> None:
        self._watch, self._kernels, self._begun = watch, kernels, False
        self._parts = {
            **prepared.phases.parts(),
            "the phases": prepared.phases,
            "the run": prepared.training,
        }

    def run(self, key: Any, cycle: Cycle, picked: Sequence[Picked]) -> None:
        if not self._begun:
            self._begun = True
            with self._watch.watched():
                cycle(picked)
            return
        with unset_fake_temporarily():
            before = HostState(self._parts, CUDA)
        with self._watch.watched():
            cycle(picked)
        with unset_fake_temporarily():
            self._watch.findings.update(dict.fromkeys(before.changes()))
        self._kernels[_named(key)] = self._watch.kernels


def _named(key: Sequence[Sequence[str]]) -> str:
    """A kind of cycle by the terms of its steps, as in `5 x D gradient-penalty, G`."""
    roles = ["D"] * (len(key) - 1) + ["G"]
    steps = groupby(" ".join((role, *terms)) for role, terms in zip(roles, key, strict=True))
    counted = [(step, len(list(same))) for step, same in steps]
    return ", ".join(step if n == 1 else f"{n} x {step}" for step, n in counted)


@cache
def _registry() -> Registry:
    return load_registry()


@contextlib.contextmanager
def _pretended() -> Iterator[None]:
    """A machine that looks as if it had one CUDA device."""
    plain = player.make_optimizer
    replaced: list[tuple[Any, str, object]] = [
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "is_bf16_supported", lambda *_, **__: True),
        (torch.cuda, "get_device_capability", lambda *_: (9, 0)),
        (torch.cuda, "mem_get_info", lambda *_: (140 << 30, 141 << 30)),
        (torch.cuda, "is_current_stream_capturing", lambda: True),
        (torch.accelerator, "current_stream", mock.Mock(**{"return_value.is_capturing.return_value": True})),
        (FakeTensorMode, "avoid_device_init", property(lambda _: True)),
        # The average is a deep copy; with a tensor's mode copied, its weak references are freed twice.
        (FakeTensorMode, "__deepcopy__", lambda mode, _: mode),
        (optimizer, "_foreach_supported_types", [*optimizer._foreach_supported_types, FakeTensor]),
        # An optimiser looks at the value of its rate once; `schedule` gives it the one on the device.
        (
            player,
            "make_optimizer",
            lambda groups, given: plain([(ours, torch.tensor(1.0)) for ours, _ in groups], given),
        ),
        (torch._VF, "gru", _shapes_only(decompositions.gru_impl, torch._VF.gru)),
        (torch._VF, "lstm", _shapes_only(decompositions.lstm_impl, torch._VF.lstm)),
        (device, "choose_device", lambda *_: CUDA),
        (batches, "_on_device", lambda values, place: values.to(place)),  # pinned memory is the driver's
        *((setup, name, _with_values(getattr(setup, name))) for name in REAL),
    ]
    with contextlib.ExitStack() as stack:
        for target, name, value in replaced:
            stack.enter_context(mock.patch.object(target, name, value, create=name == "__deepcopy__"))
        yield


def _shapes_only(small: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent layer for FakeTensorMode, which does not know cuDNN's: more kernels than cuDNN starts."""

    def run(values: torch.Tensor, *arguments: Any) -> Any:
        return (small if isinstance(values, FakeTensor) else real)(values, *arguments)

    return run


def _with_values(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        with unset_fake_temporarily():
            return function(*arguments)

    return run
