"""Recipes of DCGAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

PAPER = "Radford, Metz and Chintala 2015, Unsupervised Representation Learning with DCGAN, arXiv:1511.06434"

DCGAN = RecipeSpec(
    name="dcgan",
    summary="Small DCGAN that trains in minutes on a CPU. Departs from the paper: small networks, 32 "
    "latents, spectral norm in D, default initialisation, learning rates of 8e-3 (G) and 4e-3 (D) with "
    "decay, EMA.",
    paper=PAPER,
    architecture="dcgan",
    loss="non-saturating",
    fit="ganzoo_dcgan.rules:fit_dcgan",
    suits="ganzoo_dcgan.rules:suits",
    settings={
        "train.images": 300_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 48,
        "architecture.discriminator_width": 40,
        "architecture.discriminator_extra": 1,
        "architecture.head": "strided",
        "architecture.discriminator_norm": "spectral",
        "architecture.init": "default",
        "generator.lr": 8e-3,
        "discriminator.lr": 4e-3,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "ema.half_life": 20_000,
        "ema.ramp": 0.15,
    },
)

# Newmu/dcgan_code faces/train_uncond_dcgan.py: 25 epochs of 350,000 faces. There G and D use every second
# batch each, so D is shown half of them.
DCGAN_PAPER = RecipeSpec(
    name="dcgan-paper",
    summary="DCGAN as in the authors' code for 64x64 faces: BatchNorm, N(0, 0.02), Adam 2e-4. "
    "Not reproduced: BatchNorm per unit (here per channel) after the first layer, samples made with the "
    "BatchNorm statistics of their own batch (here running statistics).",
    paper=PAPER,
    architecture="dcgan",
    loss="non-saturating",
    settings={
        "train.images": 4_375_000,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.kernel": 5,
        "architecture.head": "strided",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "batch",
        "architecture.bias": False,
        "architecture.norm_eps": 1e-8,
        "architecture.init": "normal",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), weight_decay=1e-5, decay="none"),
        "ema.half_life": 0,
    },
)

RECIPES = [DCGAN, DCGAN_PAPER]
