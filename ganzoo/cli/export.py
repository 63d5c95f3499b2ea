"""`ganzoo export`: write the generators of a run as a checked ONNX bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from ganzoo.cli.common import checkpoint_option, registry_of
from ganzoo.cli.exported import file_options, form_of, report
from ganzoo.util.progress import lasting


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the bundle [exported/<recipe>; with a number if that is of another run].",
)
@file_options
@checkpoint_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Path,
    output: Path | None,
    checkpoint: int | Literal["newest", "best"],
    **options: Any,
) -> None:
    """Export the generators of RUN (a run directory) to ONNX.

    The graph is checked and compared with torch at several batch sizes. With --fp16 or --int8, its samples
    are compared with those of float32 weights as well. If a check fails, nothing is written and the exit code
    is 5.
    """
    ctx.with_resource(lasting("exporting"))
    from ganzoo.evaluation.small_weights import frechet_of
    from ganzoo.exporting.from_run import export_run
    from ganzoo.runs.run import Run

    opened = Run.open(run)
    if not options["as_json"]:
        click.echo("exporting and comparing with torch (may take half a minute) ...", err=True)
    bundle = export_run(
        opened,
        output,
        form=form_of(options),
        license_id=options["license_id"],
        author=options["author"],
        checkpoint=checkpoint,
        registry=registry_of(ctx),
        frechet=frechet_of(registry_of(ctx)),
        note=lambda text: click.secho(f"note: {text}", fg="yellow", err=True),
    )
    report(bundle, options)
