"""Augmentations against overfitting on few images: DiffAugment (Zhao 2020) and ADA (Karras 2020)."""

from __future__ import annotations

from ganzoo.api import AugmentationSpec, hookimpl
from ganzoo_augment.config import AdaConfig, DiffAugmentConfig

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_augmentations() -> list[AugmentationSpec]:
    """`diffaugment` and `ada`."""
    return [
        AugmentationSpec(
            name="diffaugment",
            summary="Colour, translation and cutout for each image, with fixed strength.",
            paper="Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training, "
            "arXiv:2006.10738",
            factory="ganzoo_augment.diffaugment:DiffAugment",
            config=DiffAugmentConfig,
        ),
        AugmentationSpec(
            name="ada",
            summary="Moves, rotates, scales and colours images, more often when D overfits to real images.",
            paper="Karras et al. 2020, Training Generative Adversarial Networks with Limited Data, "
            "arXiv:2006.06676",
            factory="ganzoo_augment.ada:Ada",
            config=AdaConfig,
        ),
    ]
