"""What run.json says about a training: how it was set up, and how it failed."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from ganzoo._version import __version__
from ganzoo.config.plan import Plan
from ganzoo.config.settings import layer
from ganzoo.errors import DivergedError, FailedError, GanzooError, StorageError
from ganzoo.networks.apply import parameter_count
from ganzoo.registry.discovery import is_strict
from ganzoo.runs.checkpoint import has_any
from ganzoo.runs.run import Run
from ganzoo.training.distributed.ranks import other_rank_ended
from ganzoo.training.microbatches import is_out_of_memory
from ganzoo.training.setup import TrainingSetup
from ganzoo.util.error_notes import blamed


@contextmanager
def recorded_failures(run: Run) -> Iterator[None]:
    """Write into run.json how the block failed; other errors than ganzoo's own become a FailedError."""
    try:
        with clear_failures(lambda: f"{run.path}; {_kept(run)}"):
            yield
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(StorageError):  # the disk may be what failed
            run.update(status="diverged" if isinstance(error, DivergedError) else status)
            if isinstance(error, Exception):
                text = error.what if isinstance(error, GanzooError) else f"{type(error).__name__}: {error}"
                run.add_note(text, run.record.get("images", 0))
        raise


@contextmanager
def clear_failures(where: Callable[[], str]) -> Iterator[None]:
    """Other errors than ganzoo's own become a FailedError that says in whose code training stopped."""
    try:
        yield
    except BaseException as error:
        if is_strict() or isinstance(error, GanzooError) or not isinstance(error, Exception):
            raise
        if other := other_rank_ended(error):
            raise other from error
        fix = "set GANZOO_STRICT=1 to see the traceback"
        if is_out_of_memory(error):
            fix = "use a smaller --batch-size"
        elif "more than 1 value per channel" in str(error):
            fix = "use a larger --batch-size or train.micro_batch: BatchNorm needs two samples"
        whose, contents = blamed(error)
        raise FailedError(
            f"Training stopped{f' in {whose}' if whose else ''}: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=f"{f'{contents}; ' if contents else ''}{where()}",
            fix=fix,
        ) from error


def _kept(run: Run) -> str:
    return "the last checkpoint is kept" if has_any(run.checkpoints) else "no checkpoint was written yet"


def record_of(setup: TrainingSetup) -> dict[str, Any]:
    """What run.json says about a run from its start."""
    plan, dataset, training = setup.plan, setup.dataset, setup.training
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
        "origins": origins(plan),
        "plugins": [{"name": p.name, "dist": p.dist, "version": p.version} for p in plan.plugins],
        "data": {
            "source": plan.data.source,
            "identity": dataset.identity,
            "fingerprint": dataset.fingerprint,
            "count": dataset.count,
            "fields": [field.to_json() for field in dataset.fields],
            "skipped": [list(item) for item in dataset.skipped],
            "card": [list(row) for row in dataset.card],
        },
        "unit": [setup.unit.noun, setup.unit.nouns],
        "conditions": {"source": plan.train.conditions, "fingerprint": setup.phases.conditions.fingerprint},
        "parameters": {
            "generators": parameter_count(training.networks.generators.values()),
            "discriminators": parameter_count(training.networks.discriminators.values()),
        },
        **({"frozen": list(setup.frozen)} if setup.frozen else {}),
    }


def origins(plan: Plan) -> dict[str, str]:
    """Where each setting comes from, by dotted path."""
    return {".".join(path): plan.origin(path) for path in layer("", plan.settings()).values if len(path) > 1}


def versions() -> dict[str, str]:
    """Versions of the packages that affect a run's numbers."""
    return {
        "ganzoo": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
