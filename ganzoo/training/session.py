"""From a plan to a trained run: start a new run, resume one, or either; then the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from ganzoo.config.plan import Plan
from ganzoo.errors import DataError, DivergedError, StorageError
from ganzoo.fields import DataInfo
from ganzoo.networks.apply import declared
from ganzoo.runs.checkpoint import read_newest, settle
from ganzoo.runs.lock import only_process
from ganzoo.runs.run import Run, check_free, fresh_path
from ganzoo.training.compute.cuda_graphs import Eager, Graphs, Repeater
from ganzoo.training.compute.device import choose_device
from ganzoo.training.compute.threads import History, ThreadedCycles
from ganzoo.training.cost import estimate, may_be_short, shortage
from ganzoo.training.distributed.ranks import Ranks, other_rank_ended
from ganzoo.training.loop import Outcome, train_loop
from ganzoo.training.reporting.recorder import Recorder
from ganzoo.training.reporting.reporter import KeptNotes, NullReporter, Reporter
from ganzoo.training.reporting.run_record import (
    clear_failures,
    origins,
    record_of,
    recorded_failures,
    versions,
)
from ganzoo.training.reporting.sample_grids import SampleGrids
from ganzoo.training.reporting.tracking import Tracking
from ganzoo.training.resume import (
    changed_settings,
    changes_since,
    check_resumable,
    run_progress,
    threads_since,
    usual_path,
    with_length_of,
)
from ganzoo.training.scores import RunScores, ScoringFactory
from ganzoo.training.setup import TrainingSetup, data_notes, prepare
from ganzoo.training.speed import measure
from ganzoo.training.state import Training
from ganzoo.training.stop_signals import Interrupts
from ganzoo.training.warm_start import warm_start
from ganzoo.util.progress import lasting
from ganzoo.util.text import counted

ROLLBACKS = 3  # a run that diverges after this many rollbacks ends

_STOPS: tuple[Outcome | None, ...] = (None, "done", "paused", "preempted", "interrupted")


@dataclass(frozen=True)
class RunContext:
    """What a run works with: ranks, the user's signals, the reporter, the scoring function, the tracker."""

    ranks: Ranks
    interrupts: Interrupts
    reporter: Reporter
    scoring: ScoringFactory | None
    tracking: Tracking | None


def start(
    plan: Plan,
    run_dir: Path | None,
    reporter: Reporter,
    pause_at: int | None = None,
    scoring: ScoringFactory | None = None,
    given: Callable[[Training, DataInfo], Mapping[str, Any]] | None = None,
) -> tuple[Run, Outcome]:
    """Train a plan in a new run directory. Files are written only after data and networks are checked.

    `given` loads weights into the new networks for this data, and returns what run.json says about them.
    """
    with _run_context(plan, reporter, scoring) as context:
        path = _agreed_path(context, run_dir or fresh_path(plan.name))
        if context.ranks.is_main:
            check_free(path)
        setup, length = _prepare_new(plan, context)
        with _lock(context, path):
            if context.ranks.is_main:
                check_free(path)  # again: preparing the data may have taken minutes
            if given is not None:
                length = {**length, **given(setup.training, setup.dataset.info)}
                setup.training.agree()
            return _begin(setup, length, path, context, pause_at)


def resume(
    run: Run,
    plan: Plan,
    reporter: Reporter,
    pause_at: int | None = None,
    scoring: ScoringFactory | None = None,
) -> tuple[Run, Outcome]:
    """Continue a run from its newest sound checkpoint.

    UsageError when the plan changes other settings than `CHANGEABLE`, or when the run is complete already.
    """
    with _run_context(plan, reporter, scoring) as context, _lock(context, run.path):
        run = Run.open(run.path)
        check_resumable(run, plan)
        return _go_on(run, plan, context, pause_at)


