"""The loop that trains every GAN.

The loop decides when things happen: phases, schedules, averaging, recording, stopping. Losses own the
formula, terms the regularisers. The recorder writes files, and the repeater runs cycles on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ganzoo.config.plan import Plan
from ganzoo.data.batches import Batches, Picked
from ganzoo.training.compute.cuda_graphs import Repeater
from ganzoo.training.phases import Phases
from ganzoo.training.reporting.recorder import Recorder
from ganzoo.training.state import Training

Outcome = Literal["done", "paused", "interrupted", "preempted"]


def train_loop(
    plan: Plan,
    training: Training,
    phases: Phases,
    batches: Batches,
    repeater: Repeater,
    recorder: Recorder,
    stop: Callable[[], Outcome | None],
) -> Outcome:
    """Train until the run is complete or `stop` returns a reason. A resumed run continues exactly.

    One cycle is `n_critic` steps of the discriminators and one step of the generators. The order of real
    samples is a function of (seed, images seen); the generators' phase has its own order. With several
    ranks, each takes its share of every batch.
    """
    settings = plan.train
    n_critic, count = settings.n_critic, settings.batch_size
    generator_count = settings.generator_batch_size or count
    share, generator_share = (training.engine.ranks.share(size) for size in (count, generator_count))
    discriminator_fields = phases.reads("discriminator", set(batches.names))
    generator_fields = phases.reads("generator", set(batches.names))
    others, rows = phases.conditions.others, phases.conditions.table or batches
    turns = n_critic + (not settings.reuse_fakes)

    def cycle(picked: Sequence[Picked]) -> None:
        given = [rows.materialize(item, others) for item in picked[turns:]] or [{}] * turns
        for turn in range(n_critic):
            real = batches.materialize(picked[turn], discriminator_fields)
            last = turn + 1 == n_critic
            phases.discriminator(real, count, training.steps * n_critic + turn, last, given[turn])
        if not settings.reuse_fakes:
            real = batches.materialize(picked[n_critic], generator_fields)
        phases.generator(real, generator_count, training.steps, given[-1])
        training.average_statistics()
        training.ema.update()

    while (progress := recorder.share) < 1.0:
        if reason := stop():
            return reason
        images, steps = training.images, training.steps
        training.discriminator.schedule(progress, images, steps * n_critic)
        training.generator.schedule(progress, images, steps)
        training.ema.schedule(progress, n_critic * count, images + n_critic * count)
        phases.move_schedules(progress, images)

        starts = [images + turn * count + share.start for turn in range(n_critic)]
        picked = [
            batches.select("discriminator", start, len(share), discriminator_fields) for start in starts
        ]
        if not settings.reuse_fakes:
            start = steps * generator_count + generator_share.start
            picked.append(batches.select("generator", start, len(generator_share), generator_fields))
        if others:
            picked += [rows.select("conditions", start, len(share), others) for start in starts]
            if not settings.reuse_fakes:
                stream = "conditions of the generator"
                picked.append(rows.select(stream, start, len(generator_share), others))
        repeater.run(phases.due(steps, n_critic), cycle, picked)

        training.images += n_critic * count
        training.steps += 1
        recorder.after_cycle(images)
    return "done"
