"""Faults that a plugin's loss may have, planted to see that they are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Planted(nn.Module):
    """A loss with a fault in the generators' step, and a buffer of its own."""

    mean: Tensor

    def __init__(self, loss: Any, fault: Callable[[Planted, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss, self.fault, self.calls = loss, fault, 0
        self.register_buffer("mean", torch.zeros((), device="cuda"))

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """As without the fault."""
        return self.loss.discriminator(real, fake)  # type: ignore[no-any-return]

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Of scores that went through the fault."""
        return self.loss.generator(self.fault(self, fake), real)  # type: ignore[no-any-return]


def _counter(self: Planted, fake: Tensor) -> Tensor:
    self.calls += 1
    return fake


def _rebound(self: Planted, fake: Tensor) -> Tensor:
    self.mean = 0.9 * self.mean + 0.1 * fake.detach().mean()
    return fake


def _in_place(self: Planted, fake: Tensor) -> Tensor:
    self.mean.lerp_(fake.detach().mean(), 0.1)
    return fake


FAULTS: dict[str, Callable[[Planted, Tensor], Tensor]] = {
    "none": _in_place,
    "item": lambda self, fake: fake * fake.mean().item(),
    "branch": lambda self, fake: fake if fake.mean() > 0 else -fake,
    "nonzero": lambda self, fake: fake + (fake > 0).nonzero().sum(),
    "mask": lambda self, fake: fake[fake > 0],
    "cpu": lambda self, fake: fake + fake.detach().cpu().mean().to(fake.device),
    "host scalar": lambda self, fake: fake * torch.tensor(0.5),
    "host noise": lambda self, fake: fake + torch.randn(fake.shape).to(fake.device),
    "counter": _counter,
    "rebound buffer": _rebound,
}


def planted(fault: str, loss: Any) -> Any:
    """The loss with that fault, or as it is where there is none."""
    return Planted(loss, FAULTS[fault]) if fault else loss
