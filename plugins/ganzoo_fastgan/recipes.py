"""Recipes of FastGAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

FASTGAN = (
    "Liu et al. 2021, Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis, "
    "arXiv:2101.04775"
)

# On 200 images of the embedded data, 224 s each on one thread of a busy machine, 2,000 samples against
# the held-out images, one seed; the numbers are training images seen:
#   fastgan, 20,000                                FED 69.9, coverage 0.437, recall 0.247
#   dcgan, 101,568                                       92.2           0.443         0.107
#   dcgan with --augment diffaugment, 111,872            70.3           0.469         0.156
# Its result on all 5,000 images is in docs/results.md.
SMALL_FASTGAN = RecipeSpec(
    name="fastgan",
    summary="Small GAN for few images, after FastGAN, that trains in minutes on a CPU. Departs from the "
    "paper: narrow networks, 64 latents, batch 32, learning rates of 1e-3 with decay, L1 instead of a "
    "perceptual distance, D makes its small copy of the image itself.",
    paper=FASTGAN,
    architecture="fastgan",
    loss="hinge",
    settings={
        "augment.name": "diffaugment",
        "augment.policy": ("color", "translation"),
        "train.images": 40_000,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "architecture.generator_width": 4,
        "architecture.decoder_width": 4,
        "terms.reconstruct.weight": 1.0,
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="linear", decay_from=0.6),
        "ema.half_life": 5_000,
        "ema.ramp": 0.15,
    },
)

# odegeasslbc/FastGAN-pytorch train.py: 50,000 batches of 8 at 1024x1024, mirrored; EMA decay 0.999 per step.
# Reconstruction errors are summed over the batch there, and averaged here.
FASTGAN_PAPER = RecipeSpec(
    name="fastgan-paper",
    summary="FastGAN's settings for 1024x1024: ngf and ndf 64, batch 8, Adam 2e-4, 50,000 steps. Not "
    "reproduced: LPIPS (here L1), a random quarter of the middle maps (here all), G's small output image, "
    "random margins of the hinge loss.",
    paper=FASTGAN,
    architecture="fastgan",
    loss="hinge",
    settings={
        "data.flip": True,
        "augment.name": "diffaugment",
        "augment.policy": ("color", "translation"),
        "train.images": 400_000,
        "train.batch_size": 8,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 256,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.decoder_width": 32,
        "architecture.spectral_generator": True,
        "terms.reconstruct.weight": 1.0,
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none"),
        # 8 * log(0.5) / log(0.999)
        "ema.half_life": 5_542,
        "ema.ramp": 0.0,
    },
)

RECIPES = [SMALL_FASTGAN, FASTGAN_PAPER]
