"""What a run will cost, for `--dry-run`: parameters, floating-point operations, memory.

Operations and saved activations are counted while both phases run on a few samples. Both counts grow in
proportion to the batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganzoo.api.training import Batch
from ganzoo.networks.apply import parameter_count
from ganzoo.training.flops import FlopCounter, Work
from ganzoo.training.objective import Penalty
from ganzoo.training.phases import Phases
from ganzoo.training.setup import TrainingSetup

PROBE = 4
# The share of free memory that a suggestion uses: counts are estimates, and others use memory too.
SAFE = 0.8
# Memory for a batch, as a multiple of its real samples in float32: 125 for dcgan, 500 for stylegan2 (28x28).
MOST_TIMES = 1000


@dataclass(frozen=True)
class Cycle:
    """Counts for one cycle: floating-point operations, and bytes saved for the backward passes, by role.

    `seconds` are those of the few samples, times the samples of a cycle in which every term is due.
    """

    work: Work
    saved: Mapping[str, float]
    seconds: float = 0.0

    @property
    def operations(self) -> float:
        """All floating-point operations."""
        return sum(self.work.values())


def count_cycle(setup: TrainingSetup) -> Cycle:
    """Run both phases on a few samples. This changes the weights: do not train with `setup` afterwards."""
    settings, phases, names = setup.plan.train, setup.phases, set(setup.batches.names)
    phases.replay = None  # it only copies; and a pool may be smaller than the probe
    count, probe = settings.batch_size, PROBE * settings.pack
    generator_count = settings.generator_batch_size or count
    work: Work = {}
    saved = {}
    seconds = 0.0
    for role, samples, turns in (
        ("discriminator", count, settings.n_critic),
        ("generator", generator_count, 1),
    ):
        real = setup.batches.take(role, 0, probe, phases.reads(role, names))
        penalties = phases.objective.penalties[role]
        begun = time.perf_counter()
        counted, kept = _count_phase(phases, role, real, penalties)
        seconds += (time.perf_counter() - begun) / probe * samples * turns
        saved[role] = kept / probe * min(samples, phases.memory.at_once or samples)
        shares = [(counted, 1.0)]
        for lazy in (penalty for penalty in penalties if penalty.every > 1):
            rest, _ = _count_phase(phases, role, real, [other for other in penalties if other is not lazy])
            missed = 1 - 1 / lazy.every
            shares += [(rest, missed), (counted, -missed)]
        for operations, share in shares:
            for key, value in operations.items():
                work[key] = work.get(key, 0) + share * value / probe * samples * turns
    return Cycle(work, saved, seconds)


def _count_phase(phases: Phases, role: str, real: Batch, penalties: list[Penalty]) -> tuple[Work, float]:
    """Operations of one phase on `PROBE` packs with all these penalties, and bytes saved for backward."""
    kept: dict[int, int] = {}
    count = PROBE * phases.memory.pack

    def pack(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    objective = phases.objective
    before, objective.penalties = objective.penalties, {**objective.penalties, role: penalties}
    try:
        with FlopCounter() as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            if role == "discriminator":
                phases.discriminator(real, count, 0, True)
            else:
                phases.generator(real, count, 0)
    finally:
        objective.penalties = before
    return counter.work, sum(kept.values())


def estimate(setup: TrainingSetup) -> dict[str, Any]:
    """Counts for a run that is set up. This changes its weights: do not train with `setup` afterwards.

    `flops_per_image` is the work of a whole cycle, divided by its real images. `memory_mb` is an estimate of
    weights, gradients, optimiser state, activations, the pool of earlier samples, and the data where it is
    kept on the device; `activations_mb` is the part that grows with the batch, or with the micro-batch, and
    `free_mb` what the device has. `cycle_seconds` is far too high for small networks, and about right for
    large ones.
    """
    training, settings = setup.training, setup.plan.train
    pool = setup.phases.replay
    kept = sum(value.nbytes for value in pool.buffers()) if pool is not None else 0
    cycle = count_cycle(setup)
    per_cycle = cycle.operations
    nets = training.networks
    parameters = {
        "generators": parameter_count(nets.generators.values()),
        "discriminators": parameter_count(nets.discriminators.values()),
    }
    # Weight, gradient and two Adam moments are 16 bytes per parameter; the EMA adds 4.
    weights = 16 * sum(parameters.values()) + (4 * parameters["generators"] if training.ema.active else 0)
    activations = max(cycle.saved.values())
    stored = sum(array.nbytes for array in setup.dataset.arrays.values())
    data = stored if setup.batches.resident else 0
    return {
        "parameters": parameters,
        "flops_per_image": round(per_cycle / (settings.n_critic * settings.batch_size)),
        "flops_per_cycle": round(per_cycle),
        "memory_mb": round((weights + activations + data + kept) / 2**20, 1),
        "activations_mb": round(activations / 2**20, 1),
        "free_mb": round(training.engine.free_memory() / 2**20, 1),
        "samples": setup.dataset.count,
        "cycle_seconds": cycle.seconds,
    }


def shortage(setup: TrainingSetup, counts: Mapping[str, Any]) -> str:
    """What to do if the memory that `estimate` found is more than there is; empty if it is enough."""
    needed, free, activations = (counts[name] for name in ("memory_mb", "free_mb", "activations_mb"))
    if needed <= free:
        return ""
    memory, train = setup.phases.memory, setup.plan.train
    batch = max(train.batch_size, train.generator_batch_size or 0)
    at_once = min(memory.at_once or batch, batch)
    room = SAFE * free - (needed - activations)
    fits = int(at_once * room / activations) // memory.pack * memory.pack if activations else 0
    seen = f"this run needs about {needed:,.0f} MB of memory, and {free:,.0f} MB are free"
    if fits < 1:
        return f"{seen}: not even one sample at a time fits, so use smaller samples or networks"
    return (
        f"{seen}: it would be ended by the system. --set train.micro_batch={fits} computes the same batch in "
        "parts, or use a smaller --batch-size"
    )


def may_be_short(setup: TrainingSetup) -> bool:
    """Whether it is worth to `estimate` the memory: it is seldom more than `MOST_TIMES` that of a batch."""
    sample = sum(4 * math.prod(field.shape) for field in setup.dataset.fields)
    return MOST_TIMES * sample * setup.plan.train.batch_size > setup.training.engine.free_memory()
