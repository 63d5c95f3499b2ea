"""`ganzoo project`: the latents of given samples, as files for `generate --latent`, and a sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from ganzoo.errors import UsageError
from ganzoo.util.suggest import suggest
from ganzoo.util.text import some

if TYPE_CHECKING:
    from torch import nn

    from ganzoo.fields import Field
    from ganzoo.latents.projection import Projection
    from ganzoo.registry.registry import Registry


@click.command("project")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("projected"),
    show_default=True,
    help="Folder for NAME.npz of each picture, and a sheet of all.",
)
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Steps of Adam.")
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How many searches, from the nearest of 256 samples; the best one counts.",
)
@click.option("--label", metavar="CLASS", help="Number or name of the class [that of the nearest sample].")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the samples.")
@generator_option
@checkpoint_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    pictures: tuple[Path, ...],
    output: Path,
    steps: int,
    starts: int,
    label: str | None,
    seed: int,
    generator: str,
    checkpoint: int | Literal["newest", "best"],
    as_json: bool,
) -> None:
    """Find the latents with which the generator of RUN comes nearest to each PICTURE.

    The distance is that of pixels and of the maps of a network that was trained on ImageNet. A PICTURE may be
    a folder. `ganzoo generate BUNDLE --latent projected/NAME.npz` makes the sample again.
    """
    import numpy as np
    import torch

    from ganzoo.cli.generate_from import read_inputs
    from ganzoo.config.settings import plain
    from ganzoo.latents.loading import open_generator
    from ganzoo.latents.projection import Distance, Search, project
    from ganzoo.runtime.inputs import labels

    registry = registry_of(ctx)
    net, fields, trained = open_generator(run, registry, generator, checkpoint)
    field = fields[net.writes[0]]
    media = trained.plan.kinds.of(field.kind)
    options = {} if trained.plan.dataset.options is None else plain(trained.plan.dataset.options)
    names: list[str] = []
    values: list[Any] = []
    for picture in pictures:
        more = read_inputs(picture, field, media, options)
        names += more[0]
        values += list(more[1])
    if len(set(names)) < len(names):
        raise UsageError("Two pictures have one name.", fix="rename one: each gets a file NAME.npz")
    given = {}
    if label is not None:
        known = next((fields[name] for name in net.reads if fields[name].classes), None)
        if known is None:
            raise UsageError("The generator takes no label.", fix="leave --label out")
        number = labels(1, label, known.classes)
        if not 0 <= number[0] < len(known.classes):
            raise UsageError(
                f"There is no class {label}.",
                fix=suggest(str(label), known.classes) or f"one of {some(known.classes)}",
            )
        given = {known.name: number}
    maps = _maps(registry, field)
    if maps is None:
        click.echo("note: no network for such samples is installed: only values are compared", err=True)
    distance, search = Distance(field, maps), Search(steps=steps, starts=starts, seed=seed)
    found: list[Projection] = []
    for name, value in zip(names, values, strict=True):
        if not as_json:
            click.echo(f"{name}: {len(found) + 1} of {len(names)}", err=True)
        one = project(net, fields, torch.from_numpy(np.array(value)), distance, search, given)
        save_arrays(dict(one.inputs), output / f"{name}.npz")
        found.append(one)
    sheet = output / f"sheet{media.suffixes[0]}" if media.suffixes else None
    if sheet is not None:
        made = np.stack([one.made for one in found])
        wanted = np.stack(values)
        low, high = field.range or (-1.0, 1.0)
        apart = (low + np.abs(made - wanted)).clip(low, high).astype(np.float32)
        media.write(field, apart, sheet, columns=1, beside=[(field, wanted), (field, made)])
    rows = [
        {"name": name, "pixels": one.pixels, "perceptual": one.perceptual}
        for name, one in zip(names, found, strict=True)
    ]
    if as_json:
        echo_json({"output": str(output), "sheet": str(sheet or ""), "found": rows})
        return
    click.echo(f"looked for: {', '.join(found[0].found)}")
    table(
        "",
        ("picture", "pixels", "perceptual"),
        [(str(row["name"]), f"{row['pixels']:.4f}", f"{row['perceptual']:.4f}") for row in rows],
    )
    click.echo(f"wrote {output}" + (f"; look at {sheet}: picture, projection, difference" if sheet else ""))


def _maps(registry: Registry, field: Field) -> nn.Module | None:
    """The first installed network with maps for the kind of this field; None if there is none."""
    from ganzoo.api.specs import ExtractorSpec
    from ganzoo.registry.registry import calling, factory_of

    for item in registry.of_kind(ExtractorSpec):
        if item.spec.maps and field.kind in item.spec.kinds:
            build = factory_of(item, "maps")
            with calling(item):
                made: nn.Module = build()
            return made
    return None
