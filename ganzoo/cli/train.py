"""`ganzoo train`: turns options into overrides and runs a session; the outcome gives the exit code."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.api.specs import RecipeSpec
from ganzoo.cli.common import complete_names, echo_json, registry_of, table
from ganzoo.errors import CODE_OF_STATUS, ExitCode, UsageError
from ganzoo.training.stop_signals import Interrupts
from ganzoo.util.text import counted, typed

if TYPE_CHECKING:
    from ganzoo.config.plan import Plan
    from ganzoo.config.settings import Layer
    from ganzoo.registry.registry import Registry
    from ganzoo.runs.run import Run
    from ganzoo.training.loop import Outcome
    from ganzoo.training.setup import TrainingSetup

AUTO = "auto"
# A CPU computes 5 to 100 GFLOP/s a core. Where a cycle is more work, `--dry-run` takes the time of a few
# samples only.
MEASURED_FLOPS = 5e11

_PATHS = {"data": ("data", "source"), "augment": ("augment", "name"), "track": ("track", "name")}


@click.command("train")
@click.argument("recipe", required=False, shell_complete=complete_names("recipe"))
@click.option(
    "--data",
    metavar="SOURCE",
    help="Training data: fashion-5k, folder:PATH, idx:PATH, npy:PATH, npz:PATH, toy:NAME, ...; "
    "`ganzoo list --kind dataset` shows all.",
)
@click.option("--augment", metavar="NAME", help="Augmentation of samples for the discriminator, or none.")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    help="Length of the whole run, in real samples of any kind (images, sounds, rows, ...), also with "
    "--resume [that of the recipe; about ten minutes on other data].",
)
@click.option(
    "--minutes",
    type=float,
    help="Length of the whole run, in minutes, also with --resume; schedules then follow the time.",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples per step, of all processes together.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, data order and noise.")
@click.option("--device", help="Device to train on: auto, cpu, cuda, cuda:1, ...")
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="auto is bf16 if the device supports it."
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set any setting, see --explain (repeatable).",
)
@click.option(
    "--from",
    "warm_start",
    type=click.Path(),
    metavar="RUN|BUNDLE|FILE",
    help="Start with the weights of a run, a bundle or a file (.safetensors, .pth, ...), where they fit.",
)
@click.option(
    "--freeze",
    multiple=True,
    metavar="PATTERN",
    help="Do not train these parameters: a name NET.PARAMETER, its beginning, or a glob (repeatable).",
)
@click.option("--run-dir", type=click.Path(path_type=Path), help="Run directory [runs/<time>-<recipe>-<id>].")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue the run in this directory."
)
@click.option(
    "--pause-at",
    type=click.IntRange(min=1),
    metavar="SAMPLES",
    help="Save and stop after this many real samples, to resume later.",
)
@click.option("--auto-resume", is_flag=True, help="Start the run, or continue it if it exists.")
@click.option(
    "--on-nan",
    type=click.Choice(["stop", "skip", "rollback"]),
    help="What to do when gradients are not finite [stop].",
)
@click.option(
    "--eval-every",
    type=click.IntRange(min=1),
    metavar="SAMPLES",
    help="After each so many real samples, compute quick scores of 1,000 samples, for the log and the "
    "progress line [off].",
)
@click.option(
    "--keep-best", metavar="min:NAME", help="Also keep the best checkpoint: min:fed, max:coverage, ..."
)
@click.option(
    "--stop",
    type=click.Choice(["end", "plateau", "indistinguishable"]),
    help="End earlier: when --keep-best saw no progress for a third of the run, or when the discriminator "
    "can no longer tell real from generated samples [end].",
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes on this machine (one GPU each).",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --devices: restart at most N times after a process ends with an error [0].",
)
@click.option(
    "--track",
    metavar="NAME",
    help="Also send log and samples to a tracker: tensorboard, ...; `ganzoo list --kind tracker` shows all "
    "[none].",
)
@click.option(
    "--report", is_flag=True, help="Keep report.html in the run directory fresh: a page to look at."
)
@click.option(
    "--dry-run", is_flag=True, help="Show plan, parameters, work, memory and minutes; do not train."
)
@click.option("--explain", is_flag=True, help="Show all settings and where each comes from; do not train.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines for scripts.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Train RECIPE: the name of a recipe, a combination such as dcgan+wgan-gp, or a settings file.

    Without RECIPE, or with auto, --data decides: the recipe that suits it best.

    All files of the run are in its run directory. Ctrl-C saves and stops; --resume continues exactly. With
    --auto-resume, you can repeat the same command after any failure to continue the run.
    """
    from ganzoo.config.resolve import resolve
    from ganzoo.runs.run import Run

    request = _Request(**{name: options.pop(name) for name in _Request.__annotations__})
    devices, max_restarts = options.pop("devices"), options.pop("max_restarts")
    dry_run, explain = options.pop("dry_run"), options.pop("explain")
    recipe, resume = options.pop("recipe"), request.resume
    overrides = _overrides(options.pop("assignments"), options)
    registry = registry_of(ctx)
    if resume is not None:
        if recipe is not None or request.run_dir is not None:
            raise UsageError(
                "--resume takes the recipe and the directory from the run.",
                fix=f"use --resume {typed(resume)} without them",
            )
        recipe = str(Run.open(resume).settings_file)
    if recipe == AUTO or (recipe is None and overrides.get("data", "source")):
        recipe = _suited(registry, overrides)
    if recipe is None:
        raise UsageError(
            "Which recipe?",
            fix="list recipes: ganzoo list --kind recipe; a first run: ganzoo train wgan-gp; "
            "for your pictures: ganzoo train --data folder:PATH",
        )
    if max_restarts is not None and devices is None:
        raise UsageError("--max-restarts needs --devices.", fix="--devices 1 restarts a single process")
    plan = resolve(recipe, registry, overrides=overrides)
    if explain:
        _explain(plan, request.as_json)
        return ExitCode.OK
    with Interrupts():
        if dry_run:
            _dry_run(plan, request)
            return ExitCode.OK
        if devices is not None:
            return _launch(ctx, plan, request, devices, max_restarts or 0)
        return _train(plan, request, registry)


