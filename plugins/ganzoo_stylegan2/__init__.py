"""StyleGAN2: styles that modulate convolutions, noise for each layer, path length regularisation."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, TermSpec, both_sides, hookimpl
from ganzoo_stylegan2.config import PathLengthConfig, StyleConfig
from ganzoo_stylegan2.recipes import RECIPES, STYLEGAN2

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`stylegan2`."""
    return [
        ArchitectureSpec(
            name="stylegan2",
            summary="Mapping network, modulated convolutions, skip G, residual D, psi; images from 8x8.",
            paper=STYLEGAN2,
            factory="ganzoo_stylegan2.networks:build",
            config=StyleConfig,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.99)),
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`path-length`."""
    return [
        TermSpec(
            name="path-length",
            summary="Makes a step in style space change the image by the same amount everywhere.",
            paper=f"{STYLEGAN2}, equation 4",
            factory="ganzoo_stylegan2.terms:path_length",
            config=PathLengthConfig,
            role="generator",
            every=4,
            second_order=True,
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published one."""
    return list(RECIPES)
