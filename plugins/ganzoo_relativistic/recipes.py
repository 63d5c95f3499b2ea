"""Recipes of the relativistic pairing GAN: data only."""

from __future__ import annotations

from typing import Any

from ganzoo.api import RecipeSpec, both_sides

R3GAN = "Huang et al. 2024, The GAN is dead; long live the GAN! A Modern Baseline GAN, arXiv:2501.05441"


def penalties(**options: Any) -> dict[str, Any]:
    """The same options for R1 and R2."""
    return {f"terms.{name}.{key}": value for name in ("r1", "r2") for key, value in options.items()}


# Short runs got further with BatchNorm in G than without, and every=4 saves time. R3GAN does neither: in
# its appendix E, penalties at every 8th step cost a little FID on images, and runs on Stacked MNIST and
# on points in the plane did not converge. There, every=1.
SIZED_RPGAN = RecipeSpec(
    name="rpgan",
    summary="Relativistic pairing GAN with R1 and R2, sized for CPU minutes. Departs from R3GAN: small DCGAN "
    "nets, BatchNorm in G, penalties at every 4th step, rates of 2e-3 with decay, no augmentation.",
    paper=R3GAN,
    architecture="dcgan",
    loss="relativistic",
    settings={
        "train.images": 250_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 48,
        "architecture.discriminator_width": 40,
        "architecture.discriminator_extra": 1,
        "architecture.kernel": 4,
        "architecture.head": "strided",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "none",
        "architecture.init": "default",
        **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        **penalties(gamma=0.05, every=4),
        "ema.half_life": 20_000,
        "ema.ramp": 0.15,
    },
)

# Table 9, column CIFAR-10; train.py of R3GAN has the same numbers and leaves the length open. For the first
# 20 of 250 million images cosines lead to these from a rate of 2e-4, gamma 0.05, beta2 0.9 and half-life 0;
# then they stay. A constant must be one or the other: the end, which holds for the other 230 million. So
# the rate starts low, too: by appendix D the high one needs the low beta2. The half-life does grow in
# those 20 million images, on a straight line: 5 / 20 of the images seen.
RPGAN_PAPER = RecipeSpec(
    name="rpgan-paper",
    summary="R3GAN's numbers for CIFAR-10 (32x32) as they are after its burn-in, on WGAN-GP's residual nets "
    "without norms. Not reproduced: its own nets, class labels, augmentation, schedules of the burn-in.",
    paper=R3GAN + ", table 9",
    architecture="wgan-resnet",
    loss="relativistic",
    settings={
        "data.flip": True,
        "train.images": 250_000_000,
        "train.batch_size": 512,
        "train.n_critic": 1,
        "architecture.latent": 64,
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "architecture.init": "he",
        **both_sides(optimizer="adam", lr=5e-5, betas=(0.0, 0.99), decay="none"),
        **penalties(gamma=0.005, every=1),
        "ema.half_life": 5_000_000,
        "ema.ramp": 0.25,
    },
)

RECIPES = [SIZED_RPGAN, RPGAN_PAPER]
