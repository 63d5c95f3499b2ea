"""All networks of one role (generators or discriminators): parameters, optimiser, schedule, constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.api.networks import Net
from ganzoo.api.training import Batch
from ganzoo.config.schedule import options_at, scheduled
from ganzoo.config.settings import OptimizerSettings
from ganzoo.errors import SettingsError
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
        self._moving = bool(scheduled(settings))  # looking takes 0.03 ms, in each cycle
        self.constraints = tuple(constraints)
        self.ranks = ranks or Ranks()
        self.skips = skips
        self.slowed = 1.0
        groups = _groups(nets, settings.factors)
        named = [item for group in groups.values() for item in group]
        self.names = [name for name, _ in named]
        self.parameters = [value for _, value in named]
        trained = {id(value) for value in self.parameters}
        everything = [value for module in self.modules.values() for value in module.parameters()]
        self._frozen = [value for value in everything if id(value) not in trained]
        self._device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self._rates = {factor: Scalar(self._device) for factor in groups}
        self._clip_norm = Scalar(self._device)
        self._clip_value = 0.0
        first = options_at(settings, 0.0, 0)
        for factor, rate in self._rates.items():
            rate.set(factor * first.lr)
        grouped = [([value for _, value in group], self._rates[f].value) for f, group in groups.items()]
        self.optimizer = make_optimizer(grouped, first)

    def schedule(self, progress: float, images: int, steps: int) -> None:
        """Set learning rate, momentum and whatever else has a schedule for this point of the run."""
        now = options_at(self.settings, progress, images) if self._moving else self.settings
        rate = self.slowed * learning_rate(now, progress, steps, images)
        self._clip_norm.set(now.clip_norm)
        self._clip_value = now.clip_value
        for factor, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            self._rates[factor].set(factor * rate)
            group["lr"] = self._rates[factor].value
            if "momentum" in group:
                group["momentum"] = momentum(now, images)
            for name in ("betas", "eps", "weight_decay"):
                if name in group:
                    group[name] = getattr(now, name)

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
        norms = torch._foreach_norm(gradients) if gradients else [torch.zeros((), device=self._device)]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        self._clip(gradients, norm)
        self.optimizer.step()
        if self.constraints:
            self._constrain()
        return norm

    @torch.no_grad()
    def _constrain(self) -> None:
        """Apply the constraints; parameters that are not trained stay as they are."""
        kept = [value.clone() for value in self._frozen]
        for constraint in self.constraints:
            for module in self.modules.values():
                constraint(module)
        for value, before in zip(self._frozen, kept, strict=True):
            value.copy_(before)

    def rms(self) -> Tensor:
        """The root mean square of all parameters, a scalar on the device."""
        norms = torch._foreach_norm([value.detach() for value in self.parameters])
        count = sum(value.numel() for value in self.parameters)
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm / math.sqrt(count)

    def _clip(self, gradients: list[Tensor], norm: Tensor) -> None:
        """Limit values, then the norm, in place. What is not finite stays so, and is noticed."""
        if not gradients:
            return
        if self.settings.clip_value:
            torch._foreach_clamp_min_(gradients, -self._clip_value)
            torch._foreach_clamp_max_(gradients, self._clip_value)
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if self.settings.clip_norm:
            torch._foreach_mul_(gradients, (self._clip_norm.value / norm.clamp(min=1e-12)).clamp(max=1.0))

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


def _groups(nets: Mapping[str, Net], factors: Mapping[str, float]) -> dict[float, list[tuple[str, Tensor]]]:
    """The trained parameters with their names, by the factor on their learning rate.

    SettingsError for a prefix that no parameter begins with.
    """
    groups: dict[float, list[tuple[str, Tensor]]] = {}
    unused = set(factors)
    for name, net in nets.items():
        for key, value in net.module.named_parameters():
            if not value.requires_grad:
                continue
            own = {**net.rates, **factors}
            prefixes = [prefix for prefix in own if key == prefix or key.startswith(f"{prefix}.")]
            unused -= set(prefixes)
            factor = own[max(prefixes, key=len)] if prefixes else 1.0
            groups.setdefault(factor, []).append((f"{name}.{key}", value))
    if unused:
        keys = (key for net in nets.values() for key, _ in net.module.named_parameters())
        parts = sorted({key.partition(".")[0] for key in keys})
        raise SettingsError(
            f"No parameter's name begins with '{min(unused)}'.",
            where="the setting 'rates' of an optimiser",
            fix=f"the networks have: {', '.join(parts)}",
        )
    return groups or {1.0: []}


def make_optimizer(
    groups: Sequence[tuple[list[Tensor], float | Tensor]], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """The torch optimiser for groups of (parameters, learning rate); Adam and SGD run as fused kernels.

    `settings` without schedules. With rates that are tensors on CUDA, steps can be captured in a graph.
    """
    capturable = isinstance(groups[0][1], Tensor)
    listed = [{"params": parameters, "lr": rate} for parameters, rate in groups]
    eps, decay, start = settings.eps, settings.weight_decay, settings.momentum
    if settings.optimizer in ("adam", "adamw"):
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        return kind(
            listed, betas=settings.betas, eps=eps, weight_decay=decay, fused=True, capturable=capturable
        )
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(listed, eps=eps, weight_decay=decay, momentum=start, capturable=capturable)
    return torch.optim.SGD(listed, weight_decay=decay, momentum=start, fused=True)


def learning_rate(settings: OptimizerSettings, progress: float, steps: int, images: int = 0) -> float:
    """The rate at a share `progress` of the run, after `steps` optimiser steps and `images` images."""
    rate = _decayed(settings, progress, steps)
    return rate * min(1.0, images / settings.warmup) if settings.warmup else rate


def _decayed(settings: OptimizerSettings, progress: float, steps: int) -> float:
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
