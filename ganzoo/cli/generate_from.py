"""`ganzoo generate --input`: run a generator on images or an array; results keep the names of the inputs.

Owns how input files become values of a field, and where results are written. ganzoo/runtime/ does the
sampling.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo import images, sampling
from ganzoo.cli.common import save_arrays
from ganzoo.errors import UsageError
from ganzoo.image_files import (
    FITS,
    FORMATS,
    IMAGE_SUFFIXES,
    Fit,
    ImageFrame,
    decode_image,
    read_image_header,
    silence_pillow,
)
from ganzoo.util.files import storage

if TYPE_CHECKING:
    from ganzoo.fields import Field
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

Array = NDArray[Any]

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

    An `output` without a file ending is a folder with one .png per input. A .png shows inputs beside results,
    or only the result if there is one input. An .npz has arrays and names. UsageError for inputs that cannot
    be read and outputs that cannot be written.
    """
    field = input_field(loaded, numbers)
    if field is None:
        raise UsageError(f"The generator '{loaded.name}' reads no images.", fix="leave --input out")
    result = next((item for item in loaded.outputs if item.is_image), None)
    output = output or Path("generated" if result else "generated.npz")
    ending = output.suffix.lower()
    if ending not in ("", ".png", ".npz"):
        raise UsageError(
            f"'{ending}' is not a known file type.",
            where=str(output),
            fix="use a folder, .png or .npz",
        )
    if ending != ".npz" and result is None:
        raise UsageError(f"'{loaded.name}' writes nothing that can be drawn.", fix="-o results.npz")
    names, values = read_inputs(source, field, _fit(loaded))
    if ending and len({value.shape for value in values}) > 1:
        raise UsageError(
            "The inputs have different sizes: their results do not fit into one file.",
            where=str(source),
            fix="-o FOLDER",
        )
    _check_target(names, source, output, folder=ending == "")
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
    if ending == ".npz" or result is None:
        arrays = {name: np.stack(results) for name, results in made.items()}
        save_arrays({**arrays, "names": np.array(names)}, output)
    else:
        found = made[result.name]
        alike = len({one.shape for one in found}) == 1
        groups = [np.stack(found)] if alike else [one[None] for one in found]
        pixels = [image for group in groups for image in images.to_pixels(result, group)]
        if ending == "":
            for name, image in zip(names, pixels, strict=True):
                images.save(_image(image), output / f"{name}.png")
        elif len(pixels) == 1:
            images.save(_image(pixels[0]), output)
        else:
            shown = [images.to_pixels(field, np.stack(values))] if field.is_image else []
            images.save(images.grid(images.side_by_side([*shown, np.stack(pixels)]), columns=3), output)
    return output, len(values), (len(values), *made[(result or loaded.outputs[0]).name][0].shape)


def read_inputs(source: Path, field: Field, fit: Fit = "crop") -> tuple[list[str], Sequence[Array]]:
    """Names and float32 values, one array for each sample, of an image, a folder of images, or an .npy array.

    Free axes keep the sizes of the inputs.
    `fit` says how images of other sizes are resized, as in training.
    """
    with storage(source):
        if source.suffix.lower() == ".npy":
            return _read_array(source, field)
        if source.is_dir():
            files = sorted(
                path for path in source.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
            )
            if not files:
                raise UsageError(
                    "The folder has no images.",
                    where=str(source),
                    fix=f"known file endings: {', '.join(IMAGE_SUFFIXES)}; sub-folders are not read",
                )
        elif source.is_file():
            files = [source]
        else:
            raise UsageError("There is no image or folder at that path.", where=str(source))
        if not field.is_image:
            raise UsageError(
                f"'{field.name}' has shape {field.shape}, so it cannot be read from images.",
                fix="--input ARRAY.npy",
            )
        with warnings.catch_warnings():
            silence_pillow()
            frames = [_frame(path, field, fit) for path in files]
            _check_size(len(files), sum(frame.channels * frame.height * frame.width for frame in frames))
            pixels = [_read_image(path, frame) for path, frame in zip(files, frames, strict=True)]
    return [path.stem for path in files], [_as_floats(one, field) for one in pixels]


def _frame(path: Path, field: Field, fit: Fit) -> ImageFrame:
    """The size at which an image is read: its own along free axes, else that of the field."""
    channels, height, width = field.shape
    free = [axis in field.free for axis in field.axes[1:]] or [False, False]
    header = read_image_header(path) if any(free) else None
    if header is not None:
        down, across = header.height, header.width
        # With one free axis the image keeps its aspect ratio.
        sizes = (down, across) if all(free) else (max(1, round(down * width / across)), width)
        height, width = sizes if free[0] else (height, max(1, round(across * height / down)))
    return ImageFrame(height, width, channels, fit)


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
    axes = field.axes or ("",) * len(field.shape)
    return len(shape) == len(field.shape) and all(
        size == wanted or (axis in field.free and size > 0)
        for size, wanted, axis in zip(shape, field.shape, axes, strict=True)
    )


def _read_image(path: Path, frame: ImageFrame) -> NDArray[np.uint8]:
    try:
        return decode_image(path, frame)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The image cannot be read: {error}", where=str(path), fix=f"use one of {', '.join(FORMATS)}"
        ) from error


def _fit(loaded: Generator) -> Fit:
    """How images were resized in training; "crop" for older bundles, which do not say."""
    options = loaded.about.get("data_options")
    named = options.get("fit") if isinstance(options, Mapping) else None
    return next((fit for fit in FITS if fit == named), "crop")


def _read_array(path: Path, field: Field) -> tuple[list[str], list[Array]]:
    try:
        array: Array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"The array cannot be read: {error}", where=str(path)) from error
    shape = array.shape[1:]
    fits = _matches(shape, field)
    channels_last = field.is_image and not fits and _matches((*shape[-1:], *shape[:-1]), field)
    if array.ndim == 0 or not len(array) or not (fits or channels_last):
        raise UsageError(
            f"The array has shape {array.shape}.",
            where=str(path),
            fix=f"'{field.name}' needs {('n', *field.shape)}".replace("'n'", "n"),
        )
    _check_size(len(array), array.size)
    array = np.ascontiguousarray(array.transpose(0, 3, 1, 2) if channels_last else array)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise UsageError(
            f"The array has the type {array.dtype}.", where=str(path), fix="use uint8 or float32"
        )
    values = _as_floats(array, field)
    low, high = field.range or (-math.inf, math.inf)
    if not (np.isfinite(values).all() and values.min() >= low and values.max() <= high):
        raise UsageError(
            "The array has values that are not finite"
            + ("." if field.range is None else f" or outside {low:g}..{high:g}."),
            where=str(path),
            fix="use values in the range, or uint8 (0..255 is the whole range)",
        )
    width = len(str(len(values) - 1))
    return [f"{number:0{width}d}" for number in range(len(values))], list(values)


def _as_floats(values: Array, field: Field) -> Array:
    """Map 0..255 to the field's range, relative to its middle as in training; floats do not change."""
    if values.dtype != np.uint8 or field.range is None:
        return values.astype(np.float32)
    low, high = field.range
    scaled = (values.astype(np.float32) - np.float32(127.5)) * np.float32((high - low) / 255)
    return scaled + np.float32((low + high) / 2)


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


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
