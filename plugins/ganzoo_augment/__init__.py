"""Augmentations against learning few images by heart: DiffAugment (Zhao 2020) and ADA (Karras 2020)."""

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
            summary="Colour, translation and cutout, always and of fixed strength.",
            paper="Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training, "
            "arXiv:2006.10738",
            factory="ganzoo_augment.diffaugment:DiffAugment",
            config=DiffAugmentConfig,
        ),
        AugmentationSpec(
            name="ada",
            summary="Moves, turns, scales and colours images, the more often the better D knows real ones.",
            paper="Karras et al. 2020, Training Generative Adversarial Networks with Limited Data, "
            "arXiv:2006.06676",
            factory="ganzoo_augment.ada:Ada",
            config=AdaConfig,
        ),
    ]
