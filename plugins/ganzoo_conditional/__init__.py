"""GANs conditioned on a class label: Mirza and Osindero 2014, projection of Miyato and Koyama 2018."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, RecipeSpec, hookimpl
from ganzoo_conditional.config import ConvConfig, MlpConfig
from ganzoo_conditional.recipes import MIRZA, MIYATO, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`conditional-mlp` and `conditional-conv`."""
    return [
        ArchitectureSpec(
            name="conditional-mlp",
            summary="MLP that reads z and a class label, maxout discriminator that reads image and label.",
            paper=MIRZA,
            factory="ganzoo_conditional.mlp:build",
            config=MlpConfig,
            needs=("image", "label"),
        ),
        ArchitectureSpec(
            name="conditional-conv",
            summary="Convolutions with a class label: projection or concatenation in D, images from 8x8.",
            paper=MIYATO,
            factory="ganzoo_conditional.conv:build",
            config=ConvConfig,
            needs=("image", "label"),
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published one."""
    return list(RECIPES)
