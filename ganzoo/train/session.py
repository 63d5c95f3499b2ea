"""From a plan to a trained run: data, networks, engine and directory put together, then the loop."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ganzoo
from ganzoo.api import Loss
from ganzoo.data.batches import Batches
from ganzoo.data.opening import open_data
from ganzoo.data.store import Store
from ganzoo.errors import DataError, DivergedError, GanzooError, PluginError, UsageError
from ganzoo.networks import build_networks, declared, parameter_count
from ganzoo.recipes import Plan
from ganzoo.registry import calling, factory_of
from ganzoo.runs import Run
from ganzoo.train.checkpoint import read_newest
from ganzoo.train.ema import Ema
from ganzoo.train.engine import Engine, choose_threads
from ganzoo.train.loop import Outcome, train_loop
from ganzoo.train.optim import Constraint, Side
from ganzoo.train.phases import Meter, Penalty, Phases
from ganzoo.train.recorder import Recorder, Reporter
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


def prepare(plan: Plan, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Open the data, build and check the networks, move everything to the device."""
    store = open_data(plan, progress)
    networks = build_networks(plan, store.info)
    seed = plan.train.seed
    engine = Engine.create(plan.train.device, plan.train.precision, seed)
    work = forward_work(networks, store.info) * plan.train.batch_size
    torch.set_num_threads(choose_threads(plan.train.threads, work))
    torch.manual_seed(seed)
    constraints, penalties = _terms(plan)
    # Channels last made the sized conv recipes 1.1 to 1.25 times as fast on a Zen 4 core, the
    # gradient penalty's double backward included; modules without convolutions ignore it.
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        net.module.to(engine.device).train()
        net.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    generator = Side(networks.generators, plan.generator, constraints["generator"])
    training = Training(
        networks=networks,
        generator=generator,
        discriminator=Side(networks.discriminators, plan.discriminator, constraints["discriminator"]),
        ema=Ema(generator.modules, plan.ema),
        engine=engine,
        meter=Meter(),
    )
    loss = _loss(plan)
    phases = Phases(networks, loss, plan.loss.item.spec.paired, penalties, engine, training.meter)
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
    """Go on with a run from its newest sound checkpoint."""
    prepared = prepare(plan, _decoding(reporter))
    if prepared.store.fingerprint != run.record["data"]["fingerprint"]:
        raise DataError(
            "The data is not what the run was started with.",
            where=f"{plan.data.source} in {run.path}",
            fix="bring the data back, or start a new run",
        )
    for text in _version_changes(run.record, prepared):
        reporter.note(text)
    tensors, manifest = read_newest(run.checkpoints, reporter.note)
    prepared.training.load(tensors)
    prepared.training.seconds = float(manifest["seconds"])
    return run, _train(prepared, run, reporter, pause_at)


def _train(prepared: Prepared, run: Run, reporter: Reporter, pause_at: int | None) -> Outcome:
    plan, training = prepared.plan, prepared.training
    fields = declared(training.networks, prepared.store.info)
    for text in (*prepared.store.notes, *_skipped(prepared.store)):
        reporter.note(text)
    recorder = Recorder(run, plan, training, prepared.batches, fields, reporter)
    run.update(status="training")
    reporter.start(run, plan, training)
    with Interrupts() as interrupts:

        def stop() -> Outcome | None:
            if interrupts.reason:
                return interrupts.reason
            return "paused" if pause_at is not None and training.images >= pause_at else None

        try:
            recorder.real()
            outcome = train_loop(plan, training, prepared.phases, prepared.batches, recorder, stop)
            training.seconds = recorder.elapsed()
            recorder.checkpoint()
            recorder.sample()
        except DivergedError:
            run.update(status="diverged")
            raise
        except GanzooError:
            run.update(status="failed")
            raise
    run.update(status=outcome, images=training.images, seconds=round(training.seconds, 3))
    return outcome


def check_resumable(run: Run, plan: Plan) -> None:
    """UsageError when a run is complete and its length was not raised."""
    done = run.record.get("images", 0) >= plan.train.images or run.record.get("status") == "done"
    same_length = plan.origin(("train", "images")) != "--set" and plan.origin(("train", "minutes")) != "--set"
    if done and same_length:
        raise UsageError(
            "This run is complete.",
            where=str(run.path),
            fix=f"ganzoo export {run.path}, or give it more: --resume {run.path} --images N",
        )


def _loss(plan: Plan) -> Loss:
    """The plan's loss, tried on made-up scores: a plugin's mistake must not surface in mid-run."""
    factory, scores = factory_of(plan.loss.item), torch.zeros(2)
    with calling(plan.loss.item):
        loss: Loss = factory(plan.loss.options)
        real = scores if plan.loss.item.spec.paired else None
        for value in (loss.discriminator(scores, scores), loss.generator(scores, real)):
            if value.shape != ():
                raise PluginError(
                    f"The loss '{plan.loss.item.name}' gave a tensor of shape {tuple(value.shape)}, "
                    "not a scalar.",
                    where=plan.loss.item.qualified,
                )
    return loss


def _terms(plan: Plan) -> tuple[dict[str, list[Constraint]], dict[str, list[Penalty]]]:
    constraints: dict[str, list[Constraint]] = {"generator": [], "discriminator": []}
    penalties: dict[str, list[Penalty]] = {"generator": [], "discriminator": []}
    for name, term in plan.terms.items():
        spec = term.item.spec
        factory = factory_of(term.item)
        with calling(term.item):
            function = factory(term.options)
        if spec.kind == "constraint":
            constraints[spec.role].append(function)
        else:
            penalties[spec.role].append(Penalty(name, spec.role, function, term.every, spec.second_order))
    return constraints, penalties


def _record(prepared: Prepared) -> dict[str, Any]:
    plan, store, training = prepared.plan, prepared.store, prepared.training
    return {
        "command": sys.argv,
        "seed": plan.train.seed,
        "device": str(training.engine.device),
        "precision": training.engine.precision,
        "threads": torch.get_num_threads(),
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


def _version_changes(record: Mapping[str, Any], prepared: Prepared) -> list[str]:
    changes = [
        f"{name} was {old} when the run started, now it is {versions()[name]}: results may differ"
        for name, old in record["versions"].items()
        if versions().get(name) != old
    ]
    now = {(p.dist, p.name): p.version for p in prepared.plan.plugins}
    for old in record["plugins"]:
        version = now.get((old["dist"], old["name"]))
        if version is not None and version != old["version"]:
            changes.append(f"plugin {old['name']} was {old['version']} when the run started, now {version}")
    if record["threads"] != torch.get_num_threads():
        changes.append(
            f"{record['threads']} threads then, {torch.get_num_threads()} now: not bit for bit the same"
        )
    return changes


def _skipped(store: Store) -> list[str]:
    if not store.skipped:
        return []
    first = "; ".join(f"{item}: {reason}" for item, reason in store.skipped[:3])
    return [f"{len(store.skipped)} unreadable items left out of {store.count + len(store.skipped)} ({first})"]


def _decoding(reporter: Reporter) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == total and total > 1000:
            reporter.note(f"decoded {total} pictures into the cache")

    return progress
