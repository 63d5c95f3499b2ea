"""The GAN of Goodfellow et al. 2014: MLPs, and the two losses of the paper."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, LossSpec, RecipeSpec, hookimpl
from ganzoo_vanilla.config import MlpConfig, NonSaturatingConfig
from ganzoo_vanilla.recipes import PAPER, RECIPES


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`mlp`."""
    return [
        ArchitectureSpec(
            name="mlp",
            summary="Multi-layer perceptrons for the data's one float field: images, vectors or numbers.",
            paper=PAPER,
            factory="ganzoo_vanilla.networks:build",
            config=MlpConfig,
            defaults={
                "generator.optimizer": "adam",
                "generator.lr": 2e-4,
                "generator.betas": (0.5, 0.999),
                "discriminator.optimizer": "adam",
                "discriminator.lr": 2e-4,
                "discriminator.betas": (0.5, 0.999),
            },
        )
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`non-saturating` and `minimax`."""
    return [
        LossSpec(
            name="non-saturating",
            summary="Logistic loss in which G maximises log D(G(z)); optional one-sided label smoothing.",
            paper=PAPER + ", section 3",
            factory="ganzoo_vanilla.losses:non_saturating",
            config=NonSaturatingConfig,
            defaults={"train.n_critic": 1},
        ),
        LossSpec(
            name="minimax",
            summary="Logistic loss in which G minimises log(1 - D(G(z))): saturates when D is sure.",
            paper=PAPER + ", equation 1",
            factory="ganzoo_vanilla.losses:minimax",
            defaults={"train.n_critic": 1},
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Sized, as published, and on two toy sets."""
    return list(RECIPES)
