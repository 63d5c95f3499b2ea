"""`ganzoo bench`: how fast things are on this machine.

Owns the options and the tables. What is measured, and how, is in ganzoo/bench/, imported when called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.common import complete_names, echo_json, registry_of, table

if TYPE_CHECKING:
    from ganzoo.bench.inference import Report
    from ganzoo.bench.training import Report as TrainingReport

SIZED = ("vanilla", "dcgan", "cgan", "wgan", "wgan-gp")


@click.group("bench")
def command() -> None:
    """Measure speed on this machine."""


@command.command("train")
@click.argument("recipes", metavar="[RECIPE]...", nargs=-1, shell_complete=complete_names("recipe"))
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "bf16"]),
    help="Repeatable. [fp32, and bf16 where the hardware has it]",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads [as in training].")
@click.option("--device", help="auto, cpu, cuda, cuda:1, ...")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=4.0,
    show_default=True,
    metavar="S",
    help="Of each loop in each round.",
)
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Any setting (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
@click.pass_context
def train(
    ctx: click.Context,
    recipes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: int | None,
    device: str | None,
    rounds: int,
    seconds: float,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure training: images/s, the share of what this machine can do, and a plain loop beside it.

    The plain loop is what a careful person would write for the same networks, recipe and data, in fp32.
    Each loop is a process of its own; they take turns. Without RECIPE: vanilla, dcgan, cgan, wgan, wgan-gp.
    """
    from ganzoo.bench.training import measure_training
    from ganzoo.config.settings import parse_assignment

    settings = {".".join(path): value for path, value in map(parse_assignment, assignments)}
    settings |= {"train.threads": threads} if threads else {}
    settings |= {"train.device": device} if device else {}
    report = measure_training(
        recipes or SIZED,
        registry_of(ctx),
        settings,
        precisions=precisions,
        rounds=rounds,
        seconds=seconds,
        tell=lambda text: click.echo(f"{text} ...", err=True),
    )
    if as_json:
        echo_json(report.to_json())
    else:
        _print_training(report)


def _print_training(report: TrainingReport) -> None:
    rows = [
        (
            row.recipe,
            row.precision,
            f"{report.threads[row.recipe]:>7}",
            f"{row.images_per_second:>8,.0f}",
            f"{row.ms_per_step:>7.1f}",
            f"{row.percent_of_floor:>8.0f} %",
            f"{row.factor_over_reference:>7.2f}",
            f"{row.first_step_s:>5.1f}",
            f"{row.peak_mb:>7,.0f}",
        )
        for row in report.rows
    ]
    columns = ("recipe", "precision", "threads", "images/s", "ms/step", "of floor", "x plain", "1st s", "MB")
    table(f"Training on {report.device}", columns, rows, fixed=len(columns))
    peaks = ", ".join(f"{key} {rate:,.0f}" for key, rate in report.to_json()["peaks_gflops"].items())
    click.echo(
        f"Medians of {report.rounds} rounds of {report.seconds:g} s, by the wall clock; x plain: over a plain"
        " loop in fp32. 1st s: from the start of the process to the end of its first step. The floor is the "
        f"time of the arithmetic alone at this machine's peaks, in GFLOP/s: {peaks}."
    )


@command.command("run")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "--batch", "batches", type=int, multiple=True, metavar="N", help="Samples a call [1, 8, 64]; repeatable."
)
@click.option("--threads", type=int, metavar="N", help="CPU threads of each engine [one for each core].")
@click.option(
    "--seconds", type=float, default=2.0, show_default=True, metavar="S", help="Time measured for each row."
)
@click.option(
    "--generator", default="generator", show_default=True, help="Which one, where there are several."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
@click.pass_context
def run(
    ctx: click.Context,
    bundle: Path,
    batches: tuple[int, ...],
    threads: int | None,
    seconds: float,
    generator: str,
    as_json: bool,
) -> None:
    """Time an exported generator with onnxruntime, and beside it the same network in torch.

    BUNDLE is the folder that `ganzoo export` wrote, or one .onnx file of it. A call starts from noise that
    lies ready and ends with the samples in host memory. The rows take turns.
    """
    from ganzoo.bench.inference import BATCHES, measure

    def begin(rows: int) -> None:
        if not as_json:
            click.echo(f"measuring {rows} rows, about {seconds:g} s each ...", err=True)

    report = measure(
        bundle,
        registry_of(ctx),
        batches=batches or BATCHES,
        threads=threads,
        seconds=seconds,
        generator=generator,
        begin=begin,
    )
    if as_json:
        echo_json(report.to_json())
        return
    _print_speed(report, by_default=threads is None)


def _print_speed(report: Report, *, by_default: bool) -> None:
    rows = []
    for row in report.rows:
        figures = row.to_json()
        rows.append(
            (
                row.engine,
                row.provider,
                f"{row.batch:>5}",
                f"{figures['p50_ms']:>8.2f}",
                f"{figures['p99_ms']:>8.2f}",
                f"{figures['images_per_second']:>10,.0f}",
                f"{len(row.seconds):>6,}",
            )
        )
    columns = ("engine", "on", "batch", "p50 (ms)", "p99 (ms)", "  images/s", " calls")
    table(f"{report.generator.name} of {report.source}", columns, rows, fixed=len(columns))
    for note in report.notes:
        click.secho(f"note: {note}", fg="yellow")
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    why = "one for each core, see --threads" if by_default else "as asked"
    click.echo(f"{report.threads} CPU threads for each engine ({why}). {versions}")
