"""From a run directory to a bundle: rebuild the networks, load averaged weights, collect facts.

This is the only file of the export that knows run directories.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganzoo.config.plan import Plan
from ganzoo.config.settings import plain
from ganzoo.exporting.calibration import calibrated
from ganzoo.exporting.distances import Frechet
from ganzoo.exporting.export import Bundle, export_generators
from ganzoo.exporting.form import USUAL, Form
from ganzoo.registry.directions import directions
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.load import Which, load_trained
from ganzoo.runs.run import Run
from ganzoo.runtime.bundle_folder import usual_folder

# What repeats an evaluation; not the names of files, which may be places on this machine.
_PROTOCOL = (
    *("n", "n_real", "data", "split", "fingerprint", "extractor", "preprocessing", "scale", "seed"),
    *("generator", "weights", "images", "ganzoo"),
)


def export_run(
    run: Run,
    destination: Path | None = None,
    *,
    form: Form = USUAL,
    checkpoint: Which = "newest",
    license_id: str | None = None,
    author: str | None = None,
    registry: Registry | None = None,
    frechet: Frechet | None = None,
    note: Callable[[str], None] = warnings.warn,
) -> Bundle:
    """Export the generators of a checkpoint, with averaged weights if the run keeps an average.

    `checkpoint`: the newest sound one, the best by `train.keep_best`, or the one after that many images.
    `license_id` and `author` are the user's words for the model card. The usual destination is
    `exported/<recipe>`; with a number if a bundle of another run is there. `frechet` is for smaller weights,
    see `store_weights`. `note` gets a message about damaged checkpoints that were skipped. Errors as in
    `export_generators`; UsageError when the run's plugins or files are missing, DataError when the networks
    are calibrated with its data (`Networks.calibrate`) and that is missing.
    """
    registry = registry or load_registry()
    trained = load_trained(run, registry, checkpoint, note)
    said = {"license": license_id, "author": author}
    about = {
        **{key: " ".join(value.split()) for key, value in said.items() if value and value.strip()},
        **describe(run, trained.plan),
        "images": trained.images,
    }
    if scores := scores_of(run, about, registry, form):
        about["scores"] = scores
    target = destination or usual_folder(trained.plan.name.replace("/", "-"), "run", about["run"])
    networks = calibrated(trained.networks, trained.plan, note)
    return export_generators(
        networks, trained.info, target, about=about, form=form, kinds=trained.plan.kinds, frechet=frechet
    )


def scores_of(run: Run, about: Mapping[str, Any], registry: Registry, form: Form = USUAL) -> dict[str, Any]:
    """`values` by name, which direction is `better`, and the `protocol`; empty without scores.

    Those of `ganzoo evaluate` if it scored these weights, else the last ones of training until then. Empty,
    too, with a watermark or smaller weights: nobody scored what that file writes.
    """
    if form.watermark is not None or form.weights != "float32":
        return {}
    weights = "EMA" if about["ema"] else "raw"
    report = run.evaluation()
    protocol, values = report.get("protocol", {}), report.get("scores", {})
    if (protocol.get("images"), protocol.get("weights")) != (about["images"], weights):
        scored = [
            line
            for line in run.log()
            if line["images"] <= about["images"] and isinstance(line.get("scores"), dict)
        ]
        if not scored:
            return {}
        values = dict(scored[-1]["scores"])
        protocol = {
            "n": values.pop("n", None),
            "data": about["data"],
            "extractor": "the one that ganzoo evaluate takes by default",
            "seed": about["seed"],
            "weights": weights,
            "images": scored[-1]["images"],
            "ganzoo": about["versions"]["ganzoo"],
        }
    else:
        part, _, source = str(protocol.get("split", "")).partition(" of ")  # as `RealData.open` names it
        kind = "held-out" if part.startswith("held-out") else "training"
        protocol = {**protocol, "data": _data_name(source) or "unknown", "split": kind}
    values = {name: value for name, value in values.items() if _is_finite(value)}
    if not values:
        return {}
    better = directions(registry)
    return {
        "values": values,
        "better": {name: better[name] for name in values if name in better},
        "protocol": {key: protocol[key] for key in _PROTOCOL if protocol.get(key) not in (None, "")},
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _identity(run: Run) -> str:
    """What tells a run from others, without saying where it is."""
    facts = [run.path.resolve().name, *(run.record.get(name) for name in ("created", "seed", "data"))]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _command(arguments: list[str]) -> str:
    """The command line without local paths; if it does not start with ganzoo's command, it was Python."""
    if not arguments or Path(arguments[0]).name not in ("ganzoo", "ganzoo.exe", "__main__.py"):
        return "ganzoo.train from Python"
    return shlex.join(["ganzoo", *(_without_folders(word) for word in arguments[1:])])


def _without_folders(word: str) -> str:
    """Remove the folders of a path: `csv:/home/me/x.csv` -> `csv:x.csv`, `--out=a/b` -> `--out=b`."""
    path = re.sub(r"^(?:[\w.-]+[=:])*", "", word)
    return word.removesuffix(path) + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _data_name(source: str) -> str:
    """A source of data without local folders."""
    scheme, _, argument = source.partition(":")
    local = bool(argument) and ("/" in argument or "\\" in argument or Path(argument).exists())
    return f"{scheme}:{Path(argument).name}" if local else source


def describe(run: Run, plan: Plan) -> dict[str, Any]:
    """Facts about the origin of a deployed file, without local paths."""
    record = run.record
    options = plan.architecture.options
    return {
        "run": _identity(run),
        "recipe": plan.name,
        "architecture": plan.architecture.item.qualified,
        "options": {} if options is None else plain(options),
        "loss": plan.loss.item.qualified,
        "data": _data_name(plan.data.source),
        "data_fingerprint": record["data"]["fingerprint"],
        "data_options": _public(plan.dataset.options),
        **({"data_only": list(plan.data.only)} if plan.data.only else {}),
        **({"data_without": list(plan.data.without)} if plan.data.without else {}),
        "samples": record["data"]["count"],
        "ema": plan.ema.active,
        "seed": record["seed"],
        "command": _command(record["command"]),
        "seconds": record.get("seconds", 0.0),
        "precision": record["precision"],
        "plugins": [f"{p['dist']} {p['version']}: {p['name']}" for p in record["plugins"]],
        "versions": record["versions"],
    }


def _public(options: Any) -> dict[str, Any]:
    """Options without values that may be paths."""
    values = {} if options is None else plain(options)
    return {name: value for name, value in values.items() if not re.search(r"[/\\]", str(value))}
