"""Residual GANs with spectral norm: SNGAN, projection, self-attention (SAGAN), and a small BigGAN."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, both_sides, hookimpl
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


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """One for each project whose layout is known."""
    projects = {
        "biggan-pytorch": (
            "Generators of BigGAN-PyTorch: BigGAN, SAGAN, SNGAN.",
            "biggan",
            "ajbrock/BigGAN-PyTorch",
        ),
        "studiogan-resnet": (
            "Residual generators of StudioGAN: `resnet` and `big_resnet`.",
            "studio",
            "POSTECH-CVLab/PyTorch-StudioGAN",
        ),
        "mimicry-resnet": (
            "Residual generators of mimicry: SNGAN, SSGAN, InfoMax-GAN, SAGAN, projection GAN.",
            "mimicry",
            "kwotsin/mimicry",
        ),
    }
    return [
        ImporterSpec(
            name=name,
            summary=summary,
            paper=f"github.com/{repository}",
            recognise=f"ganzoo_resnet.importer:recognise_{short}",
            example=f"ganzoo_resnet.importer:example_{short}",
        )
        for name, (summary, short, repository) in projects.items()
    ]
