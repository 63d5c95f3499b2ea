"""Discriminators that score several samples together: `train.pack` (Lin et al. 2018, PacGAN)."""

from __future__ import annotations

from dataclasses import replace

from ganzoo.api.networks import Networks
from ganzoo.config.plan import Plan
from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import DataInfo
from ganzoo.networks.scheduled import live
from ganzoo.registry.registry import calling, factory_of

__all__ = ["packed"]

_PACKS_LABELS = "packs-labels"
"""A tag of networks whose discriminators also accept the labels of a pack, (N / pack, pack)."""


def packed(networks: Networks, plan: Plan, info: DataInfo) -> Networks:
    """The same generators, with discriminators that score `train.pack` samples together.

    Lin et al. 2018 (PacGAN, section 3): the network treats a pack as one sample with `pack` times as many
    channels, and is built from a description of such data. SettingsError if that is impossible, as with most
    labels. Terms that compare outputs of D with single samples reject the tag `packed`.
    """
    pack, item = plan.train.pack, plan.architecture.item
    fields = tuple(
        replace(field, shape=(pack * (field.shape[0] if field.shape else 1), *field.shape[1:]))
        for field in info.fields
    )
    labels = {field.name for field in info.fields if field.dtype == "int64"}
    reads = {read for net in networks.discriminators.values() for read in net.reads}
    reason = ""
    if labels & reads and _PACKS_LABELS not in networks.tags:
        reason = f"its discriminator reads '{min(labels & reads)}', one label for each sample"
    elif reads & {field.name for field in networks.fields}:
        own = min(reads & {field.name for field in networks.fields})
        reason = f"its discriminator reads '{own}', a field of the architecture"
    elif any(net.pack != 1 for net in networks.discriminators.values()):
        reason = "its discriminator packs samples by itself"
    else:
        try:
            with calling(item):
                options, _ = live(plan.architecture.options, "architecture")
                built = factory_of(item)(options, replace(info, fields=fields))
        except DataError as error:
            reason = error.what
    if reason:
        raise SettingsError(
            f"The architecture '{item.name}' cannot score {pack} samples together.",
            where=f"train.pack (from {plan.origin(('train', 'pack'))}): {reason}",
            fix="train.pack=1, or another architecture",
        )
    discriminators = {name: replace(net, pack=pack) for name, net in built.discriminators.items()}
    return replace(networks, discriminators=discriminators, tags=(*networks.tags, "packed"))
