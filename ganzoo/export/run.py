"""From a run directory to a bundle: networks built again, averaged weights loaded, facts gathered.

This is the only part of exporting that knows run directories.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from ganzoo.api import Networks
from ganzoo.errors import GanzooError, UsageError
from ganzoo.export import Bundle, export_generators
from ganzoo.networks import build_networks
from ganzoo.plan import Plan
from ganzoo.recipes import resolve
from ganzoo.registry import Registry, load_registry
from ganzoo.runs import Run
from ganzoo.settings import plain
from ganzoo.train.checkpoint import read_newest, read_one
from ganzoo.train.state import averaged_generators, load_modules


def export_run(
    run: Run,
    destination: Path | None = None,
    *,
    uint8: bool = False,
    checkpoint: int | Literal["newest", "best"] = "newest",
    registry: Registry | None = None,
    note: Callable[[str], None] = warnings.warn,
) -> Bundle:
    """Export the generators of a checkpoint, averaged where the run keeps an average.

    `checkpoint`: the newest sound one, the best by `train.keep_best`, or that after so many images.
    `note` is told of damaged checkpoints that were passed over. Errors are those of
    `export_generators`; UsageError when the run's plugins or files are gone.
    """
    plan, networks = _rebuilt(run, registry or load_registry())
    if checkpoint == "newest":
        tensors, manifest = read_newest(run.checkpoints, note)
    else:
        tensors, manifest = read_one(run.checkpoints, None if checkpoint == "best" else checkpoint)
    modules = {name: net.module for name, net in networks.generators.items()}
    load_modules(modules, averaged_generators(tensors))
    about = {**describe(run, plan), "images": manifest["images"]}
    target = destination or Path("exported") / plan.name.replace("/", "-")
    return export_generators(networks, run.info, target, about=about, uint8=uint8)


def _rebuilt(run: Run, registry: Registry) -> tuple[Plan, Networks]:
    try:
        plan = resolve(str(run.settings_file), registry)
        return plan, build_networks(plan, run.info)
    except GanzooError as error:
        wanted = ", ".join(f"{p['name']} of {p['dist']} {p['version']}" for p in run.record["plugins"])
        raise UsageError(
            f"The run's networks cannot be built here: {error.what}",
            where=error.where or str(run.path),
            fix=f"install the plugins it was trained with: {wanted}",
        ) from error


def _command(arguments: list[str]) -> str:
    """The command line without local paths; what does not start with ganzoo's command is Python."""
    if not arguments or Path(arguments[0]).name not in ("ganzoo", "ganzoo.exe", "__main__.py"):
        return "ganzoo.train from Python"
    words = [Path(word).name if "/" in word or "\\" in word else word for word in arguments[1:]]
    return " ".join(["ganzoo", *words])


def describe(run: Run, plan: Plan) -> dict[str, Any]:
    """What a deployed file should say of its origin. Holds no local paths."""
    record = run.record
    scheme, _, argument = plan.data.source.partition(":")
    options = plan.architecture.options
    local = bool(argument) and ("/" in argument or "\\" in argument or Path(argument).exists())
    return {
        "recipe": plan.name,
        "architecture": plan.architecture.item.qualified,
        "options": {} if options is None else plain(options),
        "loss": plan.loss.item.qualified,
        "data": f"{scheme}:{Path(argument).name}" if local else plan.data.source,
        "samples": record["data"]["count"],
        "ema": plan.ema.half_life > 0,
        "seed": record["seed"],
        "command": _command(record["command"]),
        "seconds": record.get("seconds", 0.0),
        "precision": record["precision"],
        "plugins": [f"{p['dist']} {p['version']}: {p['name']}" for p in record["plugins"]],
        "versions": record["versions"],
    }
