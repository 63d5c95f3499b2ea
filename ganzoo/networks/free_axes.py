"""Tries generators with free axes at other sizes than that of training, and finds the layer that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ganzoo.api.networks import Net, Networks
from ganzoo.errors import PluginError
from ganzoo.fields import DataInfo, Field, multiples_of, resized, steps_of
from ganzoo.networks.apply import declared, example, inputs_of

__all__ = ["check_free_axes", "other_steps"]

_Shapes = list[tuple[int, ...]]


def other_steps(steps: Mapping[str, int]) -> list[dict[str, int]]:
    """Numbers of steps to try beside those of training: fewer, more (of each axis another number), double."""
    fewer = {axis: max(1, count - 1) for axis, count in steps.items()}
    more = {axis: count + 1 + at for at, (axis, count) in enumerate(steps.items())}
    return [one for one in (fewer, more, {axis: 2 * count for axis, count in steps.items()}) if one != steps]


def check_free_axes(networks: Networks, info: DataInfo, where: str) -> None:
    """Run each generator with free axes at fewer and more steps than in training.

    PluginError with the layer that fails, when a generator cannot run, its outputs do not have multiple *
    steps elements, or no graph of fixed operators can compute it; and for axes that cannot be free.
    """
    fields = declared(networks, info)
    for name, net in networks.generators.items():
        inputs, outputs = ([fields[key] for key in keys] for keys in (net.reads, net.writes))
        try:
            steps = steps_of([*inputs, *outputs])
        except ValueError as error:
            raise PluginError(f"Free axes of '{name}' do not fit together: {error}.", where=where) from error
        fixed = [axis for axis in multiples_of(outputs) if axis not in multiples_of(inputs)]
        if fixed:
            raise PluginError(
                f"The axis '{fixed[0]}' is free in what '{name}' writes, but in none of the fields it reads.",
                where=where,
                fix="make the axis free in an input, too: the sizes of inputs decide the sizes of outputs",
            )
        if not steps:
            continue
        try:
            _check(net, inputs, outputs, steps)
        except _UnfitError as error:
            axes = ("axis " if len(steps) == 1 else "axes ") + ", ".join(f"'{axis}'" for axis in steps)
            raise PluginError(
                f"'{name}' cannot have the free {axes}: {error}.",
                where=f"{where}: {error.cause}" if error.cause else where,
                fix=f"{error.fix}, or declare the axis not free",
            ) from error


class _UnfitError(Exception):
    """Why a network cannot have its free axes, what to do, and the error that torch raised, if any."""

    def __init__(self, message: str, fix: str, cause: str = "") -> None:
        super().__init__(message)
        self.fix, self.cause = fix, cause


_WORKS = (
    "let the layer work at any size (a convolution, scale_factor= in place of size=), or correct the multiple"
)


def _check(net: Net, inputs: list[Field], outputs: list[Field], steps: Mapping[str, int]) -> None:
    """Try the network at two other sizes; _UnfitError when its outputs or its operations do not fit."""
    for key, part in net.module.named_modules():
        if isinstance(part, nn.LSTM) and part.proj_size:
            raise _UnfitError(
                f"ONNX has no operator for {_named(key, part)} an LSTM with projections",
                "put a Linear behind an LSTM without proj_size",
            )
    _, usual = _tried(net, inputs)
    counts = []
    for tried in other_steps(steps)[:2]:
        results, trace = _tried(net, [resized(item, tried) for item in inputs])
        for item, result in zip(outputs, results, strict=False):
            found, wanted = tuple(result.shape[1:]), resized(item, tried).shape
            if found != wanted:
                raise _UnfitError(
                    f"for {trace.sizes} it wrote '{item.name}' of shape {found} in place of {wanted}; "
                    f"look at {_suspect(usual, trace)}",
                    _WORKS,
                )
        counts.append(trace.operations)
    for layer in counts[-1]:
        if counts[0][layer] != counts[-1][layer]:
            raise _UnfitError(
                f"{layer} computes {counts[0][layer]} operations at fewer steps and {counts[-1][layer]} at "
                "more, and those of an exported graph are fixed",
                "replace the loop by a layer for the whole axis (nn.GRU, nn.LSTM, a convolution)",
            )


class _Trace(TorchFunctionMode):
    """What a network does for inputs of these `sizes`: its layers and the number of their own operations.

    `running`: the layers that run, outermost first. `calls`: layers without parts, in the order in which they
    return, with the shapes of their inputs and outputs.
    """

    def __init__(self, sizes: str) -> None:
        super().__init__()
        self.sizes = sizes
        self.running: list[str] = []
        self.calls: list[tuple[str, _Shapes, _Shapes]] = []
        self.operations: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations.update(self.running[-1:])
        return func(*args, **(kwargs or {}))


def _tried(net: Net, inputs: list[Field]) -> tuple[tuple[Tensor, ...], _Trace]:
    """What the network writes for two samples, and how; `_UnfitError` when it raises."""
    values = inputs_of(net, example(inputs, 2))
    trace = _Trace(", ".join(f"'{item.name}' {item.shape}" for item in inputs))
    net.module.eval()
    with _following(trace, net.module), torch.no_grad():
        try:
            result = net.module(*values)
        except Exception as error:
            layer = trace.running[-1] if trace.running else _named("", net.module)
            lines = str(error).strip().splitlines() or ["no message"]
            cause = f"{type(error).__name__}: {lines[0]}"
            raise _UnfitError(f"{layer} fails for {trace.sizes}", _WORKS, cause) from error
        finally:
            net.module.train()
    return (result if isinstance(result, tuple) else (result,)), trace


@contextmanager
def _following(trace: _Trace, module: nn.Module) -> Iterator[None]:
    """Keep the trace of what the module does while the block runs."""
    handles = []
    for name, part in module.named_modules():
        label = _named(name, part)
        handles.append(part.register_forward_pre_hook(lambda *_, label=label: trace.running.append(label)))

        def returned(part: nn.Module, given: object, result: object, label: str = label) -> None:
            trace.running.pop()
            if not list(part.children()):
                trace.calls.append((label, _shapes(given), _shapes(result)))

        handles.append(part.register_forward_hook(returned))
    try:
        with trace:
            yield
    finally:
        for handle in handles:
            handle.remove()


def _named(name: str, part: nn.Module) -> str:
    described = " ".join(repr(part).split()) if not list(part.children()) else type(part).__name__
    return f"the layer '{name}', {described:.80}," if name else f"forward of {type(part).__name__}"


def _shapes(values: object) -> _Shapes:
    found = values if isinstance(values, (tuple, list)) else (values,)
    return [tuple(value.shape) for value in found if isinstance(value, Tensor)]


def _suspect(usual: _Trace, trace: _Trace) -> str:
    """The first layer whose inputs have other sizes than in training, but whose outputs do not.

    Maps of one element do not count: they are means, which may be fixed.
    """
    for (label, before, made), (_, given, result) in zip(usual.calls, trace.calls, strict=False):
        fixed = made == result and any(max(shape[2:], default=1) > 1 for shape in result)
        if before != given and fixed:
            return label.rstrip(",")
    return "what changes sizes in it, and the declared multiples"
