"""What is exported of networks: each generator, or chains of networks, as one module each with its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganzoo.api.media import ARRAY
from ganzoo.api.networks import Export, Net, Networks
from ganzoo.errors import PluginError
from ganzoo.fields import DataInfo, Field
from ganzoo.networks.apply import apply, declared, example


@dataclass(frozen=True)
class Exported:
    """A module to export, and the fields that it reads and writes."""

    net: Net
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


class Chain(nn.Module):
    """Networks one after the other, whose fields have the names of the chain; from `inputs` to `outputs`."""

    def __init__(self, calls: Sequence[Net], inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(net.module for net in calls)
        self._fields = [(net.reads, net.writes) for net in calls]
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, ...) of each input -> (N, ...) of each output."""
        values = dict(zip(self._inputs, inputs, strict=True))
        for part, (reads, writes) in zip(self.parts, self._fields, strict=True):
            made = part(*(values[name] for name in reads))
            values |= zip(writes, made if isinstance(made, tuple) else (made,), strict=True)
        return tuple(values[name] for name in self._outputs)


def exported(networks: Networks, info: DataInfo) -> dict[str, Exported]:
    """What `networks.exports` asks for, by name; without any, each generator.

    PluginError when a chain names a network or field that does not exist, or writes a field twice.
    """
    fields = declared(networks, info)
    if not networks.exports:
        return {
            name: Exported(net, tuple(fields[key] for key in net.reads), _written(net.writes, fields))
            for name, net in networks.generators.items()
        }
    names = [export.name for export in networks.exports]
    if len(set(names)) < len(names):
        raise PluginError(f"Two exports have one name: {', '.join(names)}.")
    return {export.name: _chained(export, networks, fields) for export in networks.exports}


def _written(names: Sequence[str], fields: dict[str, Field]) -> tuple[Field, ...]:
    """The outputs. Noise that a network writes is an array: no media record may claim it."""
    kinds = {name: fields[name].kind or (ARRAY if fields[name].source != "data" else "") for name in names}
    return tuple(replace(fields[name], source="data", default=0.0, kind=kinds[name]) for name in names)


def _chained(export: Export, networks: Networks, fields: dict[str, Field]) -> Exported:
    where = f"the export '{export.name}'"
    nets = {**networks.generators, **networks.discriminators}
    inputs: list[str] = []
    made: dict[str, str] = {}  # each written field, with the name that its network has for it
    calls: list[Net] = []
    for step in export.steps:
        net = nets.get(step.net)
        if net is None:
            raise PluginError(
                f"There is no network '{step.net}'.", where=where, fix=f"it has: {', '.join(nets)}"
            )
        if net.pack != 1:
            raise PluginError(f"'{step.net}' scores {net.pack} samples together.", where=where)
        if unknown := (step.reads.keys() - {*net.reads}) | (step.writes.keys() - {*net.writes}):
            raise PluginError(f"'{step.net}' has no field '{min(unknown)}' to rename.", where=where)
        reads = tuple(step.reads.get(name, name) for name in net.reads)
        writes = tuple(step.writes.get(name, name) for name in net.writes)
        inputs += [name for name in dict.fromkeys(reads) if name not in made and name not in inputs]
        calls.append(replace(net, reads=reads, writes=writes))
        for name, renamed in zip(net.writes, writes, strict=True):
            if renamed in made or renamed in inputs:
                raise PluginError(
                    f"'{step.net}' writes '{renamed}', which is there already.",
                    where=where,
                    fix=f'rename it: Step(net="{step.net}", writes={{"{name}": "other_{name}"}})',
                )
            made[renamed] = name
    outputs = export.outputs or (calls[-1].writes if calls else ())
    if missing := [name for name in inputs if name not in fields]:
        raise PluginError(f"Nothing writes '{missing[0]}' before it is read.", where=where)
    if not inputs or not outputs or not made.keys() >= set(outputs):
        raise PluginError(
            "An export has a step, an input and outputs that its steps write.",
            where=where,
            fix=f"its steps write: {', '.join(made) or 'nothing'}",
        )
    net = Net(module=Chain(calls, inputs, outputs), reads=tuple(inputs), writes=tuple(outputs))
    shapes = _shapes(net, [fields[name] for name in inputs])
    for name in outputs:
        known = fields.get(name) or fields.get(made[name])
        if known is None or known.shape != shapes[name]:
            known = Field(name=name, shape=shapes[name], kind=ARRAY)
        fields = {**fields, name: replace(known, name=name)}
    return Exported(net, tuple(fields[name] for name in inputs), _written(outputs, fields))


def _shapes(net: Net, inputs: Sequence[Field]) -> dict[str, tuple[int, ...]]:
    """The shapes of a sample's outputs, found by a trial."""
    modes = {part: part.training for part in net.module.modules()}
    net.module.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        values = apply(net, example(inputs, 2))
    for part, mode in modes.items():
        part.training = mode
    return {name: tuple(value.shape[1:]) for name, value in values.items()}
