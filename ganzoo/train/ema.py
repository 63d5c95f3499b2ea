"""The moving average of the generators, which samples and exports are made from."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganzoo.settings import EmaSettings


class Ema:
    """Averaged copies of the generators, in eval mode.

    Parameters and running statistics are averaged with one factor: statistics of the raw weights
    do not fit averaged weights. Counters are copied. With `half_life` 0 the raw modules are used.
    """

    def __init__(self, modules: Mapping[str, nn.Module], settings: EmaSettings) -> None:
        self.settings = settings
        self.active = settings.half_life > 0
        self.source = dict(modules)
        self.modules = {
            name: deepcopy(module).eval().requires_grad_(False) if self.active else module
            for name, module in modules.items()
        }
        pairs = [
            pair
            for name, module in self.source.items()
            for pair in zip(_tensors(self.modules[name]), _tensors(module), strict=True)
        ]
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    def update(self, images: int, seen: int) -> None:
        """Move the average after `images` more images, `seen` in all."""
        if not self.active:
            return
        half_life = self.settings.half_life
        if self.settings.ramp > 0:
            half_life = min(half_life, self.settings.ramp * seen)
        weight = 1.0 - 0.5 ** (images / max(half_life, 1e-8))
        with torch.no_grad():
            torch._foreach_lerp_([a for a, _ in self._averaged], [b for _, b in self._averaged], weight)
            for target, source in self._copied:
                target.copy_(source)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
