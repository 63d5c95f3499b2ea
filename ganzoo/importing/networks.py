"""From an importer's answer to a plan, and to networks that have the file's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganzoo.api.importing import Imported
from ganzoo.api.layers import SpectralNorm
from ganzoo.api.networks import Networks
from ganzoo.api.specs import LossSpec, RecipeSpec
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import plain
from ganzoo.errors import UsageError
from ganzoo.fields import DataInfo
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry

if TYPE_CHECKING:
    from ganzoo.api.importing import Array

SHOWN = 5  # names in a message
_COUNTERS = "num_batches_tracked"
_OTHER = "the file is of another version or size of this family; --inspect shows what it has"
_WITHOUT = "`ganzoo train RECIPE --from FILE` takes what fits; a bundle needs only generators"


def plan_of(imported: Imported, registry: Registry) -> Plan:
    """The plan of the architecture with the options of the file; its loss is that of some recipe with it."""
    recipe = next(
        (item for item in registry.of_kind(RecipeSpec) if item.spec.architecture == imported.architecture),
        None,
    )
    if recipe is None:
        loss = registry.of_kind(LossSpec)[0].qualified
    else:
        loss = registry.find(LossSpec, recipe.spec.loss, recipe.plugin.dist).qualified
    return resolve(f"{imported.architecture}+{loss}", registry, overrides=options_of(imported))


def options_of(imported: Imported) -> dict[str, Any]:
    """The options of the architecture as settings by dotted path."""
    return {f"architecture.{name}": value for name, value in imported.options.items()}


def training_plan(imported: Imported, registry: Registry, recipe: str, overrides: Mapping[str, Any]) -> Plan:
    """The plan of a training that goes on from these weights, with all options of the file's networks."""
    plan = plan_of(imported, registry)
    options = plan.architecture.options
    fixed = {} if options is None else {f"architecture.{key}": v for key, v in plain(options).items()}
    target = recipe or imported.recipe or plan.name
    return resolve(target, registry, overrides={**imported.settings, **overrides, **fixed})


def build_imported(
    imported: Imported, registry: Registry, *, discriminators: bool = True
) -> tuple[Plan, DataInfo, Networks, list[str]]:
    """The plan, the fields, the networks with the weights of the file, and the networks that start anew.

    Without `discriminators` only generators get weights: those of a discriminator need not fit.
    """
    plan = plan_of(imported, registry)
    info = replace(imported.data, fields=plan.kinds.assign(imported.data.fields, api=2))
    networks = build_networks(plan, info)
    weights = imported.weights
    if not discriminators:
        weights = {name: own for name, own in weights.items() if name not in networks.discriminators}
    fresh = load_weights(networks, weights)
    for net in networks.generators.values():
        net.module.eval()
    return plan, info, networks, fresh


def load_weights(networks: Networks, weights: Mapping[str, Mapping[str, Array]]) -> list[str]:
    """Load each network strictly; returns the discriminators that the file does not have.

    UsageError names the first names that are missing, surplus or of another shape.
    """
    every = {**networks.generators, **networks.discriminators}
    for name, own in weights.items():
        if name not in every:
            raise UsageError(f"The importer has weights of '{name}', which the architecture does not have.")
        _load(name, every[name].module, own, _OTHER if name in networks.generators else _WITHOUT)
    fresh = [name for name in every if name not in weights]
    lacking = [name for name in fresh if name in networks.generators]
    if lacking:
        raise UsageError(f"The file has no weights of the generator '{lacking[0]}'.")
    return [name for name in fresh if list(every[name].module.parameters())]


def _load(name: str, module: nn.Module, own: Mapping[str, Array], fix: str) -> None:
    plain_keys = [key for key in _normed(module) if key in own]
    layers = tuple(f"{_layer(key)}parametrizations.{key.rpartition('.')[2]}." for key in plain_keys)
    target = {key: value for key, value in module.state_dict().items() if not key.startswith(layers)}
    target |= {key: _normed(module)[key] for key in plain_keys}
    missing = [key for key in target if key not in own and not key.endswith(_COUNTERS)]
    surplus = [key for key in own if key not in target]
    arrays = {key: np.asarray(own[key]) for key in own if key in target}
    other = [
        f"{key} {arrays[key].shape}, not {tuple(target[key].shape)}"
        for key in arrays
        if arrays[key].shape != tuple(target[key].shape)
    ]
    problems = [
        f"{len(keys)} {what}: {', '.join(keys[:SHOWN])}"
        for what, keys in (("missing", missing), ("surplus", surplus), ("of another shape", other))
        if keys
    ]
    if problems:
        raise UsageError(
            f"The file's weights do not fit the network '{name}'.",
            where="; ".join(problems),
            fix=fix,
        )
    bad = [key for key, value in arrays.items() if not np.isfinite(value).all()]
    if bad:
        raise UsageError(f"The weights '{bad[0]}' of '{name}' are not finite.")
    values = {key: torch.from_numpy(np.array(value)).to(target[key].dtype) for key, value in arrays.items()}
    module.load_state_dict(
        {key: value for key, value in {**target, **values}.items() if key not in plain_keys}, strict=False
    )
    for key in plain_keys:
        _set_normed(module, key, values[key])


def _layer(key: str) -> str:
    layer = key.rpartition(".")[0]
    return f"{layer}." if layer else ""


def _normed(module: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that parametrizations compute, by the name that they have without these."""
    return {
        f"{name}.{part}".strip("."): getattr(layer, part).detach()
        for name, layer in module.named_modules()
        if parametrize.is_parametrized(layer)
        for part in cast("nn.ModuleDict", layer.parametrizations)
    }


def _first_left(matrix: torch.Tensor) -> torch.Tensor:
    """The left singular vector of the largest singular value, in float64; power iterations may take long."""
    rows, columns = matrix.shape
    matrix = matrix.double() if rows <= columns else matrix.double().T
    first = torch.linalg.eigh(matrix @ matrix.T)[1][:, -1]
    return first if rows <= columns else torch.nn.functional.normalize(first @ matrix, dim=0)


def _set_normed(module: nn.Module, key: str, value: torch.Tensor) -> None:
    """Set what a parametrization computes: length and direction, or a matrix of norm 1 and its vectors."""
    layer = module.get_submodule(key.rpartition(".")[0])
    made = cast("Any", layer.parametrizations)[key.rpartition(".")[2]]
    norm = made[0]
    with torch.no_grad():
        if isinstance(norm, SpectralNorm):
            made.original.copy_(value)
            norm.u.copy_(_first_left(value.flatten(1)))
        else:
            made.right_inverse(value)
