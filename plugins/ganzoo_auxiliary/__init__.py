"""GANs whose D predicts the input of G: a class label (AC-GAN), or codes learned without labels (InfoGAN)."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_auxiliary.config import (
    CodeConvConfig,
    CodesConfig,
    GuessLabelConfig,
    LabelConvConfig,
    ShowLabelConfig,
)
from ganzoo_auxiliary.recipes import ACGAN, INFOGAN, RECIPES

GANZOO_API_VERSION = 2

PACKED = "it needs a prediction of D for each sample, and D makes one for a pack: set train.pack=1"


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`acgan-conv` and `infogan-conv`."""
    return [
        ArchitectureSpec(
            name="acgan-conv",
            summary="Convolutions; G reads a class label, D predicts it beside the score; images from 8x8.",
            paper=f"{ACGAN}, appendix A",
            factory="ganzoo_auxiliary.networks:build_label",
            config=LabelConvConfig,
            needs=("image", "label"),
        ),
        ArchitectureSpec(
            name="infogan-conv",
            summary="Convolutions; G reads a code and styles beside z, D predicts them; images from 8x8.",
            paper=f"{INFOGAN}, appendix C.1",
            factory="ganzoo_auxiliary.networks:build_code",
            config=CodeConvConfig,
            needs=("image",),
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """Of D: `guess-label` and `guess-codes`. Of G: `show-label` and `show-codes`."""
    return [
        TermSpec(
            name="guess-label",
            summary="AC-GAN, for D: cross entropy of its label predictions for real and generated samples.",
            paper=f"{ACGAN}, equation 3",
            factory="ganzoo_auxiliary.terms:guess_label",
            config=GuessLabelConfig,
            rejects={"packed": PACKED},
        ),
        TermSpec(
            name="show-label",
            summary="AC-GAN, for G: cross entropy of D's label predictions for generated samples.",
            paper=f"{ACGAN}, equation 3",
            factory="ganzoo_auxiliary.terms:show_label",
            config=ShowLabelConfig,
            rejects={"packed": PACKED},
            role="generator",
        ),
        TermSpec(
            name="guess-codes",
            summary="InfoGAN, for D: cross entropy and squared error of its predictions of the codes.",
            paper=f"{INFOGAN}, equation 5",
            factory="ganzoo_auxiliary.terms:guess_codes",
            config=CodesConfig,
            rejects={"packed": PACKED},
        ),
        TermSpec(
            name="show-codes",
            summary="InfoGAN, for G: the same loss, so that generated samples show their codes.",
            paper=f"{INFOGAN}, equation 5",
            factory="ganzoo_auxiliary.terms:show_codes",
            config=CodesConfig,
            rejects={"packed": PACKED},
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
