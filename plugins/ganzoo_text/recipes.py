"""Recipes for texts: WGAN-GP on characters, RelGAN; small ones for a CPU and the published ones."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

WGAN_GP = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028, section 5.4"
RELGAN = "Nie, Narodytska and Patel 2019, RelGAN: Relational Generative Adversarial Networks for Text, ICLR"

# 4-gram JSD on fortunes, 80,000 texts, 100 CPU seconds: softmax 0.691, straight-through 0.569; the latter
# in batches of 16: 0.595 after 33 CPU seconds. Four critic steps were no better (docs/kinds/text.md).
WGAN_GP_TEXT = RecipeSpec(
    name="wgan-gp-text",
    summary="Small WGAN-GP for short texts of characters; trains in minutes on a CPU. Departs from the "
    "paper: the critic sees symbols, not shares (straight-through), 3 blocks of 64 channels, batch 16, "
    "2 critic steps, penalty at every 2nd step, higher learning rates, EMA.",
    paper=WGAN_GP,
    architecture="text-conv",
    loss="wgan-gp",
    data="toy-text",
    suits="ganzoo_text.rules:suits_wgan",
    settings={
        "train.images": 150_000,
        "train.batch_size": 16,
        "train.n_critic": 2,
        "architecture.straight_through": True,
        "architecture.latent": 64,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.blocks": 3,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.5),
        "generator.lr": 1e-3,
        "discriminator.lr": 1e-3,
        "terms.gradient-penalty.every": 2,
        "ema.half_life": 5_000,
        "ema.ramp": 0.05,
    },
)

# gan_language.py: 200,000 generator steps of 10 x 64 texts of 32 characters.
WGAN_GP_TEXT_PAPER = RecipeSpec(
    name="wgan-gp-text-paper",
    summary="WGAN-GP on 32 characters as in the authors' gan_language.py: 5 blocks of 512 channels, 10 "
    "critic steps, Adam 1e-4.",
    paper=WGAN_GP,
    architecture="text-conv",
    loss="wgan-gp",
    data="toy-text",
    settings={
        "train.images": 128_000_000,
        "train.batch_size": 64,
        "train.n_critic": 10,
        "train.precision": "fp32",
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none"),
        "terms.gradient-penalty.weight": 10.0,
        "ema.half_life": 0,
    },
)

# The weights change over the run: likelihood alone, then the game as well.
RELGAN_SMALL = RecipeSpec(
    name="relgan",
    summary="Small RelGAN: an LSTM that writes one symbol after the other; trains in minutes on a CPU. "
    "Departs from the paper: likelihood and game in one run, a wider LSTM, 8 representations of 32 filters, "
    "one step of D.",
    paper=RELGAN,
    architecture="text-lstm",
    loss="relgan",
    data="toy-text",
    suits="ganzoo_text.rules:suits_relgan",
    settings={
        "train.images": 150_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.hidden": 128,
        "architecture.representations": 8,
        "architecture.filters": 32,
        "architecture.inverse_temperature": "exponential 1 -> 10 over 0.6..1",
        "loss.weight": "piecewise 0: 0, 0.6: 0, 0.65: 0.1",
        "terms.likelihood.weight": "piecewise 0: 1, 0.6: 1, 0.65: 0.5",
        **both_sides(optimizer="adam", betas=(0.9, 0.999), decay="linear", decay_from=0.5, clip_norm=5.0),
        "generator.lr": 5e-3,
        "discriminator.lr": 1e-4,
        "ema.half_life": 5_000,
        "ema.ramp": 0.05,
    },
)

# COCO captions in the authors' code: 150 epochs of 10,000 sentences by likelihood, which are 23,438 steps of
# G, and 2,000 steps of the game, in which beta = 100^(i / 5,000). Each step of G here has five of D.
RELGAN_PAPER = RecipeSpec(
    name="relgan-paper",
    summary="RelGAN with an LSTM as in the authors' code for COCO captions: 64 representations, 5 steps of "
    "D, inverse temperature 1 to 6.3. Not reproduced: D rests during the first part; the relational memory.",
    paper=RELGAN,
    architecture="text-lstm",
    loss="relgan",
    data="toy-text",
    settings={
        "train.images": 8_140_000,
        "train.batch_size": 64,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.inverse_temperature": "exponential 1 -> 6.31 over 0.9214..1",
        "loss.weight": "piecewise 0: 0, 0.9214: 0, 0.9215: 1",
        "terms.likelihood.weight": "piecewise 0: 1, 0.9214: 1, 0.9215: 0",
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.9, 0.999), decay="none", clip_norm=5.0),
        "generator.lr": "piecewise 0: 1e-2, 0.9214: 1e-2, 0.9215: 1e-4",
        "ema.half_life": 0,
    },
)

RECIPES = [WGAN_GP_TEXT, WGAN_GP_TEXT_PAPER, RELGAN_SMALL, RELGAN_PAPER]
