"""Calibrates networks with held-out samples before they are exported (`Networks.calibrate`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganzoo.api.media import as_floats
from ganzoo.api.networks import Networks
from ganzoo.config.plan import Plan
from ganzoo.data.dataset import CALIBRATING, Dataset
from ganzoo.data.open_data import open_data, open_held_out
from ganzoo.errors import DataError, PluginError

MOST = 10_000  # samples
_BATCH = 64


def calibrated(networks: Networks, plan: Plan, note: Callable[[str], None]) -> Networks:
    """The networks with what `calibrate` returns in their fields; DataError without the data of the run."""
    if networks.calibrate is None:
        return networks
    try:
        held_out = open_held_out(plan.dataset, plan.data.source, plan.kinds)
        dataset = held_out or open_data(plan)
    except DataError as error:
        raise DataError(
            f"The export calibrates the networks with the run's data, which cannot be used: {error.what}",
            where=error.where,
            fix="export where the data is",
        ) from error
    if held_out is None:
        note("no samples are held out: the networks were calibrated with training samples, which they know")
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        net.module.eval()
    with torch.no_grad():
        facts = networks.calibrate(_batches(dataset))
    declared = {field.name: field for field in networks.fields}
    if unknown := facts.keys() - declared.keys():
        raise PluginError(
            f"calibrate returned facts of '{min(unknown)}', which is no field of Networks.fields.",
            where=plan.architecture.item.qualified,
        )
    fields = tuple(
        replace(field, facts={**field.facts, **facts.get(field.name, {})}) for field in networks.fields
    )
    return replace(networks, fields=fields)


def _batches(dataset: Dataset) -> Iterator[Mapping[str, Tensor]]:
    chosen = np.arange(dataset.count)[CALIBRATING][:MOST]
    for start in range(0, len(chosen), _BATCH):
        rows = chosen[start : start + _BATCH]
        yield {
            field.name: torch.from_numpy(
                as_floats(field, array) if field.dtype == "float32" else array.astype("int64")
            )
            for field in dataset.fields
            for array in [dataset.arrays[field.name][rows]]
        }
