"""What recipes that were chosen on the embedded 28x28 images change for larger ones; no torch here.

Shared by the built-in plugins with such recipes. The numbers are theirs: `rules.py` has the trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import DataInfo

CHOSEN_ON = 28 * 28  # pixels of the images of the embedded data
FULL_WIDTH = 32  # pixels of a side up to which networks keep their width
LEAST_SHARE = 0.25


def for_larger_images(
    data: DataInfo,
    settings: Mapping[str, Any],
    *,
    rates: Mapping[str, float],
    batch_size: int | None = None,
    unit: int = 1,
) -> dict[str, Any]:
    """What changes for images of more than 28x28 pixels, by path; empty for others.

    `rates` has a factor for `generator.lr` and one for `discriminator.lr`; schedules stay. Batches have at
    most `batch_size` images. Above 32 pixels, `architecture.generator_width` and `discriminator_width` shrink
    with the shorter side, down to a quarter, to multiples of `unit`: an image then costs about as much at 64
    and 128 pixels as at 32, and small maps keep their channels.
    """
    _, height, width = data.image().shape
    if height * width <= CHOSEN_ON:
        return {}
    changes: dict[str, Any] = {}
    if batch_size is not None:
        changes["train.batch_size"] = min(batch_size, settings["train.batch_size"])
    share = max(LEAST_SHARE, FULL_WIDTH / min(height, width))
    for role, factor in rates.items():
        if isinstance(settings[f"{role}.lr"], float):  # not a schedule, which a user has set
            changes[f"{role}.lr"] = settings[f"{role}.lr"] * factor
        path = f"architecture.{role}_width"
        if share < 1 and path in settings:
            changes[path] = max(unit, round(share * settings[path] / unit) * unit)
    return changes
