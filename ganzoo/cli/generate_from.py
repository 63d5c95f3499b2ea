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

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo import images, sampling
from ganzoo.cli.common import save_arrays
from ganzoo.errors import UsageError
from ganzoo.image_files import FITS, FORMATS, IMAGE_SUFFIXES, Fit, ImageFrame, decode_image, silence_pillow
from ganzoo.util.files import storage

if TYPE_CHECKING:
    from ganzoo.fields import Field
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
    field = input_field(loaded)
    if field is None:
        raise UsageError(f"The generator '{loaded.name}' reads no images.", fix="leave --input out")
    output = output or Path("generated")
    ending = output.suffix.lower()
    result = next((item for item in loaded.outputs if item.is_image), None)
    if ending not in ("", ".png", ".npz"):
        raise UsageError(
            f"'{ending}' is not a known file type.",
            where=str(output),
            fix="use a folder, .png or .npz",
        )
    if ending != ".npz" and result is None:
        raise UsageError(f"'{loaded.name}' writes nothing that can be drawn.", fix="-o results.npz")
    names, values = read_inputs(source, field, _fit(loaded))
    _check_target(names, source, output, folder=ending == "")
    inputs = loaded.draw_inputs(len(values), seed, label=label, **{field.name: values})
    inputs |= loaded.given(len(values), numbers)
    made = loaded.run(inputs, batch_size=batch_size)
    if ending == ".npz" or result is None:
        save_arrays({**made, "names": np.array(names)}, output)
    else:
        pixels = images.to_pixels(result, made[result.name])
        if ending == "":
            for name, image in zip(names, pixels, strict=True):
                images.save(_image(image), output / f"{name}.png")
        elif len(pixels) == 1:
            images.save(_image(pixels[0]), output)
        else:
            shown = [images.to_pixels(field, values)] if field.is_image else []
            images.save(images.grid(images.side_by_side([*shown, pixels]), columns=3), output)
    return output, len(values), made[(result or loaded.outputs[0]).name].shape


def read_inputs(source: Path, field: Field, fit: Fit = "crop") -> tuple[list[str], Array]:
    """Names and float32 values (n, *shape) of an image, a folder of images, or an .npy array.

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
        _check_size(len(files), field)
        channels, height, width = field.shape
        with warnings.catch_warnings():
            silence_pillow()
            values = np.stack([_read_image(path, ImageFrame(height, width, channels, fit)) for path in files])
    return [path.stem for path in files], _as_floats(values, field)


def _check_size(count: int, field: Field) -> None:
    size = 4 * math.prod(field.shape)
    if count * size >= _LARGEST:
        raise UsageError(
            f"{count:,} inputs need {count * size / 2**30:.1f} GiB of memory; the limit is 4 GiB.",
            fix=f"use at most {(_LARGEST - 1) // size:,} at a time",
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


def _read_array(path: Path, field: Field) -> tuple[list[str], Array]:
    try:
        array: Array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"The array cannot be read: {error}", where=str(path)) from error
    shape = array.shape[1:]
    channels_last = field.is_image and shape == (*field.shape[1:], field.shape[0]) and shape != field.shape
    if array.ndim == 0 or not len(array) or (shape != field.shape and not channels_last):
        raise UsageError(
            f"The array has shape {array.shape}.",
            where=str(path),
            fix=f"'{field.name}' needs {('n', *field.shape)}".replace("'n'", "n"),
        )
    _check_size(len(array), field)
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
    return [f"{number:0{width}d}" for number in range(len(values))], values


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
