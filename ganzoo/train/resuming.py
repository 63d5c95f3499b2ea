"""What a resumed run may change, what changed around it, and that only one process works on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from filelock import FileLock, Timeout

from ganzoo.errors import UsageError
from ganzoo.plan import Plan
from ganzoo.runs import Run
from ganzoo.settings import layer

# Settings that a resumed run may change: its length, where it computes, and what it writes down.
CHANGEABLE = frozenset(
    ("train", name)
    for name in (
        "images", "minutes", "device", "threads", "graphs",
        "log_every", "sample_every", "checkpoint_every", "keep_checkpoints",
    )
)  # fmt: skip


def check_resumable(run: Run, plan: Plan) -> None:
    """UsageError when a run is complete and not given more, or when a plan changes what it trains."""
    old, new = layer("", run.settings()).values, layer("", plan.settings()).values
    changed = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    refused = sorted(".".join(path) for path in changed if path not in CHANGEABLE)
    if refused:
        raise UsageError(
            f"A resumed run keeps its settings; this would change {', '.join(refused)}.",
            where=str(run.path),
            fix=f"leave that out; or start a new run with other settings from {run.settings_file}",
        )
    longer = {("train", "images"), ("train", "minutes")} & set(changed)
    if run.record["status"] == "done" and not longer:
        raise UsageError(
            "This run is complete.",
            where=str(run.path),
            fix=f"ganzoo export {run.path}; or give it more: --resume {run.path} --images N",
        )


def changes_since(record: Mapping[str, Any], plan: Plan, versions: Mapping[str, str]) -> list[str]:
    """What is different from when the run started and may change its numbers, in sentences."""
    changes = [
        f"{name} was {old} when the run started, now it is {versions[name]}: results may differ"
        for name, old in record["versions"].items()
        if versions.get(name, old) != old
    ]
    now = {(p.dist, p.name): p.version for p in plan.plugins}
    for old in record["plugins"]:
        version = now.get((old["dist"], old["name"]), old["version"])
        if version != old["version"]:
            changes.append(f"plugin {old['name']} was {old['version']} when the run started, now {version}")
    threads = torch.get_num_threads()
    if record["threads"] != threads:
        changes.append(f"{record['threads']} threads then, {threads} now: not bit for bit the same")
    return changes


@contextmanager
def only_process(run: Run) -> Iterator[None]:
    """Hold the run's lock; UsageError when another process has it. A dead process holds none."""
    lock = FileLock(run.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            "Another process is training this run.",
            where=str(run.path),
            fix="wait for it, or stop it: it saves before it ends",
        ) from error
    try:
        yield
    finally:
        lock.release()
