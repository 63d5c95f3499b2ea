"""`ganzoo directions`: directions of change in the latents of a run's generator, as a file for `generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ganzoo.cli.common import (
    checkpoint_option,
    echo_json,
    generator_option,
    json_option,
    registry_of,
    save_arrays,
    table,
)
from ganzoo.util.text import typed


@click.command("directions")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("directions.npz"),
    show_default=True,
    help="The file, for --directions of `ganzoo generate`.",
)
@click.option("--count", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@generator_option
@checkpoint_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    output: Path,
    count: int,
    generator: str,
    checkpoint: int | Literal["newest", "best"],
    as_json: bool,
) -> None:
    """Find the directions in which the samples of RUN change most.

    They follow from the weights of the first linear layer, or of the layers that read a style (SeFa, Shen and
    Zhou 2021): no samples and no training are needed. What a direction changes, you see with
    `ganzoo generate BUNDLE --directions directions.npz --direction 1`.
    """
    from ganzoo.latents.directions import directions_of
    from ganzoo.latents.loading import open_generator

    net, fields, _ = open_generator(run, registry_of(ctx), generator, checkpoint)
    found = directions_of(net, fields, count)
    save_arrays({found.field: found.vectors, "eigenvalues": found.values}, output)
    share = found.values / found.values.sum()
    if as_json:
        echo_json(
            {
                "output": str(output),
                "field": found.field,
                "layers": list(found.layers),
                "eigenvalues": found.values.tolist(),
            }
        )
        return
    click.echo(f"directions of '{found.field}', from the weights of {', '.join(found.layers)}")
    table(
        "",
        ("direction", "eigenvalue", "share of these"),
        [(f"{k + 1}", f"{found.values[k]:.4g}", f"{share[k]:.1%}") for k in range(len(share))],
    )
    click.echo(f"wrote {output}")
    click.echo(f"next: ganzoo generate BUNDLE --directions {typed(output)} --direction 1")
