"""The one loop that trains every GAN here.

The loop owns *when*: phases, schedules, averaging, recording, stopping. Losses own the formula,
terms the regularisers, the recorder what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ganzoo.data.batches import Batches
from ganzoo.plan import Plan
from ganzoo.train.phases import Phases
from ganzoo.train.recorder import Recorder
from ganzoo.train.state import Training

Outcome = Literal["done", "paused", "interrupted", "preempted"]


def train_loop(
    plan: Plan,
    training: Training,
    phases: Phases,
    batches: Batches,
    recorder: Recorder,
    stop: Callable[[], Outcome | None],
) -> Outcome:
    """Train until the run is complete or `stop` names a reason; resuming continues exactly.

    One cycle is `n_critic` steps of the discriminators and one of the generators. Real samples come
    in an order that is a function of (seed, images seen); the generators' phase has its own stream.
    """
    settings = plan.train
    count = settings.batch_size
    generator_count = settings.generator_batch_size or count
    judged = phases.reads("discriminator", set(batches.names))
    conditions = phases.reads("generator", set(batches.names))

    while (share := recorder.share) < 1.0:
        if reason := stop():
            return reason
        images_before = training.images
        critic_steps = training.steps * settings.n_critic
        training.discriminator.schedule(share, training.images, critic_steps)
        training.generator.schedule(share, training.images, training.steps)

        for turn in range(settings.n_critic):
            real = batches.take("discriminator", training.images, count, judged)
            phases.discriminator(training.discriminator, real, count, critic_steps + turn)
            training.images += count

        real = batches.take("generator", training.steps * generator_count, generator_count, conditions)
        phases.generator(training.generator, real, generator_count, training.steps)
        training.steps += 1

        training.ema.update(training.images - images_before, training.images)
        recorder.after_cycle(images_before)
    return "done"
