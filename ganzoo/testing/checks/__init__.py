"""The checks of the conformance kit, a file for each kind of record; importing this fills `CHECKS`."""

from ganzoo.testing.check import CHECKS
from ganzoo.testing.checks import (
    architecture,
    augmentation,
    dataset,
    extractor,
    image,
    loss_and_term,
    media,
    metric,
    plugin,
    recipe,
)

__all__ = [
    "CHECKS", "architecture", "augmentation", "dataset", "extractor", "image", "loss_and_term", "media",
    "metric", "plugin", "recipe",
]  # fmt: skip
