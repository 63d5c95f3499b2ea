"""The moving average (EMA) of the generators. Samples and exports use it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganzoo.config.schedule import options_at
from ganzoo.config.settings import EmaSettings
from ganzoo.training.compute.device import Scalar


class Ema:
    """Averaged copies of the generators, in eval mode.

    Parameters and running statistics are averaged with the same factor, because statistics of the raw
    weights do not fit averaged weights. Counters are copied. With `half_life` 0 the raw modules are used.
    """

    def __init__(self, modules: Mapping[str, nn.Module], settings: EmaSettings) -> None:
        self.settings = settings
        self.active = settings.active
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
        self._weight = Scalar(pairs[0][0].device if pairs else torch.device("cpu"))

    def schedule(self, progress: float, images: int, seen: int) -> None:
        """Set the weight of the next update, which comes `images` images after the last; `seen` in total."""
        now = options_at(self.settings, progress, seen)
        half_life = min(now.half_life, now.ramp * seen) if now.ramp > 0 else now.half_life
        self._weight.set(1.0 - 0.5 ** (images / max(half_life, 1e-8)))

    def update(self) -> None:
        """Move the average towards the generators by the scheduled weight."""
        if not self.active:
            return
        averaged, sources = [a for a, _ in self._averaged], [b for _, b in self._averaged]
        with torch.no_grad():
            if isinstance(weight := self._weight.value, Tensor):
                steps = torch._foreach_sub(sources, averaged)
                torch._foreach_mul_(steps, weight)
                torch._foreach_add_(averaged, steps)
            else:
                torch._foreach_lerp_(averaged, sources, weight)
            for target, source in self._copied:
                target.copy_(source)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
