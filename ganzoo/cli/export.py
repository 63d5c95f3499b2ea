"""`ganzoo export`: write the generators of a run as a checked ONNX bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ganzoo.cli.common import echo_json, registry_of, which_checkpoint
from ganzoo.util.progress import lasting

if TYPE_CHECKING:
    from ganzoo.exporting.form import Weights


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the bundle [exported/<recipe>]."
)
@click.option("--uint8", is_flag=True, help="Let the graph write uint8 images (height, width, channels).")
@click.option(
    "--fp16", "weights", flag_value="float16", help="Store weights as float16: half the size, the same speed."
)
@click.option(
    "--int8", "weights", flag_value="int8", help="Store weights as int8: a third of the size or less."
)
@click.option("--opset", type=int, default=18, show_default=True, help="ONNX operator set, from 18 on.")
@click.option(
    "--batch", type=int, metavar="N", help="Fix the batch size, for runtimes that need one [any size]."
)
@click.option("--license", "license_id", metavar="NAME", help="License of the card, such as cc-by-4.0.")
@click.option(
    "--triton",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write the generators as models of this repository of NVIDIA Triton.",
)
@click.option("--author", metavar="NAME", help="Author for the model card.")
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
    weights: Weights | None,
    opset: int,
    batch: int | None,
    license_id: str | None,
    author: str | None,
    triton: Path | None,
    checkpoint: int | Literal["newest", "best"],
    as_json: bool,
) -> None:
    """Export the generators of RUN (a run directory) to ONNX.

    The graph is checked and compared with torch at several batch sizes. With --fp16 or --int8, its samples
    are compared with those of float32 weights as well. If a check fails, nothing is written and the exit code
    is 5.
    """
    ctx.with_resource(lasting("exporting"))
    from ganzoo.exporting.form import Form
    from ganzoo.exporting.from_run import export_run
    from ganzoo.exporting.triton import write_repository
    from ganzoo.runs.run import Run

    opened = Run.open(run)
    if not as_json:
        click.echo("exporting and comparing with torch (may take half a minute) ...", err=True)
    bundle = export_run(
        opened,
        output,
        form=Form(uint8=uint8, opset=opset, batch=batch, weights=weights or "float32"),
        license_id=license_id,
        author=author,
        checkpoint=checkpoint,
        registry=registry_of(ctx),
        note=lambda text: click.secho(f"note: {text}", fg="yellow", err=True),
    )
    models = write_repository(bundle.path, triton) if triton else []
    largest = max(entry.max_abs for entry in bundle.parity.values())
    batches = sorted({batch for entry in bundle.parity.values() for batch in entry.batches})
    if as_json:
        parity = {"max_abs": largest, "batches": batches}
        result = {"bundle": str(bundle.path), "files": [str(f) for f in bundle.files], "parity": parity}
        echo_json(result | ({"triton": [str(model) for model in models]} if models else {}))
        return
    for file in bundle.files:
        click.echo(f"  {file}  ({file.stat().st_size / 1e6:.2f} MB)")
    sizes = ", ".join(map(str, batches))
    click.echo(f"largest difference from torch {largest:.1e} at batch sizes {sizes}")
    for model in models:
        click.echo(f"  {model}  (a model for Triton)")
    for stored in bundle.stored.values():
        click.echo(
            f"weights in {stored.type}: {stored.bytes_ratio:.2f} of the size, samples differ by "
            f"{stored.mean_levels:.2g} of 255 levels ({stored.psnr:.1f} dB)"
        )
    for number, options in enumerate(bundle.usage):
        click.echo(f"{'or:  ' if number else 'next:'} ganzoo generate {bundle.path} {options}")
