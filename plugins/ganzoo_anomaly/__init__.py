"""f-AnoGAN: a GAN of normal images, an encoder, and a graph from an image to an anomaly score."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, MetricSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_anomaly.config import FanoganConfig, IziConfig
from ganzoo_anomaly.recipes import PAPER, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`f-anogan`."""
    return [
        ArchitectureSpec(
            name="f-anogan",
            summary="WGAN-GP's convolutions with an encoder of images; exported from image to anomaly score.",
            paper=PAPER,
            factory="ganzoo_anomaly.networks:build",
            config=FanoganConfig,
            needs=("image",),
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`izi`."""
    return [
        TermSpec(
            name="izi",
            summary="|x - G(E(x))|^2, also of the critic's features; only the encoder E learns from it.",
            paper=PAPER,
            factory="ganzoo_anomaly.terms:izi",
            config=IziConfig,
            role="generator",
        )
    ]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`auc`."""
    return [
        MetricSpec(
            name="auc",
            summary="How well scores tell abnormal samples from normal ones: area under the ROC curve.",
            paper="Hanley and McNeil 1982, Radiology 143(1)",
            factory="ganzoo_anomaly.metrics:auc",
            needs=("scores",),
            better={"auc": "higher"},
            reference=False,
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one and the published one."""
    return list(RECIPES)