def start_or_resume(
    plan: Plan,
    run_dir: Path | None,
    reporter: Reporter,
    pause_at: int | None = None,
    scoring: ScoringFactory | None = None,
) -> tuple[Run, Outcome]:
    """Start a run, or continue it, whatever ended it: the same call does both.

    Without `run_dir` the directory is named after the plan, so that the next call finds it. A complete run
    is not changed. DivergedError for a run that would diverge again.
    """
    with _run_context(plan, reporter, scoring) as context:
        path = _agreed_path(context, run_dir or usual_path(plan))
        if context.ranks.is_main and not any((path / name).exists() for name in ("run.json", "checkpoints")):
            check_free(path)  # before the lock file exists, which would mark the folder as a run's
        with _lock(context, path):
            on_main = run_progress(path, plan) if context.ranks.is_main else ""
            found = context.ranks.broadcast(on_main.encode()).decode()
            if found == "new":
                return _begin(*_prepare_new(plan, context), path, context, pause_at)
            run = Run.open(path, writes=context.ranks.is_main)
            plan = with_length_of(run, plan.fitted(run.info))
            if found != "complete":
                return _go_on(run, plan, context, pause_at)
            context.reporter.note("this run was complete already: nothing was trained")
            return run, "done"


@contextmanager
def _run_context(plan: Plan, reporter: Reporter, scoring: ScoringFactory | None) -> Iterator[RunContext]:
    ranks = Ranks.from_environment()
    with Interrupts() as interrupts:
        tracking = Tracking(plan.track) if plan.track is not None and ranks.is_main else None
        if ranks.world > 1:
            ranks.connect(choose_device(plan.train.device, ranks))
        try:
            shown = reporter if ranks.is_main else NullReporter()
            yield RunContext(ranks, interrupts, shown, scoring, tracking)
        except RuntimeError as error:
            raise (ranks.world > 1 and other_rank_ended(error)) or error from error


def _agreed_path(context: RunContext, path: Path) -> Path:
    return Path(context.ranks.broadcast(str(path).encode()).decode())


@contextmanager
def _lock(context: RunContext, path: Path) -> Iterator[None]:
    if not context.ranks.is_main:
        yield
        return
    with only_process(path):
        yield


def _prepare(plan: Plan, context: RunContext, record: dict[str, Any] | None = None) -> TrainingSetup:
    return prepare(plan, record, context.ranks)


def _prepare_new(plan: Plan, context: RunContext) -> tuple[TrainingSetup, dict[str, Any]]:
    """Prepare a new run; also what run.json says of a length that was a time and is now a number of images.

    The speed is measured on a setup of its own. So the run is the same as one that is given the number.
    """
    setup = _prepare(plan, context)
    _note_memory(setup, context)
    plan = setup.plan
    if plan.train.about_minutes is None:
        return setup, {}
    length = plan.train.length(setup.unit)
    context.reporter.note(
        f"measuring the speed: this run is to take {length}; --images or --minutes changes it"
    )
    rate = measured(setup)
    images = plan.train.images_at(rate)
    measured_length = {
        "about_minutes": plan.train.about_minutes,
        "images_per_second": round(rate, 1),
        "images": images,
    }
    dataset, plan = setup.dataset, plan.lasting(images)
    del setup  # before the memory is needed again
    return prepare(plan, ranks=context.ranks, dataset=dataset), {"length": measured_length}


def _note_memory(setup: TrainingSetup, context: RunContext, record: dict[str, Any] | None = None) -> None:
    """Say before the first step that memory will not do: the system would end the process without a word.

    Counted on a setup of its own, and only for large batches, as it costs a few seconds.
    """
    if context.ranks.world > 1 or not may_be_short(setup):
        return
    with lasting("estimating the memory"):
        probe = prepare(setup.plan, record, context.ranks, dataset=setup.dataset)
        if said := shortage(probe, estimate(probe)):
            context.reporter.note(said)


@lasting("measuring the speed")
def measured(setup: TrainingSetup) -> float:
    """The real images a second of a few cycles. This changes the state: do not train with `setup` then."""
    with clear_failures(lambda: "the trial that measures the speed"):
        return measure(setup, _repeater(setup, lambda result: None))


