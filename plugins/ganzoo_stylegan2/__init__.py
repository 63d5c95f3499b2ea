"""StyleGAN2 and 3, progressive GANs: networks, path length regularisation, importers of published weights."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, TermSpec, both_sides, hookimpl
from ganzoo_stylegan2.config import AliasFreeConfig, PathLengthConfig, ProgressiveConfig, StyleConfig
from ganzoo_stylegan2.recipes import RECIPES, STYLEGAN2

GANZOO_API_VERSION = 2

STYLEGAN3 = "Karras et al. 2021, Alias-Free Generative Adversarial Networks, NeurIPS 2021, arXiv:2106.12423"
PROGRESSIVE = (
    "Karras et al. 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation, "
    "ICLR 2018, arXiv:1710.10196"
)


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`stylegan2`, `stylegan3` and `pggan`."""
    return [
        ArchitectureSpec(
            name="stylegan2",
            summary="Mapping network, modulated convolutions, skip G, residual D, psi; images from 8x8.",
            paper=STYLEGAN2,
            factory="ganzoo_stylegan2.networks:build",
            config=StyleConfig,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.99)),
        ),
        ArchitectureSpec(
            name="stylegan3",
            summary="A generator without aliasing, which can rotate and move its images; D of StyleGAN2.",
            paper=STYLEGAN3,
            factory="ganzoo_stylegan2.aliasfree:build",
            config=AliasFreeConfig,
            needs=("image",),
            defaults={
                "generator.lr": 2.5e-3,
                "discriminator.lr": 2e-3,
                **both_sides(optimizer="adam", betas=(0.0, 0.99)),
            },
        ),
        ArchitectureSpec(
            name="pggan",
            summary="The networks of progressive growing at their full size; images from 8x8.",
            paper=PROGRESSIVE,
            factory="ganzoo_stylegan2.progressive:build",
            config=ProgressiveConfig,
            needs=("image",),
            defaults=both_sides(optimizer="adam", lr=1e-3, betas=(0.0, 0.99)),
        ),
    ]


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`stylegan2`, `stylegan2-rosinality`, `stylegan3` and `pggan`."""
    return [
        _importer(
            "stylegan2", "StyleGAN2 and StyleGAN2-ADA, with classes too", "NVlabs/stylegan2-ada-pytorch"
        ),
        _importer("stylegan2-rosinality", "StyleGAN2 with g_ema and d", "rosinality/stylegan2-pytorch"),
        _importer("stylegan3", "StyleGAN3 of the configurations T and R", "NVlabs/stylegan3"),
        _importer("pggan", "Progressive GANs, fully grown", "facebookresearch/pytorch_GAN_zoo"),
    ]


def _importer(name: str, what: str, repository: str) -> ImporterSpec:
    module = f"ganzoo_stylegan2.import_{name.rpartition('-')[2]}"
    return ImporterSpec(
        name=name,
        summary=f"{what}, in the layout of {repository}.",
        paper=f"github.com/{repository}",
        recognise=f"{module}:recognise",
        example=f"{module}:example",
    )


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
