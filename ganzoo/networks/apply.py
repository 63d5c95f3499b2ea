"""Calls networks with the fields that they read, and makes example batches for checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganzoo.api.networks import Net, Networks
from ganzoo.errors import PluginError
from ganzoo.fields import DataInfo, Field
from ganzoo.util.error_notes import Blame

_AT_ONCE = 250  # samples that a generator makes in one call


def declared(networks: Networks, info: DataInfo) -> dict[str, Field]:
    """All fields of a run by name: those of the data and those of the architecture, with their free axes.

    PluginError where `Networks.free` does not fit the fields.
    """
    fields = {field.name: field for field in (*info.fields, *networks.fields)}
    for name, axes in networks.free.items():
        if name not in fields:
            raise PluginError(f"Networks.free names the field '{name}', which nothing declares.")
        unknown = [axis for axis in axes if axis not in fields[name].axes]
        if unknown:
            said = ", ".join(fields[name].axes) or "none"
            raise PluginError(
                f"'{name}' has no axis '{unknown[0]}' that could be free; its axes are: {said}.",
                where=f"Networks.free = {dict(networks.free)}",
                fix="give the field `axes` where it is declared (by the dataset or the architecture), "
                "or leave it out of `free`",
            )
        try:
            fields[name] = replace(fields[name], free={**fields[name].free, **axes})
        except (TypeError, ValueError) as error:
            raise PluginError(f"Networks.free does not fit the data: {error}.") from error
    return fields


def noise_fields(networks: Networks) -> tuple[Field, ...]:
    """The fields that the sampler fills with random numbers or a constant."""
    return tuple(field for field in networks.fields if field.source != "data")


def conditions(networks: Networks, info: DataInfo) -> dict[str, tuple[Field, ...]]:
    """The conditions that each generator reads, without generators that read none.

    Conditions are class labels, and float fields of the data of at most one dimension that the
    discriminator of the generator's game reads, too. Other inputs, such as images, are no conditions.
    """
    found: dict[str, dict[str, Field]] = {}
    for game in networks.games:
        judged = networks.discriminators[game.discriminator].reads
        for name in networks.generators[game.generator].reads:
            field = info.field(name) if name in info else None
            if field is not None and len(field.shape) <= 1 and (field.dtype == "int64" or name in judged):
                found.setdefault(game.generator, {})[name] = field
    return {name: tuple(fields.values()) for name, fields in found.items()}


def apply(net: Net, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a network on the fields that it reads; returns the fields that it writes."""
    inputs = inputs_of(net, batch)
    with Blame(f"the network {type(net.module).__name__}"):
        output = net.module(*inputs)
    values = output if isinstance(output, tuple) else (output,)
    return dict(zip(net.writes, values, strict=True))


def inputs_of(net: Net, batch: Mapping[str, Tensor]) -> list[Tensor]:
    """The fields that a network reads, with the samples of a pack joined along channels or columns."""
    values = [batch[name] for name in net.reads]
    if net.pack == 1:
        return values
    return [
        value.reshape(-1, net.pack * (value.shape[1] if value.ndim > 1 else 1), *value.shape[2:])
        for value in values
    ]


def sampled(
    net: Net, inputs: Mapping[str, NDArray[Any]], device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """The first field that a network on `device` writes, (n, *shape), for inputs (n, ...) by name.

    Computed without gradients, a few samples at a time.
    """
    parts = []
    with torch.no_grad():
        for start in range(0, len(next(iter(inputs.values()))), _AT_ONCE):
            batch = {
                name: torch.from_numpy(np.ascontiguousarray(values[start : start + _AT_ONCE])).to(device)
                for name, values in inputs.items()
            }
            parts.append(apply(net, batch)[net.writes[0]].float().cpu().numpy())
    return np.concatenate(parts)


def example(fields: Iterable[Field], n: int) -> dict[str, Tensor]:
    """A batch of `n` random samples within -1..1, with classes and constants, for checks and counting."""
    batch: dict[str, Tensor] = {}
    for field in fields:
        if field.dtype == "int64":
            batch[field.name] = torch.arange(n) % max(len(field.classes), 1)
        elif field.source == "constant":
            batch[field.name] = torch.full((n, *field.shape), field.default)
        else:
            batch[field.name] = torch.randn(n, *field.shape).clamp(-1, 1)
    return batch


def independent_of_batch(networks: Networks, info: DataInfo) -> set[str]:
    """The discriminators whose score of a sample does not depend on the rest of the batch.

    They may score real and generated samples in one call. This is found by a test: BatchNorm, statistics
    over a minibatch, or noise inside a network all make a score change with the batch.
    """
    with torch.random.fork_rng(devices=[]):
        fields = declared(networks, info).values()
        return {
            name
            for name, net in networks.discriminators.items()
            if _is_independent_of_batch(net, example(fields, 4 * net.pack))
        }


def _is_independent_of_batch(net: Net, batch: dict[str, Tensor]) -> bool:
    """Compare the scores of two samples (or packs) in a batch of two with those in a batch of four."""
    changed = deepcopy(net.module).train()
    for part in changed.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            return False
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.eval()
    with torch.no_grad():
        for value in changed.parameters():
            value.add_(torch.randn_like(value), alpha=0.1)  # a last layer of zeros would hide any effect
    outputs = []
    for samples in (batch, {name: value[: 2 * net.pack] for name, value in batch.items()}):
        # Power iterations and running statistics change in each call: both calls use the same start.
        module = deepcopy(changed)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            outputs.append(apply(replace(net, module=module), samples))
    both, alone = outputs
    return all(
        value.shape[:1] == (4,)
        and torch.allclose(value[:2], alone[name], rtol=1e-4, atol=1e-4 * float(value.std()))
        for name, value in both.items()
    )


def parameter_count(nets: Iterable[Net]) -> int:
    """The number of trained values in these networks."""
    return sum(value.numel() for net in nets for value in net.module.parameters())
