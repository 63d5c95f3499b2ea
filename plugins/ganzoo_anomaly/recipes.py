"""Recipes of f-AnoGAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

PAPER = (
    "Schlegl et al. 2019, f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial "
    "networks, Medical Image Analysis 54"
)

FANOGAN = RecipeSpec(
    name="f-anogan",
    summary="Small f-AnoGAN that trains in a minute on a CPU. Departs from the paper: small networks, "
    "the encoder learns from the start and not after the GAN, one critic step, penalty at every 2nd "
    "step, EMA.",
    paper=PAPER,
    architecture="f-anogan",
    loss="wgan-gp",
    settings={
        "train.images": 20_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 16,
        "architecture.generator_width": 24,
        "architecture.discriminator_width": 24,
        **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "terms.gradient-penalty.every": 2,
        "terms.drift.weight": 1e-3,
        "terms.izi": True,
        "ema.half_life": 5_000,
        "ema.ramp": 0.15,
    },
)

RECIPES = [FANOGAN]
