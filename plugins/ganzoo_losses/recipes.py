"""Recipes of DCGAN's networks with other losses and regularisers: data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

LSGAN = "Mao et al. 2017, Least Squares Generative Adversarial Networks, arXiv:1611.04076"
HINGE = (
    "Lim and Ye 2017, Geometric GAN, arXiv:1705.02894; Miyato et al. 2018, Spectral Normalization for GANs, "
    "arXiv:1802.05957"
)
RAGAN = (
    "Jolicoeur-Martineau 2018, The relativistic discriminator: a key element missing from standard GAN, "
    "arXiv:1807.00734"
)
DRAGAN = "Kodali et al. 2017, On Convergence and Stability of GANs, arXiv:1705.07215"
LECAM = "Tseng et al. 2021, Regularizing Generative Adversarial Networks under Limited Data, arXiv:2104.03310"
BCR = "Zhao et al. 2020, Improved Consistency Regularization for GANs, arXiv:2002.04724"

NOTHING: Mapping[str, Any] = {}
SMALL = "small DCGAN networks, 32 latents, learning rates of 8e-3 (G) and 4e-3 (D) with decay, EMA"


def small(
    name: str, summary: str, paper: str, loss: str = "non-saturating", more: Mapping[str, Any] = NOTHING
) -> RecipeSpec:
    """A recipe with the best networks and learning rates for `dcgan` (benchmarks/TUNING.md), and `more`."""
    settings: dict[str, Any] = {
        "train.images": 250_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 48,
        "architecture.discriminator_width": 40,
        "architecture.discriminator_extra": 1,
        "architecture.head": "strided",
        "architecture.discriminator_norm": "spectral",
        "architecture.init": "default",
        "generator.lr": 8e-3,
        "discriminator.lr": 4e-3,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        "ema.half_life": 20_000,
        "ema.ramp": 0.15,
        **more,
    }
    return RecipeSpec(
        name=name,
        summary=summary,
        paper=paper,
        architecture="dcgan",
        loss=loss,
        settings=settings,
        fit="ganzoo_dcgan.rules:fit",
    )


SMALL_RECIPES = [
    small(
        "lsgan",
        f"Small LSGAN that trains in minutes on a CPU. Departs from the paper: {SMALL}, spectral norm in D.",
        LSGAN,
        "lsgan",
    ),
    small(
        "hinge",
        "Small DCGAN with the hinge loss and spectral norm in D that trains in minutes on a CPU. Departs "
        f"from the papers: {SMALL}, one step of D, initialisation.",
        HINGE,
        "hinge",
    ),
    small(
        "ragan",
        f"Small relativistic average GAN that trains in minutes on a CPU. Departs from the paper: {SMALL}.",
        RAGAN,
        "relativistic-average",
    ),
    small(
        "dragan",
        f"Small DRAGAN that trains in minutes on a CPU. Departs from the authors' notebook: {SMALL}.",
        DRAGAN,
        more={"architecture.discriminator_norm": "none", "terms.dragan.weight": 10.0},
    ),
    small(
        "lecam",
        "Small DCGAN with the LeCam regulariser that trains in minutes on a CPU. Departs from the paper: "
        f"{SMALL}, no labels, logistic loss.",
        LECAM,
        more={"terms.lecam.weight": 0.3},
    ),
    small(
        "bcr",
        "Small DCGAN with balanced consistency regularisation that trains in minutes on a CPU. Departs from "
        f"the paper: {SMALL}, shifts of 2 pixels, no mirroring (all shoes in the embedded data point the "
        "same way).",
        BCR,
        more={
            "terms.consistency.lambda_real": 10.0,
            "terms.consistency.lambda_fake": 10.0,
            "terms.consistency.shift": 2,
            "terms.consistency.flip": False,
        },
    ),
]

# xudonmao/LSGAN train_lsun.py: a million batches of 64, 112x112.
LSGAN_PAPER = RecipeSpec(
    name="lsgan-paper",
    summary="LSGAN as in the authors' train_lsun.py, for 112x112: Adam 1e-3, 1024 latents, BatchNorm. "
    "Not reproduced: their G (3x3 kernels, stride 1 and 2 in turn, twice as many layers as DCGAN's).",
    paper=LSGAN,
    architecture="dcgan",
    loss="lsgan",
    settings={
        "train.images": 64_000_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 1024,
        "architecture.latent_distribution": "uniform",
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.kernel": 5,
        "architecture.head": "strided",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "batch",
        "architecture.init": "normal",
        "loss.a": 0.0,
        "loss.b": 1.0,
        "loss.c": 1.0,
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="none"),
        "ema.half_life": 0,
    },
)

# AlexiaJM/RelativisticGAN stable.sh: RaSGAN on CIFAR-10 (32x32), --arch 1, 100,000 batches of 32. Its G is
# that of the smooth head: 512 channels at 4x4, 256, 128, 64 at 32x32, then a 3x3 convolution.
RAGAN_PAPER = RecipeSpec(
    name="ragan-paper",
    summary="Relativistic average GAN as in the author's stable.sh for CIFAR-10 (32x32): Adam 2e-4, batch "
    "32, spectral norm in D's convolutions. Not reproduced: her D (seven convolutions, here four), and half "
    "of both losses.",
    paper=RAGAN,
    architecture="dcgan",
    loss="relativistic-average",
    settings={
        "train.images": 3_200_000,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 128,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.kernel": 4,
        "architecture.head": "smooth",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "spectral",
        "architecture.spectral_score": False,
        "architecture.slope": 0.1,
        "architecture.bottom_activation": False,
        "architecture.init": "normal",
        "loss.form": "logistic",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none"),
        "ema.half_life": 0,
    },
)

# kodalinaveen3/DRAGAN DRAGAN.ipynb: 199,999 batches of 128 of MNIST, one hidden layer of 128 each. Its
# pixels are in 0..1. Here they are in -1..1, where gradients s are half as large: its penalty
# 10 (2 s - 1)^2 is 40 (s - 0.5)^2.
DRAGAN_PAPER = RecipeSpec(
    name="dragan-paper",
    summary="DRAGAN as in the authors' notebook for MNIST: two MLPs with one hidden layer, Adam 1e-4. "
    "Not reproduced: pixels in 0..1 (here -1..1, with target and weight of the penalty converted), Xavier "
    "initialisation.",
    paper=DRAGAN,
    architecture="mlp",
    loss="non-saturating",
    settings={
        "train.images": 25_599_872,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.generator_hidden": (128,),
        "architecture.generator_norm": "none",
        "architecture.output": "sigmoid",
        "architecture.discriminator_hidden": (128,),
        "architecture.discriminator_units": "relu",
        "terms.dragan.weight": 40.0,
        "terms.dragan.target": 0.5,
        "terms.dragan.spread": 0.5,
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none"),
        "ema.half_life": 0,
    },
)


R3GAN = "Huang et al. 2024, The GAN is dead; long live the GAN! A Modern Baseline GAN, arXiv:2501.05441"


def penalties(**options: Any) -> dict[str, Any]:
    """The same options for R1 and R2."""
    return {f"terms.{name}.{key}": value for name in ("r1", "r2") for key, value in options.items()}


# Short runs gave better samples with BatchNorm in G, and every=4 saves time. R3GAN does neither: by its
# appendix E, penalties at every 8th step cost a little FID on images, and runs on Stacked MNIST and on
# two-dimensional points did not converge. For such data use every=1.
SMALL_RPGAN = RecipeSpec(
    name="rpgan",
    summary="Small relativistic pairing GAN with R1 and R2 that trains in minutes on a CPU. Departs from "
    "R3GAN: small DCGAN networks, BatchNorm in G, penalties at every 4th step, learning rates of 2e-3 with "
    "decay, no augmentation.",
    paper=R3GAN,
    architecture="dcgan",
    loss="relativistic",
    fit="ganzoo_dcgan.rules:fit_rpgan",
    settings={
        "train.images": 250_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 32,
        "architecture.generator_width": 48,
        "architecture.discriminator_width": 40,
        "architecture.discriminator_extra": 1,
        "architecture.kernel": 4,
        "architecture.head": "strided",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "none",
        "architecture.init": "default",
        **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
        **penalties(gamma=0.05, every=4),
        "ema.half_life": 20_000,
        "ema.ramp": 0.15,
    },
)


# Table 9, column CIFAR-10; train.py of R3GAN has the same values, without the length. Over the first 20 of
# 250 million images (burn-in), cosine schedules go from lr 2e-4, gamma 0.05, beta2 0.9 and half-life 0 to the
# values here, which then stay constant. A constant can match only one end; this one holds for the other 230
# million. So the learning rate is low from the start; by appendix D the high one needs the low beta2. The
# half-life does grow during those 20 million images, linearly: 5 / 20 of the images so far.
RPGAN_PAPER = RecipeSpec(
    name="rpgan-paper",
    summary="R3GAN's settings for CIFAR-10 (32x32) after its burn-in, with WGAN-GP's residual networks "
    "without norms. Not reproduced: its own networks, class labels, augmentation, schedules of the burn-in "
    "(learning rate, beta2, gamma; the EMA half-life grows linearly, there by a cosine), bf16 in all stages "
    "but the smallest (here in all, where the machine has it).",
    paper=R3GAN + ", table 9",
    architecture="wgan-resnet",
    loss="relativistic",
    settings={
        "data.flip": True,
        "train.images": 250_000_000,
        "train.batch_size": 512,
        "train.n_critic": 1,
        "architecture.latent": 64,
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "architecture.init": "he",
        **both_sides(optimizer="adam", lr=5e-5, betas=(0.0, 0.99), decay="none"),
        **penalties(gamma=0.005, every=1),
        "ema.half_life": 5_000_000,
        "ema.ramp": 0.25,
    },
)

RECIPES = [
    *SMALL_RECIPES,
    LSGAN_PAPER,
    RAGAN_PAPER,
    DRAGAN_PAPER,
    SMALL_RPGAN,
    RPGAN_PAPER,
]
