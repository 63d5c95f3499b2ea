"""`ganzoo page`: exported generators as one HTML file that computes samples in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.common import echo_json, json_option, registry_of


@click.command("page")
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("page.html"),
    show_default=True,
    help="The HTML file.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "mini", "ort"]),
    default="auto",
    show_default=True,
    help="What computes: a small interpreter, or onnxruntime-web; auto takes ort for large networks.",
)
@click.option(
    "--ort",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the npm package onnxruntime-web, which the page then has inside where it is needed.",
)
@click.option("--fp32", is_flag=True, help="Keep float32 weights: twice the size [float16].")
@click.option("--trust", is_flag=True, help="Also accept files of other programs, see `ganzoo generate`.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bundles: tuple[Path, ...],
    output: Path,
    engine: str,
    ort: Path | None,
    fp32: bool,
    trust: bool,
    as_json: bool,
) -> None:
    """Write exported generators as one HTML file that opens from disk and needs no network.

    The page computes samples in the browser, the same as `ganzoo generate --seed`. Several bundles become a
    gallery.
    """
    from ganzoo.page.generators import Options
    from ganzoo.page.page import write_page
    from ganzoo.registry.kinds import Kinds

    options = Options(
        kinds=Kinds(registry_of(ctx)),
        note=lambda text: click.secho(f"note: {text}", fg="yellow", err=True),
        engine=engine,
        ort=ort is not None,
        float32=fp32,
        trust=trust,
    )
    made = write_page(bundles, output, options, ort)
    if as_json:
        echo_json({"output": str(output), **made})
        return
    click.echo(f"wrote {output} ({made['bytes'] / 1e6:.2f} MB, computes with {', '.join(made['engines'])})")
