"""`ganzoo generate --input`: run a generator on files or an array; results keep the names of the inputs.

Owns how input files become values of a field, and where results are written. ganzoo/runtime/ does the
sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import sampling
from ganzoo.api.media import Media, as_floats
from ganzoo.cli.common import save_arrays
from ganzoo.errors import UsageError
from ganzoo.util.files import storage

if TYPE_CHECKING:
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

Array = NDArray[Any]

_LARGEST = 2**32  # bytes for all inputs together


def input_field(loaded: Generator) -> Field | None:
    """The one input that cannot be drawn at random, or None. UsageError if there are several."""
    given = [field for field in loaded.inputs if field.dtype == "float32" and not sampling.can_draw(field)]
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
) -> tuple[Path, int, tuple[int, ...]]:
    """Run the generator on the inputs at `source`; returns the output path, the sample count, the shape.

    `numbers` are the values of other inputs.

    An `output` without a file ending is a folder with one file per input. A file of the kind of the results
    shows inputs beside results, or only the result if there is one input. An .npz has arrays and names.
    UsageError for inputs that cannot be read and outputs that cannot be written.
    """
    from ganzoo.cli.generate import target

    field = input_field(loaded)
    if field is None:
        raise UsageError(f"The generator '{loaded.name}' reads no data.", fix="leave --input out")
    output, result = target(loaded, kinds, output, folder=True)
    folder = output.suffix == ""
    names, values = read_inputs(source, field, kinds.of(field.kind), _options(loaded))
    _check_target(names, source, output, folder=folder)
    inputs = loaded.draw_inputs(len(values), seed, label=label, **{field.name: values})
    inputs |= loaded.given(len(values), numbers)
    made = loaded.run(inputs, batch_size=batch_size)
    if result is None:
        save_arrays({**made, "names": np.array(names)}, output)
        return output, len(values), made[loaded.outputs[0].name].shape
    media, samples = kinds.of(result.kind), made[result.name]
    if folder:
        for at, name in enumerate(names):
            path = output / f"{name}{media.suffixes[0]}"
            media.write(result, samples[at : at + 1], path, single=True)
    elif len(samples) == 1:
        media.write(result, samples, output, single=True)
    else:
        beside = [(field, values)] if field.kind == result.kind else []
        media.write(result, samples, output, columns=3, beside=beside)
    return output, len(values), samples.shape


def read_inputs(
    source: Path, field: Field, media: Media, options: Mapping[str, Any]
) -> tuple[list[str], Array]:
    """Names and float32 values (n, *shape) of a file, a folder of files, or an .npy array.

    `options` are those of the training data, which say how samples of another size are resized.
    """
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
            files = sorted(
                path for path in source.iterdir() if path.suffix.lower() in media.reads and path.is_file()
            )
            if not files:
                raise UsageError(
                    f"The folder has no {media.nouns}.",
                    where=str(source),
                    fix=f"known file endings: {', '.join(media.reads)}; sub-folders are not read",
                )
        _check_size(len(files), field)
        parts = [_read_file(path, field, media, options) for path in files]
    names = [
        path.stem if len(part) == 1 else f"{path.stem}-{number}"
        for path, part in zip(files, parts, strict=True)
        for number in range(len(part))
    ]
    _check_size(len(names), field)
    return names, _settled(field, np.concatenate(parts), source)


def _check_size(count: int, field: Field) -> None:
    size = 4 * math.prod(field.shape)
    if count * size >= _LARGEST:
        raise UsageError(
            f"{count:,} inputs need {count * size / 2**30:.1f} GiB of memory; the limit is 4 GiB.",
            fix=f"use at most {(_LARGEST - 1) // size:,} at a time",
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
    if not len(found) or found.shape[1:] != field.shape:
        raise UsageError(
            f"The {media.noun} has the shape {found.shape[1:]}, '{field.name}' needs {field.shape}.",
            where=str(path),
        )
    return found


def _options(loaded: Generator) -> Mapping[str, Any]:
    """The options of the training data; older bundles do not have them."""
    options = loaded.about.get("data_options")
    return options if isinstance(options, Mapping) else {}


def _read_array(path: Path, field: Field) -> tuple[list[str], Array]:
    try:
        array: Array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"The array cannot be read: {error}", where=str(path)) from error
    shape = array.shape[1:]
    channels_last = field.has_pixels and shape == (*field.shape[1:], field.shape[0]) and shape != field.shape
    if array.ndim == 0 or not len(array) or (shape != field.shape and not channels_last):
        raise UsageError(
            f"The array has shape {array.shape}.",
            where=str(path),
            fix=f"'{field.name}' needs {('n', *field.shape)}".replace("'n'", "n"),
        )
    _check_size(len(array), field)
    array = np.ascontiguousarray(array.transpose(0, 3, 1, 2) if channels_last else array)
    width = len(str(len(array) - 1))
    return [f"{number:0{width}d}" for number in range(len(array))], _settled(field, array, path)


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
