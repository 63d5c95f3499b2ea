"""`ganzoo generate` without --input: samples from noise, latents or directions, laid out in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.cli.generate_files import Written, no_walk, sign, target, write_arrays, write_samples, write_walk
from ganzoo.cli.generate_latents import Latents, read_latents
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.api.media import Media
    from ganzoo.cli.generate_request import Request
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """`rows` of `width` samples; each row is a class, or steps from one latent to another."""

    rows: int
    width: int
    latents: Latents | None
    classes: bool
    walks: bool

    @property
    def samples(self) -> int:
        """All samples."""
        return self.rows * self.width

    @property
    def in_rows(self) -> int | None:
        """Samples of a row, where rows mean something."""
        return self.width if self.classes or self.walks else None


@dataclass(frozen=True, kw_only=True)
class _Target:
    """The file or folder, and the field whose samples it gets with its media record; None for arrays."""

    output: Path
    field: Field | None
    media: Media | None
    walk: bool

    @property
    def folder(self) -> bool:
        """Whether it is a folder with a file for each sample."""
        return not self.walk and self.media is not None and not self.output.suffix

    def check(self, samples: int) -> None:
        """UsageError for more samples than one file may hold."""
        if self.walk or self.folder or self.media is None or self.media.most is None:
            return
        if samples > self.media.most:
            raise UsageError(
                f"{samples:,} {self.media.nouns} are too many for a file; the limit is {self.media.most:,}.",
                fix="-o samples.npz, or -o FOLDER for a file each",
            )


def draw(loaded: Generator, kinds: Kinds, asked: Request) -> Written:
    """Draw the inputs, run the generator on them, and write what it makes. UsageError for what cannot be."""
    numbers = asked.numbers
    latents = _latents(loaded, asked)
    _refuse_without_input(loaded, {**numbers, **(latents.values if latents else {})})
    place = _target(loaded, kinds, asked)
    layout = _laid_out(loaded, asked, latents, kinds)
    place.check(layout.samples)
    inputs = _inputs(loaded, layout, asked, numbers)
    values = loaded.run(inputs, batch_size=asked.batch_size)
    shape = values[(place.field or loaded.outputs[0]).name].shape
    files = _write(loaded, inputs, values, place, layout, asked)
    sign(loaded, files, asked.seed, given=False)
    return Written(files=files, count=layout.samples, shape=shape)


def _latents(loaded: Generator, asked: Request) -> Latents | None:
    if not asked.has_latents:
        return None
    return read_latents(loaded, asked.latent, asked.directions, asked.direction, asked.strength)


def _target(loaded: Generator, kinds: Kinds, asked: Request) -> _Target:
    """Where the samples go. UsageError for walks of a kind that no still picture shows."""
    if asked.walk is None:
        output, field = target(loaded, kinds, asked.output)
        media = None if field is None else kinds.of(field.kind)
        return _Target(output=output, field=field, media=media, walk=False)
    field = _shown(loaded)
    media = kinds.of(field.kind)
    if not media.walks:
        raise no_walk(media)
    return _Target(output=asked.output or Path("generated.gif"), field=field, media=media, walk=True)


def _shown(loaded: Generator) -> Field:
    """What a walk shows."""
    return next((field for field in loaded.outputs if field.kind), loaded.outputs[0])


def _laid_out(loaded: Generator, asked: Request, latents: Latents | None, kinds: Kinds) -> _Layout:
    """How many samples, in which rows. UsageError for a number below 1, and without classes to show."""
    count = asked.count if latents is None else latents.rows or asked.count
    steps = asked.steps
    if steps is None and latents is not None:
        steps = latents.steps
    if asked.walk is not None:
        steps = asked.walk // 2 + 1
        count = (kinds.of(_shown(loaded).kind).count or 16) if count is None else count
    rows, width = _rows(loaded, count, asked.classes, steps)
    return _Layout(rows=rows, width=width, latents=latents, classes=asked.classes, walks=steps is not None)


def _rows(loaded: Generator, count: int | None, classes: bool, steps: int | None) -> tuple[int, int]:
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
    loaded: Generator, layout: _Layout, asked: Request, numbers: Mapping[str, Values]
) -> dict[str, NDArray[Any]]:
    """The inputs of all samples, row by row; `numbers` are the values of --set."""
    from ganzoo import sampling

    rows, width, seed, label = layout.rows, layout.width, asked.seed, asked.label
    if layout.latents is not None:
        return layout.latents.inputs(loaded, rows, width, seed, label, numbers)
    vectors = {
        field.name: numbers[field.name]
        for field in loaded.inputs
        if field.name in numbers and not sampling.can_draw(field)
    }
    if layout.walks:
        inputs = loaded.draw_walks(rows, width, seed, label=label, **vectors)
    elif layout.classes:
        inputs = loaded.draw_classes(width, seed, **vectors)
    else:
        inputs = loaded.draw_inputs(rows, seed, label=label, size=None, first_row=0, **vectors)
    return inputs | loaded.given(layout.samples, numbers)


def _write(
    loaded: Generator,
    inputs: Mapping[str, NDArray[Any]],
    values: Mapping[str, NDArray[Any]],
    place: _Target,
    layout: _Layout,
    asked: Request,
) -> list[Path]:
    field, media, output = place.field, place.media, place.output
    if field is None or media is None:
        write_arrays(inputs, values, asked.seed, output)
        return [output]
    made = values[field.name]
    if place.walk:
        walks = made.reshape(layout.rows, layout.width, *made.shape[1:])
        write_walk(media, field, walks, asked.columns, output)
        return [output]
    others = [(other, values[other.name]) for other in loaded.outputs if other is not field]
    columns = asked.columns or layout.in_rows
    return write_samples(media, field, made, output, others, columns, folder=place.folder)


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
