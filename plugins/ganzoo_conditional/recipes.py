"""Recipes of conditional GANs: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

MIRZA = "Mirza and Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"
MIYATO = "Miyato and Koyama 2018, cGANs with Projection Discriminator, arXiv:1802.05637"


CGAN = RecipeSpec(
    name="cgan",
    summary="Small conditional GAN that trains in minutes on a CPU. Departs from the paper's MLPs, logistic "
    "loss and SGD: convolutions, projection, WGAN-GP with one critic step, Adam 4e-3 (G) and 2e-3 (D) with "
    "decay, EMA.",
    paper=f"{MIRZA}; {MIYATO}",
    architecture="conditional-conv",
    loss="wgan-gp",
    fit="ganzoo_dcgan.rules:fit_wgan_gp",
    settings={
        "train.images": 220_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        # With 32 latents and 32 values for the class, z had little effect: recall 0.14 instead of 0.30.
        "architecture.label_width": 8,
        "architecture.generator_width": 24,
        "architecture.discriminator_width": 24,
        "architecture.conditioning": "projection",
        "architecture.discriminator_norm": "none",
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "generator.lr": 4e-3,
        "discriminator.lr": 2e-3,
        "terms.drift.weight": 1e-3,
        "ema.half_life": 20_000,
        "ema.ramp": 0.15,
    },
)

# The paper gives neither the length of training nor the schedule of the momentum. Both are taken from the GAN
# that it builds on (goodfeli/adversarial mnist.yaml): 250 epochs of 50,000 images.
CGAN_PAPER = RecipeSpec(
    name="cgan-paper",
    summary="Conditional GAN as in section 4.1 of the paper: maxout, dropout, SGD with momentum. "
    "The paper does not give length, momentum schedule and initialisation; they are chosen here. Pixels are "
    "in -1..1.",
    paper=MIRZA,
    architecture="conditional-mlp",
    loss="non-saturating",
    settings={
        "train.images": 12_500_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.latent_range": (0.0, 1.0),  # "within the unit hypercube"
        "architecture.generator_dropout": 0.5,
        "architecture.dropout": 0.5,
        "architecture.output": "sigmoid",
        **both_sides(
            optimizer="sgd",
            lr=0.1,
            momentum=0.5,
            momentum_final=0.7,
            momentum_images=12_500_000,
            decay="exponential",
            decay_rate=1.00004,
            lr_final=1e-6,
        ),
        "ema.half_life": 0,
    },
)

RECIPES = [CGAN, CGAN_PAPER]
