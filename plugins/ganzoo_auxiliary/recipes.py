"""Recipes of AC-GAN and InfoGAN: data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

ACGAN = "Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs, arXiv:1610.09585"
INFOGAN = (
    "Chen et al. 2016, InfoGAN: Interpretable Representation Learning by Information Maximizing GANs, "
    "arXiv:1606.03657"
)

SMALL: Mapping[str, Any] = {
    "train.images": 200_000,
    "train.batch_size": 64,
    "train.n_critic": 1,
    "architecture.latent": 32,
    "architecture.generator_width": 48,
    "architecture.discriminator_width": 40,
    "architecture.discriminator_extra": 1,
    "architecture.discriminator_norm": "spectral",
    "architecture.init": "default",
    "generator.lr": 8e-3,
    "discriminator.lr": 4e-3,
    **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
    "ema.half_life": 20_000,
    "ema.ramp": 0.15,
}

# With weights of 1 the images of a class became alike. After 60,000 images: FED 79 and recall 0.15; with the
# weights here FED 57 and recall 0.34.
SMALL_ACGAN = RecipeSpec(
    name="acgan",
    summary="Small AC-GAN that trains in minutes on a CPU. Departs from the paper: small networks, 32 "
    "latents, spectral norm in D, weights of 0.3 (D, real samples only) and 0.1 (G) for the class, learning "
    "rates of 8e-3 (G) and 4e-3 (D) with decay, EMA.",
    paper=ACGAN,
    architecture="acgan-conv",
    loss="non-saturating",
    fit="ganzoo_dcgan.rules:fit",
    settings={
        **SMALL,
        "terms.guess-label.real_weight": 0.3,
        "terms.guess-label.fake_weight": 0.0,
        "terms.show-label.weight": 0.1,
    },
)

# Table 2 (CIFAR-10), the middle one of its three learning rates: 50,000 batches of 100.
ACGAN_PAPER = RecipeSpec(
    name="acgan-paper",
    summary="AC-GAN as in the paper's table 2 for CIFAR-10 (32x32): dropout in D, Adam 2e-4. "
    "Not reproduced: noise on D's activations. The paper does not give the distribution of z; here it is "
    "normal.",
    paper=f"{ACGAN}, appendix A",
    architecture="acgan-conv",
    loss="non-saturating",
    settings={
        "train.images": 5_000_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.generator_width": 96,
        "architecture.generator_kernel": 5,
        "architecture.bottom_norm": False,
        "architecture.discriminator_width": 16,
        "architecture.discriminator_kernel": 3,
        "architecture.discriminator_layers": 2,
        "architecture.discriminator_norm": "batch",
        "architecture.slope": 0.2,
        "architecture.dropout": 0.5,
        "architecture.init": "normal",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none"),
        "terms.guess-label.real_weight": 1.0,
        "terms.guess-label.fake_weight": 1.0,
        "terms.show-label.weight": 1.0,
        "ema.half_life": 0,
    },
)

# After 60,000 images: FED 91 with weights of 1; 71 with these and uniform z. With 0.1 for both the codes had
# less effect on the images.
SMALL_INFOGAN = RecipeSpec(
    name="infogan",
    summary="Small InfoGAN that trains in minutes on a CPU: a code of ten classes and two styles, learned "
    "without labels. Departs from the paper: small networks, 32 latents, spectral norm in D, weights of 0.1 "
    "(D) and 0.3 (G) for the codes, learning rates of 8e-3 (G) and 4e-3 (D) with decay, EMA.",
    paper=INFOGAN,
    architecture="infogan-conv",
    loss="non-saturating",
    fit="ganzoo_dcgan.rules:fit",
    settings={
        **SMALL,
        "architecture.categories": 10,
        "architecture.styles": 2,
        "architecture.latent_distribution": "uniform",
        "terms.guess-codes.categorical_weight": 0.1,
        "terms.guess-codes.continuous_weight": 0.1,
        "terms.show-codes.categorical_weight": 0.3,
        "terms.show-codes.continuous_weight": 0.3,
    },
)

# Appendix C.1 and openai/InfoGAN launchers/run_mnist_exp.py: 50 epochs of 100 batches of 128.
INFOGAN_PAPER = RecipeSpec(
    name="infogan-paper",
    summary="InfoGAN as in appendix C.1 and in the authors' run_mnist_exp.py: a code of ten classes, two "
    "styles, Adam 1e-3 (G) and 2e-4 (D), leaky ReLU of 0.1 as in the appendix (0.01 in the code). Not "
    "reproduced: BatchNorm per unit (here per channel) of G's first maps, pixels in 0..1 (here -1..1), "
    "samples made with the BatchNorm statistics of their own batch (here running statistics).",
    paper=INFOGAN,
    architecture="infogan-conv",
    loss="non-saturating",
    settings={
        "train.images": 640_000,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 62,
        "architecture.latent_distribution": "uniform",
        "architecture.categories": 10,
        "architecture.styles": 2,
        "architecture.generator_width": 64,
        "architecture.generator_hidden": 1024,
        "architecture.generator_kernel": 4,
        "architecture.discriminator_width": 64,
        "architecture.discriminator_hidden": 1024,
        "architecture.discriminator_kernel": 4,
        "architecture.discriminator_norm": "batch",
        "architecture.guess_hidden": 128,
        "architecture.slope": 0.1,
        "architecture.output": "sigmoid",
        "architecture.init": "normal",
        "generator.lr": 1e-3,
        "discriminator.lr": 2e-4,
        **both_sides(optimizer="adam", betas=(0.5, 0.999), decay="none"),
        "terms.guess-codes.categorical_weight": 1.0,
        "terms.guess-codes.continuous_weight": 1.0,
        "terms.show-codes.categorical_weight": 1.0,
        "terms.show-codes.continuous_weight": 1.0,
        "ema.half_life": 0,
    },
)

RECIPES = [SMALL_ACGAN, ACGAN_PAPER, SMALL_INFOGAN, INFOGAN_PAPER]
