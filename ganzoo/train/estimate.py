"""What a run will cost, for `--dry-run`: parameters, floating-point work, memory.

Work and saved activations are counted by really running both phases on a few samples; both grow in
proportion to the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganzoo.networks import parameter_count
from ganzoo.train.session import Prepared
from ganzoo.train.work import WorkCounter

PROBE = 4


def estimate(prepared: Prepared) -> dict[str, Any]:
    """Counts for a prepared run, which is used up by it (its weights take a few steps).

    `flops_per_image` is for one real image, everything that its cycle does counted in; `memory_mb`
    is an estimate of weights, gradients, optimiser state, activations and the data, where that is
    kept on the device.
    """
    plan, training, phases = prepared.plan, prepared.training, prepared.phases
    settings, names = plan.train, set(prepared.batches.names)
    count, generator_count = settings.batch_size, settings.generator_batch_size or settings.batch_size
    work, saved = {}, {}
    for role in ("discriminator", "generator"):
        real = prepared.batches.take(role, 0, PROBE, phases.reads(role, names))
        kept: dict[int, int] = {}

        def pack(value: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
            return value

        with WorkCounter() as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            if role == "discriminator":
                phases.discriminator(real, PROBE, 0, True)
            else:
                phases.generator(real, PROBE, 0)
        work[role] = counter.operations / PROBE
        saved[role] = sum(kept.values()) / PROBE
    per_cycle = settings.n_critic * count * work["discriminator"] + generator_count * work["generator"]
    nets = training.networks
    parameters = {
        "generators": parameter_count(nets.generators.values()),
        "discriminators": parameter_count(nets.discriminators.values()),
    }
    # Weight, gradient and two Adam moments are 16 bytes a parameter; the average adds 4.
    weights = 16 * sum(parameters.values()) + (4 * parameters["generators"] if training.ema.active else 0)
    activations = max(saved["discriminator"] * count, saved["generator"] * generator_count)
    stored = sum(array.nbytes for array in prepared.store.arrays.values())
    data = stored if prepared.batches.resident else 0
    return {
        "parameters": parameters,
        "flops_per_image": round(per_cycle / (settings.n_critic * count)),
        "flops_per_cycle": round(per_cycle),
        "memory_mb": round((weights + activations + data) / 2**20, 1),
        "samples": prepared.store.count,
    }
