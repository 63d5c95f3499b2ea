"""Losses and regularisers that work with any networks, and recipes of DCGAN's networks with each."""

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
            summary="Logistic loss in which G minimises log(1 - D(G(z))): saturates when D is sure.",
            paper=GOODFELLOW + ", equation 1",
            factory="ganzoo_losses.losses:minimax",
            defaults={"train.n_critic": 1},
        ),
        LossSpec(
            name="lsgan",
            summary="Half the squared distance of each score from its target: 1 for real samples, else 0.",
            paper=LSGAN + ", equations 2 and 9",
            factory="ganzoo_losses.losses:lsgan",
            config=LsganConfig,
        ),
        LossSpec(
            name="hinge",
            summary="How far scores are on the wrong side of a margin of 1; mostly for spectral norm in D.",
            paper=HINGE,
            factory="ganzoo_losses.losses:hinge",
        ),
        # R3GAN, table 9: its first rate and its last beta2. Its gamma is chosen for each data set, from 150
        # (FFHQ at 256x256) down to 0.005 (CIFAR-10); 1 is the first one for Stacked MNIST and for ImageNet
        # at 64x64.
        LossSpec(
            name="relativistic",
            summary="Logistic loss of the difference between a real and a generated score, with R1 and R2.",
            paper=f"{RAGAN}; {R3GAN}",
            factory="ganzoo_losses.losses:relativistic",
            paired=True,
            tags=("no-sign",),  # only differences count
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
            summary="Logistic (or other) loss of each score's lead over the mean score of the other half.",
            paper=RAGAN,
            factory="ganzoo_losses.losses:relativistic_average",
            config=RelativisticAverageConfig,
            paired=True,
            tags=("no-sign",),  # only differences count
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """Of D: `r1`, `r2`, `dragan`, `lecam`, `consistency`. Of G: `mode-seeking`, `feature-matching`."""
    return [
        TermSpec(
            name="r1",
            summary="Half of gamma times the mean square slope of the discriminator at real samples.",
            paper=MESCHEDER + ", equation 9",
            factory="ganzoo_losses.terms:r1",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
        ),
        TermSpec(
            name="r2",
            summary="Half of gamma times the mean square slope of the discriminator at generated samples.",
            paper=MESCHEDER + ", equation 10",
            factory="ganzoo_losses.terms:r2",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
        ),
        TermSpec(
            name="dragan",
            summary="Weight times the mean of (slope - target)^2 of D at disturbed real samples.",
            paper=DRAGAN,
            factory="ganzoo_losses.terms:dragan",
            config=DraganConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
            defaults={"architecture.discriminator_norm": "none"},
        ),
        TermSpec(
            name="lecam",
            summary="Scores stay near the moving average of the other half's: for little data.",
            paper=LECAM,
            factory="ganzoo_losses.terms:lecam",
            config=LecamConfig,
        ),
        TermSpec(
            name="consistency",
            summary="An image, real or generated, keeps its score when it is shifted and mirrored.",
            paper=BCR,
            factory="ganzoo_losses.terms:consistency",
            config=ConsistencyConfig,
        ),
        TermSpec(
            name="mode-seeking",
            summary="The distance of two latents over that of G's samples from them: against collapse.",
            paper="Mao et al. 2019, Mode Seeking Generative Adversarial Networks, arXiv:1903.05628",
            factory="ganzoo_losses.terms:mode_seeking",
            config=ModeSeekingConfig,
            role="generator",
        ),
        TermSpec(
            name="feature-matching",
            summary="Squared distance of the mean features of real and generated samples, of a D that writes "
            "`features`.",
            paper="Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498, 3.1",
            factory="ganzoo_losses.terms:feature_matching",
            config=FeatureMatchingConfig,
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Sized ones, and published ones."""
    return list(RECIPES)
