"""Loads a run's trained generators: builds the networks again and loads the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ganzoo.api.networks import Networks
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import GanzooError, UsageError
from ganzoo.fields import DataInfo
from ganzoo.networks.build import build_networks
from ganzoo.networks.scheduled import scheduled_numbers
from ganzoo.registry.registry import Registry
from ganzoo.runs.checkpoint import has_any, read_newest, read_one
from ganzoo.runs.lock import is_held
from ganzoo.runs.run import Run
from ganzoo.runs.weights import averaged_generators, load_modules, raw_generators, under

Which = int | Literal["newest", "best"]


@dataclass(frozen=True)
class Trained:
    """The plan of a run, its data, its networks with weights of a checkpoint, the images seen until then."""

    plan: Plan
    info: DataInfo
    networks: Networks
    images: int


def load_trained(
    run: Run, registry: Registry, which: Which, note: Callable[[str], None], *, raw: bool = False
) -> Trained:
    """Build the run's networks and load their weights, for generators the EMA if the run has one.

    `which`: the newest valid checkpoint, the best by `train.keep_best`, or the one after that many images.
    `raw` loads the weights without EMA. `note` gets a message for each damaged checkpoint that is skipped.
    UsageError when the run's plugins or files are missing, or when it has no checkpoint yet.
    """
    if (
        run.record["status"] in ("starting", "training")
        and not has_any(run.checkpoints)
        and is_held(run.path)
    ):
        raise UsageError(
            "This run has no checkpoint yet.",
            where=str(run.path),
            fix="try again later: it is still training and saves every train.checkpoint_every images",
        )
    plan, info, networks = _rebuilt(run, registry)
    tensors: dict[str, Any]
    if which == "newest":
        tensors, manifest = read_newest(run.checkpoints, note)
    else:
        tensors, manifest = read_one(run.checkpoints, None if which == "best" else which)
    modules = {name: net.module for name, net in networks.generators.items()}
    nets = (*networks.generators.values(), *networks.discriminators.values())
    for number in scheduled_numbers(net.module for net in nets):
        number.move(plan.train.share(manifest["images"], manifest["seconds"]), manifest["images"])
    judges = {name: net.module for name, net in networks.discriminators.items()}
    load_modules(judges, under("networks.discriminator", tensors))
    load_modules(modules, raw_generators(tensors) if raw else averaged_generators(tensors))
    return Trained(plan, info, networks, manifest["images"])


def _rebuilt(run: Run, registry: Registry) -> tuple[Plan, DataInfo, Networks]:
    try:
        plan = resolve(str(run.settings_file), registry)
        info = replace(run.info, fields=plan.kinds.assign(run.info.fields))
        return plan, info, build_networks(plan, info)
    except GanzooError as error:
        wanted = ", ".join(f"{p['name']} of {p['dist']} {p['version']}" for p in run.record["plugins"])
        raise UsageError(
            f"The run's networks cannot be built: {error.what}",
            where=error.where or str(run.path),
            fix=f"install the plugins it was trained with: {wanted}",
        ) from error
