"""`ganzoo bench`: the speed of generators on this machine.

Owns the options and the table. The measurement is in ganzoo/bench/, which is imported on use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.common import echo_json, generator_option, json_option, registry_of, table
from ganzoo.util.text import counted

if TYPE_CHECKING:
    from ganzoo.bench.inference import Report


@click.group("bench")
def command() -> None:
    """Measure speed on this machine."""


@command.command("run", short_help="Measure the speed in onnxruntime and in torch.")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "--batch",
    "batches",
    type=int,
    multiple=True,
    metavar="N",
    help="Samples per call (repeatable) [1, 8, 64].",
)
@click.option(
    "--threads",
    type=int,
    metavar="N",
    help="CPU threads of each engine [$OMP_NUM_THREADS; else one per core].",
)
@click.option(
    "--seconds",
    type=float,
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds of measurement for each row.",
)
@generator_option
@json_option
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
    """Measure the speed of an exported generator in onnxruntime, and of the same network in torch.

    BUNDLE is the folder that `ganzoo export` wrote, or one of its .onnx files. A call starts with noise in
    host memory and ends with the samples in host memory. The rows are timed in turns.
    """
    import rich  # noqa: F401 (the table needs it: found out before the measurement, not after it)

    from ganzoo.bench.inference import BATCHES, measure

    def begin(rows: int) -> None:
        if not as_json:
            click.echo(f"measuring {counted(rows, 'row')}, about {seconds:g} s each ...", err=True)

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
    _print_speed(report)


def _print_speed(report: Report) -> None:
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
    columns = ("engine", "on", "batch", "p50 (ms)", "p99 (ms)", " samples/s", " calls")
    table(f"{report.generator.name} of {report.source}", columns, rows, fixed=len(columns))
    for note in report.notes:
        click.secho(f"note: {note}", fg="yellow")
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    click.echo(f"{counted(report.threads, 'CPU thread')} for each engine, see --threads. {versions}")
