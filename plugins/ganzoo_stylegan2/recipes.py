"""Recipes of StyleGAN2: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

STYLEGAN2 = (
    "Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020, arXiv:1912.04958"
)

# Trials of 30,000 images of the embedded data, FED: 198 at learning rates of 1e-2, mapping_rate 0.1, batch
# 32, R1 with gamma 0.5 and no tanh (20,000 images at 4e-3 and 0.01: 218); 136 with batch 64 and tanh; 122 at
# 2e-2 and gamma 0.1, with black dots in light images, which noise=0.1 removed (134). Learning rates are high
# because weights are N(0, 1) and scaled at run time. These settings: FED 61.5, coverage 0.584, 272 s of CPU.
SMALL_STYLEGAN2 = RecipeSpec(
    name="stylegan2",
    summary="Small StyleGAN2 that trains in minutes on a CPU. Departs from the paper: narrow networks, 64 "
    "latents and styles, two mapping layers, learning rates of 2e-2 with decay (0.3 of that for the noise "
    "strength), tanh, R1 with gamma 0.1 at every 8th step, no path length term.",
    paper=STYLEGAN2,
    architecture="stylegan2",
    loss="non-saturating",
    fit="ganzoo_stylegan2.rules:fit",
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
# at 1024x1024, mirrored. There a lazy regulariser at every k-th step has a step of its own: k + 1 steps for k
# batches. To correct for it, that network's Adam uses lr * c and beta ** c with c = k / (k + 1). Here the
# regulariser is added to the loss of its step, k steps for k batches, with lr 2e-3 and beta2 0.99 unchanged.
STYLEGAN2_PAPER = RecipeSpec(
    name="stylegan2-paper",
    summary="StyleGAN2's config F for FFHQ (1024x1024): R1 with gamma 10 at every 16th step, path length "
    "term at every 4th, Adam 2e-3. Not reproduced: separate steps for the regularisers, and the correction "
    "of learning rate and betas for them (here they are added to the loss of their step), one layer of style "
    "mixing for a whole batch (here one for each image).",
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

RECIPES = [SMALL_STYLEGAN2, STYLEGAN2_PAPER]
