"""The GAN of Goodfellow et al. 2014, made of MLPs. Its losses are in `ganzoo_losses`."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, hookimpl
from ganzoo_vanilla.config import MlpConfig
from ganzoo_vanilla.recipes import PAPER, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`mlp`."""
    return [
        ArchitectureSpec(
            name="mlp",
            summary="Multi-layer perceptrons for data with one float field: images, vectors or numbers.",
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
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, the published one, and two for toy data."""
    return list(RECIPES)
