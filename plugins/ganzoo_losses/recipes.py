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
SMALL = "small DCGAN nets, 32 latents, rates of 8e-3 (G) and 4e-3 (D) with decay, EMA"


def sized(
    name: str, summary: str, paper: str, loss: str = "non-saturating", more: Mapping[str, Any] = NOTHING
) -> RecipeSpec:
    """A recipe with the networks and rates that did best for `dcgan` (benchmarks/TUNING.md), and `more`."""
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
        name=name, summary=summary, paper=paper, architecture="dcgan", loss=loss, settings=settings
    )


SIZED = [
    sized(
        "lsgan",
        f"LSGAN sized for CPU minutes. Departs from the paper: {SMALL}, spectral norm in D.",
        LSGAN,
        "lsgan",
    ),
    sized(
        "hinge",
        f"Hinge loss with spectral norm in D, sized for CPU minutes. Departs from the papers: {SMALL}, "
        "one step of D, initialisation.",
        HINGE,
        "hinge",
    ),
    sized(
        "ragan",
        f"Relativistic average GAN sized for CPU minutes. Departs from the paper: {SMALL}.",
        RAGAN,
        "relativistic-average",
    ),
    sized(
        "dragan",
        f"DRAGAN sized for CPU minutes. Departs from the authors' notebook: {SMALL}.",
        DRAGAN,
        more={"architecture.discriminator_norm": "none", "terms.dragan.weight": 10.0},
    ),
    sized(
        "lecam",
        f"DCGAN with LeCam's regulariser, sized for CPU minutes. Departs from the paper: {SMALL}, no labels, "
        "logistic loss.",
        LECAM,
        more={"terms.lecam.weight": 0.3},
    ),
    sized(
        "bcr",
        f"DCGAN with balanced consistency, sized for CPU minutes. Departs from the paper: {SMALL}, shifts of "
        "2 pixels, no mirroring (all shoes of the embedded data point one way).",
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
    "Not reproduced: their G (3x3 kernels, of stride 1 and 2 in turn, twice the layers of DCGAN's).",
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

# AlexiaJM/RelativisticGAN stable.sh: RaSGAN on CIFAR-10 (32x32), --arch 1, 100,000 batches of 32. G's
# maps are those of the smooth head: 512 at 4x4, 256, 128, 64 at 32x32, then a 3x3 convolution.
RAGAN_PAPER = RecipeSpec(
    name="ragan-paper",
    summary="Relativistic average GAN as in the author's stable.sh for CIFAR-10 (32x32): Adam 2e-4, batch "
    "32, spectral norm in D's convolutions. Not reproduced: her D (seven convolutions, here four); she "
    "halves both losses.",
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
# pixels are in 0..1: slopes are twice those at pixels in -1..1, and 10 (2 s - 1)^2 = 40 (s - 0.5)^2.
DRAGAN_PAPER = RecipeSpec(
    name="dragan-paper",
    summary="DRAGAN as in the authors' notebook for MNIST: two MLPs with one hidden layer, Adam 1e-4. "
    "Not reproduced: pixels in 0..1 (here -1..1; target and weight of the penalty are converted), Xavier's "
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


# Short runs got further with BatchNorm in G than without, and every=4 saves time. R3GAN does neither: in
# its appendix E, penalties at every 8th step cost a little FID on images, and runs on Stacked MNIST and
# on points in the plane did not converge. There, every=1.
SIZED_RPGAN = RecipeSpec(
    name="rpgan",
    summary="Relativistic pairing GAN with R1 and R2, sized for CPU minutes. Departs from R3GAN: small DCGAN "
    "nets, BatchNorm in G, penalties at every 4th step, rates of 2e-3 with decay, no augmentation.",
    paper=R3GAN,
    architecture="dcgan",
    loss="relativistic",
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


# Table 9, column CIFAR-10; train.py of R3GAN has the same numbers and leaves the length open. For the first
# 20 of 250 million images cosines lead to these from a rate of 2e-4, gamma 0.05, beta2 0.9 and half-life 0;
# then they stay. A constant must be one or the other: the end, which holds for the other 230 million. So
# the rate starts low, too: by appendix D the high one needs the low beta2. The half-life does grow in
# those 20 million images, on a straight line: 5 / 20 of the images seen.
RPGAN_PAPER = RecipeSpec(
    name="rpgan-paper",
    summary="R3GAN's numbers for CIFAR-10 (32x32) as they are after its burn-in, on WGAN-GP's residual nets "
    "without norms. Not reproduced: its own nets, class labels, augmentation, schedules of the burn-in "
    "(rate, beta2, gamma; the average's half-life grows evenly, there on a cosine), bf16 in all stages but "
    "the smallest (here where the machine has it).",
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
    *SIZED,
    LSGAN_PAPER,
    RAGAN_PAPER,
    DRAGAN_PAPER,
    SIZED_RPGAN,
    RPGAN_PAPER,
]
