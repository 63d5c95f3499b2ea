"""GANs whose D guesses what G was told: a class (AC-GAN), or codes that it finds by itself (InfoGAN)."""

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

PACKED = "it compares each sample with what D guesses of it, D has one guess for a pack: train.pack=1"


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`acgan-conv` and `infogan-conv`."""
    return [
        ArchitectureSpec(
            name="acgan-conv",
            summary="Convolutions; G hears a class label, D guesses it beside the score; images from 8x8.",
            paper=f"{ACGAN}, appendix A",
            factory="ganzoo_auxiliary.networks:build_label",
            config=LabelConvConfig,
            needs=("image", "label"),
        ),
        ArchitectureSpec(
            name="infogan-conv",
            summary="Convolutions; G hears a code and styles beside z, D guesses them; images from 8x8.",
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
            summary="AC-GAN: cross entropy of the labels that D guesses, of real and of generated samples.",
            paper=f"{ACGAN}, equation 3",
            factory="ganzoo_auxiliary.terms:guess_label",
            config=GuessLabelConfig,
            rejects={"packed": PACKED},
        ),
        TermSpec(
            name="show-label",
            summary="AC-GAN: cross entropy of the labels that D guesses of generated samples, for G.",
            paper=f"{ACGAN}, equation 3",
            factory="ganzoo_auxiliary.terms:show_label",
            config=ShowLabelConfig,
            rejects={"packed": PACKED},
            role="generator",
        ),
        TermSpec(
            name="guess-codes",
            summary="InfoGAN: cross entropy and squared distance of the codes that D guesses of samples.",
            paper=f"{INFOGAN}, equation 5",
            factory="ganzoo_auxiliary.terms:guess_codes",
            config=CodesConfig,
            rejects={"packed": PACKED},
        ),
        TermSpec(
            name="show-codes",
            summary="InfoGAN: the same for G, whose samples shall show their codes.",
            paper=f"{INFOGAN}, equation 5",
            factory="ganzoo_auxiliary.terms:show_codes",
            config=CodesConfig,
            rejects={"packed": PACKED},
            role="generator",
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Sized ones, and the published ones."""
    return list(RECIPES)
