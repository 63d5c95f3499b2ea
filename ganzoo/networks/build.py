"""Builds the networks of an architecture and checks their contract before any training.

The checks concern only fields and shapes; nothing here depends on a particular GAN.
"""

from __future__ import annotations

import inspect
from dataclasses import replace

import torch
from torch import nn

from ganzoo.api.networks import Net, Networks
from ganzoo.config.plan import Plan
from ganzoo.errors import PluginError, SettingsError
from ganzoo.fields import DataInfo
from ganzoo.networks.apply import declared, example, inputs_of, noise_fields
from ganzoo.networks.exports import exported
from ganzoo.networks.free_axes import check_free_axes
from ganzoo.networks.pacgan import packed
from ganzoo.networks.scheduled import ScheduledNumber, live, scheduled_numbers
from ganzoo.registry.registry import calling, factory_of


def build_networks(plan: Plan, info: DataInfo) -> Networks:
    """Build the plan's networks on the CPU, initialised from the plan's seed, and check them.

    The global random state is unchanged. PluginError when the networks break the contract,
    SettingsError when the loss or a term cannot work with them.
    """
    plan.check_data(info)
    build = factory_of(plan.architecture.item)
    where = f"architecture {plan.architecture.item.qualified}"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(plan.train.seed)
        options, numbers = live(plan.architecture.options, "architecture")
        with calling(plan.architecture.item):
            networks = build(options, info)
        if not isinstance(networks, Networks):
            raise PluginError("An architecture must build a Networks record.", where=where)
        _check_fields(networks, info, where)
        fields = plan.kinds.assign(networks.fields, api=plan.architecture.item.plugin.api)
        networks = replace(networks, fields=fields)
        if plan.train.pack > 1:
            torch.default_generator.manual_seed(plan.train.seed)
            networks = packed(networks, plan, info)
        _check_schedules(numbers, networks)
        _check_combination(plan, networks)
        _check_augmentation(plan, networks, info)
        with calling(plan.architecture.item):
            _check_shapes(networks, info, where)
            check_free_axes(networks, info, where)
            exported(networks, info)
    return networks


def _check_schedules(numbers: list[ScheduledNumber], networks: Networks) -> None:
    """SettingsError for a scheduled option that no network holds: it would keep its first value."""
    nets = (*networks.generators.values(), *networks.discriminators.values())
    held = {id(number) for number in scheduled_numbers(net.module for net in nets)}
    for number in numbers:
        if id(number) not in held:
            raise SettingsError(
                f"'{number.path}' cannot be a schedule: no network holds it as an attribute.",
                where=f"{number.path} = {number.schedule}",
                fix="give it a number",
            )


def _check_fields(networks: Networks, info: DataInfo, where: str) -> None:
    fields = declared(networks, info)
    nets = [*networks.generators.items(), *networks.discriminators.items()]
    written = {name for _, net in nets for name in net.writes}
    written |= {name for export in networks.exports for step in export.steps for name in step.writes.values()}
    for field in networks.fields:
        if field.source == "data" and field.name not in written:
            raise PluginError(
                f"The field '{field.name}' is declared as a field of the data, which does not have it.",
                where=where,
                fix='a noise field is declared with source="normal" or source="uniform"',
            )
    for field in noise_fields(networks):
        if field.name in info:
            raise PluginError(
                f"The noise field '{field.name}' has the same name as a field of the data.",
                where=where,
                fix="give it another name",
            )
        if field.dtype == "int64" and (field.source != "uniform" or not field.classes):
            raise PluginError(
                f"The noise field '{field.name}' is int64: it cannot be drawn.",
                where=where,
                fix='declare it with source="uniform" and name its classes',
            )
    for name, net in nets:
        for names in (net.reads, net.writes):
            if not isinstance(names, tuple):
                raise PluginError(f"reads and writes of '{name}' must be tuples of names.", where=where)
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
    _check_apart(networks, where)
    _check_games(networks, {field.name for field in info.fields}, where)


def _check_apart(networks: Networks, where: str) -> None:
    """PluginError for two networks of one name, and for parameters or buffers that two networks share."""
    if twice := networks.generators.keys() & networks.discriminators.keys():
        raise PluginError(f"A generator and a discriminator are both called '{min(twice)}'.", where=where)
    owners: dict[int, tuple[str, str]] = {}
    for name, net in (*networks.generators.items(), *networks.discriminators.items()):
        for key, value in (*net.module.named_parameters(), *net.module.named_buffers()):
            owner, other = owners.setdefault(id(value), (name, key))
            if owner != name:
                raise PluginError(
                    f"The networks '{owner}' and '{name}' share '{other}': each has its own optimiser state, "
                    "average and place in a checkpoint.",
                    where=where,
                    fix="let one network write several fields, or give each its own copy",
                )


