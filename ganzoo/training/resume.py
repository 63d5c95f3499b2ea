"""Resuming a run: which settings may change, how far the run is, what is different on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from ganzoo.config.plan import Plan
from ganzoo.config.settings import Key, layer
from ganzoo.errors import DivergedError, UsageError
from ganzoo.runs.checkpoint import has_any, has_valid
from ganzoo.runs.run import Run, is_unused, safe_name
from ganzoo.runs.validation import is_complete
from ganzoo.training.compute.device import kept_threads
from ganzoo.training.compute.threads import History
from ganzoo.util.files import storage
from ganzoo.util.text import counted, typed

# Settings that a resumed run may change: its length, where and how it computes, what it writes, and, with all
# of the table `track`, who else gets the log.
CHANGEABLE = frozenset(
    ("train", name)
    for name in (
        "images", "minutes", "about_minutes", "device", "threads", "graphs", "micro_batch", "on_nan",
        "log_every", "sample_every", "checkpoint_every", "keep_checkpoints", "keep_best",
        "eval_every", "eval_samples", "stop",
    )
)  # fmt: skip


def may_change(path: Key) -> bool:
    """Whether a resumed run may change the setting at that path."""
    return path in CHANGEABLE or path[0] == "track"


RunProgress = Literal["new", "unfinished", "complete"]


def usual_path(plan: Plan) -> Path:
    """The default run directory of this plan: the same for the same command line."""
    kept = {
        ".".join(path): value
        for path, value in layer("", plan.settings()).values.items()
        if not may_change(path)
    }
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"{safe_name(plan.name)}-{digest[:8]}"


def run_progress(path: Path, plan: Plan) -> RunProgress:
    """How far the run at `path` is, which `plan` would start or continue.

    UsageError when something else is there, DivergedError for a run that would diverge again.
    """
    with storage(path):
        if is_unused(path):
            return "new"
    run = Run.open(path)
    plan = plan.fitted(run.info)
    sound = has_valid(run.checkpoints)
    if not has_any(run.checkpoints) and not is_complete(run.settings_file):
        return "new"  # it ended while it wrote its first files
    _check_settings(run, plan)
    if run.record["status"] == "done" and not _is_longer(run, plan):
        return "complete"
    on_nan = layer("", run.settings()).get("train", "on_nan") or "stop"
    if run.record["status"] == "diverged" and on_nan == plan.train.on_nan:
        raise DivergedError(
            "This run diverged, and would diverge again.",
            where=str(path),
            fix="continue from its last sound checkpoint at half the learning rates: --on-nan rollback; "
            "or start a new run with other settings",
        )
    if not sound and has_any(run.checkpoints):
        raise UsageError(
            "The run has checkpoints, but none of them can be read.",
            where=str(run.checkpoints),
            fix="repair or remove them; or start again in another --run-dir",
        )
    return "unfinished" if sound else "new"


def check_resumable(run: Run, plan: Plan) -> None:
    """UsageError when a run is complete and the plan is not longer, or when it changes fixed settings."""
    _check_settings(run, plan)
    if plan.train.about_minutes is not None:
        raise UsageError(
            f"A run that has begun has a number of {run.unit.nouns}: its speed is not measured again.",
            where=f"train.about_minutes (from {plan.origin(('train', 'about_minutes'))})",
            fix="--images N or --minutes N",
        )
    if run.record["status"] == "done" and not _is_longer(run, plan):
        path = typed(run.path)
        raise UsageError(
            "This run is complete.",
            where=str(run.path),
            fix=f"ganzoo export {path}; or train it further: --resume {path} --images N",
        )


def with_length_of(run: Run, plan: Plan) -> Plan:
    """The plan with the length of the run, if its own is one that is measured when a run begins."""
    if plan.train.about_minutes is None:
        return plan
    known = layer("", run.trained_settings()).values
    return plan.lasting(known.get(("train", "images")), known.get(("train", "minutes")))


def threads_since(run: Run, plan: Plan, images: int) -> History:
    """The CPU threads of the run, from how many images on. A number in the settings applies from now on."""
    history = [list(entry) for entry in run.record.get("thread_changes") or [(0, run.record["threads"])]]
    if plan.train.threads is not None:
        return [*(entry for entry in history if entry[0] < images), [images, plan.train.threads]]
    return [[start, kept_threads(threads) or 1] for start, threads in history]


def changed_settings(run: Run, plan: Plan) -> list[str]:
    """The paths of the settings that are not those that the run was trained with."""
    return [".".join(path) for path in _changed(run, plan)]


def _check_settings(run: Run, plan: Plan) -> None:
    refused = sorted(".".join(path) for path in _changed(run, plan) if not may_change(path))
    if refused:
        raise UsageError(
            f"A resumed run keeps its settings; this would change {', '.join(refused)}.",
            where=str(run.path),
            fix=f"leave that out; or start a new run with other settings from {run.settings_file}",
        )
    seen = run.record.get("images", 0)
    if plan.train.images is not None and plan.train.images < seen and run.record["status"] != "done":
        raise UsageError(
            f"The run has seen {run.unit.count(seen)} already, more than {plan.train.images:,}.",
            where=str(run.path),
            fix="use a larger --images, which is the total, or leave it out",
        )
    changed = ("train", "minutes") in _changed(run, plan)
    spent, minutes = run.record.get("seconds", 0.0) / 60, plan.train.minutes
    # Unchanged minutes may be over: the process ended between the last step and the last line of run.json.
    if minutes is not None and minutes < spent and run.record["status"] != "done" and changed:
        raise UsageError(
            f"The run has trained {spent:.2g} minutes already, more than {minutes:g}.",
            where=str(run.path),
            fix="use a larger --minutes, which is the total, or leave it out",
        )


def _is_longer(run: Run, plan: Plan) -> bool:
    """Whether the plan asks for more than the run has."""
    seen, seconds = run.record.get("images", 0), run.record.get("seconds", 0.0)
    changed = {("train", "images"), ("train", "minutes"), ("train", "stop")} & set(_changed(run, plan))
    more = (plan.train.images or 0) > seen or 60 * (plan.train.minutes or 0) > seconds
    return bool(changed) and more


def _changed(run: Run, plan: Plan) -> list[Key]:
    # The settings it was trained with: settings.toml may have been edited since.
    old, new = layer("", run.trained_settings()).values, layer("", plan.settings()).values
    return [
        path for path in {**old, **new} if old.get(path) != new.get(path) and not _is_new(path, old, plan)
    ]


def _is_new(path: Key, old: Mapping[Key, Any], plan: Plan) -> bool:
    """Whether the setting did not exist when the run started, and now has its default value."""
    return path not in old and plan.is_default(path)


def changes_since(run: Run, plan: Plan, versions: Mapping[str, str], world: int) -> list[str]:
    """Notes about what is different from the start of the run and may change its numbers."""
    record, known = run.record, layer("", run.trained_settings()).values
    changes = [
        f"{'.'.join(path)} did not exist when the run started: the default is used"
        for path in layer("", plan.settings()).values
        if _is_new(path, known, plan)
    ]
    changes += [
        f"{name} was {old} when the run started, it is {versions[name]} now: results may differ"
        for name, old in record["versions"].items()
        if versions.get(name, old) != old
    ]
    now = {(p.dist, p.name): p.version for p in plan.plugins}
    for old in record["plugins"]:
        version = now.get((old["dist"], old["name"]), old["version"])
        if version != old["version"]:
            changes.append(
                f"plugin {old['name']} was {old['version']} when the run started, it is {version} now"
            )
    threads = torch.get_num_threads()
    if record["threads"] != threads:
        changes.append(
            f"{counted(record['threads'], 'thread')} then, {threads} now: results differ in rounding"
        )
    then = record.get("world", 1)
    if then != world:
        changes.append(
            f"{counted(then, 'process', 'processes')} then, {world} now: the global batch stays "
            f"{plan.train.batch_size}, results differ in rounding"
        )
    return changes
