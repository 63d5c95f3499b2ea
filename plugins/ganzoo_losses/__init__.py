"""Losses and regularisers of scores that work with any networks, and recipes of DCGAN's with each."""

from __future__ import annotations

from ganzoo.api import LossSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_losses.config import (
    ConsistencyConfig,
    DraganConfig,
    FeatureMatchingConfig,
    LecamConfig,
    LsganConfig,
    ModeSeekingConfig,
    RelativisticAverageConfig,
)
from ganzoo_losses.recipes import BCR, DRAGAN, HINGE, LECAM, LSGAN, RAGAN, RECIPES

REJECTS = {
    "batch-norm-in-discriminator": (
        "set architecture.discriminator_norm to none or layer: the penalty is about each sample's own "
        "gradient, and BatchNorm makes a score depend on the whole batch"
    )
}


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`lsgan`, `hinge` and `relativistic-average`."""
    return [
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
        LossSpec(
            name="relativistic-average",
            summary="Logistic (or other) loss of each score's lead over the mean score of the other half.",
            paper=RAGAN,
            factory="ganzoo_losses.losses:relativistic_average",
            config=RelativisticAverageConfig,
            paired=True,
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """Of D: `dragan`, `lecam`, `consistency`. Of G: `mode-seeking`, `feature-matching`."""
    return [
        TermSpec(
            name="dragan",
            summary="Weight times the mean of (slope - target)^2 of D at disturbed real samples.",
            paper=DRAGAN,
            factory="ganzoo_losses.terms:dragan",
            config=DraganConfig,
            second_order=True,
            rejects=REJECTS,
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
