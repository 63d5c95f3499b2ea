"""Recipes for volumes: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

DCGAN = (
    "Radford, Metz and Chintala 2015, arXiv:1511.06434; in three dimensions Wu et al. 2016, arXiv:1610.07584"
)
WGAN_GP = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"

DCGAN_3D = RecipeSpec(
    name="dcgan-3d",
    summary="Small DCGAN of volumes that trains in minutes on a CPU: 3-D convolutions, spectral norm in D, "
    "EMA.",
    paper=DCGAN,
    architecture="conv-3d",
    loss="non-saturating",
    data="phantoms",
    suits="ganzoo_volumes.rules:suits",
    settings={
        "train.images": 20_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 16,
        "architecture.discriminator_width": 16,
        "architecture.discriminator_norm": "spectral",
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "generator.lr": 2e-3,
        "discriminator.lr": 2e-3,
        "ema.half_life": 2_000,
        "ema.ramp": 0.15,
    },
)

WGAN_GP_3D = RecipeSpec(
    name="wgan-gp-3d",
    summary="Small WGAN-GP of volumes that trains in minutes on a CPU: 3-D convolutions, one critic step, "
    "penalty at every 2nd step, drift term, EMA.",
    paper=WGAN_GP,
    architecture="conv-3d",
    loss="wgan-gp",
    data="phantoms",
    settings={
        "train.images": 20_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 16,
        "architecture.discriminator_width": 16,
        "architecture.discriminator_norm": "none",
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "terms.gradient-penalty.every": 2,
        "terms.drift.weight": 1e-3,
        "ema.half_life": 2_000,
        "ema.ramp": 0.15,
    },
)

RECIPES = [DCGAN_3D, WGAN_GP_3D]
