"""Recipes of the vanilla GAN: data only."""

from __future__ import annotations

from math import sqrt

from ganzoo.api import RecipeSpec, both_sides

PAPER = "Goodfellow et al. 2014, Generative Adversarial Networks, arXiv:1406.2661"

VANILLA = RecipeSpec(
    name="vanilla",
    summary="Small vanilla GAN of two MLPs that trains in minutes on a CPU. Departs from the paper: leaky "
    "ReLU, BatchNorm in G, 32 latents, no dropout, a weak R1 penalty at every 4th step, Adam 1e-3 with "
    "decay, EMA.",
    paper=PAPER,
    architecture="mlp",
    loss="non-saturating",
    settings={
        "train.images": 700_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_hidden": (512, 1024, 1024),
        "architecture.discriminator_hidden": (1024, 512),
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.5),
        # Without R1, long runs at this learning rate lose modes again.
        "terms.r1.gamma": 0.02,
        "terms.r1.every": 4,
        "ema.half_life": 100_000,
        "ema.ramp": 0.3,
    },
)

# goodfeli/adversarial mnist.yaml. Its discriminator minimises half of the cross entropy: half the learning
# rate here. Its `noise: 'uniform'` is U(-sqrt 3, sqrt 3), of variance 1 (Generator.get_noise in __init__.py).
# 250 epochs of its 50,000 images.
VANILLA_PAPER = RecipeSpec(
    name="vanilla-paper",
    summary="Vanilla GAN as in the authors' mnist.yaml: maxout, dropout, SGD with momentum. "
    "Not reproduced: output bias from pixel means, pixels in 0..1, one step for both networks at once.",
    paper=PAPER,
    architecture="mlp",
    loss="non-saturating",
    settings={
        "train.images": 12_500_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.latent_range": (-sqrt(3), sqrt(3)),
        "architecture.generator_hidden": (1200, 1200),
        "architecture.generator_norm": "none",
        "architecture.output": "sigmoid",
        "architecture.discriminator_hidden": (240, 240),
        "architecture.discriminator_units": "maxout",
        "architecture.discriminator_pieces": 5,
        "architecture.input_dropout": 0.2,
        "architecture.dropout": 0.5,
        "architecture.init": "uniform",
        "generator.lr": 0.1,
        "generator.lr_final": 1e-6,
        "discriminator.lr": 0.05,
        "discriminator.lr_final": 5e-7,
        **both_sides(
            optimizer="sgd",
            momentum=0.5,
            momentum_final=0.7,
            momentum_images=12_500_000,
            decay="exponential",
            decay_rate=1.000004,
        ),
        "ema.half_life": 0,
    },
)

_TOY = {
    "train.batch_size": 128,
    "train.n_critic": 1,
    "architecture.generator_norm": "none",
    **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.9), decay="linear", decay_from=0.5),
    "ema.half_life": 10_000,
    "ema.ramp": 0.05,
}

VANILLA_SCALAR = RecipeSpec(
    name="vanilla-scalar",
    summary="The first GAN of many tutorials: single numbers from a normal distribution, "
    "layers 100-256-128-64-32-1. Not an experiment of the paper.",
    paper=PAPER,
    architecture="mlp",
    loss="non-saturating",
    data="toy:normal1d",
    settings={
        **_TOY,
        "train.images": 400_000,
        "architecture.latent": 100,
        "architecture.generator_hidden": (256, 128, 64, 32),
        "architecture.discriminator_hidden": (64, 64),
    },
)

VANILLA_RING = RecipeSpec(
    name="vanilla-ring",
    summary="Points from eight Gaussians on a ring: a plot shows which modes the GAN finds. "
    "Not an experiment of the paper.",
    paper=PAPER,
    architecture="mlp",
    loss="non-saturating",
    data="toy:ring",
    settings={
        **_TOY,
        "train.images": 1_000_000,
        "architecture.latent": 16,
        "architecture.generator_hidden": (128, 128, 128),
        "architecture.discriminator_hidden": (128, 128, 128),
    },
)

RECIPES = [VANILLA, VANILLA_PAPER, VANILLA_SCALAR, VANILLA_RING]
