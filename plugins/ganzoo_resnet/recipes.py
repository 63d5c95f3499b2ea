"""Recipes of SNGAN, SAGAN, projection and BigGAN: data only."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

SNGAN = "Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, arXiv:1802.05957"
PROJECTION = "Miyato and Koyama 2018, cGANs with Projection Discriminator, arXiv:1802.05637"
SAGAN = "Zhang et al. 2019, Self-Attention Generative Adversarial Networks, arXiv:1805.08318"
BIGGAN = (
    "Brock et al. 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis, arXiv:1809.11096"
)

# Trials of 40,000 images on the embedded data: FED 71 at these learning rates, 78 with 4e-3 for D as well.
SMALL: Mapping[str, Any] = {
    "train.images": 100_000,
    "train.batch_size": 64,
    "train.n_critic": 1,
    "architecture.latent": 32,
    "architecture.generator_width": 16,
    "architecture.discriminator_width": 16,
    "architecture.widening": 4,
    "architecture.discriminator_base": 6,
    "architecture.discriminator_tail": 1,
    "generator.lr": 4e-3,
    "discriminator.lr": 2e-3,
    **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
    "ema.half_life": 20_000,
    "ema.ramp": 0.15,
}
# At such learning rates, spectral norm limits the effect of z and the bias of G's first layer grows beyond
# it: FED 94 instead of 58 for `sagan`, and the images of a class were alike.
NORMED: Mapping[str, Any] = {"architecture.spectral_generator": True, "architecture.first_bias": False}
DEPARTS = (
    "Departs from the paper: small networks, 32 latents, learning rates of 4e-3 (G) and 2e-3 (D) with "
    "decay, EMA"
)

SMALL_SNGAN = RecipeSpec(
    name="sngan",
    summary="Small SNGAN that trains in minutes on a CPU: residual networks, hinge loss. "
    f"{DEPARTS}, one step of D.",
    paper=SNGAN,
    architecture="sn-resnet",
    loss="hinge",
    fit="ganzoo_dcgan.rules:fit",
    settings=SMALL,
)

SMALL_PROJECTION = RecipeSpec(
    name="projection",
    summary="Small residual GAN with conditional BatchNorm and a projection discriminator; trains in minutes "
    f"on a CPU. {DEPARTS}, one step of D.",
    paper=PROJECTION,
    architecture="sn-resnet-conditional",
    loss="hinge",
    fit="ganzoo_dcgan.rules:fit",
    settings=SMALL,
)

SMALL_SAGAN = RecipeSpec(
    name="sagan",
    summary="Small SAGAN that trains in minutes on a CPU: attention at 14x14, spectral norm in both "
    f"networks, class labels. {DEPARTS}, no bias in G's first layer.",
    paper=SAGAN,
    architecture="sn-resnet-conditional",
    loss="hinge",
    fit="ganzoo_dcgan.rules:fit",
    settings={**SMALL, **NORMED, "train.images": 80_000, "architecture.attention": 14},
)

SMALL_BIGGAN = RecipeSpec(
    name="biggan",
    summary="Small BigGAN that trains in minutes on a CPU: one class embedding for all norms, a part of z "
    f"for each block. {DEPARTS}, no bias in G's first layer, no attention, one step of D, small batches, no "
    "orthogonal regularisation, gain and shift of a norm share one spectral norm.",
    paper=BIGGAN,
    architecture="sn-resnet-conditional",
    loss="hinge",
    fit="ganzoo_dcgan.rules:fit",
    settings={
        **SMALL,
        **NORMED,
        "architecture.shared_embedding": 64,
        "architecture.split_latent": True,
        "architecture.init": "orthogonal",
    },
)

# pfnet-research/sngan_projection configs/sn_cifar10_unconditional.yml: 50,000 steps of G of
# 5 x 64 images.
SNGAN_PAPER = RecipeSpec(
    name="sngan-paper",
    summary="SNGAN's residual networks for CIFAR-10 (32x32) with the settings of the authors' configuration: "
    "Adam 2e-4 decaying to 0, five steps of D. Not reproduced: uniform noise of 1/128 on real pixels.",
    paper=f"{SNGAN}, table 4",
    architecture="sn-resnet",
    loss="hinge",
    settings={
        "train.images": 16_000_000,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "architecture.latent": 128,
        "architecture.generator_width": 256,
        "architecture.discriminator_width": 128,
        "architecture.widening": 1,
        "architecture.discriminator_base": 8,
        "architecture.discriminator_tail": 2,
        "architecture.init": "glorot",
        "architecture.score_bias": False,
        "architecture.norm_eps": 2e-5,  # Chainer's
        **both_sides(
            optimizer="adam", lr=2e-4, betas=(0.0, 0.9), decay="linear", decay_from=0.0, lr_final=0.0
        ),
        "ema.half_life": 0,
    },
)

# SNGAN's table 6; the other two papers build on it.
IMAGENET: Mapping[str, Any] = {
    "train.precision": "fp32",
    "architecture.latent": 128,
    "architecture.generator_width": 64,
    "architecture.discriminator_width": 64,
    "architecture.widening": 16,
    "architecture.discriminator_base": 4,
    "architecture.discriminator_tail": 1,
    "architecture.init": "glorot",
    "ema.half_life": 0,
}

# pfnet-research/sngan_projection configs/sn_projection.yml, on 4 GPUs: 450,000 steps of G of 5 x 64 images.
PROJECTION_PAPER = RecipeSpec(
    name="projection-paper",
    summary="Projection as in the authors' configuration for ImageNet (128x128): Adam 2e-4, five steps of D. "
    "Not reproduced: uniform noise of 1/128 on real pixels.",
    paper=PROJECTION,
    architecture="sn-resnet-conditional",
    loss="hinge",
    settings={
        "train.images": 144_000_000,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.conditions": "uniform",
        "train.n_critic": 5,
        **IMAGENET,
        "architecture.discriminator_hidden": "inputs",
        "architecture.norm_eps": 2e-5,
        **both_sides(
            optimizer="adam", lr=2e-4, betas=(0.0, 0.9), decay="linear", decay_from=8 / 9, lr_final=0.0
        ),
    },
)

# Section 5 and table 1: a million steps, best FID with attention at 32x32.
SAGAN_PAPER = RecipeSpec(
    name="sagan-paper",
    summary="SAGAN for ImageNet (128x128): attention at 32x32, spectral norm in both networks, Adam 1e-4 (G) "
    "and 4e-4 (D), batch 256. Not reproduced: the attention of the authors' code, which pools keys and "
    "values by 2x2 and gives values half of the channels (here an eighth, as in the paper's text).",
    paper=SAGAN,
    architecture="sn-resnet-conditional",
    loss="hinge",
    settings={
        "train.images": 256_000_000,
        "train.batch_size": 256,
        "train.conditions": "uniform",
        "train.n_critic": 1,
        **IMAGENET,
        "architecture.attention": 32,
        "architecture.spectral_generator": True,
        "architecture.block_gain": 1.0,
        "generator.lr": 1e-4,
        "discriminator.lr": 4e-4,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="none"),
    },
)

# Table 1, row 8, for ImageNet: 165,000 steps of G with 2 x 2048 images each. The networks for 32x32 are those
# of ajbrock/BigGAN-PyTorch BigGAN.py: 4 x 96 channels everywhere. Each part of z has 20 values, as at
# 128x128. Both values of 1e-6 are from its scripts/launch_BigGAN_bs256x8.sh.
BIGGAN_PAPER = RecipeSpec(
    name="biggan-paper",
    summary="BigGAN's settings (table 1, row 8) with the 32x32 networks of the authors' PyTorch code: width "
    "96, batch 2048, shared embedding, split latents. Not reproduced: orthogonal regularisation, "
    "truncation.",
    paper=BIGGAN,
    architecture="sn-resnet-conditional",
    loss="hinge",
    settings={
        "train.images": 675_840_000,
        "train.batch_size": 2048,
        "train.conditions": "uniform",
        "train.n_critic": 2,
        "train.precision": "fp32",
        "architecture.latent": 80,
        "architecture.generator_width": 384,
        "architecture.discriminator_width": 384,
        "architecture.widening": 1,
        "architecture.discriminator_base": 8,
        "architecture.discriminator_tail": 2,
        "architecture.spectral_generator": True,
        "architecture.shared_embedding": 128,
        "architecture.split_latent": True,
        "architecture.separate_tables": True,
        "architecture.init": "orthogonal",
        "architecture.spectral_eps": 1e-6,
        "generator.lr": 5e-5,
        "discriminator.lr": 2e-4,
        **both_sides(optimizer="adam", betas=(0.0, 0.999), eps=1e-6, decay="none"),
        # A decay of 0.9999 per step of G.
        "ema.half_life": round(2 * 2048 * log(0.5) / log(0.9999)),
        "ema.ramp": 0.0,
    },
)

RECIPES = [
    SMALL_SNGAN,
    SNGAN_PAPER,
    SMALL_PROJECTION,
    PROJECTION_PAPER,
    SMALL_SAGAN,
    SAGAN_PAPER,
    SMALL_BIGGAN,
    BIGGAN_PAPER,
]
