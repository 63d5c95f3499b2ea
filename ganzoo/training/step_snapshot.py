"""Undoing a step whose gradient is not finite, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ganzoo.training.player import Player


class StepSnapshot:
    """Copies of all that a step of one player changes: weights, moments, and statistics of any module."""

    def __init__(self, player: Player, modules: Iterable[nn.Module]) -> None:
        self._optimizer = player.optimizer
        changed = [*player.parameters, *(value for module in modules for value in module.buffers())]
        self._before = [(value, value.detach().clone()) for value in changed]
        self._moments = {(id(p), slot): value.clone() for p, slot, value in self._slots()}

    def where(self, unsound: Tensor) -> None:
        """Restore everything if the scalar `unsound` is true."""
        with torch.no_grad():
            for value, before in self._before:
                value.copy_(torch.where(unsound, before, value))
            for parameter, slot, value in self._slots():
                # State that the step itself created starts as zeros in all of torch's optimisers.
                old = self._moments.get((id(parameter), slot))
                value.copy_(
                    torch.where(
                        unsound.to(value.device), torch.zeros_like(value) if old is None else old, value
                    )
                )

    def _slots(self) -> list[tuple[Tensor, str, Tensor]]:
        return [
            (parameter, slot, value)
            for parameter, slots in self._optimizer.state.items()
            for slot, value in slots.items()
            if isinstance(value, Tensor)
        ]
