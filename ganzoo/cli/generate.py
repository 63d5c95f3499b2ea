"""`ganzoo generate`: sample an exported generator into a file of its kind of samples, or of arrays.

Owns the options and the order of the steps. ganzoo/runtime/ does the sampling, a media record writes the
file. torch is never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.common import generator_option, json_option, registry_of
from ganzoo.cli.generate_files import report
from ganzoo.cli.generate_request import Request
from ganzoo.util.progress import lasting

if TYPE_CHECKING:
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator


@click.command()
@click.argument("source", metavar="BUNDLE_OR_ONNX", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "count",
    type=int,
    help="Number of samples [64]; with --classes samples per row [8], with --interpolate rows [8].",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same samples.")
@click.option("--label", metavar="CLASS", help="Number or name of the class [random classes].")
@click.option("--classes", is_flag=True, help="One row per class, with the same noise in each row.")
@click.option(
    "--interpolate",
    "steps",
    type=int,
    metavar="STEPS",
    help="Each row goes from one latent z to another in STEPS.",
)
@click.option(
    "--walk",
    type=click.IntRange(min=2),
    metavar="FRAMES",
    help="An animation of so many frames as .gif, .webp or .mp4: each of -n samples [16] goes from one "
    "latent z to another and back.",
)
@click.option(
    "--size",
    "sizes",
    metavar="HxW|AXIS=N",
    multiple=True,
    help="Size of the samples, for generators with free axes: sizes of all free axes in order, or of one by "
    "name (repeatable). The README.md of the bundle lists the axes. Inputs of --input are resized to it.",
)
@click.option(
    "--length", type=click.IntRange(min=1), metavar="N", help="Size of the only free axis, such as time."
)
@click.option(
    "--input",
    "given",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Input of a generator that needs one: a file of its kind, a folder of them, or an .npy array.",
)
@click.option(
    "--latent",
    metavar="FILE.npz",
    type=click.Path(path_type=Path),
    help="Values of inputs, such as the latents that `ganzoo project` found.",
)
@click.option(
    "--directions",
    metavar="FILE.npz",
    type=click.Path(path_type=Path),
    help="Directions of `ganzoo directions`: each of -n samples [8] moves along one, as a row or a --walk.",
)
@click.option(
    "--direction",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Which of the directions, the strongest first.",
)
@click.option(
    "--strength", type=float, default=3.0, show_default=True, help="How far along it, to both sides."
)
@click.option(
    "--tile",
    metavar="auto|N",
    help="Compute inputs in overlapping tiles of N elements a side (pixels, for pictures); 0: whole; auto: "
    "where the memory needs it [auto].",
)
@click.option(
    "--set",
    "constants",
    metavar="NAME=VALUE",
    multiple=True,
    help="Value of an input: a number for a constant such as psi=0.7, or all numbers of a vector such as "
    "style=1,0. The README.md of the bundle lists the inputs (repeatable).",
)
@click.option("--psi", type=float, help="Truncation psi, for generators that have it; short for --set psi=.")
@generator_option
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where onnxruntime computes.",
)
@click.option("--threads", type=int, metavar="N", help="Threads of the CPU [one for each core].")
@click.option("--batch-size", type=int, default=64, show_default=True, help="Samples computed at once.")
@click.option(
    "--trust",
    is_flag=True,
    help="Also accept a file from elsewhere, if it passes a strict check and a trial run in a limited "
    "process. The file can then neither read other files nor fill the memory. This does not protect against "
    "bugs of onnxruntime.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file of the kind of its samples (.png, .csv, ...), .npz, or a folder for a file of each sample "
    "[generated, with a fitting ending].",
)
@click.option("--columns", type=int, help="Number of samples per row, if they are laid out in rows.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Sample an exported generator with onnxruntime, without torch.

    Writes a grid of images (.png), images in original values (.tif, a page for each), a table (.csv), or
    whatever files its kind of samples has; arrays by field name (.npz) always. With --input, writes one
    sample per input.
    """
    asked = Request(**options)
    asked.check()
    ctx.with_resource(lasting("sampling"))
    named = ctx.get_parameter_source("generator") is not click.core.ParameterSource.DEFAULT
    loaded = _opened(asked, named=named)
    kinds = _kinds(ctx, loaded)
    _say_provider(loaded)
    if asked.given is not None:
        from ganzoo.cli.generate_from import translate as make
    else:
        from ganzoo.cli.generate_drawn import draw as make
    written = make(loaded, kinds, asked)
    report(loaded, written, asked.seed, as_json=as_json)


def _opened(asked: Request, *, named: bool) -> Generator:
    """The generator at the sizes that were asked for; with `named` the one that the user named."""
    loaded = _load(asked.source, asked.generator, asked.how)
    if asked.given is not None and not named:
        loaded = _reader(asked, loaded)
    return loaded.at(asked.sizes_of(loaded))


def _load(source: Path, generator: str, how: Mapping[str, Any]) -> Generator:
    """Like `runtime.load`, but without its warning, which the command prints itself."""
    from ganzoo import runtime
    from ganzoo.runtime import onnx_file

    file = onnx_file.find(source, generator)
    return runtime.from_bytes(onnx_file.read(file), where=str(file), **how)


def _reader(asked: Request, loaded: Generator) -> Generator:
    """The generator that reads data: the loaded one, or the only other one of the bundle that does."""
    from ganzoo.cli.generate_from import input_field

    source, numbers = asked.source, asked.numbers
    if input_field(loaded, numbers) is not None or not source.is_dir():
        return loaded
    others = [
        _load(file, "", asked.how) for file in sorted(source.glob("*.onnx")) if file.stem != loaded.name
    ]
    readers = [other for other in others if input_field(other, numbers) is not None]
    return readers[0] if len(readers) == 1 else loaded


def _kinds(ctx: click.Context, loaded: Generator) -> Kinds:
    """The media records of the plugins; the fields of the generator get kinds, and unknown ones are noted."""
    from ganzoo.registry.kinds import Kinds

    kinds = Kinds(registry_of(ctx))
    for note in kinds.unknown((*loaded.inputs, *loaded.outputs)):
        click.echo(note, err=True)
    loaded.inputs, loaded.outputs = kinds.assign(loaded.inputs), kinds.assign(loaded.outputs)
    return kinds


def _say_provider(loaded: Generator) -> None:
    click.echo(f"{loaded.engine}, {loaded.provider}", err=True)
    if loaded.provider_note:
        click.echo(loaded.provider_note, err=True)
