"""Building what an architecture offers, and holding it to its contract before any training.

The checks are about fields and shapes only; nothing here knows a particular GAN.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganzoo.api import DataInfo, Field, Net, Networks
from ganzoo.errors import PluginError, SettingsError
from ganzoo.recipes import Plan
from ganzoo.registry import factory_of


def build_networks(plan: Plan, info: DataInfo) -> Networks:
    """Build the plan's networks on the CPU, initialised from the plan's seed, and check them.

    The global random state is left as it was. PluginError when the networks break the contract,
    SettingsError when the loss or a term cannot work with them.
    """
    plan.check_data(info)
    build = factory_of(plan.architecture.item)
    where = f"architecture {plan.architecture.item.qualified}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.train.seed)
        networks = build(plan.architecture.options, info)
        if not isinstance(networks, Networks):
            raise PluginError("An architecture must build a Networks record.", where=where)
        _check_routes(networks, info, where)
        _check_combination(plan, networks)
        _check_shapes(networks, info, where)
    return networks


def declared(networks: Networks, info: DataInfo) -> dict[str, Field]:
    """All fields of a run by name: those of the data, and those that the architecture adds."""
    return {field.name: field for field in (*info.fields, *networks.fields)}


def noise_fields(networks: Networks) -> tuple[Field, ...]:
    """The fields that the sampler fills with random numbers."""
    return tuple(field for field in networks.fields if field.source != "data")


def apply(net: Net, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a net on the fields that it reads; returns the fields that it writes."""
    output = net.module(*(batch[name] for name in net.reads))
    values = output if isinstance(output, tuple) else (output,)
    return dict(zip(net.writes, values, strict=True))


def example(fields: Iterable[Field], n: int) -> dict[str, Tensor]:
    """A batch of `n` samples of zeros-mean noise, for checks and counting."""
    batch: dict[str, Tensor] = {}
    for field in fields:
        if field.dtype == "int64":
            batch[field.name] = torch.arange(n) % max(len(field.classes), 1)
        else:
            batch[field.name] = torch.randn(n, *field.shape).clamp(-1, 1)
    return batch


def _check_routes(networks: Networks, info: DataInfo, where: str) -> None:
    fields = declared(networks, info)
    nets = [*networks.generators.items(), *networks.discriminators.items()]
    for name, net in nets:
        for read in net.reads:
            if read not in fields:
                raise PluginError(f"'{name}' reads the field '{read}', which nothing declares.", where=where)
        _check_forward(name, net, where)
    for name, net in networks.generators.items():
        both = [read for read in net.reads if read in net.writes]
        if both:
            raise PluginError(
                f"The generator '{name}' reads and writes '{both[0]}'.",
                where=where,
                fix="let it write a field of another name: an ONNX graph needs different names "
                "for input and output",
            )
        missing = [written for written in net.writes if written not in fields]
        if missing:
            raise PluginError(f"'{name}' writes '{missing[0]}', which nothing declares.", where=where)
    for name, net in networks.discriminators.items():
        if "score" not in net.writes:
            raise PluginError(f"The discriminator '{name}' does not write 'score'.", where=where)
    for game in networks.games:
        if game.generator not in networks.generators or game.discriminator not in networks.discriminators:
            raise PluginError(f"A game names networks that do not exist: {game}.", where=where)


def _check_forward(name: str, net: Net, where: str) -> None:
    """Fields go to `forward` by position: several must be named as the reads, in their order."""
    parameters = inspect.signature(net.module.forward).parameters
    by_position = all(
        item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters.values()
    )
    fits = len(parameters) == 1 if len(net.reads) == 1 else tuple(parameters) == net.reads
    if not by_position or not fits:
        raise PluginError(
            f"forward of '{name}' takes ({', '.join(parameters)}), its reads are ({', '.join(net.reads)}).",
            where=where,
            fix="let forward take the fields of `reads` by position, in their order; "
            "two or more by the fields' names",
        )


def _check_shapes(networks: Networks, info: DataInfo, where: str) -> None:
    fields = declared(networks, info)
    batch = example(fields.values(), 2)
    for name, net in networks.generators.items():
        net.module.eval()
        with torch.no_grad():
            written = apply(net, batch)
        net.module.train()
        for key, value in written.items():
            wanted = (2, *fields[key].shape)
            if tuple(value.shape) != wanted:
                raise PluginError(
                    f"'{name}' wrote '{key}' of shape {tuple(value.shape)}, declared is {wanted}.",
                    where=where,
                )


def _check_combination(plan: Plan, networks: Networks) -> None:
    tags = {*networks.tags, *_found_tags(networks)}
    for item in (plan.loss.item, *(term.item for term in plan.terms.values())):
        for tag, reason in item.spec.rejects.items():
            if tag in tags:
                raise SettingsError(
                    f"The {item.kind} '{item.name}' cannot work with this "
                    f"'{plan.architecture.item.name}': {tag}.",
                    where=f"recipe {plan.name}",
                    fix=reason,
                )


def _found_tags(networks: Networks) -> set[str]:
    tags: set[str] = set()
    for net in networks.discriminators.values():
        for module in net.module.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                tags.add("batch-norm-in-discriminator")
            if parametrize.is_parametrized(module) and any(
                isinstance(entry, nn.utils.parametrizations._SpectralNorm)
                for entries in module.parametrizations.values()  # type: ignore[operator]
                for entry in entries
            ):
                tags.add("spectral-norm-in-discriminator")
    return tags


def parameter_count(nets: Iterable[Net]) -> int:
    """The number of trained values in these nets."""
    return sum(value.numel() for net in nets for value in net.module.parameters())