@dataclass(frozen=True, kw_only=True)
class _Request:
    """Which run to start or resume, and the form of the output."""

    run_dir: Path | None
    resume: Path | None
    auto_resume: bool
    pause_at: int | None
    as_json: bool
    report: bool


def _train(plan: Plan, request: _Request, registry: Registry) -> int:
    from ganzoo.cli.reporters import BarReporter, JsonReporter, PlainReporter, WithReport
    from ganzoo.evaluation.during_training import scoring
    from ganzoo.registry.directions import directions
    from ganzoo.runs.run import Run
    from ganzoo.training.distributed.launch import LAUNCHED, follow_launcher
    from ganzoo.training.distributed.ranks import Ranks
    from ganzoo.training.session import resume, start, start_or_resume

    if LAUNCHED in os.environ:
        follow_launcher()
    as_json = request.as_json
    shown = JsonReporter() if as_json else BarReporter() if sys.stderr.isatty() else PlainReporter()
    reporter = WithReport(shown, directions(registry)) if request.report else shown
    scores = scoring(plan, registry, reporter.note) if plan.train.eval_every is not None else None
    try:
        if request.resume is not None:
            run, outcome = resume(Run.open(request.resume), plan, reporter, request.pause_at, scores)
        else:
            begin = start_or_resume if request.auto_resume else start
            run, outcome = begin(plan, request.run_dir, reporter, request.pause_at, scores)
    finally:
        reporter.close()
    if run.writes:
        _print_outcome(run, outcome, plan, as_json)
    Ranks.from_environment().leave()
    return int(ExitCode.OK if LAUNCHED in os.environ else CODE_OF_STATUS[outcome])


def _print_outcome(run: Run, outcome: Outcome, plan: Plan, as_json: bool) -> None:
    record = run.record
    images, seconds = record.get("images", 0), record.get("seconds", 0.0)
    findings, stopped = record.get("findings", []), record.get("stopped", "")
    rate = round(images / max(seconds, 1e-9), 1)
    if as_json:
        event = {"event": outcome, "run": str(run.path), "images": images}
        more = {"findings": findings} if findings else {}
        more |= {"stopped": stopped} if stopped else {}
        echo_json({**event, "seconds": seconds, "images_per_second": rate, **more})
    elif outcome == "done":
        newest = max((run.path / "samples").glob("0*"), default=None)
        wanted, least = plan.train.images, plan.train.cycle
        least_said = (
            f"; {wanted:,} were asked for, one cycle is {least:,}" if (wanted or least) < least else ""
        )
        click.echo(f"{run.unit.count(images)} in {seconds:.0f} s ({rate:,.0f}/s){least_said}", err=True)
        click.echo(f"run:     {run.path}")
        if newest is not None:
            click.echo(f"samples: {newest}")
        if (run.path / "report.html").exists():
            click.echo(f"report:  {run.path / 'report.html'}")
        if stopped:
            click.echo(f"stopped: {stopped}, before the end (--resume {typed(run.path)} --stop end goes on)")
        _print_next(run, findings)
    else:
        click.echo(
            f"{outcome} after {run.unit.count(images)}, saved. "
            f"Continue with: ganzoo train --resume {typed(run.path)}"
        )


