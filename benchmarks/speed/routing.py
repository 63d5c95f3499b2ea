"""What fields, views and games cost: ganzoo's phases against a hand-written step of the same work.

    python -m benchmarks.speed.routing [RECIPE] [--rounds 7]

Both train the same DCGAN with the same fast means in one process, in turns, by CPU time. The hand-written
step calls the two modules directly and knows that there is one image and one score.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import torch
from torch.nn.functional import softplus

from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry
from ganzoo.training.setup import TrainingSetup, prepare

CYCLES = 40


@click.command()
@click.argument("recipe", default="dcgan")
@click.option("--rounds", default=7, type=click.IntRange(3))
@click.option("--precision", default="fp32", type=click.Choice(["fp32", "bf16"]))
def main(recipe: str, rounds: int, precision: str) -> None:
    """Print CPU milliseconds a cycle of both, and the median of the ratios of a round."""
    settings = {"train.device": "cpu", "train.threads": 1, "train.precision": precision}
    contenders = [
        make(prepare(resolve(recipe, load_registry(), overrides=settings))) for make in (routed, by_hand)
    ]
    for cycle in contenders:
        measure(cycle, 5)
    figures: list[list[float]] = [[], []]
    for turn in range(rounds):
        for place in (turn % 2, 1 - turn % 2):
            figures[place].append(measure(contenders[place], CYCLES))
    ratio = statistics.median(one / two for one, two in zip(*figures, strict=True))
    through, direct = map(statistics.median, figures)
    click.echo(
        f"{recipe} {precision}: {through:.2f} ms a cycle routed, {direct:.2f} ms by hand, x {ratio:.4f}"
    )


def measure(cycle: Callable[[int], None], cycles: int) -> float:
    """CPU milliseconds of one cycle."""
    begun = time.process_time()
    for step in range(cycles):
        cycle(step)
    return (time.process_time() - begun) / cycles * 1e3


def routed(setup: TrainingSetup) -> Callable[[int], None]:
    """A cycle as the loop runs it."""
    phases, batches, training = setup.phases, setup.batches, setup.training
    count = setup.plan.train.batch_size

    def cycle(step: int) -> None:
        real = batches.take("discriminator", step * count, count)
        phases.discriminator(real, count, step, last=True)
        phases.generator({}, count, step)
        training.ema.schedule(0.0, count, (step + 1) * count)
        training.ema.update()

    return cycle


def by_hand(setup: TrainingSetup) -> Callable[[int], None]:
    """The same work, written for one generator and one discriminator of images."""
    batches, training, engine = setup.batches, setup.training, setup.training.engine
    g = training.networks.generators["generator"].module
    d = training.networks.discriminators["discriminator"].module
    g_weights, d_weights = training.generator.parameters, training.discriminator.parameters
    g_adam, d_adam = training.generator.optimizer, training.discriminator.optimizer
    count = setup.plan.train.batch_size
    latent = setup.phases.noise_fields[0].shape[0]
    [field] = training.networks.discriminators["discriminator"].reads
    sums = torch.zeros(4)

    def cycle(step: int) -> None:
        real = batches.take("discriminator", step * count, count, [field])[field]
        with engine.autocast():
            with torch.no_grad():
                fake = g(engine.normal(count, latent)).float()
            on_real, on_fake = d(torch.cat([real, fake])).float().chunk(2)
            loss = softplus(-on_real).mean() + softplus(on_fake).mean()
        d_adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=d_weights)
        d_adam.step()
        sums[0] += on_real.detach().mean()
        sums[1] += on_fake.detach().mean()
        sums[2] += loss.detach()

        with engine.autocast():
            g_loss = softplus(-d(g(engine.normal(count, latent)).float()).float()).mean()
        g_adam.zero_grad(set_to_none=True)
        torch.autograd.backward(g_loss, inputs=g_weights)
        g_adam.step()
        sums[3] += g_loss.detach()
        training.ema.schedule(0.0, count, (step + 1) * count)
        training.ema.update()

    return cycle


if __name__ == "__main__":
    main()
