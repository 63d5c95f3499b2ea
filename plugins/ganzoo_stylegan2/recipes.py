"""Recipes of StyleGAN2: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

STYLEGAN2 = (
    "Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020, arXiv:1912.04958"
)

# Trials of 30,000 images of the embedded data, FED: 198 at rates of 1e-2, mapping_rate 0.1, batch 32, R1 of
# gamma 0.5 and no tanh (20,000 at 4e-3 and 0.01: 218); 136 at a batch of 64 with tanh; 122 at 2e-2 and gamma
# 0.1, with black grains in light images, which noise=0.1 smoothed (134). Rates are high because weights are
# N(0, 1) and scaled in use. As it stands here: 61.5, a coverage of 0.584, 272 CPU seconds.
SIZED_STYLEGAN2 = RecipeSpec(
    name="stylegan2",
    summary="StyleGAN2 sized for CPU minutes. Departs from the paper: narrow nets, 64 latents and styles, "
    "two mapping layers, rates of 2e-2 with decay, a slower strength of the noise, tanh, R1 of gamma 0.1 in "
    "each 8th step, no path lengths.",
    paper=STYLEGAN2,
    architecture="stylegan2",
    loss="non-saturating",
    settings={
        "train.images": 60_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.mapping_rate": 0.1,
        "architecture.noise": 0.3,
        "architecture.output": "tanh",
        **both_sides(optimizer="adam", lr=2e-2, betas=(0.0, 0.99), decay="linear", decay_from=0.6),
        "terms.r1.gamma": 0.1,
        "terms.r1.every": 8,
        "ema.half_life": 10_000,
        "ema.ramp": 0.15,
    },
)

# NVlabs/stylegan2 run_training.py, config-f, and NVlabs/stylegan2-ada-pytorch train.py, cfg stylegan2: FFHQ
# at 1024x1024, mirrored. A lazy regulariser in each k-th step is a step of its own there: k + 1 steps for k
# batches, for which rate and betas of that side's Adam are changed by c = k / (k + 1): lr * c and beta ** c.
# Here the regulariser is added to the loss of its step, k steps for k batches: 2e-3 and 0.99 as they are.
STYLEGAN2_PAPER = RecipeSpec(
    name="stylegan2-paper",
    summary="StyleGAN2's config F for FFHQ (1024x1024): R1 of gamma 10 in each 16th step, path lengths in "
    "each 4th, Adam 2e-3. Not reproduced: steps of their own for the regularisers, and the correction of "
    "rate and betas for them (here they are added to the loss of their step), one crossing of styles for a "
    "whole batch (here one each).",
    paper=STYLEGAN2,
    architecture="stylegan2",
    loss="non-saturating",
    settings={
        "data.flip": True,
        "train.images": 25_000_000,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 512,
        "architecture.style": 512,
        "architecture.mapping_layers": 8,
        "architecture.mapping_rate": 0.01,
        "architecture.generator_width": 32,
        "architecture.discriminator_width": 32,
        "architecture.widest": 512,
        "architecture.style_mixing": 0.9,
        "architecture.average": 0.995,
        "architecture.group": 4,
        **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.99), decay="none"),
        "terms.r1.gamma": 10.0,
        "terms.r1.every": 16,
        "terms.path-length.weight": 2.0,
        "terms.path-length.decay": 0.01,
        "terms.path-length.shrink": 2,
        "terms.path-length.every": 4,
        "ema.half_life": 10_000,
        "ema.ramp": 0.0,
    },
)

RECIPES = [SIZED_STYLEGAN2, STYLEGAN2_PAPER]
