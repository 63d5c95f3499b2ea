"""`ganzoo export`: write the generators of a run as a checked ONNX bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ganzoo.cli.common import echo_json, registry_of, which_checkpoint
from ganzoo.util.progress import lasting


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the bundle [exported/<recipe>]."
)
@click.option("--uint8", is_flag=True, help="Let the graph write uint8 images (height, width, channels).")
@click.option(
    "--checkpoint",
    callback=which_checkpoint,
    metavar="WHICH",
    default="newest",
    show_default=True,
    help="Which checkpoint: newest, best (by train.keep_best), or a number of images.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for scripts.")
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    output: Path | None,
    uint8: bool,
    checkpoint: int | Literal["newest", "best"],
    as_json: bool,
) -> None:
    """Export the generators of RUN (a run directory) to ONNX.

    The graph is checked and compared with torch at several batch sizes. If a check fails, nothing is
    written and the exit code is 5.
    """
    ctx.with_resource(lasting("exporting"))
    from ganzoo.exporting.from_run import export_run
    from ganzoo.runs.run import Run

    opened = Run.open(run)
    if not as_json:
        click.echo("exporting and comparing with torch (may take half a minute) ...", err=True)
    bundle = export_run(
        opened,
        output,
        uint8=uint8,
        checkpoint=checkpoint,
        registry=registry_of(ctx),
        note=lambda text: click.secho(f"note: {text}", fg="yellow", err=True),
    )
    largest = max(entry.max_abs for entry in bundle.parity.values())
    batches = sorted({batch for entry in bundle.parity.values() for batch in entry.batches})
    if as_json:
        parity = {"max_abs": largest, "batches": batches}
        echo_json({"bundle": str(bundle.path), "files": [str(f) for f in bundle.files], "parity": parity})
        return
    for file in bundle.files:
        click.echo(f"  {file}  ({file.stat().st_size / 1e6:.2f} MB)")
    sizes = ", ".join(map(str, batches))
    click.echo(f"largest difference from torch {largest:.1e} at batch sizes {sizes}")
    for number, options in enumerate(bundle.usage):
        click.echo(f"{'or:  ' if number else 'next:'} ganzoo generate {bundle.path} {options}")
