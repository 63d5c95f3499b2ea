"""Recipes of Projected GAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

PROJECTED = "Sauer et al. 2021, Projected GANs Converge Faster, NeurIPS 2021, arXiv:2111.01007"

# Trials on npm @lobehub/fluent-emoji-3d at 32x32x3 (features at 64x64), 4,000 images, one seed, 60 to 70 CPU
# seconds on one thread each; the Frechet distance of Lite2's features at n = 600, and coverage:
#   batch 8, rates 5e-4 (G) and 1e-3 (D), BatchNorm in D, colour augmented    222  0.287
#   the same without augmented colours                                        197  0.337
#   and without norm in D: more colours, fewer saturated pixels               206  0.332
#   G of dcgan instead, rates 1e-3                                            382  0.088
# At 64x64 and rates of 1e-3, the same set, distance of Lite0's features at n = 1000: batch 16 231 / 0.146, no
# norm in D 217 / 0.202; batch 8 and 2e-3 for G 201 / 0.207, with saturated colours.
SMALL_PROJECTED = RecipeSpec(
    name="projected",
    summary="GAN for pictures, after Projected GAN: D looks through a network trained on ImageNet. Departs "
    "from the paper: EfficientNet-Lite0 at the images' own size (from 64 pixels), narrow networks, no norm "
    "in D, batch 8, rates of 5e-4 (G) and 1e-3 (D) with decay, colours are not augmented.",
    paper=PROJECTED,
    architecture="projected",
    loss="hinge",
    suits="ganzoo_projected.rules:suits",
    settings={
        "augment.name": "diffaugment",
        "augment.policy": ("translation", "cutout"),
        "train.images": 60_000,
        "train.batch_size": 8,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "architecture.latent": 128,
        "architecture.generator_width": 8,
        "architecture.discriminator_width": 32,
        "architecture.discriminator_norm": "none",
        **both_sides(optimizer="adam", betas=(0.0, 0.99), decay="linear", decay_from=0.6),
        "generator.lr": 5e-4,
        "discriminator.lr": 1e-3,
        "ema.half_life": 5_000,
        "ema.ramp": 0.15,
    },
)

RECIPES = [SMALL_PROJECTED]
