"""Image to image: pix2pix for pairs, CycleGAN without pairs, and what else pairs can teach."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_translation.config import CycleConfig, IdentityConfig, L1Config, ResnetConfig, UNetConfig
from ganzoo_translation.recipes import CYCLEGAN, PIX2PIX, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`unet-patch`, `resnet-patch` and `resnet-cycle`."""
    return [
        ArchitectureSpec(
            name="unet-patch",
            summary="A U-Net makes b of a, D judges patches of both together; images from 8x8.",
            paper=f"{PIX2PIX}, appendix 6.1",
            factory="ganzoo_translation.networks:build_unet",
            config=UNetConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="resnet-patch",
            summary="Residual blocks make b of a, D judges patches of both together; images from 8x8.",
            paper=f"{CYCLEGAN}, appendix 7.2",
            factory="ganzoo_translation.networks:build_resnet",
            config=ResnetConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="resnet-cycle",
            summary="Two residual generators, a to b and back, each with a D of patches; images from 8x8.",
            paper=f"{CYCLEGAN}, appendix 7.2",
            factory="ganzoo_translation.networks:build_cycle",
            config=ResnetConfig,
            needs=("a", "b"),
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """Of G: `l1`, `cycle` and `identity`."""
    return [
        TermSpec(
            name="l1",
            summary="Mean distance of what G writes from the pair's own answer.",
            paper=f"{PIX2PIX}, equation 3",
            factory="ganzoo_translation.terms:l1",
            config=L1Config,
            role="generator",
            rejects={"unpaired": "data of pairs: --data pairs:PATH; or train cyclegan, which needs none"},
        ),
        TermSpec(
            name="cycle",
            summary="Mean distance of an image from what comes back after the way there and back.",
            paper=f"{CYCLEGAN}, equation 2",
            factory="ganzoo_translation.terms:cycle",
            config=CycleConfig,
            role="generator",
        ),
        TermSpec(
            name="identity",
            summary="Mean distance of an image of the target from what G makes of it.",
            paper=f"{CYCLEGAN}, section 5.2",
            factory="ganzoo_translation.terms:identity",
            config=IdentityConfig,
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Sized ones, and the published ones."""
    return list(RECIPES)