def _print_next(run: Run, findings: list[dict[str, Any]]) -> None:
    """What to do with a complete run: after a fault of the training, change something before an export."""
    from ganzoo.config.settings import STOPS

    faults = [found for found in findings if found["kind"] not in STOPS]
    best = " --checkpoint best" if run.settings()["train"].get("keep_best") else ""
    for found in faults:
        click.echo(f"seen:    after {run.unit.count(found['images'])} {found['seen']}")
        click.echo(f"next:    {found['change']}")
    click.echo(f"{'as it is' if faults else 'next'}: ".ljust(9) + f"ganzoo export {typed(run.path)}{best}")


def _launch(ctx: click.Context, plan: Plan, request: _Request, devices: int, max_restarts: int) -> int:
    """Run the same command in several processes; they and their restarts use --auto-resume."""
    from ganzoo.runs.run import check_free, fresh_path
    from ganzoo.training.distributed.launch import launch
    from ganzoo.training.resume import usual_path

    run_dir = request.resume or request.run_dir
    if run_dir is None:
        run_dir = usual_path(plan) if request.auto_resume else fresh_path(plan.name)
    if request.resume is None and not request.auto_resume:
        check_free(run_dir)
    given = {**ctx.params, "devices": None, "max_restarts": None}
    if request.resume is None:
        given |= {"run_dir": run_dir, "auto_resume": True}
    blocked = [word for name in ctx.find_root().obj or () for word in ("--no-plugin", name)]
    return launch([*blocked, "train", *_words(ctx.command, given)], run_dir, devices, max_restarts)


def _words(command: click.Command, given: dict[str, Any]) -> list[str]:
    """The command line for these parameters."""
    words = []
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if value is None or value is False:
            continue
        if isinstance(parameter, click.Argument):
            words.append(str(value))
        elif value is True:
            words.append(parameter.opts[0])
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"{parameter.opts[0]}={item}" for item in values]
    return words


def _overrides(assignments: tuple[str, ...], options: dict[str, Any]) -> Layer:
    from ganzoo.config.settings import Layer, parse_assignment

    values = dict(parse_assignment(text) for text in assignments)
    for name, value in options.items():
        if value not in (None, ()):
            values[_PATHS.get(name, ("train", name))] = value
    return Layer("command line", values)


def _suited(registry: Registry, overrides: Layer) -> str:
    from ganzoo.cli.reporters import PlainReporter
    from ganzoo.data.suited import suited

    chosen, _ = suited(registry, overrides)
    name: str = registry.canonical(RecipeSpec, chosen.qualified)
    PlainReporter().note(f"recipe {name} suits this data best; another: ganzoo train RECIPE --data ...")
    return name


def _explain(plan: Plan, as_json: bool) -> None:
    from ganzoo.cli.reporters import PlainReporter
    from ganzoo.config.settings import layer
    from ganzoo.data.open_data import open_data
    from ganzoo.errors import DataError

    if plan.fit is not None:
        try:
            plan = plan.fitted(open_data(plan).info)
        except DataError as error:
            PlainReporter().note(f"settings that depend on the data are not shown: {error.what}")
    values = layer("", plan.settings()).values
    rows = [
        {"path": ".".join(path), "value": value, "origin": plan.origin(path)}
        for path, value in values.items()
        if len(path) > 1  # without the recipe's name, which is the title
    ]
    if as_json:
        echo_json({"recipe": plan.name, "settings": rows})
        return
    table(f"{plan.name}: settings", ("setting", "value", "comes from"), [
        (row["path"], str(row["value"]), row["origin"]) for row in rows
    ])  # fmt: skip


