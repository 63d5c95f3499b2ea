"""What run.json says of a training: how it was set up, how cycles reach the device, how it failed."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

import ganzoo
from ganzoo.blame import blamed
from ganzoo.errors import DivergedError, FailedError, GanzooError, StorageError
from ganzoo.networks import parameter_count
from ganzoo.plan import Plan
from ganzoo.plugins import is_strict
from ganzoo.runs import Run
from ganzoo.train.graph import Eager, Graphs, Repeater
from ganzoo.train.memory import is_out_of_memory
from ganzoo.train.prepared import Prepared
from ganzoo.train.ranks import other_rank_ended
from ganzoo.train.recorder import Reporter
from ganzoo.train.state import Training


def repeater_for(plan: Plan, training: Training, run: Run, reporter: Reporter) -> Repeater:
    """Graphs where the device and the plan allow them; run.json says what became of that."""

    def told(result: str) -> None:
        with suppress(StorageError):
            run.update(graphs=result)
        if result.startswith("eager"):
            reporter.note(f"not captured as a CUDA graph, so slower for small networks; {result}")

    if training.engine.device.type != "cuda":
        return Eager()
    if training.engine.ranks.world > 1:
        told("eager: several processes, whose messages no graph was tried with")
        return Eager()
    if not plan.train.graphs:
        told("off")
        return Eager()
    if any(side.settings.momentum_final is not None for side in (training.generator, training.discriminator)):
        told("eager: the momentum changes from step to step")
        return Eager()
    return Graphs(training.engine, told)


@contextmanager
def recorded_failures(run: Run) -> Iterator[None]:
    """Note in run.json how the block failed; name what is not ganzoo's own error."""
    try:
        yield
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(StorageError):  # the disk may be what failed
            run.update(status="diverged" if isinstance(error, DivergedError) else status)
        if is_strict() or isinstance(error, GanzooError) or not isinstance(error, Exception):
            raise
        if other := other_rank_ended(error):
            raise other from error
        fix = "GANZOO_STRICT=1 shows the traceback"
        if is_out_of_memory(error):
            fix = "a smaller --batch-size"
        elif "more than 1 value per channel" in str(error):
            fix = "a larger --batch-size or train.micro_batch: BatchNorm needs two samples"
        whose, contents = blamed(error)
        raise FailedError(
            f"Training stopped{f' in {whose}' if whose else ''}: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=f"{f'{contents}; ' if contents else ''}{run.path}; the last checkpoint is kept",
            fix=fix,
        ) from error


def record_of(prepared: Prepared) -> dict[str, Any]:
    """What run.json says of a run from its beginning on."""
    plan, store, training = prepared.plan, prepared.store, prepared.training
    return {
        "command": sys.argv,
        "seed": plan.train.seed,
        "device": str(training.engine.device),
        "precision": training.engine.precision,
        "arithmetic": training.engine.arithmetic,
        "threads": torch.get_num_threads(),
        "keeps_memory": training.engine.keeps_memory,
        "world": training.engine.ranks.world,
        "versions": versions(),
        "plugins": [{"name": p.name, "dist": p.dist, "version": p.version} for p in plan.plugins],
        "data": {
            "source": plan.data.source,
            "identity": store.identity,
            "fingerprint": store.fingerprint,
            "count": store.count,
            "fields": [field.to_json() for field in store.fields],
            "skipped": [list(item) for item in store.skipped],
        },
        "parameters": {
            "generators": parameter_count(training.networks.generators.values()),
            "discriminators": parameter_count(training.networks.discriminators.values()),
        },
    }


def versions() -> dict[str, str]:
    """Versions of what decides a run's numbers."""
    return {
        "ganzoo": ganzoo.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
