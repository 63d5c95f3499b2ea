"""Recipes of sound: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

WAVEGAN = "Donahue, McAuley and Puckette 2019, Adversarial Audio Synthesis, arXiv:1802.04208"

SMALL_WAVEGAN = RecipeSpec(
    name="wavegan",
    summary="Small WaveGAN",
    paper=WAVEGAN,
    architecture="wavegan",
    loss="non-saturating",
    data="wav",
    settings={
        "train.batch_size": 32,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "data.length": 4_096,
        "architecture.latent": 64,
        "architecture.generator_width": 24,
        "architecture.discriminator_width": 24,
        "architecture.widest": 8,
        "architecture.shuffle": 1,
        "architecture.conditional": True,
        "architecture.norm": "batch",
        **both_sides(optimizer="adam", lr=4e-4, betas=(0.5, 0.99), decay="linear", decay_from=0.5),
        "terms.r1.gamma": 1.0,
        "terms.r1.every": 4,
        "ema.half_life": 10_000,
    },
)
RECIPES = [SMALL_WAVEGAN]
