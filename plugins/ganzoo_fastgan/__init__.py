"""A GAN for few images, after FastGAN: skip-layer excitation, a discriminator with decoders."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, TermSpec, both_sides, hookimpl
from ganzoo_fastgan.config import FastConfig, ReconstructConfig
from ganzoo_fastgan.recipes import FASTGAN, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`fastgan`."""
    return [
        ArchitectureSpec(
            name="fastgan",
            summary="Gated convolutions, skip-layer excitation, decoders in D; images from 16x16.",
            paper=f"{FASTGAN}, section 3",
            factory="ganzoo_fastgan.networks:build",
            config=FastConfig,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999)),
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`reconstruct`."""
    return [
        TermSpec(
            name="reconstruct",
            summary="Reconstruction error of real images by decoders on the features of the discriminator.",
            paper=f"{FASTGAN}, equation 4",
            factory="ganzoo_fastgan.terms:reconstruct",
            config=ReconstructConfig,
        )
    ]


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`fastgan`."""
    return [
        ImporterSpec(
            name="fastgan",
            summary="FastGAN's generator, last or averaged, in the layout of odegeasslbc/FastGAN-pytorch.",
            paper="github.com/odegeasslbc/FastGAN-pytorch",
            recognise="ganzoo_fastgan.importer:recognise",
            example="ganzoo_fastgan.importer:example",
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published one."""
    return list(RECIPES)
