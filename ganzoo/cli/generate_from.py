"""`ganzoo generate --input`: run a generator on files or an array; results keep the names of the inputs.

Owns how input files become values of a field, and where results are written. ganzoo/runtime/ does the
sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from ganzoo import sampling
from ganzoo.api.media import Media, as_floats
from ganzoo.cli.common import save_arrays, save_numbers
from ganzoo.errors import UsageError
from ganzoo.util.files import storage
from ganzoo.util.text import printable

if TYPE_CHECKING:
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

Array = NDArray[Any]

_NOTED = 3  # inputs that were changed
_LARGEST = 2**32  # bytes for all inputs together


def input_field(loaded: Generator, numbers: Mapping[str, Values]) -> Field | None:
    """The one input that can neither be drawn nor is among the `numbers`; None if there is none.

    UsageError if there are several.
    """
    given = [
        field
        for field in loaded.inputs
        if field.dtype == "float32" and not sampling.can_draw(field) and field.name not in numbers
    ]
    if len(given) > 1:
        raise UsageError(
            f"The generator '{loaded.name}' reads several fields: {', '.join(item.name for item in given)}.",
            fix="from Python: ganzoo.load(PATH).generate(n, NAME=array, ...)",
        )
    return given[0] if given else None


def translate(
    loaded: Generator,
    kinds: Kinds,
    source: Path,
    output: Path | None,
    *,
    seed: int,
    label: str | None,
    numbers: Mapping[str, Values],
    batch_size: int,
    resize: bool = False,
) -> tuple[list[Path], int, tuple[int, ...]]:
    """Run the generator on the inputs at `source`; returns files or the folder, the sample count, the shape.

    `numbers` are the values of other inputs. Along free axes inputs keep their sizes, unless `resize`.

    An `output` without a file ending is a folder with one file per input. A file of the kind of the results
    shows inputs beside results, or only the result if there is one input and one result. A .csv has the
    numbers that the generator writes for each input, an .npz arrays and names.
    UsageError for inputs that cannot be read and outputs that cannot be written.
    """
    from ganzoo.cli.generate import numbers_of, target

    field = input_field(loaded, numbers)
    if field is None:
        raise UsageError(f"The generator '{loaded.name}' reads no data.", fix="leave --input out")
    output, result = target(loaded, kinds, output, reads=True)
    folder = output.suffix == ""
    wanted = replace(field, free={}) if resize else field
    names, values = read_inputs(source, wanted, kinds.of(field.kind), _options(loaded))
    if not folder and len({value.shape for value in values}) > 1:
        raise UsageError(
            "The inputs have different sizes: their results do not fit into one file.",
            where=str(source),
            fix="-o FOLDER",
        )
    _check_target(names, source, output, folder=folder)
    fixed = {
        item.name: numbers[item.name]
        for item in loaded.inputs
        if item.name in numbers and not sampling.can_draw(item)
    }
    made: dict[str, list[Array]] = {item.name: [values[0]] * len(values) for item in loaded.outputs}
    padded = [_padded(value, field) for value in values]
    for shape in dict.fromkeys(value.shape for value in padded):
        rows = [row for row, value in enumerate(padded) if value.shape == shape]
        given = {field.name: np.stack([padded[row] for row in rows])}
        sized = loaded.at(None, given)
        inputs = sized.draw_inputs(len(rows), seed, label=label, size=None, **fixed, **given)
        inputs |= sized.given(len(rows), numbers)
        results = sized.run(inputs, batch_size=batch_size)
        for item in loaded.outputs:
            for row, one in zip(rows, results[item.name], strict=True):
                made[item.name][row] = _cropped(one, item, values[row], field, item.name in loaded.layouts)
    if any(value.shape != one.shape for value, one in zip(values, padded, strict=True)):
        multiples = ", ".join(f"{axis} {many}" for axis, many in field.free.items())
        click.echo(
            f"note: inputs were padded to multiples ({multiples}), and the results are cropped", err=True
        )
    if result is None and output.suffix.lower() == ".csv":
        save_numbers(names, {item.name: np.stack(made[item.name]) for item in numbers_of(loaded)}, output)
        return [output], len(values), (len(values),)
    if result is None:
        arrays = {name: np.stack(results) for name, results in made.items()}
        save_arrays({**arrays, "names": np.array(names)}, output)
        return [output], len(values), (len(values), *made[loaded.outputs[0].name][0].shape)
    # Several outputs of one kind are shown side by side, in their order.
    alike = [item for item in loaded.outputs if item.kind == result.kind]
    also, result = ([], result) if folder else (alike[:-1], alike[-1])
    media, found = kinds.of(result.kind), made[result.name]
    written = [output]
    if folder:
        for name, one in zip(names, found, strict=True):
            media.write(result, one[None], output / f"{name}{media.suffixes[0]}", single=True)
    elif len(found) == 1 and not also:
        written = media.write(result, found[0][None], output, single=True)
    else:
        beside = [(field, np.stack(values))] if field.kind == result.kind else []
        beside += [(item, np.stack(made[item.name])) for item in also]
        written = media.write(result, np.stack(found), output, columns=3, beside=beside)
    return written, len(values), (len(values), *found[0].shape)


def read_inputs(
    source: Path, field: Field, media: Media, options: Mapping[str, Any]
) -> tuple[list[str], Sequence[Array]]:
    """Names and float32 values, one array for each sample, of a file, a folder of files, or an .npy array.

    Free axes keep the sizes of the inputs. `options` are those of the training data, which say how samples of
    another size are resized.
    """
    from ganzoo.cli.generate import ending

    with storage(source):
        if source.suffix.lower() == ".npy":
            return _read_array(source, field)
        if not source.exists():
            raise UsageError(f"There is no {media.noun} or folder at that path.", where=str(source))
        if not media.reads:
            raise UsageError(
                f"'{field.name}' has shape {field.shape}, so it cannot be read from such files.",
                where=str(source),
                fix="--input ARRAY.npy",
            )
        files = [source]
        if source.is_dir():
            files = sorted(path for path in source.iterdir() if path.is_file() and media.accepts(path))
            if not files:
                raise UsageError(
                    f"The folder has no {media.nouns}.",
                    where=str(source),
                    fix=f"known file endings: {', '.join(media.reads)}; sub-folders are not read",
                )
        _check_size(len(files), len(files) * math.prod(field.shape))
        names: list[str] = []
        values: list[Array] = []
        changed: list[str] = []
        for path in files:
            part = _settled(field, _read_file(path, field, media, options), path)
            if what := media.changes(field, path, options):
                changed.append(f"{path.name}: {what}")
            known = ending(path, media.reads)
            stem = path.name[: -len(known)] if known in media.reads else path.name
            names += [stem if len(part) == 1 else f"{stem}-{at}" for at in range(len(part))]
            values += list(part)
            _check_size(len(values), sum(value.size for value in values))
    for text in changed[:_NOTED]:
        click.echo(f"note: {printable(text)}", err=True)
    if len(changed) > _NOTED:
        click.echo(f"note: and {len(changed) - _NOTED:,} more", err=True)
    return names, values


def _padded(value: Array, field: Field) -> Array:
    """The sample with its free axes enlarged at their ends to multiples, by reflection."""
    short = [0] * value.ndim
    for axis, multiple in field.free.items():
        at = field.axes.index(axis)
        short[at] = -value.shape[at] % multiple
    small = any(extra >= size for extra, size in zip(short, value.shape, strict=True))
    if not any(short):
        return value
    return np.pad(value, [(0, extra) for extra in short], mode="edge" if small else "reflect")


def _cropped(value: Array, item: Field, given: Array, field: Field, channels_last: bool) -> Array:
    """The output sample without what belongs to the padding of the input `given`, of the field `field`."""
    cuts = [slice(None)] * value.ndim
    for at, axis in enumerate(item.axes):
        if axis in item.free and axis in field.free:
            size = given.shape[field.axes.index(axis)]
            end = math.ceil(size * item.free[axis] / field.free[axis])
            cuts[(at - 1) % value.ndim if channels_last else at] = slice(end)
    return value[tuple(cuts)]


def _check_size(count: int, elements: int) -> None:
    size = 4 * elements
    if size >= _LARGEST:
        raise UsageError(
            f"{count:,} inputs need {size / 2**30:.1f} GiB of memory; the limit is 4 GiB.",
            fix=f"use at most {(_LARGEST - 1) * count // size:,} at a time",
        )


def _matches(shape: tuple[int, ...], field: Field) -> bool:
    """Whether a sample has the shape of the field, with any size of free axes."""
    return len(shape) == len(field.shape) and all(
        size == wanted or (wanted is None and size > 0)
        for size, wanted in zip(shape, field.sizes, strict=True)
    )


def _read_file(path: Path, field: Field, media: Media, options: Mapping[str, Any]) -> Array:
    try:
        found = np.asarray(media.read(field, path, options))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The {media.noun} cannot be read: {error}",
            where=str(path),
            fix=f"use one of {', '.join(media.reads)}",
        ) from error
    if not len(found) or not _matches(found.shape[1:], field):
        raise UsageError(
            f"The {media.noun} has the shape {found.shape[1:]}, '{field.name}' needs {field.shape}.",
            where=str(path),
        )
    return found


def _options(loaded: Generator) -> Mapping[str, Any]:
    """The options of the training data; older bundles do not have them."""
    options = loaded.about.get("data_options")
    return options if isinstance(options, Mapping) else {}


def _read_array(path: Path, field: Field) -> tuple[list[str], list[Array]]:
    try:
        array: Array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"The array cannot be read: {error}", where=str(path)) from error
    shape = array.shape[1:]
    fits = _matches(shape, field)
    channels_last = field.has_pixels and not fits and _matches((*shape[-1:], *shape[:-1]), field)
    if array.ndim == 0 or not len(array) or not (fits or channels_last):
        raise UsageError(
            f"The array has shape {array.shape}.",
            where=str(path),
            fix=f"'{field.name}' needs {('n', *field.shape)}".replace("'n'", "n"),
        )
    _check_size(len(array), array.size)
    array = np.ascontiguousarray(array.transpose(0, 3, 1, 2) if channels_last else array)
    width = len(str(len(array) - 1))
    return [f"{number:0{width}d}" for number in range(len(array))], list(_settled(field, array, path))


def _settled(field: Field, array: Array, path: Path) -> Array:
    """Checked values in the range of the field."""
    if array.dtype not in (np.uint8, np.uint16, np.int16, np.int32) and array.dtype.kind != "f":
        raise UsageError(
            f"The array has the type {array.dtype}.", where=str(path), fix="use uint8 or float32"
        )
    values = as_floats(field, array)
    low, high = field.range or (-math.inf, math.inf)
    if not (np.isfinite(values).all() and values.min() >= low and values.max() <= high):
        raise UsageError(
            "The array has values that are not finite"
            + ("." if field.range is None else f" or outside {low:g}..{high:g}."),
            where=str(path),
            fix="use values in the range, or uint8 (0..255 is the whole range)",
        )
    return values


def _check_target(names: Sequence[str], source: Path, output: Path, *, folder: bool) -> None:
    """UsageError if results would overwrite each other or the inputs. Creates the output `folder`."""
    inputs = source if source.is_dir() else source.parent
    taken = [inputs] if folder else [source, *(inputs.iterdir() if source.is_dir() else ())]
    if output.resolve() in {path.resolve() for path in taken}:
        raise UsageError(
            "The results would overwrite the inputs.", where=str(output), fix="choose another -o"
        )
    if not folder:
        return
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise UsageError(f"Two inputs have the name '{name}'.", where=str(source), fix="-o results.npz")
    with storage(output):
        output.mkdir(parents=True, exist_ok=True)
