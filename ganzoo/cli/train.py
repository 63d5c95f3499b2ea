"""`ganzoo train`: options into overrides, then the session; ends with the outcome's exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.common import complete_names, echo_json, registry_of, table
from ganzoo.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ganzoo.plan import Plan
    from ganzoo.runs import Run
    from ganzoo.settings import Layer

CODES = {
    "done": ExitCode.OK,
    "paused": ExitCode.OK,
    "interrupted": ExitCode.INTERRUPTED,
    "preempted": ExitCode.PREEMPTED,
}


@click.command("train")
@click.argument("recipe", required=False, shell_complete=complete_names("recipe"))
@click.option(
    "--data", metavar="SOURCE", help="fashion-5k, folder:PATH, idx:PATH, npy:PATH, npz:PATH, toy:NAME, ..."
)
@click.option("--images", type=click.IntRange(min=1), help="Length, in real images shown.")
@click.option("--minutes", type=float, help="Length, in minutes; the schedule follows the clock.")
@click.option("--batch-size", type=click.IntRange(min=1))
@click.option("--seed", type=click.IntRange(min=0))
@click.option("--device", help="auto, cpu, cuda, cuda:1, ...")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]))
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Any setting (repeatable).")
@click.option("--run-dir", type=click.Path(path_type=Path), help="Default: runs/<time>-<recipe>-<id>.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run directory.")
@click.option(
    "--pause-at", type=click.IntRange(min=1), metavar="IMAGES", help="Save and stop there, to resume later."
)
@click.option("--dry-run", is_flag=True, help="Show plan, parameters, work and memory; train nothing.")
@click.option("--explain", is_flag=True, help="Show where each setting comes from; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines for scripts.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Train RECIPE: a recipe's name, a combination such as dcgan+wgan-gp, or a settings file.

    Everything about the run goes into its run directory. Ctrl-C saves; --resume goes on exactly.
    """
    from ganzoo.recipes import resolve
    from ganzoo.runs import Run

    recipe, resume, run_dir = options.pop("recipe"), options.pop("resume"), options.pop("run_dir")
    pause_at, as_json = options.pop("pause_at"), options.pop("as_json")
    dry_run, explain = options.pop("dry_run"), options.pop("explain")
    overrides = _overrides(options.pop("assignments"), options)
    registry = registry_of(ctx)
    run: Run | None = None
    if resume is not None:
        if recipe is not None or run_dir is not None:
            raise UsageError(
                "--resume takes its recipe and directory from the run.", fix=f"--resume {resume} alone"
            )
        run = Run.open(resume)
        recipe = str(run.settings_file)
    if recipe is None:
        raise UsageError("Which recipe?", fix="ganzoo list --kind recipe; for a start: ganzoo train wgan-gp")
    plan = resolve(recipe, registry, overrides=overrides)
    if explain:
        _explain(plan, as_json)
        return ExitCode.OK
    if dry_run:
        _dry_run(plan, as_json)
        return ExitCode.OK
    return _train(plan, run, run_dir, pause_at, as_json)


def _train(plan: Plan, resumed: Run | None, run_dir: Path | None, pause_at: int | None, as_json: bool) -> int:
    from ganzoo.cli.reporters import BarReporter, JsonReporter, PlainReporter
    from ganzoo.train.session import resume, start

    reporter = JsonReporter() if as_json else BarReporter() if sys.stderr.isatty() else PlainReporter()
    try:
        if resumed is not None:
            run, outcome = resume(resumed, plan, reporter, pause_at)
        else:
            run, outcome = start(plan, run_dir, reporter, pause_at)
    finally:
        reporter.close()
    images, seconds = run.record["images"], run.record["seconds"]
    rate = round(images / max(seconds, 1e-9), 1)
    if as_json:
        event = {"event": outcome, "run": str(run.path), "images": images}
        echo_json({**event, "seconds": seconds, "images_per_second": rate})
    elif outcome == "done":
        newest = max((run.path / "samples").glob("0*.png"), default=None)
        click.echo(f"{images:,} images in {seconds:.0f} s ({rate:,.0f}/s)", err=True)
        click.echo(f"run:     {run.path}")
        if newest is not None:
            click.echo(f"samples: {newest}")
        click.echo(f"next:    ganzoo export {run.path}")
    else:
        click.echo(f"{outcome} after {images:,} images, saved. Go on with: ganzoo train --resume {run.path}")
    return int(CODES[outcome])


def _overrides(assignments: tuple[str, ...], options: dict[str, Any]) -> Layer:
    from ganzoo.settings import Layer, parse_assignment

    values = dict(parse_assignment(text) for text in assignments)
    for name, value in options.items():
        if value is not None:
            values[("data", "source") if name == "data" else ("train", name)] = value
    return Layer("command line", values)


def _explain(plan: Plan, as_json: bool) -> None:
    from ganzoo.settings import layer

    values = layer("", plan.settings()).values
    rows = [
        {"path": ".".join(path), "value": value, "origin": plan.origin(path)}
        for path, value in values.items()
        if len(path) > 1  # the recipe's name stands above, and it is complete
    ]
    if as_json:
        echo_json({"recipe": plan.name, "settings": rows})
        return
    table(f"{plan.name}: settings", ("setting", "value", "comes from"), [
        (row["path"], str(row["value"]), row["origin"]) for row in rows
    ])  # fmt: skip


def _dry_run(plan: Plan, as_json: bool) -> None:
    import torch

    from ganzoo.train.estimate import estimate
    from ganzoo.train.session import prepare

    prepared = prepare(plan)
    counts = estimate(prepared)
    if as_json:
        echo_json({"recipe": plan.name, "settings": plan.settings(), "estimate": counts})
        return
    train, engine = plan.train, prepared.training.engine
    fields = ", ".join(f"{field.name} {field.shape or 'scalar'}" for field in prepared.store.fields)
    parameters = counts["parameters"]
    rows = [
        ("architecture", plan.architecture.item.qualified),
        ("loss", f"{plan.loss.item.qualified}, terms: {', '.join(plan.terms) or 'none'}"),
        ("data", f"{plan.data.source}, {counts['samples']:,} samples: {fields}"),
        ("cycle", f"{train.n_critic} x discriminator, 1 x generator, batch {train.batch_size}"),
        ("length", train.length),
        ("device", f"{engine.device}, {engine.arithmetic}, {torch.get_num_threads()} threads"),
        ("generators", f"{parameters['generators']:,} parameters"),
        ("discriminators", f"{parameters['discriminators']:,} parameters"),
        ("work", f"{counts['flops_per_image'] / 1e6:,.1f} MFLOP for each real image"),
        ("memory", f"about {counts['memory_mb']:,.0f} MB beside torch itself"),
    ]
    table(f"{plan.name}: plan (nothing was trained)", ("", ""), rows)
