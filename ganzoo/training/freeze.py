"""Parameters that a run does not train (`train.freeze`): their names and globs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ganzoo.api.networks import Networks
from ganzoo.errors import SettingsError


def freeze(networks: Networks, patterns: Sequence[str]) -> list[str]:
    """Take the parameters that the patterns name out of training; returns their names, NET.PARAMETER.

    A pattern is a name, what a name begins with up to a dot (`discriminator.blocks.0`), or either with `*`,
    `?` and `[...]`. Mo et al. 2020 (Freeze the Discriminator, arXiv:2002.10964) freeze the first layers of
    D. Running statistics go on. SettingsError for a pattern that nothing matches, and when all parameters of
    the generators or discriminators would be frozen.
    """
    if not patterns:
        return []
    roles = {"generators": networks.generators, "discriminators": networks.discriminators}
    names = {
        f"{net}.{key}": value
        for nets in roles.values()
        for net, record in nets.items()
        for key, value in record.module.named_parameters()
    }
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            parts = dict.fromkeys(".".join(name.split(".")[:3]) for name in names)
            raise SettingsError(
                f"No parameter's name matches '{pattern}'.",
                where="train.freeze",
                fix=f"the networks have: {', '.join(parts)}",
            )
    frozen = [name for name in names if any(_fits(name, pattern) for pattern in patterns)]
    for name in frozen:
        names[name].requires_grad_(False)
    for role, nets in roles.items():
        own = [value for net in nets.values() for value in net.module.parameters()]
        if own and not any(value.requires_grad for value in own):
            raise SettingsError(
                f"All parameters of the {role} would be frozen: nothing would learn.",
                where=f"train.freeze = {', '.join(patterns)}",
                fix="freeze fewer",
            )
    return frozen


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
