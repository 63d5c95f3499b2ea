"""`ganzoo generate`: sample an exported generator into an image, a table or an array file.

Owns the options and the layout of a grid. ganzoo/runtime/ does the sampling, images.py the drawing. torch is
never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.common import echo_json, save_arrays
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.fields import Field
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

_MOST_CELLS = 10_000


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
    "--input",
    "given",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Input of an image-to-image generator: an image, a folder of images, or an .npy array.",
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
@click.option(
    "--generator", default="generator", show_default=True, help="Which generator, if the bundle has several."
)
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where onnxruntime computes.",
)
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
    help="A .png, .csv or .npz file; with --input also a folder [generated, with a fitting ending].",
)
@click.option("--columns", type=int, help="Number of images per row of the grid.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for scripts.")
def command(
    source: Path,
    count: int | None,
    seed: int,
    label: str | None,
    classes: bool,
    steps: int | None,
    constants: tuple[str, ...],
    psi: float | None,
    given: Path | None,
    generator: str,
    provider: str,
    batch_size: int,
    trust: bool,
    output: Path | None,
    columns: int | None,
    as_json: bool,
) -> None:
    """Sample an exported generator with onnxruntime, without torch.

    Writes a grid of images (.png), a table (.csv), or arrays by field name (.npz). With --input, writes one
    image per input.
    """
    if classes and (steps is not None or label is not None):
        raise UsageError("--classes shows all classes: it cannot be used with --label or --interpolate.")
    if columns is not None and columns < 1:
        raise UsageError(f"A grid cannot have {columns} columns.")
    numbers = {**_numbers(constants), **({} if psi is None else {"psi": psi})}
    if given is not None and (classes or steps is not None or count is not None or columns is not None):
        raise UsageError(
            "--input cannot be used with -n, --classes, --interpolate or --columns: one sample per input."
        )
    loaded = _load(source, provider, generator, trust)
    if given is not None:
        options = {"seed": seed, "label": label, "numbers": numbers, "batch_size": batch_size}
        _translate(loaded, given, output, options, as_json)
        return
    _refuse_without_input(loaded)
    output, drawn = _target(loaded, output)
    rows, width = _layout(loaded, count, classes, steps)
    cells = rows * width
    if drawn is not None and drawn.is_image and cells > _MOST_CELLS:
        raise UsageError(
            f"A grid of {cells:,} images is too large; the limit is {_MOST_CELLS:,}.", fix="-o samples.npz"
        )
    click.echo(f"{loaded.engine}, {loaded.provider}", err=True)
    if loaded.provider_note:
        click.echo(loaded.provider_note, err=True)
    inputs = _inputs(loaded, rows, width, seed, label, classes, steps) | loaded.given(cells, numbers)
    values = loaded.run(inputs, batch_size=batch_size)
    if drawn is None:
        _save_arrays(inputs, values, seed, output)
    elif drawn.columns:
        _save_table(drawn, values[drawn.name], output)
    else:
        in_rows = width if classes or steps is not None else None
        _save_image(drawn, values[drawn.name], columns or in_rows, output)
    _report(loaded, output, cells, seed, values[(drawn or loaded.outputs[0]).name].shape, as_json)


def _report(
    loaded: Generator, output: Path, count: int, seed: int, shape: tuple[int, ...], as_json: bool
) -> None:
    if as_json:
        result = {"output": str(output), "n": count, "seed": seed}
        echo_json({**result, "provider": loaded.provider, "shape": list(shape)})
    else:
        click.echo(f"wrote {output}")


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


def _refuse_without_input(loaded: Generator) -> None:
    """UsageError for a generator that needs --input."""
    from ganzoo.cli.generate_from import input_field

    missing = input_field(loaded)
    if missing is not None:
        raise UsageError(
            f"The generator '{loaded.name}' needs an input '{missing.name}' of shape {missing.shape}.",
            fix="--input PATH of an image, a folder of images or an .npy array",
        )


def _translate(
    loaded: Generator, given: Path, output: Path | None, options: Mapping[str, Any], as_json: bool
) -> None:
    from ganzoo.cli.generate_from import translate

    click.echo(f"{loaded.engine}, {loaded.provider}", err=True)
    if loaded.provider_note:
        click.echo(loaded.provider_note, err=True)
    target, n, shape = translate(loaded, given, output, **options)
    _report(loaded, target, n, options["seed"], shape, as_json)


def _load(source: Path, provider: str, generator: str, trust: bool) -> Generator:
    """Like `runtime.load`, but without its warning, which the command prints itself."""
    from ganzoo import runtime
    from ganzoo.runtime import onnx_file

    file = onnx_file.find(source, generator)
    return runtime.from_bytes(onnx_file.read(file), provider=provider, where=str(file), trust=trust)


def _target(loaded: Generator, output: Path | None) -> tuple[Path, Field | None]:
    """The output file, and the field that is drawn or written there; None for arrays."""
    from ganzoo import images

    table = next((field for field in loaded.outputs if field.columns), None)
    image = next((field for field in loaded.outputs if images.can_draw(field)), None)
    shown = {".csv": table, ".png": image}
    if output is None:
        output = Path("generated" + next((ending for ending, field in shown.items() if field), ".npz"))
    ending = output.suffix.lower()
    if ending not in (*shown, ".npz"):
        raise UsageError(
            f"'{ending}' is not a known file type.", where=str(output), fix="use .png, .csv or .npz"
        )
    if ending in shown and shown[ending] is None:
        made, other = ("images", ".png") if image else ("a table", ".csv") if table else ("", ".npz")
        what = "no table" if ending == ".csv" else "nothing that can be drawn"
        made += ", " * bool(made)
        raise UsageError(f"'{loaded.name}' writes {made}{what}.", fix=f"-o samples{other}")
    return output, shown.get(ending)


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


def _inputs(
    loaded: Generator, rows: int, width: int, seed: int, label: str | None, classes: bool, steps: int | None
) -> dict[str, NDArray[Any]]:
    if steps is not None:
        return loaded.draw_walks(rows, steps, seed, label=label)
    if not classes:
        return loaded.draw_inputs(rows, seed, label=label)
    return loaded.draw_classes(width, seed)


def _save_image(field: Field, values: NDArray[Any], columns: int | None, output: Path) -> None:
    from ganzoo import images

    image = images.draw(field, values, columns=columns)
    if image is not None:
        images.save(image, output)


def _save_table(field: Field, values: NDArray[Any], output: Path) -> None:
    from ganzoo.tabular import to_csv
    from ganzoo.util.files import write_bytes

    write_bytes(output, to_csv(field, values))


def _save_arrays(
    inputs: dict[str, NDArray[Any]], values: dict[str, NDArray[Any]], seed: int, output: Path
) -> None:
    """Write outputs by field name, the labels that were used, and the seed."""
    import numpy as np

    labels = {name: rows for name, rows in inputs.items() if rows.dtype == np.int64}
    save_arrays({**labels, **values, "seed": np.array(seed, dtype=np.uint64)}, output)
