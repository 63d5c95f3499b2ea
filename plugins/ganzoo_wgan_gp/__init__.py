"""Wasserstein GANs: clipped weights (Arjovsky et al. 2017), gradient penalty (Gulrajani et al. 2017)."""

from __future__ import annotations

from ganzoo.api import NO_BATCH_NORM, ArchitectureSpec, LossSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_wgan_gp.config import (
    ConvConfig,
    DriftConfig,
    GradientPenaltyConfig,
    ResnetConfig,
    WeightClipConfig,
)
from ganzoo_wgan_gp.recipes import RECIPES, WGAN, WGAN_GP

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`wgan-conv` and `wgan-resnet`; no critic has BatchNorm."""
    return [
        ArchitectureSpec(
            name="wgan-conv",
            summary="Strided convolutions without BatchNorm in the critic, for images from 8x8 pixels.",
            paper=WGAN_GP,
            factory="ganzoo_wgan_gp.conv:build",
            config=ConvConfig,
            needs=("image",),
        ),
        ArchitectureSpec(
            name="wgan-resnet",
            summary="Residual networks of the WGAN-GP paper (there for 32x32), for images from 8x8 pixels.",
            paper=WGAN_GP + ", appendix F",
            factory="ganzoo_wgan_gp.resnet:build",
            config=ResnetConfig,
            needs=("image",),
        ),
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`wgan` and `wgan-gp`: the same formula with two different constraints."""
    return [
        LossSpec(
            name="wgan",
            summary="Difference of mean scores, with clipped weights (c = 0.01) and RMSprop 5e-5.",
            paper=WGAN + ", Algorithm 1",
            factory="ganzoo_wgan_gp.losses:build",
            tags=("no-sign",),  # a critic may add any constant to its scores
            defaults={
                "train.n_critic": 5,
                "train.batch_size": 64,
                "generator.optimizer": "rmsprop",
                "generator.lr": 5e-5,
                "discriminator.optimizer": "rmsprop",
                "discriminator.lr": 5e-5,
                "terms.weight-clip.limit": 0.01,
            },
        ),
        LossSpec(
            name="wgan-gp",
            summary="Difference of mean scores, with a gradient penalty (weight 10) and Adam 1e-4.",
            paper=WGAN_GP + ", Algorithm 1",
            factory="ganzoo_wgan_gp.losses:build",
            tags=("no-sign",),  # a critic may add any constant to its scores
            rejects=NO_BATCH_NORM,
            defaults={
                "train.n_critic": 5,
                "train.batch_size": 64,
                "architecture.discriminator_norm": "none",
                "generator.optimizer": "adam",
                "generator.lr": 1e-4,
                "generator.betas": (0.0, 0.9),
                "discriminator.optimizer": "adam",
                "discriminator.lr": 1e-4,
                "discriminator.betas": (0.0, 0.9),
                "terms.gradient-penalty.weight": 10.0,
                "terms.gradient-penalty.target": 1.0,
            },
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`gradient-penalty`, `weight-clip` and `drift`."""
    return [
        TermSpec(
            name="gradient-penalty",
            summary="Weight times the mean of (gradient norm - target)^2 between real and generated samples.",
            paper=WGAN_GP + ", equation 3",
            factory="ganzoo_wgan_gp.terms:gradient_penalty",
            config=GradientPenaltyConfig,
            second_order=True,
            rejects=NO_BATCH_NORM,
        ),
        TermSpec(
            name="weight-clip",
            summary="Every parameter of the critic stays within -limit..limit.",
            paper=WGAN + ", Algorithm 1",
            factory="ganzoo_wgan_gp.terms:weight_clip",
            config=WeightClipConfig,
            kind="constraint",
        ),
        TermSpec(
            name="drift",
            summary="Weight times the mean square score of real samples: keeps a critic's offset near 0.",
            paper="Karras et al. 2017, Progressive Growing of GANs, arXiv:1710.10196, appendix A.1",
            factory="ganzoo_wgan_gp.terms:drift",
            config=DriftConfig,
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
