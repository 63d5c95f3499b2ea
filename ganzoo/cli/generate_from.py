"""`ganzoo generate --input`: run a generator on files or an array; results keep the names of the inputs.

Owns how input files become values of a field, and where results are written. ganzoo/runtime/ does the
sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from ganzoo import sampling
from ganzoo.api.media import Media, as_floats
from ganzoo.cli.common import save_arrays, save_numbers
from ganzoo.cli.generate_files import Written, ending, numbers_of, sign, target
from ganzoo.errors import UsageError
from ganzoo.runtime.inputs import steps_for
from ganzoo.runtime.tiles import auto_tile, run_in_tiles
from ganzoo.util.files import storage
from ganzoo.util.progress import report_progress
from ganzoo.util.text import printable
from ganzoo.util.walk import is_hidden

if TYPE_CHECKING:
    from ganzoo.cli.generate_request import Request
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

Array = NDArray[Any]

_NOTED = 3  # inputs that were changed
_LARGEST = 2**32  # bytes for all inputs together
_AT_ONCE = 2**26  # bytes of inputs that are read before results go to a folder


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


@dataclass(frozen=True)
class _Runs:
    """A generator, and what it is given besides its inputs. `tile`: None chooses, 0 uses no tiles."""

    loaded: Generator
    field: Field
    seed: int
    label: str | None
    numbers: Mapping[str, Values]
    batch_size: int
    tile: int | None

    def __call__(self, values: Sequence[Array], start: int = 0) -> dict[str, list[Array]]:
        """All outputs for samples of any sizes; noise is that of the rows from `start` on."""
        made: dict[str, list[Array]] = {item.name: [values[0]] * len(values) for item in self.loaded.outputs}
        padded = [_padded(value, self.field) for value in values]
        for shape in dict.fromkeys(value.shape for value in padded):
            rows = [row for row, value in enumerate(padded) if value.shape == shape]
            results = self._results(np.stack([padded[row] for row in rows]), start)
            for item in self.loaded.outputs:
                for row, one in zip(rows, results[item.name], strict=True):
                    last = item.name in self.loaded.layouts
                    made[item.name][row] = _cropped(one, item, values[row], self.field, last)
        if any(value.shape != one.shape for value, one in zip(values, padded, strict=True)) and not start:
            multiples = ", ".join(f"{axis} {many}" for axis, many in self.field.free.items())
            click.echo(
                f"note: inputs were padded to multiples ({multiples}), and the results are cropped", err=True
            )
        return made

    def _results(self, stacked: Array, start: int) -> Mapping[str, Array]:
        given = {self.field.name: stacked}
        whole = self.loaded.resized(steps_for(self.loaded.multiples, {}, self.loaded.inputs, given))
        side = auto_tile(whole) if self.tile is None else self.tile
        if side == 0:
            whole = self.loaded.at(None, given)
        fixed = {
            item.name: self.numbers[item.name]
            for item in whole.inputs
            if item.name in self.numbers and not sampling.can_draw(item)
        }
        count = len(stacked)
        inputs = whole.draw_inputs(
            count, self.seed, label=self.label, size=None, first_row=start, **fixed, **given
        )
        inputs |= whole.given(count, self.numbers)
        if side == 0 or max(stacked.shape[1:]) <= side:
            return whole.run(inputs, batch_size=self.batch_size)
        parts = []
        for row in range(count):
            one = {name: array[row : row + 1] for name, array in inputs.items()}
            made, overlap = run_in_tiles(whole, one, side)
            parts.append(made)
            if not overlap.enough and not start and not row:
                click.echo(
                    f"note: each result depends on the whole input, so tiles differ by up to "
                    f"{overlap.difference:.3f} of the range; seams are blended",
                    err=True,
                )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def translate(loaded: Generator, kinds: Kinds, asked: Request) -> Written:
    """Run the generator on the inputs at `asked.given`, and write one sample for each.

    Along free axes inputs keep their sizes, unless sizes were asked for.

    An output without a file ending is a folder with one file per input. A file of the kind of the results
    shows inputs beside results, or only the result if there is one input and one result. A .csv has the
    numbers that the generator writes for each input, an .npz arrays and names. Damaged files of a folder are
    left out with a note.
    UsageError for inputs that cannot be read and outputs that cannot be written.
    """
    source, numbers = asked.given, asked.numbers
    assert source is not None  # noqa: S101
    field = input_field(loaded, numbers)
    if field is None:
        raise UsageError(f"The generator '{loaded.name}' reads no data.", fix="leave --input out")
    output, result = target(loaded, kinds, asked.output, reads=True)
    wanted = replace(field, free={}) if asked.sizes_of(loaded) else field
    inputs = _Inputs(source, wanted, kinds.of(field.kind), _options(loaded))
    tile = asked.tile_of(loaded)
    runs = _Runs(loaded, field, asked.seed, asked.label, numbers, asked.batch_size, tile)
    if output.suffix == "" and result is not None:
        return _into_folder(runs, inputs, result, kinds.of(result.kind), output)
    written = _into_file(runs, inputs, result, kinds, output)
    sign(loaded, written.files, asked.seed, given=True)
    return written


def _into_file(runs: _Runs, inputs: _Inputs, result: Field | None, kinds: Kinds, output: Path) -> Written:
    """All results in one file: samples of `result`, numbers, or arrays."""
    loaded, field, source = runs.loaded, runs.field, inputs.source
    names, values = inputs.all()
    if len({value.shape for value in values}) > 1:
        raise UsageError(
            "The inputs have different sizes: their results do not fit into one file.",
            where=str(source),
            fix="-o FOLDER",
        )
    _check_target(names, source, output, folder=False)
    made = runs(values)
    count = len(values)
    if result is None and output.suffix.lower() == ".csv":
        save_numbers(names, {item.name: np.stack(made[item.name]) for item in numbers_of(loaded)}, output)
        return Written(files=[output], count=count, shape=(count,))
    if result is None:
        arrays = {name: np.stack(results) for name, results in made.items()}
        save_arrays({**arrays, "names": np.array(names)}, output)
        return Written(files=[output], count=count, shape=(count, *made[loaded.outputs[0].name][0].shape))
    # Several outputs of one kind are shown side by side, in their order.
    alike = [item for item in loaded.outputs if item.kind == result.kind]
    also, result = alike[:-1], alike[-1]
    media, found = kinds.of(result.kind), made[result.name]
    if len(found) == 1 and not also:
        files = _write_one(media, result, found[0], output, inputs.kept(source, result))
    else:
        beside = [(field, np.stack(values))] if field.kind == result.kind else []
        beside += [(item, np.stack(made[item.name])) for item in also]
        files = media.write(result, np.stack(found), output, columns=3, beside=beside)
    return Written(files=files, count=count, shape=(count, *found[0].shape))


def read_inputs(
    source: Path, field: Field, media: Media, options: Mapping[str, Any]
) -> tuple[list[str], list[Array]]:
    """Names and values of the samples at a path; `options` are those of the training data."""
    return _Inputs(source, field, media, options).all()


def _into_folder(runs: _Runs, inputs: _Inputs, result: Field, media: Media, output: Path) -> Written:
    """One file for each sample, written as soon as it is made, so that a folder may have any length.

    Each is signed at once: an interrupted run leaves only files with a note.
    """
    _check_target(inputs.stems(), inputs.source, output, folder=True)
    written: list[Path] = []
    done, shape = 0, (0,)
    for names, values, files in inputs.parts(_AT_ONCE):
        made = runs(values, done)[result.name]
        with storage(output):
            output.mkdir(parents=True, exist_ok=True)
        for name, one, file in zip(names, made, files, strict=True):
            path, kept = output / f"{name}{media.suffixes[0]}", inputs.kept(file, result)
            files_of_one = _write_one(media, result, one, path, kept)
            sign(runs.loaded, files_of_one, runs.seed, given=True)
            written += files_of_one
        done, shape = done + len(made), made[-1].shape
        report_progress(f"{media.nouns} written", done)
    return Written(files=written, count=done, shape=(done, *shape), folder=output)


def _write_one(media: Media, field: Field, sample: Array, path: Path, kept: object) -> list[Path]:
    more: dict[str, Any] = {} if kept is None else {"kept": kept}
    return media.write(field, sample[None], path, single=True, **more)


@dataclass(frozen=True)
class _Inputs:
    """The samples at a path: a file, a folder of files, or an .npy array. `options`: of the training data."""

    source: Path
    field: Field
    media: Media
    options: Mapping[str, Any]

    def all(self) -> tuple[list[str], list[Array]]:
        """Names and values of all samples."""
        names: list[str] = []
        values: list[Array] = []
        for more, part, _ in self.parts(_LARGEST):
            names += more
            values += part
            _check_size(len(values), sum(value.size for value in values))
        return names, values

    def kept(self, file: Path, result: Field) -> object:
        """What a file has beyond its values, if the result is of the same kind; None if nothing."""
        if result.kind != self.field.kind or file.suffix.lower() == ".npy" or not file.is_file():
            return None
        return self.media.kept(self.field, file, self.options)

    def stems(self) -> list[str]:
        """The names of the files without their endings."""
        return [self._stem(path) for path in self._files()]

    def parts(self, most: int) -> Iterator[tuple[list[str], list[Array], list[Path]]]:
        """Names, values and files of samples, about `most` bytes at a time."""
        names: list[str] = []
        values: list[Array] = []
        files: list[Path] = []
        noted = _Notes()
        for path in self._files():
            part = self._read(path, noted)
            stem = self._stem(path)
            digits = len(str(max(0, len(part) - 1)))
            if path.suffix.lower() == ".npy":
                names += [f"{at:0{digits}d}" for at in range(len(part))]
            else:
                names += [stem if len(part) == 1 else f"{stem}-{at}" for at in range(len(part))]
            values += part
            files += [path] * len(part)
            if sum(value.nbytes for value in values) >= most:
                yield names, values, files
                names, values, files = [], [], []
        noted.end()
        if values:
            yield names, values, files

    def _stem(self, path: Path) -> str:
        known = ending(path, self.media.reads)
        return path.name[: -len(known)] if known in self.media.reads else path.name

    def _files(self) -> list[Path]:
        source, media = self.source, self.media
        with storage(source):
            if source.suffix.lower() == ".npy":
                return [source]
            if not source.exists():
                raise UsageError(f"There is no {media.noun} or folder at that path.", where=str(source))
            if not media.reads:
                raise UsageError(
                    f"'{self.field.name}' has shape {self.field.shape}: it cannot be read from such files.",
                    where=str(source),
                    fix="--input ARRAY.npy",
                )
            if not source.is_dir():
                return [source]
            visible = (path for path in source.iterdir() if path.is_file() and not is_hidden(path.name))
            files = sorted(path for path in visible if media.accepts(path))
            if not files:
                raise UsageError(
                    f"The folder has no {media.nouns}.",
                    where=str(source),
                    fix=f"known file endings: {', '.join(media.reads)}; sub-folders are not read",
                )
            return files

    def _read(self, path: Path, noted: _Notes) -> list[Array]:
        """The samples of a file; none of a damaged one in a folder."""
        with storage(path):
            if self.source.suffix.lower() == ".npy":
                return _read_array(path, self.field)
            try:
                part = _settled(self.field, _read_file(path, self.field, self.media, self.options), path)
            except UsageError as error:
                if not self.source.is_dir():
                    raise
                noted.skipped(f"{path.name} is skipped: {error.what}", error)
                return []
            noted.read()
            if what := self.media.changes(self.field, path, self.options):
                noted.changed(f"{path.name}: {what}")
            return list(part)


class _Notes:
    """Says what happened to files, the first few by name; an error if none could be read."""

    def __init__(self) -> None:
        self._count = Counter[str]()
        self._first: UsageError | None = None

    def read(self) -> None:
        """A file was read."""
        self._count["read"] += 1

    def skipped(self, text: str, error: UsageError) -> None:
        """A file could not be used."""
        self._first = self._first or error
        self._say("skipped", text)

    def changed(self, text: str) -> None:
        """A file was changed when it was read."""
        self._say("changed", text)

    def end(self) -> None:
        """Say how many more; UsageError if all files were skipped."""
        for kind in ("skipped", "changed"):
            if self._count[kind] > _NOTED:
                click.echo(f"note: and {self._count[kind] - _NOTED:,} more were {kind}", err=True)
        if self._first is not None and not self._count["read"]:
            raise self._first

    def _say(self, kind: str, text: str) -> None:
        self._count[kind] += 1
        if self._count[kind] <= _NOTED:
            click.echo(f"note: {printable(text)}", err=True)


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


def _read_array(path: Path, field: Field) -> list[Array]:
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
    return list(_settled(field, array, path))


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
    """UsageError if results would overwrite each other or the inputs."""
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
