"""From a plan to a trained run: data, networks, engine and directory put together, then the loop."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ganzoo
from ganzoo import process
from ganzoo.data.batches import Batches
from ganzoo.data.opening import open_data
from ganzoo.data.store import Store
from ganzoo.errors import DataError, DivergedError, FailedError, GanzooError
from ganzoo.networks import build_networks, declared, judging_alone, parameter_count
from ganzoo.plan import Plan
from ganzoo.plugins import is_strict
from ganzoo.runs import Run
from ganzoo.train.checkpoint import read_newest
from ganzoo.train.ema import Ema
from ganzoo.train.engine import Engine, choose_threads, kept_threads
from ganzoo.train.graph import Eager, Graphs, Repeater
from ganzoo.train.loop import Outcome, train_loop
from ganzoo.train.optim import Side
from ganzoo.train.parts import make_parts
from ganzoo.train.phases import Meter, Phases
from ganzoo.train.products import use_products
from ganzoo.train.recorder import Recorder, Reporter
from ganzoo.train.resuming import changes_since, check_resumable, only_process
from ganzoo.train.second_order import use_lean_gradients
from ganzoo.train.signals import Interrupts
from ganzoo.train.state import Training
from ganzoo.train.work import forward_work


@dataclass(frozen=True)
class Prepared:
    """A plan with its data opened and its networks built on the device: ready to train."""

    plan: Plan
    store: Store
    training: Training
    phases: Phases
    batches: Batches


def prepare(
    plan: Plan, progress: Callable[[int, int], None] | None = None, record: Mapping[str, Any] | None = None
) -> Prepared:
    """Open the data, build and check the networks, move everything to the device.

    `record` is that of a run to resume: what was chosen when it began, precision and threads, stays.
    """
    record = record or {}
    process.watch_cores()
    store = open_data(plan, progress)
    networks = build_networks(plan, store.info)
    seed = plan.train.seed
    engine = Engine.create(plan.train.device, record.get("precision", plan.train.precision), seed)
    work = forward_work(networks, store.info) * plan.train.batch_size
    threads = plan.train.threads or kept_threads(record.get("threads"))
    torch.set_num_threads(choose_threads(threads, work, process.busy_cores))
    torch.manual_seed(seed)
    parts = make_parts(plan, engine.device)
    joint = judging_alone(networks, store.info)
    if any(penalty.second_order for penalty in parts.penalties["discriminator"]):
        for net in networks.discriminators.values():
            use_lean_gradients(net.module)
    # Channels last made the sized conv recipes 1.1 to 1.25 times as fast on a Zen 4 core, the
    # gradient penalty's double backward included; modules without convolutions ignore it.
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        if engine.device.type == "cpu":
            use_products(net.module)
        net.module.to(engine.device).train()
        net.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = Side(networks.generators, plan.generator, parts.constraints["generator"])
    discriminator = Side(networks.discriminators, plan.discriminator, parts.constraints["discriminator"])
    training = Training(
        networks=networks,
        generator=generator,
        discriminator=discriminator,
        ema=Ema(generator.modules, plan.ema),
        engine=engine,
        meter=Meter(),
        stateful=parts.stateful,
    )
    phases = Phases(
        networks,
        {"generator": generator, "discriminator": discriminator},
        engine,
        training.meter,
        parts.loss,
        parts.penalties,
        paired=plan.loss.item.spec.paired,
        reuse_fakes=plan.train.reuse_fakes,
        joint=joint,
    )
    batches = Batches(store, seed=seed, device=engine.device, flip=plan.data.flip)
    return Prepared(plan, store, training, phases, batches)


def start(
    plan: Plan, run_dir: Path | None, reporter: Reporter, pause_at: int | None = None
) -> tuple[Run, Outcome]:
    """Train a plan in a new run directory. Nothing is written before data and networks are checked."""
    prepared = prepare(plan, _decoding(reporter))
    run = Run.create(run_dir, plan.name, _record(prepared), plan.settings())
    return run, _train(prepared, run, reporter, pause_at)


def resume(run: Run, plan: Plan, reporter: Reporter, pause_at: int | None = None) -> tuple[Run, Outcome]:
    """Go on with a run from its newest sound checkpoint.

    UsageError when the plan changes more than `CHANGEABLE` or the run is complete already.
    """
    check_resumable(run, plan)
    prepared = prepare(plan, _decoding(reporter), run.record)
    if prepared.store.fingerprint != run.record["data"]["fingerprint"]:
        raise DataError(
            "The data is not what the run was started with.",
            where=f"{plan.data.source} in {run.path}",
            fix="bring the data back, or start a new run",
        )
    tensors, manifest = read_newest(run.checkpoints, reporter.note)
    for text in (*prepared.training.load(tensors), *changes_since(run.record, plan, versions())):
        reporter.note(text)
    prepared.training.seconds = float(manifest["seconds"])
    return run, _train(prepared, run, reporter, pause_at)


def _train(prepared: Prepared, run: Run, reporter: Reporter, pause_at: int | None) -> Outcome:
    plan, training = prepared.plan, prepared.training
    fields = declared(training.networks, prepared.store.info)
    for text in prepared.store.notes:
        reporter.note(text)
    with only_process(run), Interrupts() as interrupts:
        recorder = Recorder(run, plan, training, prepared.batches, fields, reporter)
        run.write_settings(plan.settings())
        run.update(status="training")
        reporter.start(run, plan, training)

        def stop() -> Outcome | None:
            if interrupts.reason:
                return interrupts.reason
            return "paused" if pause_at is not None and training.images >= pause_at else None

        with _recorded_failures(run), training.engine.stream():
            recorder.real()
            repeater = _repeater(plan, training, run, reporter)
            outcome = train_loop(plan, training, prepared.phases, prepared.batches, repeater, recorder, stop)
            recorder.finish()
        run.update(status=outcome, images=training.images, seconds=round(training.seconds, 3))
    return outcome


def _repeater(plan: Plan, training: Training, run: Run, reporter: Reporter) -> Repeater:
    """Graphs where the device and the plan allow them; run.json says what became of that."""

    def told(result: str) -> None:
        run.update(graphs=result)
        if result.startswith("eager"):
            reporter.note(f"not captured as a CUDA graph, so slower for small networks; {result}")

    if training.engine.device.type != "cuda":
        return Eager()
    if not plan.train.graphs:
        told("off")
        return Eager()
    if any(side.settings.momentum_final is not None for side in (training.generator, training.discriminator)):
        told("eager: the momentum changes from step to step")
        return Eager()
    return Graphs(training.engine, told)


@contextmanager
def _recorded_failures(run: Run) -> Iterator[None]:
    """Note in run.json how the block failed; name what is not ganzoo's own error."""
    try:
        yield
    except DivergedError:
        run.update(status="diverged")
        raise
    except GanzooError:
        run.update(status="failed")
        raise
    except Exception as error:
        run.update(status="failed")
        if is_strict():
            raise
        # torch's CPU allocator raises a plain RuntimeError.
        out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(
            error
        )
        raise FailedError(
            f"Training stopped: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=f"{run.path}; the last checkpoint is kept",
            fix="a smaller --batch-size" if out_of_memory else "GANZOO_STRICT=1 shows the traceback",
        ) from error


def _record(prepared: Prepared) -> dict[str, Any]:
    plan, store, training = prepared.plan, prepared.store, prepared.training
    return {
        "command": sys.argv,
        "seed": plan.train.seed,
        "device": str(training.engine.device),
        "precision": training.engine.precision,
        "arithmetic": training.engine.arithmetic,
        "threads": torch.get_num_threads(),
        "keeps_memory": training.engine.keeps_memory,
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


def _decoding(reporter: Reporter) -> Callable[[int, int], None]:
    """A note at each tenth of the items, for data sets large enough to wait for."""
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // max(total, 1)
        if tenth > told and total > 1000:
            told = tenth
            reporter.note(f"decoded {done:,} of {total:,} pictures into the cache")

    return progress