def _begin(
    setup: TrainingSetup, length: Mapping[str, Any], path: Path, context: RunContext, pause_at: int | None
) -> tuple[Run, Outcome]:
    plan = setup.plan
    evaluation = _evaluation(setup, context)
    record = {**record_of(setup), **length, **_warm_start(setup, context)}
    run = Run.create(path, plan.name, record, plan.settings(), writes=context.ranks.is_main)
    if context.ranks.is_main:
        run.sweep()
        settle(run.checkpoints, -1)
        run.write_bad_files(setup.dataset.skipped)
    return run, _train(setup, run, context, pause_at, evaluation)


def _warm_start(setup: TrainingSetup, context: RunContext) -> dict[str, Any]:
    """Load the weights that the plan starts from, if any; returns what run.json says about them."""
    source = setup.plan.train.warm_start
    if not source:
        return {}
    table: dict[str, Any] = {}
    if context.ranks.is_main:
        architecture = setup.plan.settings()["architecture"]
        table = warm_start(
            setup.training,
            Path(source).expanduser(),
            context.reporter.note,
            setup.dataset.fields,
            architecture,
        )
    setup.training.agree()
    return {"warm_start": table}


def _go_on(run: Run, plan: Plan, context: RunContext, pause_at: int | None) -> tuple[Run, Outcome]:
    run.writes = context.ranks.is_main
    if run.writes:
        run.sweep()
    setup = _prepare(plan, context, run.record)
    _note_memory(setup, context, run.record)
    plan = setup.plan
    if setup.dataset.fingerprint != run.record["data"]["fingerprint"]:
        raise DataError(
            "The data is not the data that the run was started with.",
            where=f"{plan.data.source} in {run.path}",
            fix="restore the data, or start a new run",
        )
    if setup.phases.conditions.fingerprint != run.record.get("conditions", {}).get("fingerprint", ""):
        raise DataError(
            "The table of conditions is not the one that the run was started with.",
            where=f"{plan.train.conditions} in {run.path}",
            fix="restore the table, or start a new run",
        )
    notes = _restore(setup.training, run, context)
    now = origins(plan)
    changed = {path: now[path] for path in changed_settings(run, plan) if path in now}
    # An older version did not say what its lengths count.
    unit = [setup.unit.noun, setup.unit.nouns]
    run.update(origins={**now, **run.record.get("origins", {}), **changed}, unit=unit)
    context.reporter.note(f"continuing after {setup.unit.count(setup.training.images)}")
    for text in (*notes, *changes_since(run, plan, versions(), context.ranks.world)):
        context.reporter.note(text)
    return run, _train(setup, run, context, pause_at, _evaluation(setup, context))


def _restore(training: Training, run: Run, context: RunContext) -> list[str]:
    """Load the newest sound checkpoint, which the main rank reads; returns notes for the user."""
    tensors: dict[str, Tensor] = {}
    if context.ranks.is_main:
        tensors, manifest = read_newest(run.checkpoints, context.reporter.note, training.check)
        settle(run.checkpoints, manifest["images"])
        training.seconds = manifest["seconds"]
    if context.ranks.world > 1:
        tensors = load(context.ranks.broadcast(save(tensors) if context.ranks.is_main else b""))
    training.seconds = context.ranks.largest(training.seconds)[0]
    return training.load(tensors)


