"""The checks of the conformance kit, a file for each kind of record."""

from ganzoo.testing.checks import architecture, augmentation, image, loss_and_term, plugin, recipe

__all__ = ["architecture", "augmentation", "image", "loss_and_term", "plugin", "recipe"]
