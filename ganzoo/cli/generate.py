"""`ganzoo generate`: sample an exported generator into a file of its kind of samples, or of arrays.

Owns the options and the layout of rows. ganzoo/runtime/ does the sampling, a media record writes the file.
torch is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo._version import __version__
from ganzoo.cli.common import echo_json, generator_option, json_option, registry_of, save_arrays
from ganzoo.cli.generate_latents import read_latents, refuse_beside_latents
from ganzoo.errors import UsageError
from ganzoo.util.files import storage
from ganzoo.util.progress import lasting
from ganzoo.util.text import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.api.media import Media
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values


WALK_RATE = 20  # frames a second


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
def command(
    ctx: click.Context,
    source: Path,
    count: int | None,
    seed: int,
    label: str | None,
    classes: bool,
    steps: int | None,
    walk: int | None,
    sizes: tuple[str, ...],
    length: int | None,
    constants: tuple[str, ...],
    psi: float | None,
    given: Path | None,
    latent: Path | None,
    directions: Path | None,
    direction: int,
    strength: float,
    tile: str | None,
    generator: str,
    provider: str,
    threads: int | None,
    batch_size: int,
    trust: bool,
    output: Path | None,
    columns: int | None,
    as_json: bool,
) -> None:
    """Sample an exported generator with onnxruntime, without torch.

    Writes a grid of images (.png), images in original values (.tif, a page for each), a table (.csv), or
    whatever files its kind of samples has; arrays by field name (.npz) always. With --input, writes one
    sample per input.
    """
    _refuse_contradictions(classes, steps, label, walk, given, count, columns)
    if latent is not None or directions is not None:
        refuse_beside_latents(classes, steps, walk, given, None if latent is None else count, directions)
    ctx.with_resource(lasting("sampling"))
    numbers = {**_numbers(constants), **({} if psi is None else {"psi": psi})}
    how: dict[str, Any] = {"provider": provider, "trust": trust, "threads": threads}
    loaded = _load(source, generator, how)
    asked = ctx.get_parameter_source("generator") is not click.core.ParameterSource.DEFAULT
    if given is not None and not asked:
        loaded = _reader(source, loaded, numbers, how)
    wanted = _sizes(loaded, sizes, length)
    loaded = loaded.at(wanted)
    kinds = _kinds(ctx, loaded)
    if given is not None:
        from ganzoo.cli.generate_from import translate

        _say_provider(loaded)
        written, cells, shape = translate(
            loaded,
            kinds,
            given,
            output,
            seed=seed,
            label=label,
            numbers=numbers,
            batch_size=batch_size,
            resize=bool(wanted),
            tile=_tile(tile, loaded),
        )
        _sign(loaded, written, seed, given=True)
        _report(loaded, written, cells, seed, shape, as_json)
        return
    if tile is not None:
        raise UsageError("--tile is for inputs.", fix="leave it out, or add --input PATH")
    latents = None
    if latent is not None or directions is not None:
        latents = read_latents(loaded, latent, directions, direction, strength)
        count = latents.rows or count
        steps = latents.steps if steps is None else steps
    _refuse_without_input(loaded, {**numbers, **(latents.values if latents else {})})
    if walk is not None:
        steps, output = walk // 2 + 1, output or Path("generated.gif")
        shown = next((field for field in loaded.outputs if field.kind), loaded.outputs[0])
        drawn: Field | None = shown
        count = (kinds.of(shown.kind).count or 16) if count is None else count
        if not kinds.of(shown.kind).walks:
            raise _no_walk(kinds.of(shown.kind))
    else:
        output, drawn = target(loaded, kinds, output)
    rows, width = _layout(loaded, count, classes, steps)
    cells = rows * width
    media = kinds.of(drawn.kind) if drawn is not None else None
    folder = walk is None and media is not None and not output.suffix
    if walk is None and media is not None and media.most is not None and cells > media.most and not folder:
        raise UsageError(
            f"{cells:,} {media.nouns} are too many for a file; the limit is {media.most:,}.",
            fix="-o samples.npz, or -o FOLDER for a file each",
        )
    _say_provider(loaded)
    if latents is not None:
        inputs = latents.inputs(loaded, rows, width, seed, label, numbers)
    else:
        inputs = _drawn(loaded, rows, width, seed, label, numbers, classes=classes, walks=steps is not None)
    values = loaded.run(inputs, batch_size=batch_size)
    written = [output]
    if drawn is None or media is None:
        _save_arrays(inputs, values, seed, output)
    elif walk is not None:
        made = values[drawn.name]
        _save_walk(media, drawn, made.reshape(rows, width, *made.shape[1:]), columns, output)
    else:
        in_rows = width if classes or steps is not None else None
        others = [(field, values[field.name]) for field in loaded.outputs if field is not drawn]
        written = _write(media, drawn, values[drawn.name], output, others, columns or in_rows, folder=folder)
    _sign(loaded, written, seed, given=False)
    _report(loaded, written, cells, seed, values[(drawn or loaded.outputs[0]).name].shape, as_json)


def _refuse_contradictions(
    classes: bool,
    steps: int | None,
    label: str | None,
    walk: int | None,
    given: Path | None,
    count: int | None,
    columns: int | None,
) -> None:
    """UsageError for options that exclude each other."""
    if classes and (steps is not None or label is not None):
        raise UsageError("--classes shows all classes: it cannot be used with --label or --interpolate.")
    if walk is not None and (classes or steps is not None or given is not None):
        raise UsageError("--walk cannot be used with --classes, --interpolate or --input.")
    if columns is not None and columns < 1:
        raise UsageError(f"A grid cannot have {columns} columns.")
    if given is not None and (classes or steps is not None or count is not None or columns is not None):
        raise UsageError(
            "--input cannot be used with -n, --classes, --interpolate or --columns: one sample per input."
        )


def _drawn(
    loaded: Generator,
    rows: int,
    width: int,
    seed: int,
    label: str | None,
    numbers: Mapping[str, Values],
    *,
    classes: bool,
    walks: bool,
) -> dict[str, NDArray[Any]]:
    """The inputs of all samples, row by row; `numbers` are the values of --set."""
    from ganzoo import sampling

    vectors = {
        field.name: numbers[field.name]
        for field in loaded.inputs
        if field.name in numbers and not sampling.can_draw(field)
    }
    if walks:
        inputs = loaded.draw_walks(rows, width, seed, label=label, **vectors)
    elif classes:
        inputs = loaded.draw_classes(width, seed, **vectors)
    else:
        inputs = loaded.draw_inputs(rows, seed, label=label, size=None, first_row=0, **vectors)
    return inputs | loaded.given(rows * width, numbers)


def _write(
    media: Media,
    field: Field,
    samples: NDArray[Any],
    output: Path,
    others: list[tuple[Field, NDArray[Any]]],
    columns: int | None,
    *,
    folder: bool,
) -> list[Path]:
    """Write the samples to a file of their kind, or with `folder` one file for each, named by its number."""

    def beside(rows: slice) -> dict[str, Any]:
        return {"others": [(other, values[rows]) for other, values in others]} if media.others else {}

    if not folder:
        return media.write(field, samples, output, columns=columns, **beside(slice(None)))
    with storage(output):
        output.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(samples) - 1))
    return [
        path
        for at in range(len(samples))
        for path in media.write(
            field,
            samples[at : at + 1],
            output / f"{at:0{digits}}{media.suffixes[0]}",
            single=True,
            **beside(slice(at, at + 1)),
        )
    ]


def _tile(text: str | None, loaded: Generator) -> int | None:
    """The side of tiles of --tile: None chooses it."""
    if text in (None, "auto"):
        return None
    if not (text or "").isdecimal():
        raise UsageError(f"--tile takes auto or a number, not '{text}'.", fix="--tile 256")
    if int(text or 0) and not loaded.multiples:
        raise UsageError("This generator has no free axis: it cannot work in tiles.", fix="leave --tile out")
    return int(text or 0)


def _say_provider(loaded: Generator) -> None:
    click.echo(f"{loaded.engine}, {loaded.provider}", err=True)
    if loaded.provider_note:
        click.echo(loaded.provider_note, err=True)


def _sign(loaded: Generator, written: list[Path], seed: int, *, given: bool) -> None:
    """Pictures and sounds carry a note that a generator made them, and which."""
    from ganzoo.util.provenance import CHANGED, SYNTHETIC, mark

    facts = {
        "generator": str(loaded.about.get("recipe", loaded.name)),
        "made": "from other media" if given else "from noise",
        "seed": seed,
        "sha256": loaded.sha256,
        "synthetic": True,
        **({"watermarked": True} if loaded.watermarked else {}),
    }
    for path in written:
        mark(path, f"ganzoo {__version__}", facts, CHANGED if given else SYNTHETIC)


def _report(
    loaded: Generator, written: list[Path], count: int, seed: int, shape: tuple[int, ...], as_json: bool
) -> None:
    if as_json:
        result = {"output": str(written[0]), "n": count, "seed": seed}
        more = {"files": [str(path) for path in written]} if len(written) > 1 else {}
        marks = {"watermarked": True} if loaded.watermarked else {}
        echo_json({**result, **more, "provider": loaded.provider, "shape": list(shape), **marks})
        return
    many = f"{counted(len(written), 'file')}, {written[0]} to {written[-1].name}"
    click.echo(f"wrote {many if len(written) > 1 else written[0]}")
    if loaded.watermarked:
        click.echo(
            "note: pictures of this generator carry an invisible watermark: "
            "ganzoo inspect FILE --watermark KEY looks for it",
            err=True,
        )


def _numbers(constants: tuple[str, ...]) -> dict[str, Values]:
    """The values of --set by name."""
    numbers: dict[str, Values] = {}
    for text in constants:
        name, _, value = text.partition("=")
        try:
            values = tuple(float(number) for number in value.split(","))
        except ValueError:
            raise UsageError(f"--set takes NAME=NUMBER, not '{text}'.", fix="--set psi=0.7") from None
        numbers[name] = values[0] if len(values) == 1 else values
    return numbers


def _sizes(loaded: Generator, sizes: tuple[str, ...], length: int | None) -> dict[str, int]:
    """The sizes of --size and --length by axis."""
    axes = tuple(loaded.multiples)
    every = "x".join("N" * len(axes))
    if not axes and (sizes or length is not None):
        raise UsageError("All sizes of this generator are fixed.", fix="leave out --size and --length")
    named: dict[str, int] = {}
    for text in (*sizes, *(() if length is None else (f"{length}",))):
        name, _, value = text.rpartition("=")
        numbers = value.lower().split("x")
        names = (name,) if name else axes
        if len(names) != len(numbers) or not all(number.isdecimal() for number in numbers):
            raise UsageError(
                f"'{text}' is no size of this generator; its free axes are {', '.join(axes)}.",
                fix=f"--size {axes[0]}=N, or " + ("--length N" if len(axes) == 1 else f"--size {every}"),
            )
        named |= {axis: int(number) for axis, number in zip(names, numbers, strict=True)}
    return named


def _refuse_without_input(loaded: Generator, numbers: Mapping[str, Values]) -> None:
    """UsageError for a generator that needs --input, or a vector that --set has not given."""
    from ganzoo.cli.generate_from import input_field

    missing = input_field(loaded, numbers)
    if missing is not None:
        fix = "--input PATH of a file of its kind, a folder of them, or an .npy array"
        if len(missing.shape) <= 1:
            fix = (
                f"--set {missing.name}={','.join(['0'] * prod(missing.shape))}, or an .npy array for --input"
            )
        raise UsageError(
            f"The generator '{loaded.name}' needs an input '{missing.name}' of shape {missing.shape}.",
            fix=fix,
        )


def _load(source: Path, generator: str, how: Mapping[str, Any]) -> Generator:
    """Like `runtime.load`, but without its warning, which the command prints itself."""
    from ganzoo import runtime
    from ganzoo.runtime import onnx_file

    file = onnx_file.find(source, generator)
    return runtime.from_bytes(onnx_file.read(file), where=str(file), **how)


def _reader(
    source: Path, loaded: Generator, numbers: Mapping[str, Values], how: Mapping[str, Any]
) -> Generator:
    """The generator that reads data: the loaded one, or the only other one of the bundle that does."""
    from ganzoo.cli.generate_from import input_field

    if input_field(loaded, numbers) is not None or not source.is_dir():
        return loaded
    others = [_load(file, "", how) for file in sorted(source.glob("*.onnx")) if file.stem != loaded.name]
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


def target(
    loaded: Generator, kinds: Kinds, output: Path | None, *, reads: bool = False
) -> tuple[Path, Field | None]:
    """The output file, and the first field that can be written to it; None for arrays.

    A path without an ending is a folder for files of the first field that has files of its own. If the
    generator `reads` data, that is the default, and a .csv may have its numbers. UsageError for a file of
    another type.
    """
    files = {suffix: field for field in reversed(loaded.outputs) for suffix in kinds.of(field.kind).suffixes}
    first = next((field for field in loaded.outputs if kinds.of(field.kind).suffixes), None)
    if output is None:
        usual = kinds.of(first.kind).suffixes[0] if first is not None else ".npz"
        output = Path("generated" if reads and first is not None else f"generated{usual}")
    suffix = ending(output, files)
    if suffix == ".npz" or (reads and suffix == ".csv" and suffix not in files and numbers_of(loaded)):
        return output, None
    if suffix in files:
        return output, files[suffix]
    if not suffix and first is not None:
        return output, first
    media = [kinds.of(field.kind) for field in loaded.outputs]
    nouns = ", ".join(dict.fromkeys(item.nouns for item in media))
    known = [*dict.fromkeys(suffix for item in media for suffix in item.suffixes)]
    raise UsageError(
        f"'{loaded.name}' writes {nouns}, which cannot be written as '{suffix}'.",
        where=str(output),
        fix=f"use {'a folder, ' if known else ''}{', '.join([*known, '.npz'])}",
    )


def ending(path: Path, known: Iterable[str]) -> str:
    """The ending of a file in lower case: the longest of the known ones, such as .nii.gz, or else any."""
    fitting = [suffix for suffix in known if path.name.lower().endswith(suffix)]
    return max(fitting, key=len, default=path.suffix.lower())


def numbers_of(loaded: Generator) -> list[Field]:
    """The outputs that are one number for each sample."""
    return [field for field in loaded.outputs if field.shape == ()]


def _layout(loaded: Generator, count: int | None, classes: bool, steps: int | None) -> tuple[int, int]:
    """Rows and columns of the samples; without --classes and --interpolate there is one column."""
    if count is not None and count < 1:
        raise UsageError(f"{count} is not a number of samples.", fix="-n 1 or more")
    if classes:
        if not loaded.classes:
            raise UsageError(f"The generator '{loaded.name}' has no classes.", fix="leave --classes out")
        return len(loaded.classes), count or 8
    if steps is not None:
        return count or 8, steps
    return count or 64, 1


def _no_walk(media: Media) -> UsageError:
    return UsageError(
        f"{media.nouns.capitalize()} cannot be animated: no still picture shows one.",
        fix="--interpolate STEPS writes walks as a file of their kind, with -o FOLDER a file for each step",
    )


def _save_walk(media: Media, field: Field, walks: NDArray[Any], columns: int | None, output: Path) -> None:
    """Animate the previews of the samples (n, steps, *shape) at each step, there and back."""
    from io import BytesIO

    from PIL import Image

    from ganzoo.images import save_animation

    frames = []
    for step in range(walks.shape[1]):
        found = media.preview(field, walks[:, step], columns=columns)
        if found is None or found.suffix not in Image.registered_extensions():
            raise _no_walk(media)
        frames.append(Image.open(BytesIO(found.data)))
        if getattr(frames[-1], "n_frames", 1) > 1:  # it moves itself
            raise _no_walk(media)
    save_animation([*frames, *frames[-2:0:-1]], output, 1 / WALK_RATE)


def _save_arrays(
    inputs: dict[str, NDArray[Any]], values: dict[str, NDArray[Any]], seed: int, output: Path
) -> None:
    """Write outputs by field name, the labels that were used, and the seed."""
    import numpy as np

    labels = {name: rows for name, rows in inputs.items() if rows.dtype == np.int64}
    save_arrays({**labels, **values, "seed": np.array(seed, dtype=np.uint64)}, output)
