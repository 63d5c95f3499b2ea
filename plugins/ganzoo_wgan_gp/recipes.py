"""Recipes of WGAN and WGAN-GP: data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

WGAN = "Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
WGAN_GP = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"


SMALL_CONV: Mapping[str, Any] = {
    "architecture.latent": 32,
    "architecture.generator_width": 24,
    "architecture.discriminator_width": 24,
    "architecture.kernel": 4,
    "architecture.head": "smooth",
}
# The last doubling gives the image itself. That is more than twice as fast, so the networks can be wider.
QUICK_CONV: Mapping[str, Any] = {
    "architecture.latent": 32,
    "architecture.generator_width": 48,
    "architecture.discriminator_width": 40,
    "architecture.discriminator_extra": 1,
    "architecture.kernel": 4,
    "architecture.head": "strided",
}
AVERAGE: Mapping[str, Any] = {"ema.half_life": 20_000, "ema.ramp": 0.15}

SMALL_WGAN = RecipeSpec(
    name="wgan",
    summary="Small WGAN with clipped weights that trains in minutes on a CPU. Departs from the paper: small "
    "networks, 32 latents, per-sample norm, wider clip, one critic step, learning rates of 2e-3 (G) and "
    "1e-3 (D) with decay, EMA.",
    paper=WGAN,
    architecture="wgan-conv",
    loss="wgan",
    settings={
        "train.images": 160_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        **SMALL_CONV,
        "architecture.discriminator_norm": "layer",
        **both_sides(optimizer="rmsprop", decay="linear", decay_from=0.6),
        "generator.lr": 2e-3,
        "discriminator.lr": 1e-3,
        "terms.weight-clip.limit": 0.05,
        **AVERAGE,
    },
    fit="ganzoo_dcgan.rules:fit_wgan",
)

# Algorithm 1 with the networks of WassersteinGAN main.py, and its 25 epochs of LSUN bedrooms (3,033,042).
WGAN_PAPER = RecipeSpec(
    name="wgan-paper",
    summary="WGAN as in Algorithm 1, with the DCGAN of the authors' main.py (64x64). "
    "Not reproduced: 100 critic steps at the start and at every 500th generator step, samples made with the "
    "BatchNorm statistics of their own batch (here running statistics).",
    paper=WGAN,
    architecture="dcgan",
    loss="wgan",
    settings={
        "train.images": 75_826_050,
        "train.batch_size": 64,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.kernel": 4,
        "architecture.head": "strided",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "batch",
        "architecture.bias": False,
        "architecture.init": "normal",
        **both_sides(optimizer="rmsprop", lr=5e-5, decay="none"),
        "terms.weight-clip.limit": 0.01,
        "ema.half_life": 0,
    },
)

SMALL_WGAN_GP = RecipeSpec(
    name="wgan-gp",
    summary="Small WGAN-GP that trains in minutes on a CPU. Departs from the paper: small networks, one "
    "critic step, penalty at every 2nd step, learning rates of 4e-3 (G) and 2e-3 (D) with decay, drift "
    "term, EMA.",
    paper=WGAN_GP,
    architecture="wgan-conv",
    loss="wgan-gp",
    fit="ganzoo_dcgan.rules:fit_wgan_gp",
    settings={
        "train.images": 230_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        **QUICK_CONV,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "generator.lr": 4e-3,
        "discriminator.lr": 2e-3,
        "terms.gradient-penalty.every": 2,
        "terms.drift.weight": 1e-3,
        **AVERAGE,
    },
)

# The widths are those of the 4-layer MLPs of Arjovsky et al. 2017, section 4.3.
WGAN_GP_MLP = RecipeSpec(
    name="wgan-gp-mlp",
    summary="Small WGAN-GP of two MLPs for any float data; trains in minutes on a CPU. Departs from the "
    "paper: BatchNorm in G, one critic step, learning rates of 1e-3 with decay, drift term, EMA.",
    paper=WGAN_GP,
    architecture="mlp",
    loss="wgan-gp",
    suits="ganzoo_wgan_gp.rules:suits",
    settings={
        "train.images": 250_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.generator_hidden": (512, 512, 512),
        "architecture.generator_norm": "batch",
        "architecture.generator_activation": "leaky-relu",
        "architecture.discriminator_hidden": (512, 512, 512),
        "architecture.discriminator_units": "leaky-relu",
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "terms.drift.weight": 1e-3,
        "ema.half_life": 5_000,
        "ema.ramp": 0.05,
    },
)

# gan_mnist.py, MODE wgan-gp: 200,000 generator steps of 5 x 50 images. Maps are doubled from 4 to 7, 14, 28.
# Its pixels are in 0..1. Here they are in -1..1, where gradients s are half as large: its penalty
# 10 (2 s - 1)^2 is 40 (s - 0.5)^2.
WGAN_GP_PAPER = RecipeSpec(
    name="wgan-gp-paper",
    summary="WGAN-GP as in the authors' gan_mnist.py: 5x5 convolutions, no norm, Adam 1e-4, 5 critic steps. "
    "Not reproduced: pixels in 0..1 (here -1..1, with target and weight of the penalty converted).",
    paper=WGAN_GP,
    architecture="wgan-conv",
    loss="wgan-gp",
    settings={
        "train.images": 50_000_000,
        "train.batch_size": 50,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.latent": 128,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.kernel": 5,
        "architecture.stages": 3,
        "architecture.head": "strided",
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "architecture.output": "sigmoid",
        "architecture.init": "he",
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none"),
        "terms.gradient-penalty.weight": 40.0,
        "terms.gradient-penalty.target": 0.5,
        "ema.half_life": 0,
    },
)

# gan_cifar_resnet.py: 100,000 generator steps of 5 x 64 images.
WGAN_GP_RESNET_PAPER = RecipeSpec(
    name="wgan-gp-resnet-paper",
    summary="WGAN-GP as in the authors' gan_cifar_resnet.py (32x32), unconditional. "
    "Not reproduced: uniform noise of 1/128 on real pixels, class labels.",
    paper=WGAN_GP,
    architecture="wgan-resnet",
    loss="wgan-gp",
    settings={
        "train.images": 32_000_000,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.latent": 128,
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "none",
        "architecture.init": "he",
        **both_sides(
            optimizer="adam", lr=2e-4, betas=(0.0, 0.9), decay="linear", decay_from=0.0, lr_final=0.0
        ),
        "terms.gradient-penalty.weight": 10.0,
        "ema.half_life": 0,
    },
)

RECIPES = [SMALL_WGAN, WGAN_PAPER, SMALL_WGAN_GP, WGAN_GP_MLP, WGAN_GP_PAPER, WGAN_GP_RESNET_PAPER]
