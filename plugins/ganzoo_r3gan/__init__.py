"""R3GAN's networks: residual networks for the relativistic loss with R1 and R2."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, both_sides, hookimpl
from ganzoo_r3gan.config import R3Config
from ganzoo_r3gan.recipes import R3GAN, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`r3gan`."""
    return [
        ArchitectureSpec(
            name="r3gan",
            summary="Residual networks without norms, with grouped convolutions; images from 8x8.",
            paper=f"{R3GAN}, section 4",
            factory="ganzoo_r3gan.networks:build",
            config=R3Config,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=2e-4, betas=(0.0, 0.99)),
        )
    ]


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`r3gan`."""
    return [
        ImporterSpec(
            name="r3gan",
            summary="R3GAN, with classes too, in the layout of brownvc/R3GAN.",
            paper="github.com/brownvc/R3GAN",
            recognise="ganzoo_r3gan.importer:recognise",
            example="ganzoo_r3gan.importer:example",
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published one."""
    return list(RECIPES)