def _check_games(networks: Networks, data: set[str], where: str) -> None:
    """Check that games name existing networks, and that both sides have the fields that these read."""
    available = data | {field.name for field in noise_fields(networks)}
    for game in networks.games:
        makers = [game.generator, *([game.encoder] if game.encoder else [])]
        if not networks.generators.keys() >= set(makers) or game.discriminator not in networks.discriminators:
            raise PluginError(f"A game names networks that do not exist: {game}.", where=where)
        for name in makers:
            for read in networks.generators[name].reads:
                if read not in available:
                    raise PluginError(
                        f"The generator '{name}' reads '{read}': neither noise nor a field of the data.",
                        where=where,
                        fix="let it read fields of the data and noise: a game starts from a real batch",
                    )
        name, judged = game.discriminator, networks.discriminators[game.discriminator]
        if "score" not in judged.writes:
            raise PluginError(f"The discriminator '{name}' does not write 'score'.", where=where)
        made = set(networks.generators[game.generator].writes)
        encoded = set(networks.generators[game.encoder].writes) if game.encoder else set()
        for read in judged.reads:
            for side, has in (("real", available | encoded), ("generated", available | made)):
                if read not in has:
                    raise PluginError(
                        f"The discriminator '{name}' reads the field '{read}', which {side} samples do not "
                        "have.",
                        where=where,
                        fix="let it read fields of the data, noise, or what the game's generator and encoder "
                        "both have: Game(encoder=...) names a network that writes it for real samples",
                    )
        if not set(judged.reads) & (made | encoded):
            raise PluginError(
                f"The discriminator '{name}' reads {', '.join(judged.reads)}: nothing that differs between "
                "real and generated samples.",
                where=where,
                fix="let it read a field that the game's generator or encoder writes",
            )


def _check_forward(name: str, net: Net, where: str) -> None:
    """Fields go to `forward` by position: if there are several, parameters must have the names of `reads`."""
    parameters = inspect.signature(net.module.forward).parameters
    by_position = all(
        item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters.values()
    )
    # More parameters, with defaults, are the author's own: nobody passes them.
    asked = [item.name for item in parameters.values() if item.default is item.empty]
    names = tuple(parameters)[: len(net.reads)]
    fits = len(asked) <= len(names) == len(net.reads) and (len(names) == 1 or names == net.reads)
    if not by_position or not fits:
        raise PluginError(
            f"forward of '{name}' takes ({', '.join(parameters)}), its reads are ({', '.join(net.reads)}).",
            where=where,
            fix="let forward take the fields of `reads` by position, in their order; "
            "two or more by the fields' names",
        )


def _check_shapes(networks: Networks, info: DataInfo, where: str) -> None:
    """Run every network on two samples; generators must write the declared shapes."""
    fields = declared(networks, info)
    for name, net in (*networks.generators.items(), *networks.discriminators.items()):
        net.module.eval()
        with torch.no_grad():
            output = net.module(*inputs_of(net, example(fields.values(), 2 * net.pack)))
        net.module.train()
        values = output if isinstance(output, tuple) else (output,)
        if len(values) != len(net.writes):
            raise PluginError(
                f"'{name}' returns {len(values)} tensors, but declares to write {', '.join(net.writes)}.",
                where=where,
            )
        for key, value in zip(net.writes, values, strict=True):
            wanted = (2, *fields[key].shape) if name in networks.generators else (2, *value.shape[1:])
            if tuple(value.shape) != wanted:
                raise PluginError(
                    f"'{name}' wrote '{key}' of shape {tuple(value.shape)}, its declared shape is {wanted}.",
                    where=where,
                )


def _check_combination(plan: Plan, networks: Networks) -> None:
    architecture = f"'{plan.architecture.item.name}'"
    tags = dict.fromkeys(tags_of(networks), architecture)
    if plan.dataset.item.spec.unpaired:
        tags["unpaired"] = f"data, '{plan.dataset.item.name}'"
    for item in (plan.loss.item, *(term.item for term in plan.terms.values())):
        for tag, reason in item.spec.rejects.items():
            if tag in tags:
                raise SettingsError(
                    f"The {item.kind} '{item.name}' cannot work with this {tags[tag]}: {tag}.",
                    where=f"recipe {plan.name}",
                    fix=reason,
                )


def _check_augmentation(plan: Plan, networks: Networks, info: DataInfo) -> None:
    fields = declared(networks, info)
    seen = {read for net in networks.discriminators.values() for read in net.reads}
    if plan.augment is None:
        return
    kinds = plan.augment.item.spec.kinds
    if not any(fields[name].kind in kinds for name in seen if name in fields):
        nouns = " and ".join(plan.kinds.of(kind).nouns for kind in kinds)
        raise SettingsError(
            f"The augmentation '{plan.augment.item.name}' changes {nouns}, and no discriminator sees any.",
            where=f"augment.name (from {plan.origin(('augment', 'name'))})",
            fix="--augment none",
        )


def tags_of(networks: Networks) -> set[str]:
    """The tags that the architecture names, and those that the core detects."""
    modules = [part for net in networks.discriminators.values() for part in net.module.modules()]
    batch_norm = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in modules)
    return {*networks.tags, *({"batch-norm-in-discriminator"} if batch_norm else ())}
