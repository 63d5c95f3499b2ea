"""What this plugin offers to ganzoo. Importing this must not import torch: records name their factories."""

from __future__ import annotations

from ganzoo.api import (
    ArchitectureSpec,
    LossSpec,
    RecipeSpec,
    both_sides,
    hookimpl,
)

from .config import LossConfig, NetworksConfig

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """Generators and discriminators."""
    return [
        ArchitectureSpec(
            name="example",
            summary="Two small convolutional networks for images of any size from 8x8 pixels.",
            factory="ganzoo_example.networks:build",
            config=NetworksConfig,
            needs=("image",),
        )
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """Formulas for scores."""
    return [
        LossSpec(
            name="example",
            summary="Squared distance of each score from a target: one for real, one for generated samples.",
            paper="Mao et al. 2017, Least Squares Generative Adversarial Networks, equation 2",
            factory="ganzoo_example.losses:build",
            config=LossConfig,
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Named runs. A recipe is data, not code."""
    return [
        RecipeSpec(
            name="example",
            summary="A first run with ganzoo-example, which takes seconds on a CPU.",
            architecture="example",
            loss="example",
            data="fashion-5k",
            settings={
                "train.images": 20_000,
                "train.batch_size": 64,
                **both_sides(lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.5),
                "ema.half_life": 2_000,
            },
        )
    ]
