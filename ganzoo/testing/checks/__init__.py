"""The checks of the conformance kit, a file for each kind of record; importing this fills `CHECKS`."""

from ganzoo.testing.check import CHECKS
from ganzoo.testing.checks import architecture, augmentation, image, loss_and_term, plugin, recipe

from ganzoo.testing.checks import dataset_and_media, importer, metric_and_extractor, tracker  # isort: skip

__all__ = [
    "CHECKS", "architecture", "augmentation", "dataset_and_media", "image", "importer", "loss_and_term",
    "metric_and_extractor", "plugin", "recipe", "tracker",
]  # fmt: skip
