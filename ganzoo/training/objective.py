"""The loss and terms of a plan: made by the plugins' factories, grouped by role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api.training import Augmentation, Loss, View
from ganzoo.config.plan import Plan
from ganzoo.errors import PluginError
from ganzoo.networks.scheduled import ScheduledNumber, live
from ganzoo.registry.registry import calling, factory_of
from ganzoo.training.player import Constraint


@dataclass(frozen=True)
class Penalty:
    """A term of one role, ready to be computed."""

    name: str
    role: str
    function: Callable[[View], Tensor]
    every: int
    second_order: bool


@dataclass
class Objective:
    """Loss, augmentation, constraints and penalties by role; `stateful` names those that are modules.

    `paired`: the generator's loss needs the scores of real samples too.
    """

    loss: Loss
    paired: bool = False
    augmentation: Augmentation | None = None
    constraints: dict[str, list[Constraint]] = field(
        default_factory=lambda: {"generator": [], "discriminator": []}
    )
    penalties: dict[str, list[Penalty]] = field(
        default_factory=lambda: {"generator": [], "discriminator": []}
    )
    stateful: dict[str, nn.Module] = field(default_factory=dict)
    numbers: list[ScheduledNumber] = field(default_factory=list)


def make_objective(plan: Plan, device: torch.device) -> Objective:
    """Call the factories. PluginError names the plugin whose factory or loss fails."""
    options, numbers = live(plan.loss.options, "loss", device)
    objective = Objective(_loss(plan, options), plan.loss.item.spec.paired, numbers=numbers)
    if isinstance(objective.loss, nn.Module):
        objective.stateful["loss"] = objective.loss.to(device)
    if plan.augment is not None:
        factory = factory_of(plan.augment.item)
        options, numbers = live(plan.augment.options, "augment", device)
        objective.numbers += numbers
        with calling(plan.augment.item):
            objective.augmentation = factory(options)
        if isinstance(objective.augmentation, nn.Module):
            objective.stateful["augmentation"] = objective.augmentation.to(device)
    for name, term in plan.terms.items():
        spec = term.item.spec
        factory = factory_of(term.item)
        options, numbers = live(term.options, f"terms.{name}", device)
        objective.numbers += numbers
        with calling(term.item):
            function = factory(options)
        if isinstance(function, nn.Module):
            objective.stateful[f"term.{name}"] = function.to(device)
        if spec.kind == "constraint":
            objective.constraints[spec.role].append(function)
        else:
            function = function if term.item.plugin.api > 1 else _guessing(function)
            penalty = Penalty(name, spec.role, function, term.every, spec.second_order)
            objective.penalties[spec.role].append(penalty)
    return objective


def _guessing(function: Callable[[View], Tensor]) -> Callable[[View], Tensor]:
    """A term of plugin API 1: the shape of its random numbers says whether each sample has its own."""

    def adapted(view: Any) -> Tensor:
        view.guesses = True
        try:
            return function(view)
        finally:
            view.guesses = False

    return adapted


def _loss(plan: Plan, options: Any) -> Loss:
    """The plan's loss, tested on zeros so that a plugin's mistake shows before training."""
    item, scores = plan.loss.item, torch.zeros(2)
    factory = factory_of(item)
    with calling(item):
        loss: Loss = factory(options)
        real = scores if item.spec.paired else None
        for value in (loss.discriminator(scores, scores), loss.generator(scores, real)):
            if value.shape != ():
                raise PluginError(
                    f"The loss '{item.name}' gave a tensor of shape {tuple(value.shape)}, not a scalar.",
                    where=item.qualified,
                )
    return loss
