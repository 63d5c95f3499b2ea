"""Residual GANs with spectral norm: SNGAN, projection, self-attention (SAGAN), and a small BigGAN."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, both_sides, hookimpl
from ganzoo_resnet.config import ConditionalResnetConfig, ResnetConfig
from ganzoo_resnet.recipes import BIGGAN, PROJECTION, RECIPES, SAGAN, SNGAN

GANZOO_API_VERSION = 2

ADAM = both_sides(optimizer="adam", lr=2e-4, betas=(0.0, 0.9))  # of SNGAN's residual nets


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`sn-resnet` and `sn-resnet-conditional`."""
    return [
        ArchitectureSpec(
            name="sn-resnet",
            summary="Residual networks of SNGAN, spectral norm in D, optional attention; images from 8x8.",
            paper=f"{SNGAN}, tables 4 to 6; {SAGAN}",
            factory="ganzoo_resnet.networks:build",
            config=ResnetConfig,
            needs=("image",),
            defaults=ADAM,
        ),
        ArchitectureSpec(
            name="sn-resnet-conditional",
            summary="sn-resnet with a label: conditional BatchNorm in G, projection in D, options of BigGAN.",
            paper=f"{PROJECTION}; {BIGGAN}",
            factory="ganzoo_resnet.networks:build_conditional",
            config=ConditionalResnetConfig,
            needs=("image", "label"),
            defaults=ADAM,
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
