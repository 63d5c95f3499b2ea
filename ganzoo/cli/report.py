"""`ganzoo report`: one or several runs as an HTML page, or the samples of one as an animation."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.common import registry_of
from ganzoo.errors import UsageError
from ganzoo.util.progress import lasting


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The page [report.html in the run directory; for several runs in the current directory].",
)
@click.option(
    "--timeline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the samples of the run from its start to its end as .gif, .webp or .mp4, and no page.",
)
@click.pass_context
def command(ctx: click.Context, runs: tuple[Path, ...], output: Path | None, timeline: Path | None) -> None:
    """Write RUN as one HTML page that opens without a network, or compare several runs.

    The page has curves, samples over time, scores, notes, facts of the data, and settings. It works while a
    run is still training; `ganzoo train --report` keeps it fresh.
    """
    from ganzoo.registry.directions import directions
    from ganzoo.report.page import write_page
    from ganzoo.report.previews import write_timeline
    from ganzoo.runs.run import Run

    opened = [Run.open(path) for path in runs]
    ctx.with_resource(lasting("reading logs and samples"))
    if timeline is not None:
        if len(opened) > 1 or output is not None:
            raise UsageError("--timeline takes one run, and no --output.")
        write_timeline(opened[0], timeline)
        click.echo(f"wrote {timeline}")
        return
    output = output or (opened[0].path / "report.html" if len(opened) == 1 else Path("report.html"))
    write_page(opened, output, directions(registry_of(ctx)))
    click.echo(f"wrote {output}")
