"""What this plugin offers to ganzoo. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, LossSpec, RecipeSpec, hookimpl

from .config import LeastSquaresConfig, TinyConfig

LSGAN = "Mao et al. 2017, Least Squares Generative Adversarial Networks, arXiv:1611.04076"


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`tiny-upsample`."""
    return [
        ArchitectureSpec(
            name="tiny-upsample",
            summary="Upsampling and 3x3 convolutions in G, convolutions and pooling in D, from 8x8 pixels.",
            factory="ganzoo_example.networks:build",
            config=TinyConfig,
            needs=("image",),
        )
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`least-squares`."""
    return [
        LossSpec(
            name="least-squares",
            summary="Squared distance of each score from a target: one for real, one for generated samples.",
            paper=LSGAN + ", equations 2 and 9",
            factory="ganzoo_example.losses:build",
            config=LeastSquaresConfig,
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """`example`."""
    return [
        RecipeSpec(
            name="example",
            summary="A small LSGAN: one to two minutes on a CPU. Not an experiment of the paper.",
            paper=LSGAN,
            architecture="tiny-upsample",
            loss="least-squares",
            data="fashion-5k",
            settings={
                "train.images": 40_000,
                "train.batch_size": 64,
                "generator.lr": 2e-3,
                "generator.decay": "linear",
                "generator.decay_from": 0.5,
                "discriminator.lr": 2e-3,
                "discriminator.decay": "linear",
                "discriminator.decay_from": 0.5,
                "ema.half_life": 2_000,
            },
        )
    ]
