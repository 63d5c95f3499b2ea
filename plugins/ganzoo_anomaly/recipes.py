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
    "step, EMA, nearest normal features in the score.",
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
        "architecture.nearest": 0.5,
        **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "terms.gradient-penalty.every": 2,
        "terms.drift.weight": 1e-3,
        "terms.izi": True,
        "ema.half_life": 5_000,
        "ema.ramp": 0.15,
    },
)

# The authors' wgangp_64x64.py and z_encoding_izif.py: 50,000 steps of the encoder, after 7 epochs of the GAN,
# whose number of images is not said: 100,000 steps of G here. A step of G has five batches of D.
FANOGAN_PAPER = RecipeSpec(
    name="f-anogan-paper",
    summary="f-AnoGAN as in the authors' code for patches of 64x64: residual networks, 128 latents, WGAN-GP, "
    "Adam 1e-4, encoder izi_f with kappa 1 for the last 50,000 steps. Not reproduced: BatchNorm in G, G and "
    "critic frozen while the encoder learns, RMSprop for it (here Adam 5e-5), mirrored patches.",
    paper=PAPER,
    architecture="f-anogan",
    loss="wgan-gp",
    settings={
        "train.images": 48_000_000,
        "train.batch_size": 64,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.networks": "residual",
        "architecture.latent": 128,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.encoder_rate": 0.5,
        "architecture.kappa": 1.0,
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.0, 0.9), decay="none"),
        "terms.gradient-penalty.weight": 10.0,
        "terms.izi.weight": "piecewise 0: 0, 0.6666: 0, 0.6667: 1",
        "terms.izi.kappa": 1.0,
        "ema.half_life": 0,
    },
)

RECIPES = [FANOGAN, FANOGAN_PAPER]
