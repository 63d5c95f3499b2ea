"""R3GAN's loss: relativistic pairs (Jolicoeur-Martineau 2018) with R1 and R2 (Mescheder et al. 2018)."""

from __future__ import annotations

from ganzoo.api import LossSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_relativistic.config import ZeroCentredConfig
from ganzoo_relativistic.recipes import R3GAN, RECIPES

RPGAN = (
    "Jolicoeur-Martineau 2018, The relativistic discriminator: a key element missing from standard GAN, "
    "arXiv:1807.00734"
)
MESCHEDER = (
    "Mescheder, Geiger and Nowozin 2018, Which Training Methods for GANs do actually Converge?, "
    "arXiv:1801.04406"
)

# On the terms only: the loss by itself takes whatever scores it is given.
REJECTS = {
    "batch-norm-in-discriminator": (
        "set architecture.discriminator_norm to none or layer: the penalty is about each sample's own "
        "gradient, and BatchNorm makes a score depend on the whole batch"
    )
}


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`relativistic`."""
    # R3GAN, table 9: its first rate and its last beta2. Its gamma is chosen for each data set, from 150
    # (FFHQ at 256x256) down to 0.005 (CIFAR-10); 1 is the first one for Stacked MNIST and for ImageNet at
    # 64x64.
    return [
        LossSpec(
            name="relativistic",
            summary="Logistic loss of the difference between a real and a generated score, with R1 and R2.",
            paper=f"{RPGAN}; {R3GAN}",
            factory="ganzoo_relativistic.losses:build",
            paired=True,
            defaults={
                "train.n_critic": 1,
                "architecture.discriminator_norm": "none",
                "generator.optimizer": "adam",
                "generator.lr": 2e-4,
                "generator.betas": (0.0, 0.99),
                "discriminator.optimizer": "adam",
                "discriminator.lr": 2e-4,
                "discriminator.betas": (0.0, 0.99),
                "terms.r1.gamma": 1.0,
                "terms.r2.gamma": 1.0,
            },
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`r1` and `r2`: one formula, on real and on generated samples."""
    return [
        TermSpec(
            name="r1",
            summary="Half of gamma times the mean square slope of the discriminator at real samples.",
            paper=MESCHEDER + ", equation 9",
            factory="ganzoo_relativistic.terms:r1",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=REJECTS,
        ),
        TermSpec(
            name="r2",
            summary="Half of gamma times the mean square slope of the discriminator at generated samples.",
            paper=MESCHEDER + ", equation 10",
            factory="ganzoo_relativistic.terms:r2",
            config=ZeroCentredConfig,
            second_order=True,
            rejects=REJECTS,
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A sized one, and R3GAN's numbers."""
    return list(RECIPES)
