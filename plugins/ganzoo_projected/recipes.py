"""Recipes of Projected GAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

PROJECTED = "Sauer et al. 2021, Projected GANs Converge Faster, NeurIPS 2021, arXiv:2111.01007"

SMALL_PROJECTED = RecipeSpec(
    name="projected",
    summary="GAN for pictures, after Projected GAN: D looks through a network trained on ImageNet. Departs "
    "from the paper: EfficientNet-Lite0 at the images' own size (from 64 pixels), narrow networks, batch 16.",
    paper=PROJECTED,
    architecture="projected",
    loss="hinge",
    suits="ganzoo_projected.rules:suits",
    settings={
        "augment.name": "diffaugment",
        "train.images": 60_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "architecture.latent": 128,
        "architecture.generator_width": 8,
        "architecture.discriminator_width": 32,
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.0, 0.99), decay="linear", decay_from=0.6),
        "ema.half_life": 5_000,
        "ema.ramp": 0.15,
    },
)

RECIPES = [SMALL_PROJECTED]
