"""Losses and regularisers that work with any networks, and recipes that use them with DCGAN's networks."""

from __future__ import annotations

from ganzoo.api import NO_BATCH_NORM, LossSpec, RecipeSpec, TermSpec, both_sides, hookimpl
from ganzoo_losses.config import (
    ConsistencyConfig,
    DraganConfig,
    FeatureMatchingConfig,
    LecamConfig,
    LsganConfig,
    ModeSeekingConfig,
    NonSaturatingConfig,
    RelativisticAverageConfig,
    ZeroCentredConfig,
)
from ganzoo_losses.recipes import BCR, DRAGAN, HINGE, LECAM, LSGAN, R3GAN, RAGAN, RECIPES

GANZOO_API_VERSION = 2

GOODFELLOW = "Goodfellow et al. 2014, Generative Adversarial Networks, arXiv:1406.2661"
MESCHEDER = (
    "Mescheder, Geiger and Nowozin 2018, Which Training Methods for GANs do actually Converge?, "
    "arXiv:1801.04406"
)


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """Logistic (`non-saturating`, `minimax`), `lsgan`, `hinge`, `relativistic`, `relativistic-average`."""
    return [
        LossSpec(
            name="non-saturating",
            summary="Logistic loss in which G maximises log D(G(z)); optional one-sided label smoothing.",
            paper=GOODFELLOW + ", section 3",
            factory="ganzoo_losses.losses:non_saturating",
            config=NonSaturatingConfig,
            defaults={"train.n_critic": 1},
        ),
        LossSpec(
            name="minimax",
            summary="Logistic loss in which G minimises log(1 - D(G(z))); saturates when D is confident.",
            paper=GOODFELLOW + ", equation 1",
            factory="ganzoo_losses.losses:minimax",
            defaults={"train.n_critic": 1},
        ),
        LossSpec(
            name="lsgan",
            summary="Half the squared error of each score; the target is 1 for real samples, else 0.",
            paper=LSGAN + ", equations 2 and 9",
            factory="ganzoo_losses.losses:lsgan",
            config=LsganConfig,
        ),
        LossSpec(
            name="hinge",
            summary="Distance of scores from a margin of 1, if not beyond it; mostly with spectral norm in "
            "D.",
            paper=HINGE,
            factory="ganzoo_losses.losses:hinge",
        ),
        # R3GAN, table 9: its initial learning rate and its final beta2. Its gamma depends on the data set,
        # from 150 (FFHQ at 256x256) down to 0.005 (CIFAR-10); 1 is the initial value for Stacked MNIST and
        # for ImageNet at 64x64.
        LossSpec(
            name="relativistic",
            summary="Logistic loss of the difference between real and generated scores, with R1 and R2.",
            paper=f"{RAGAN}; {R3GAN}",
            factory="ganzoo_losses.losses:relativistic",
            paired=True,
            tags=("no-sign",),  # only differences of scores matter
            defaults={
                "train.n_critic": 1,
                "architecture.discriminator_norm": "none",
                **both_sides(optimizer="adam", lr=2e-4, betas=(0.0, 0.99)),
                "terms.r1.gamma": 1.0,
                "terms.r2.gamma": 1.0,
            },
        ),
        LossSpec(
            name="relativistic-average",
            summary="Logistic (or other) loss of each score minus the mean score of the opposite kind.",
            paper=RAGAN,
            factory="ganzoo_losses.losses:relativistic_average",
            config=RelativisticAverageConfig,
            paired=True,
            tags=("no-sign",),  # only differences of scores matter
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """For D: `r1`, `r2`, `dragan`, `lecam`, `consistency`. For G: `mode-seeking`, `feature-matching`."""
    return [
        TermSpec(
            name="r1",
            summary="gamma / 2 times the mean squared gradient norm of the discriminator at real samples.",
            paper=MESCHEDER + ", equation 9",
            factory="ganzoo_losses.terms:r1",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
        ),
        TermSpec(
            name="r2",
            summary="gamma / 2 times the mean squared gradient norm of the discriminator at generated "
            "samples.",
            paper=MESCHEDER + ", equation 10",
            factory="ganzoo_losses.terms:r2",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
        ),
        TermSpec(
            name="dragan",
            summary="Weight times the mean of (gradient norm - target)^2 of D at real samples with noise.",
            paper=DRAGAN,
            factory="ganzoo_losses.terms:dragan",
            config=DraganConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
            defaults={"architecture.discriminator_norm": "none"},
        ),
        TermSpec(
            name="lecam",
            summary="Keeps scores near the moving average of scores of the opposite kind; for little data.",
            paper=LECAM,
            factory="ganzoo_losses.terms:lecam",
            config=LecamConfig,
        ),
        TermSpec(
            name="consistency",
            summary="Keeps the score of an image, real or generated, when it is shifted and mirrored.",
            paper=BCR,
            factory="ganzoo_losses.terms:consistency",
            config=ConsistencyConfig,
        ),
        TermSpec(
            name="mode-seeking",
            summary="Distance of two latents over the distance of their samples; against mode collapse.",
            paper="Mao et al. 2019, Mode Seeking Generative Adversarial Networks, arXiv:1903.05628",
            factory="ganzoo_losses.terms:mode_seeking",
            config=ModeSeekingConfig,
            role="generator",
        ),
        TermSpec(
            name="feature-matching",
            summary="Squared distance of the mean features of real and generated samples; needs a D that "
            "writes `features`.",
            paper="Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498, 3.1",
            factory="ganzoo_losses.terms:feature_matching",
            config=FeatureMatchingConfig,
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
