"""The convolutional GAN of Radford et al. 2015: architecture `dcgan` and its recipes."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, hookimpl
from ganzoo_dcgan.config import DcganConfig
from ganzoo_dcgan.recipes import PAPER, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`dcgan`."""
    return [
        ArchitectureSpec(
            name="dcgan",
            summary="Strided convolutions in D, transposed ones in G, for images from 8x8 pixels.",
            paper=PAPER,
            factory="ganzoo_dcgan.networks:build",
            config=DcganConfig,
            needs=("image",),
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
    """A small one for a CPU, and the published one."""
    return list(RECIPES)


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`dcgan`."""
    return [
        ImporterSpec(
            name="dcgan",
            summary="DCGANs in the layout of pytorch/examples, of 8x8 to 1024x1024 pixels.",
            paper="github.com/pytorch/examples, dcgan/main.py",
            recognise="ganzoo_dcgan.importer:recognise",
            example="ganzoo_dcgan.importer:example",
        )
    ]