def _train(
    setup: TrainingSetup, run: Run, context: RunContext, pause_at: int | None, evaluation: RunScores | None
) -> Outcome:
    plan, training = setup.plan, setup.training
    reporter = KeptNotes(context.reporter, run, training)
    context = replace(context, reporter=reporter)
    interrupts, ranks = context.interrupts, context.ranks
    for text in data_notes(setup):
        reporter.note(text)

    def stop() -> Outcome | None:
        paused = pause_at is not None and training.images >= pause_at
        wanted = interrupts.reason or ("paused" if paused else "done" if recorder.stopped else None)
        return _STOPS[int(ranks.largest(_STOPS.index(wanted))[0])]

    def on_smaller_micro_batch(size: int) -> None:
        recorder.attempt(lambda: run.update(micro_batch=size))
        reporter.note(f"memory ran out: micro-batches of {size} samples from now on, with added gradients")

    setup.phases.memory.on_change = on_smaller_micro_batch
    interrupts.hold()
    fields = declared(training.networks, setup.dataset.info)
    samples = SampleGrids(run.path / "samples", plan, training, setup.batches, fields, reporter.note)
    recorder = Recorder(run, plan, training, samples, reporter, evaluation)
    run.write_settings(plan.settings())
    run.update(status="training")
    with ExitStack() as stack:
        if context.tracking is not None:
            context.tracking.note = reporter.note
            reporter.observers = [stack.enter_context(context.tracking)]
        stack.enter_context(recorded_failures(run))
        stack.enter_context(training.engine.stream())
        recorder.real()
        reporter.start(run, plan, training)
        if plan.train.on_nan == "rollback" and training.images == 0:
            recorder.checkpoint()
        while True:
            repeater = repeater_for(setup, run, reporter)
            try:
                outcome = train_loop(plan, training, setup.phases, setup.batches, repeater, recorder, stop)
                recorder.finish()
                break
            except DivergedError as error:
                _roll_back(error, setup, run, context)
                recorder.attempt(recorder.rewind)
                recorder.attempt(recorder.checkpoint)
        stopped = recorder.stopped if outcome == "done" and recorder.share < 1.0 else ""
        run.update(
            status=outcome, images=training.images, seconds=round(training.seconds, 3), stopped=stopped
        )
        ranks.wait()
    return outcome


def _evaluation(setup: TrainingSetup, context: RunContext) -> RunScores | None:
    """The scores of this run, if wanted; only the main rank computes them."""
    if setup.plan.train.eval_every is None or context.scoring is None or not context.ranks.is_main:
        return None
    fields = declared(setup.training.networks, setup.dataset.info)
    return RunScores(setup.training, fields, setup.dataset, context.scoring)


def _roll_back(error: DivergedError, setup: TrainingSetup, run: Run, context: RunContext) -> None:
    """Load the newest checkpoint and halve the learning rates; raises the error if that is not allowed."""
    training = setup.training
    if setup.plan.train.on_nan != "rollback" or training.rollbacks >= ROLLBACKS:
        raise error
    seconds, rollbacks = training.seconds, training.rollbacks + 1
    _restore(training, run, context)
    training.seconds = seconds
    training.slow_down(rollbacks)
    context.reporter.note(
        f"{error.what} Rolled back to {setup.unit.count(training.images)}; learning rates are halved "
        f"(rollback {rollbacks} of {ROLLBACKS})"
    )


def repeater_for(setup: TrainingSetup, run: Run, reporter: Reporter) -> Repeater:
    """How cycles run. On the CPU run.json records the `threads`, on CUDA whether `graphs` are used."""

    def on_result(result: str) -> None:
        with suppress(StorageError):
            run.update(graphs=result)
        if result.startswith("eager"):
            reporter.note(f"not captured as a CUDA graph, so slower for small networks; {result}")

    def on_threads(history: History) -> None:
        (_, before), (images, now) = history[-2:]
        with suppress(StorageError):
            run.update(threads=now, thread_changes=history)
        why = "other processes are busy" if now < before else "other processes need fewer cores"
        then = setup.unit.count(images)
        reporter.note(
            f"{why}: {now} instead of {counted(before, 'CPU thread')} after {then}. So the same "
            f"settings no longer repeat this run bit for bit; --set train.threads={now} keeps the number"
        )

    if setup.training.engine.device.type == "cpu":
        history = threads_since(run, setup.plan, setup.training.images)
        return ThreadedCycles(lambda: setup.training.images, history, setup.rechoose_threads, on_threads)
    return _repeater(setup, on_result)


def _repeater(setup: TrainingSetup, on_result: Callable[[str], None]) -> Repeater:
    """CUDA graphs if the device and the plan allow them."""
    plan, training = setup.plan, setup.training
    if training.engine.device.type != "cuda":
        return Eager()
    if training.engine.ranks.world > 1:
        on_result("eager: CUDA graphs are not tested with several processes")
        return Eager()
    if not plan.train.graphs:
        on_result("off")
        return Eager()
    moving = {*training.generator.settings.host_schedules, *training.discriminator.settings.host_schedules}
    if moving:
        on_result(f"eager: {', '.join(sorted(moving))} of an optimiser changes from step to step")
        return Eager()
    return Graphs(training.engine, on_result, setup.phases.parts())