def _count(setup: TrainingSetup) -> str:
    """How much data there is, in the words of its media; samples with weights may be repeated."""
    shown = next((item for item in setup.dataset.fields if item.dtype == "float32"), None)
    if shown is None or setup.dataset.weights is not None:
        return counted(setup.dataset.count, "sample")
    media = setup.plan.kinds.of(shown.kind)
    return counted(setup.dataset.count, media.noun, media.nouns)


def _existing(plan: Plan, request: _Request) -> Run | None:
    """The run that training would go on with; UsageError when --resume names one that is complete."""
    from ganzoo.runs.run import Run
    from ganzoo.training.resume import check_resumable, run_progress, usual_path

    if request.resume is not None:
        run = Run.open(request.resume)
        check_resumable(run, plan)
        return run
    path = request.run_dir or usual_path(plan)
    return Run.open(path) if request.auto_resume and run_progress(path, plan) != "new" else None


def _dry_run(plan: Plan, request: _Request) -> None:
    """Show what training would do: also that a run to be resumed is complete, or how far it is."""
    import torch

    from ganzoo.cli.reporters import PlainReporter
    from ganzoo.tabular import described
    from ganzoo.training.cost import estimate, shortage
    from ganzoo.training.session import measured
    from ganzoo.training.setup import data_notes, prepare
    from ganzoo.util.text import printable

    run = _existing(plan, request)
    setup = prepare(plan, None if run is None else run.record)
    plan = setup.plan
    counts, notes = estimate(setup), data_notes(setup)
    if short := shortage(setup, counts):
        notes.append(short)
    if run is not None and run.record["status"] == "done" and request.resume is None:
        notes.append(
            "this run is complete already: --auto-resume would train nothing. Train it further: "
            f"--resume {typed(run.path)} --images N"
        )
    slow = setup.training.engine.device.type == "cpu" and counts["flops_per_cycle"] > MEASURED_FLOPS
    seconds = counts.pop("cycle_seconds")
    if not slow:
        click.echo("measuring the speed", err=True)
    rate = plan.train.cycle / seconds if slow else measured(setup)
    counts |= {"images_per_second": round(rate, 1), "minutes": round(plan.train.seconds_at(rate) / 60, 2)}
    columns = {name: text for field in setup.dataset.fields for name, text in described(field).items()}
    if request.as_json:
        about: dict[str, Any] = {"columns": columns, "notes": notes} if columns or notes else {}
        about |= {"card": setup.dataset.card} if len(setup.dataset.card) > 1 else {}
        echo_json({"recipe": plan.name, "settings": plan.settings(), "estimate": counts, **about})
        return
    train, engine = plan.train, setup.training.engine
    fields = ", ".join(f"{field.name} {field.shape or 'scalar'}" for field in setup.dataset.fields)
    parameters = counts["parameters"]
    rows = [
        ("architecture", plan.architecture.item.qualified),
        ("loss", f"{plan.loss.item.qualified}, terms: {', '.join(plan.terms) or 'none'}"),
        ("data", f"{plan.data.source}, {_count(setup)}: {fields}"),
        *((f"  {name}", f"{value}{note and f' ({note})'}") for name, value, note in setup.dataset.card[1:]),
        *((f"  {name}", note) for name, _, note in setup.dataset.card[:1] if note),
        *((f"column {printable(name, 40)}", text) for name, text in columns.items()),
        ("cycle", f"{train.n_critic} x discriminator, 1 x generator, batch {train.batch_size}"),
        ("length", train.length(setup.unit)),
        *([("done", f"{setup.unit.count(run.record.get('images', 0))}, in {run.path}")] if run else []),
        ("time", train.forecast(rate, setup.unit)),
        ("device", f"{engine.device}, {engine.arithmetic}, {counted(torch.get_num_threads(), 'thread')}"),
        ("generators", f"{parameters['generators']:,} parameters"),
        ("discriminators", f"{parameters['discriminators']:,} parameters"),
        ("work", f"{counts['flops_per_image'] / 1e6:,.1f} MFLOP per real sample"),
        ("memory", f"about {counts['memory_mb']:,.0f} MB, without torch; {counts['free_mb']:,.0f} are free"),
    ]
    table(f"{plan.name}: plan (nothing was trained)", ("", ""), rows)
    for note in notes:
        PlainReporter().note(note)
