"""Recipes of R3GAN: data only."""

from __future__ import annotations

from typing import Any

from ganzoo.api import RecipeSpec, both_sides

R3GAN = "Huang et al. 2024, The GAN is dead; long live the GAN! A Modern Baseline GAN, arXiv:2501.05441"


def penalties(**options: Any) -> dict[str, Any]:
    """The same options for R1 and R2."""
    return {f"terms.{name}.{key}": value for name in ("r1", "r2") for key, value in options.items()}


# Trials on the embedded data: FED of 2,000 samples at a number of training images, all with decay to the end.
#   batch 64, widths 24 and 16 in groups of 16, lr 3e-3, gamma 1 at every 2nd step
#                                                                            172 at 20,000; 99 at 60,000
#   batch 16, widths 16 in groups of 8, gamma 0.5 at every 2nd step: lr 1.5e-3, 3e-3, 5e-3
#                                                                            101, 74, 84 at 24,000
#   the same, lr 3e-3, gamma 0.2 at every 4th step: 13 % less time                      75 at 24,000
#   batch 8, widths 24 and 16, lr 4e-3, gamma 0.5 at every 2nd step: half as fast       78 at 24,000
# At lr 8e-3 (G) and 4e-3 (D), batch 64 and gamma 0.2, D became too strong: its loss fell to 0.01.
# With tanh, G drew black images of MNIST from the hundredth image on: D's AUC was 1, and G had no gradient.
# There, after 3,008 images, medians of the last quarter: without tanh AUC 1, D's loss 0.05, gray smears; with
# leaky tanh 0.88, 0.45, digits. FED of garments at 24,000 images, seed 0: tanh 75, leaky tanh 82 (leak 0.02)
# and 85 (0.005), no tanh 115.
SMALL_R3GAN = RecipeSpec(
    name="r3gan",
    summary="Small R3GAN that trains in minutes on a CPU. Departs from the paper: narrow networks with one "
    "block per stage, batch 16, learning rates of 3e-3 with decay, penalties at every 4th step, a leaky "
    "tanh, no schedules, no augmentation.",
    paper=R3GAN,
    architecture="r3gan",
    loss="relativistic",
    fit="ganzoo_r3gan.rules:fit",
    settings={
        "train.images": 60_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "architecture.generator_width": 16,
        "architecture.discriminator_width": 16,
        "architecture.group": 8,
        "architecture.blocks": 1,
        "architecture.output": "leaky-tanh",
        **both_sides(optimizer="adam", lr=3e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        **penalties(gamma=0.2, every=4),
        "ema.half_life": 10_000,
        "ema.ramp": 0.15,
    },
)

# brownvc/R3GAN train.py, preset CIFAR10: widths of 768 everywhere in 96 groups of 16, two blocks per stage.
# Over the first 20 million images (burn-in), cosine schedules go from lr 2e-4, gamma 0.05, beta2 0.9,
# half-life 0 and no augmentation to the values here, which then stay constant. Table 9 gives a length of 250
# million images. A constant can match only one end; this one holds for the other 230 million. The half-life
# does grow during those 20 million images, linearly: 5 / 20 of the images so far.
R3GAN_PAPER = RecipeSpec(
    name="r3gan-paper",
    summary="R3GAN for CIFAR-10 (32x32) with the settings after its burn-in: 768 channels, Adam 5e-5, gamma "
    "0.005, batch 512. Not reproduced: class labels, the schedules of the burn-in (learning rate, beta2, "
    "gamma; the EMA half-life grows linearly, there by a cosine), augmentation, bf16 in all stages but the "
    "smallest (here in all, where the machine has it).",
    paper=f"{R3GAN}, table 9",
    architecture="r3gan",
    loss="relativistic",
    settings={
        "data.flip": True,
        "train.images": 250_000_000,
        "train.batch_size": 512,
        "train.n_critic": 1,
        "architecture.latent": 64,
        "architecture.generator_width": 768,
        "architecture.discriminator_width": 768,
        "architecture.widest": 768,
        "architecture.blocks": 2,
        "architecture.expansion": 2,
        "architecture.group": 16,
        **both_sides(optimizer="adam", lr=5e-5, betas=(0.0, 0.99), decay="none"),
        **penalties(gamma=0.005, every=1),
        "ema.half_life": 5_000_000,
        "ema.ramp": 0.25,
    },
)

RECIPES = [SMALL_R3GAN, R3GAN_PAPER]
