"""Discriminators that judge several samples together: `train.pack` (Lin et al. 2018, PacGAN)."""

from __future__ import annotations

from dataclasses import replace

from ganzoo.api.networks import Networks
from ganzoo.config.plan import Plan
from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import DataInfo
from ganzoo.registry.registry import calling, factory_of

__all__ = ["packed"]

_PACKS_LABELS = "packs-labels"
"""A tag of networks whose discriminators also take the labels of a pack, (N / pack, pack)."""


def packed(networks: Networks, plan: Plan, info: DataInfo) -> Networks:
    """The same generators, with discriminators that judge `train.pack` samples together.

    Lin et al. 2018 (PacGAN, section 3): to the network a pack is one sample with so many times the channels,
    so it is built from data that has these. SettingsError where that cannot be, as with most labels. Terms
    that compare what D writes with each sample reject the tag `packed`.
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
    elif any(net.pack != 1 for net in networks.discriminators.values()):
        reason = "its discriminator packs samples by itself"
    else:
        try:
            with calling(item):
                built = factory_of(item)(plan.architecture.options, replace(info, fields=fields))
        except DataError as error:
            reason = error.what
    if reason:
        raise SettingsError(
            f"The architecture '{item.name}' cannot judge {pack} samples together.",
            where=f"train.pack (from {plan.origin(('train', 'pack'))}): {reason}",
            fix="train.pack=1, or another architecture",
        )
    judges = {name: replace(net, pack=pack) for name, net in built.discriminators.items()}
    return replace(networks, discriminators=judges, tags=(*networks.tags, "packed"))
