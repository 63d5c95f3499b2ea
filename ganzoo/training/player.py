"""All networks of one role (generators or discriminators): parameters, optimiser, schedule, constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.api.networks import Net
from ganzoo.api.training import Batch
from ganzoo.config.settings import OptimizerSettings
from ganzoo.training.compute.device import Scalar
from ganzoo.training.distributed.ranks import Ranks

Constraint = Callable[[nn.Module], None]


class Player:
    """All generators, or all discriminators, with their optimiser.

    `slowed` is a factor on the learning rate; each rollback of the run halves it. `skips`: steps whose
    gradient is not finite are undone.
    """

    def __init__(
        self,
        nets: Mapping[str, Net],
        settings: OptimizerSettings,
        constraints: Sequence[Constraint] = (),
        *,
        ranks: Ranks | None = None,
        skips: bool = False,
    ) -> None:
        self.modules = {name: net.module for name, net in nets.items()}
        self.settings = settings
        self.constraints = tuple(constraints)
        self.ranks = ranks or Ranks()
        self.skips = skips
        self.slowed = 1.0
        named = [
            (f"{name}.{key}", value)
            for name, module in self.modules.items()
            for key, value in module.named_parameters()
            if value.requires_grad
        ]
        self.names = [name for name, _ in named]
        self.parameters = [value for _, value in named]
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self._rate = Scalar(device)
        self._rate.set(settings.lr)
        self.optimizer = make_optimizer(self.parameters, settings, self._rate.value)

    def schedule(self, progress: float, images: int, steps: int) -> None:
        """Set learning rate and momentum for this point of the run (`progress` is in 0..1)."""
        self._rate.set(self.slowed * learning_rate(self.settings, progress, steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate.value
            if "momentum" in group:
                group["momentum"] = momentum(self.settings, images)

    def clear(self) -> None:
        """Delete the gradients of the last step."""
        self.optimizer.zero_grad(set_to_none=True)

    def add_gradients(self, loss: Tensor) -> None:
        """Add the gradients of the loss to those since `clear`, for the parameters of this player only."""
        torch.autograd.backward(loss, inputs=self.parameters)

    def step(self) -> Tensor:
        """Take a step with the summed gradients of all ranks; returns their norm, a scalar on the device."""
        gradients = [value.grad for value in self.parameters if value.grad is not None]
        self.ranks.add_up(gradients)
        norms = torch._foreach_norm(gradients) if gradients else [torch.zeros(())]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        self.optimizer.step()
        for constraint in self.constraints:
            with torch.no_grad():
                for module in self.modules.values():
                    constraint(module)
        return norm

    def state(self) -> Batch:
        """The optimiser's tensors by `<net>.<parameter>.<slot>`."""
        slots = self.optimizer.state_dict()["state"]
        return {
            f"{self.names[index]}.{slot}": value
            for index, values in slots.items()
            for slot, value in values.items()
            if isinstance(value, Tensor)
        }

    def load_state(self, state: Batch) -> None:
        """Continue from what `state` returned."""
        slots: dict[int, dict[str, Tensor]] = {}
        position = {name: index for index, name in enumerate(self.names)}
        for key, value in state.items():
            name, _, slot = key.rpartition(".")
            index = position[name]
            if value.shape == self.parameters[index].shape:
                # The fused kernels need moments in the memory layout of the parameter (for example
                # channels last), which a file does not keep.
                value = torch.empty_like(self.parameters[index]).copy_(value)
            slots.setdefault(index, {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})


def make_optimizer(
    parameters: Sequence[Tensor], settings: OptimizerSettings, rate: float | Tensor
) -> torch.optim.Optimizer:
    """The torch optimiser for these settings; Adam and SGD run as one fused kernel.

    If `rate` is a tensor on CUDA, steps can be captured in a CUDA graph.
    """
    capturable = isinstance(rate, Tensor)
    if settings.optimizer == "adam":
        return torch.optim.Adam(
            parameters,
            lr=rate,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
            capturable=capturable,
        )
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            lr=rate,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            capturable=capturable,
        )
    return torch.optim.SGD(
        parameters, lr=rate, weight_decay=settings.weight_decay, momentum=settings.momentum, fused=True
    )


def learning_rate(settings: OptimizerSettings, progress: float, steps: int) -> float:
    """The learning rate at `progress` (0..1) of the run, after `steps` optimiser steps."""
    if settings.decay == "exponential":
        return max(settings.lr_final, settings.lr * settings.decay_rate**-steps)
    if settings.decay == "none" or progress <= settings.decay_from:
        return settings.lr
    share = min(1.0, (progress - settings.decay_from) / (1.0 - settings.decay_from))
    falling = 1.0 - share if settings.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))
    return settings.lr_final + (settings.lr - settings.lr_final) * falling


def momentum(settings: OptimizerSettings, images: int) -> float:
    """The momentum after `images` images."""
    if settings.momentum_final is None:
        return settings.momentum
    share = min(1.0, images / settings.momentum_images)
    return settings.momentum + (settings.momentum_final - settings.momentum) * share
