"""Projected GAN: the discriminator sees images through a fixed network that was trained on ImageNet."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, both_sides, hookimpl
from ganzoo_projected.config import ProjectedConfig
from ganzoo_projected.recipes import PROJECTED, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`projected`."""
    return [
        ArchitectureSpec(
            name="projected",
            summary="FastGAN's G; D on mixed features of EfficientNet-Lite0 at four scales; from 16x16.",
            paper=f"{PROJECTED}, section 3",
            factory="ganzoo_projected.networks:build",
            config=ProjectedConfig,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=2e-4, betas=(0.0, 0.99)),
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU."""
    return list(RECIPES)
