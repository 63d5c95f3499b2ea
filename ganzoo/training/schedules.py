"""All that follows a schedule in a run, moved between cycles. Optimisers and the EMA move their own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ganzoo.config.schedule import parse_schedule
from ganzoo.networks.scheduled import ScheduledNumber


class Schedules:
    """The scheduled numbers of networks, losses, terms and augmentations, and the progress of the run."""

    def __init__(self, device: torch.device, numbers: Iterable[ScheduledNumber] = ()) -> None:
        self._device = device
        self._numbers = list(numbers)
        self._progress: ScheduledNumber | None = None
        self._now = (0.0, 0)

    def move(self, progress: float, images: int) -> None:
        """Take the values of the next cycle: at a share `progress` of the run, after `images` images."""
        self._now = (progress, images)
        for number in self._numbers:
            number.move(progress, images)

    def progress(self) -> Tensor:
        """The done share of the run, a scalar on the device; kept up to date from the first call on."""
        if self._progress is None:
            self._progress = ScheduledNumber(parse_schedule("linear 0 -> 1"), "progress", self._device)
            self._progress.move(*self._now)
            self._numbers.append(self._progress)
        return self._progress.value
