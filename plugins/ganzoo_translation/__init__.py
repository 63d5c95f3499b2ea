"""Image to image: pix2pix for pairs, CycleGAN and CUT without pairs, super-resolution, colourisation."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, ImporterSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_translation.config import (
    ContrastiveConfig,
    CycleConfig,
    IdentityConfig,
    L1Config,
    OneWayConfig,
    PatchNceConfig,
    ResnetConfig,
    UNetConfig,
)
from ganzoo_translation.recipes import CUT, CYCLEGAN, PIX2PIX, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`unet-patch`, `resnet-patch`, `resnet-cycle` and `resnet-contrastive`."""
    return [
        ArchitectureSpec(
            name="unet-patch",
            summary="G is a U-Net from a to b, D scores patches of a and b together; images from 8x8.",
            paper=f"{PIX2PIX}, appendix 6.1",
            factory="ganzoo_translation.networks:build_unet",
            config=UNetConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="resnet-patch",
            summary="G is residual blocks from a to b, D scores patches of a and b together; images from "
            "8x8.",
            paper=f"{CYCLEGAN}, appendix 7.2",
            factory="ganzoo_translation.networks:build_resnet",
            config=OneWayConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="resnet-cycle",
            summary="Two residual generators, a to b and b to a, each with a patch D; images from 8x8.",
            paper=f"{CYCLEGAN}, appendix 7.2",
            factory="ganzoo_translation.networks:build_cycle",
            config=ResnetConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="resnet-contrastive",
            summary="One residual generator from a to b that also writes maps of its encoder, a patch D; "
            "images from 8x8, a and b of one shape.",
            paper=f"{CUT}, section 3",
            factory="ganzoo_translation.networks:build_contrastive",
            config=ContrastiveConfig,
            needs=("a", "b"),
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """For G: `l1`, `cycle`, `identity` and `patch-nce`."""
    return [
        TermSpec(
            name="l1",
            summary="Mean absolute difference between the output of G and the target of the pair.",
            paper=f"{PIX2PIX}, equation 3",
            factory="ganzoo_translation.terms:l1",
            config=L1Config,
            role="generator",
            rejects={"unpaired": "it needs pairs: --data pairs:PATH; or train cyclegan, which does not"},
        ),
        TermSpec(
            name="cycle",
            summary="Mean absolute difference between an image and its translation to the other side and "
            "back.",
            paper=f"{CYCLEGAN}, equation 2",
            factory="ganzoo_translation.terms:cycle",
            config=CycleConfig,
            role="generator",
        ),
        TermSpec(
            name="identity",
            summary="Mean absolute difference between an image of the target side and the output of G for "
            "it.",
            paper=f"{CYCLEGAN}, section 5.2",
            factory="ganzoo_translation.terms:identity",
            config=IdentityConfig,
            role="generator",
        ),
        TermSpec(
            name="patch-nce",
            summary="Each place of a translated image must be told from the other places of the image that "
            "it was made from.",
            paper=f"{CUT}, equation 4",
            factory="ganzoo_translation.terms:patch_nce",
            config=PatchNceConfig,
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`pix2pix` and `cyclegan`, by the networks that they are known for."""
    layout = "github.com/junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py"
    return [
        ImporterSpec(
            name="pix2pix",
            summary="U-Nets of pix2pix (unet_128, unet_256) as the authors save them.",
            paper=layout,
            recognise="ganzoo_translation.importer:recognise_unet",
            example="ganzoo_translation.importer:example_unet",
        ),
        ImporterSpec(
            name="cyclegan",
            summary="Residual generators of CycleGAN and pix2pix (resnet_6blocks, resnet_9blocks) as the "
            "authors save them.",
            paper=layout,
            recognise="ganzoo_translation.importer:recognise_resnet",
            example="ganzoo_translation.importer:example_resnet",
        ),
    ]
