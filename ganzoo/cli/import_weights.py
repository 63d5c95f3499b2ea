"""`ganzoo import`: weights that others trained become a bundle or a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.common import echo_json, registry_of, table
from ganzoo.cli.exported import file_options, form_of, report
from ganzoo.errors import UsageError
from ganzoo.util.progress import lasting
from ganzoo.util.text import printable, typed

if TYPE_CHECKING:
    from ganzoo.importing.recognise import Match, Opened
    from ganzoo.registry.registry import Registry

SHOWN = 4  # names of arrays of each network


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--as",
    "target",
    type=click.Choice(["bundle", "run"]),
    default="bundle",
    show_default=True,
    help="A bundle of ONNX files, or a run that `ganzoo train --resume` continues (needs --data).",
)
@click.option("--architecture", default="", metavar="NAME", help="Which one, if several fit the file.")
@click.option("--part", metavar="PATH", help="Which network of the file, as --inspect names it.")
@click.option("--inspect", is_flag=True, help="Show what the file has and what it fits; write nothing.")
@click.option("--source", default="", help="Where the weights come from, for the model card [not said].")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the bundle or run.")
@file_options
@click.option("--data", metavar="SOURCE", help="With --as run: data to go on with, as for `ganzoo train`.")
@click.option(
    "--discriminator",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --as run: the file that has the discriminator, if it is another one.",
)
@click.option("--recipe", default="", help="With --as run: how to go on [that of the importer].")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="With --as run: any setting, as for `ganzoo train` (repeatable).",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Import FILE: weights of a GAN that others trained (.pth, .pt, .ckpt, .tar, .pkl, .safetensors, .npz,
    .param of ncnn).

    No code of the file is run. Architecture and options follow from names and shapes; every array must fit.
    """
    from ganzoo.importing.recognise import chosen, open_file

    ctx.with_resource(lasting("importing"))
    registry, file = registry_of(ctx), options["file"]
    of_run = ("data", "recipe", "assignments", "discriminator")
    if options["target"] == "bundle" and any(options[name] for name in of_run):
        raise UsageError(
            "--data, --recipe, --set and --discriminator are for a training.", fix="add --as run"
        )
    opened = open_file(file, registry, options["discriminator"])
    if options["inspect"]:
        _inspect(opened, options["as_json"])
        return
    match = chosen(opened, options["architecture"], options["part"])
    _say(options, f"{match}: {len(match.imported.weights['generator'])} arrays of the generator")
    for text in match.imported.unknown:
        _say(options, f"not in the file: {text}")
    if options["target"] == "run":
        _to_run(opened, match, registry, options)
    else:
        _to_bundle(opened, match, registry, options)


def _say(options: dict[str, Any], text: str) -> None:
    if not options["as_json"]:
        click.echo(printable(text, 400), err=True)


def _to_bundle(opened: Opened, match: Match, registry: Registry, options: dict[str, Any]) -> None:
    from ganzoo.evaluation.small_weights import frechet_of
    from ganzoo.exporting.from_file import export_file

    if not options["license_id"]:
        _say(options, "the licence of the weights is not known: --license NAME writes it into the card")
    _say(options, "exporting and comparing with torch (about half a minute) ...")
    bundle = export_file(
        opened,
        match,
        registry,
        options["output"],
        license_id=options["license_id"],
        author=options["author"],
        source=options["source"],
        form=form_of(options),
        frechet=frechet_of(registry),
    )
    report(bundle, options, architecture=match.imported.architecture)


def _to_run(opened: Opened, match: Match, registry: Registry, options: dict[str, Any]) -> None:
    from ganzoo.config.settings import parse_assignment
    from ganzoo.exporting.from_file import describe
    from ganzoo.training.from_file import run_of_file

    if not options["data"]:
        fields = ", ".join(f"{item.name} {item.shape}" for item in match.imported.data.fields)
        raise UsageError(
            "A run needs data to go on with.",
            where=f"the networks of the file have the fields: {fields}",
            fix="such as --data folder:PATH --set data.height=N --set data.width=N",
        )
    pairs = [parse_assignment(text) for text in options["assignments"]]
    settings = {".".join(path): value for path, value in pairs}
    run = run_of_file(
        match,
        registry,
        describe(opened, match, options["license_id"], options["source"]),
        recipe=options["recipe"],
        overrides={"data.source": options["data"], **settings},
        run_dir=options["output"],
        note=lambda text: _say(options, f"note: {text}"),
    )
    if options["as_json"]:
        echo_json({"run": str(run.path), "architecture": match.imported.architecture})
        return
    click.echo(f"run: {run.path}")
    path = typed(run.path)
    click.echo(f"next: ganzoo train --resume {path}     or: ganzoo train RECIPE --from {path}")


def _inspect(opened: Opened, as_json: bool) -> None:
    guesses = {match.path: match for match in opened.matches}
    if as_json:
        echo_json(
            {
                "file": opened.path.name,
                "format": opened.format,
                "facts": opened.facts,
                "networks": [
                    {
                        "path": part.path,
                        "class": part.class_name,
                        "options": part.options,
                        "arrays": {key: list(array.shape) for key, array in part.arrays.items()},
                        "fits": str(guesses.get(part.path, "")),
                    }
                    for part in opened.parts
                ],
            }
        )
        return
    rows = []
    for part in opened.parts:
        names = [f"{key} {'x'.join(map(str, a.shape))}" for key, a in list(part.arrays.items())[:SHOWN]]
        match = guesses.get(part.path)
        rows.append(
            (
                part.path or "(the whole file)",
                f"{len(part.arrays):,}",
                f"{part.bytes / 1e6:,.2f}",
                part.class_name,
                f"{match.imported.architecture} ({match.item.name})" if match else "",
                "\n".join(names),
            )
        )
    columns = ("network", "arrays", "MB in float32", "class", "fits", "first names")
    table(f"{opened.path.name}: {opened.format}", columns, rows)
    for match in opened.matches:
        fields = ", ".join(f"{item.name} {item.shape}" for item in match.imported.data.fields)
        click.echo(f"{match}: {fields}; options {dict(match.imported.options)}")
    if not opened.matches:
        click.echo("No importer recognises a network of this file.")
