"""Load an exported generator and sample it, with onnxruntime and numpy only.

Owns the metadata and the batches. `inputs.py` checks the values that a caller gives, `onnx_file.py` opens
the file. Nothing here imports torch or reads run directories.
"""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import sampling
from ganzoo.errors import DivergedError, UsageError
from ganzoo.fields import Field, multiples_of, resized, steps_of
from ganzoo.runtime import onnx_file
from ganzoo.runtime.guard.check import Checked
from ganzoo.runtime.guard.signature import Contract, compare, fixed_batch
from ganzoo.runtime.inputs import Values, checked, labels, spread, steps_for
from ganzoo.runtime.onnx_file import FORMAT
from ganzoo.util.progress import report_progress

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["FORMAT", "Generator", "from_bytes", "load"]

_LARGEST_RESULT = 2**32  # bytes


def load(
    path: Path | str,
    *,
    provider: str = "auto",
    generator: str = "generator",
    trust: bool = False,
    threads: int | None = None,
) -> Generator:
    """Load the generator in a bundle folder or an .onnx file.

    `provider` is `auto` (CUDA if it works, else the CPU), `cpu` or `cuda`. `generator` selects one of the
    generators of a bundle; a bundle with only one needs no name. `threads` of the CPU compute, by default as
    many as there are cores; a server that answers several requests at once is faster with 1. UsageError for
    a file that ganzoo did not export, that was changed since, or that is too new, and for CUDA that does not
    work. A warning if `auto` falls back to the CPU on a machine with an NVIDIA driver.

    `trust=True` also accepts a file that another program made and that has no seal of ganzoo. It must pass
    the checks of all files (a plain graph of known operators, all weights inside, no huge tensors) and a
    trial: a child process with limits on time and memory opens it and computes one batch. So a file cannot
    read other files, fill the memory or hang, as far as checks and trial can detect. They do not protect
    against flaws of onnxruntime itself, against sizes that only some inputs cause, or against images that
    differ from what the file's author claims. Float inputs become N(0, 1), int64 inputs become labels that
    must be given, outputs with 1, 3 or 4 channels become images in -1..1.
    """
    file = onnx_file.find(Path(path), generator)
    data = onnx_file.read(file)
    result = from_bytes(data, provider=provider, where=str(file), trust=trust, threads=threads)
    if result.provider_note:
        warnings.warn(result.provider_note, RuntimeWarning, stacklevel=3)  # the caller of ganzoo.load
    return result


def from_bytes(
    data: bytes,
    *,
    provider: str = "auto",
    where: str = "",
    trust: bool = False,
    threads: int | None = None,
) -> Generator:
    """Load the generator in the bytes of an .onnx file; arguments and errors as in `load`, but no warning."""
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads cannot compute.", fix="1 or more, or leave it out")
    opened = onnx_file.open_session(data, provider, where, trust=trust, threads=threads)
    found = opened.contract
    record: dict[str, Any] = {"generator": "generator", "about": {}, "parity": {}}
    if found is not None:
        for kind, fields in (("inputs", found.inputs), ("outputs", found.outputs)):
            record[kind] = [field.to_json() for field in fields]
        generator = Generator(opened.session, record, opened.note, checked=opened.checked, contract=found)
        generator.sha256 = hashlib.sha256(data).hexdigest()
        return generator
    with onnx_file.readable(where):
        generator = Generator(opened.session, opened.record, opened.note, checked=opened.checked)
        contract = Contract(inputs=generator.inputs, outputs=generator.outputs)
        compare(opened.checked.graph, contract, generator.layouts, where)
        generator.batch = fixed_batch(opened.checked.graph, where)
        generator.sha256 = hashlib.sha256(data).hexdigest()
    return generator


class Generator:
    """An exported generator, ready to sample.

    `inputs` and `outputs` are its fields; `layouts` names the outputs that are uint8 images
    ("uint8-nhwc"). `about` has the export's facts about the run. `classes` are the names of the label's
    classes, empty without a label. `engine` is onnxruntime with its version, `provider` the provider in use.
    `provider_note` says why `auto` did not use CUDA although there is an NVIDIA driver; else it is empty.
    `sha256` is that of its file. `watermarked`: its pictures carry the pattern of `export --watermark`.
    `batch` is the only batch size that the file takes; None if the size is free. `multiples` has the free
    axes, each with the multiple of the first output (else input) that has it, `steps` their sizes in
    multiples.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        record: Mapping[str, Any],
        provider_note: str = "",
        *,
        checked: Checked | None = None,
        contract: Contract | None = None,
    ) -> None:
        import onnxruntime

        self.sha256 = ""
        self._session = session
        self._checked = checked
        self.batch = contract.batch if contract else None
        self.name: str = record["generator"]
        self.inputs = onnx_file.fields_in(record, "inputs")
        self.layouts: dict[str, str] = {
            raw["name"]: raw["layout"] for raw in record["outputs"] if "layout" in raw
        }
        self.outputs = onnx_file.fields_in(record, "outputs")
        self.multiples = multiples_of((*self.outputs, *self.inputs))
        self.steps = steps_of((*self.inputs, *self.outputs))  # those of training
        self.about: dict[str, Any] = dict(record["about"])
        self.parity: dict[str, Any] = dict(record["parity"])
        self.watermarked = bool(record.get("watermark"))
        self.engine = f"onnxruntime {onnxruntime.__version__}"
        self.provider: str = session.get_providers()[0]
        self.provider_note = provider_note
        labels = [field for field in self.inputs if field.dtype == "int64" and field.shape == ()]
        # A file from another program may have labels, but no names of classes.
        named = [field for field in labels if field.classes or contract]
        self.label = next(iter(named), None)
        self.classes: tuple[str, ...] = self.label.classes if self.label else ()

    def at(
        self, size: Mapping[str, int] | None = None, fields: Mapping[str, Values | NDArray[Any]] | None = None
    ) -> Generator:
        """The same generator with fields for other sizes of its free axes, or itself where nothing differs.

        `size` has a size for each axis that differs from training, in elements of the first output that has
        the axis: a multiple of `multiples`. Arrays in `fields`, values of inputs, set the sizes as well.
        UsageError for an axis that is not free, sizes that are no multiple or contradict each other, and
        sizes that would take too much memory or work.
        """
        steps = {**self.steps, **steps_for(self.multiples, size or {}, self.inputs, fields or {})}
        if steps == self.steps:
            return self
        result = self.resized(steps)
        result._checked = self._checked and self._checked.at(result.inputs)
        return result

    def resized(self, steps: Mapping[str, int]) -> Generator:
        """The same generator with fields for so many steps, of any size: to be run in tiles."""
        result = copy.copy(self)
        result.steps = {**self.steps, **steps}
        result.inputs = tuple(resized(field, result.steps) for field in self.inputs)
        result.outputs = tuple(resized(field, result.steps) for field in self.outputs)
        return result

    def largest_tensor(self, steps: Mapping[str, int]) -> int:
        """Elements of the largest tensor for one sample of that size; UsageError where it is too large."""
        checked = self._checked and self._checked.at(self.resized(steps).inputs)
        return checked.largest if checked else 0

    def dimension(self, field: Field, axis: str) -> int:
        """Which dimension of an array of that field is the axis; the first one counts samples."""
        at = field.axes.index(axis)
        return at if field.name in self.layouts else at + 1

    def shape_of(self, field: Field, count: int) -> tuple[int, ...]:
        """The shape of an array of `count` samples of an output."""
        last = field.name in self.layouts
        return (count, *field.shape[1:], field.shape[0]) if last else (count, *field.shape)

    def generate(
        self,
        n: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        size: Mapping[str, int] | None = None,
        batch_size: int = 64,
        **fields: Values,
    ) -> NDArray[Any]:
        """`n` samples of the first output, shape (n, *shape); see `generate_all`."""
        made = self.generate_all(n, seed, label=label, size=size, batch_size=batch_size, **fields)
        return made[self.outputs[0].name]

    def generate_all(
        self,
        n: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        size: Mapping[str, int] | None = None,
        batch_size: int = 64,
        **fields: Values,
    ) -> dict[str, NDArray[Any]]:
        """`n` samples of every output by field name. Row i depends on the seed and i, not on n.

        `label` is a class, by number or name, or a number for each sample; random by default.
        `fields` gives values of inputs, (n, *shape) in the declared dtype, instead of random ones. A constant
        input accepts a single number (`psi=0.7`). Other inputs also accept the numbers of one sample, which
        then apply to all samples (`style=(1, 0)`).
        `size` gives sizes of free axes in place of those of training (`{"height": 96, "width": 128}`), see
        `at`; given arrays of another size set them as well.
        UsageError for values that the generator does not accept, and for inputs and outputs of 4 GiB or more;
        DivergedError for samples with NaN or infinity.
        """
        sized = self.at(size, fields)
        given, drawn = sized._given(n, label, fields)

        def rows(start: int, stop: int) -> dict[str, NDArray[Any]]:
            noise = sampling.draw(drawn, stop - start, seed, start)
            return {**noise, **{name: values[start:stop] for name, values in given.items()}}

        return sized._run(n, rows, batch_size)

    def images(
        self,
        n: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        size: Mapping[str, int] | None = None,
        batch_size: int = 64,
        **fields: Values,
    ) -> NDArray[np.uint8]:
        """`n` images, uint8 (n, height, width, channels); UsageError if no output is an image."""
        from ganzoo.images import to_pixels

        field = next((field for field in self.outputs if field.has_pixels), None)
        if field is None:
            raise UsageError(f"The generator '{self.name}' makes no images.", fix="use generate()")
        made = self.generate_all(n, seed, label=label, size=size, batch_size=batch_size, **fields)
        return to_pixels(field, made[field.name])

    def table(
        self, n: int, seed: int = 0, *, label: int | str | Sequence[int] | None = None, batch_size: int = 64
    ) -> dict[str, NDArray[Any]]:
        """`n` table rows by column: numbers as float64, categories as text; UsageError without a table."""
        from ganzoo.tabular import decode

        field = next((field for field in self.outputs if field.columns), None)
        if field is None:
            raise UsageError(f"The generator '{self.name}' makes no table.", fix="use generate()")
        return decode(field, self.generate_all(n, seed, label=label, batch_size=batch_size)[field.name])

    def interpolate(
        self,
        count: int,
        steps: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        size: Mapping[str, int] | None = None,
        batch_size: int = 64,
        **fields: Values,
    ) -> NDArray[Any]:
        """`count` interpolations of `steps` samples each: the first output, (count * steps, *shape).

        Rows r * steps to (r + 1) * steps are interpolation r. Inputs that are not noise (a label) are the
        same in all its rows. `fields` gives values of inputs for all rows, as for `generate_all`.
        """
        sized = self.at(size, fields)
        inputs = sized.draw_walks(count, steps, seed, label=label, **fields)
        return sized.run(inputs, batch_size=batch_size)[self.outputs[0].name]

    def draw_inputs(
        self,
        n: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        size: Mapping[str, int] | None = None,
        first_row: int = 0,
        **fields: Values,
    ) -> dict[str, NDArray[Any]]:
        """The values of all inputs for `n` samples: given values are checked, the others are drawn.

        Row i has the noise of sample `first_row` + i of the seed.
        """
        given, drawn = self.at(size, fields)._given(n, label, fields)
        return {**sampling.draw(drawn, n, seed, first_row), **given}

    def _given(
        self, n: int, label: int | str | Sequence[int] | None, fields: Mapping[str, Values]
    ) -> tuple[dict[str, NDArray[Any]], list[Field]]:
        """The checked values of the given inputs, and the inputs to draw."""
        if n < 1:
            raise UsageError(f"{n} samples cannot be made.", fix="ask for 1 or more")
        self._check_size(n)
        if label is not None:
            if self.label is None:
                raise UsageError(f"The generator '{self.name}' takes no label.", fix="do not give a label")
            if self.label.name in fields:
                raise UsageError(f"The label is given twice: as `label` and as `{self.label.name}`.")
            fields = {**fields, self.label.name: labels(n, label, self.classes)}
        given = self.given(n, fields)
        drawn = [field for field in self.inputs if field.name not in given]
        for field in drawn:
            if not sampling.can_draw(field):
                raise UsageError(
                    f"The generator needs values for '{field.name}': it is not random.",
                    fix=f"give {field.name}=, a {field.dtype} array of shape {(n, *field.shape)}",
                )
        return given, drawn

    def given(self, n: int, fields: Mapping[str, Values]) -> dict[str, NDArray[Any]]:
        """The checked values of inputs for `n` samples; `inputs.spread` allows numbers in place of arrays.

        UsageError for an input that the generator does not have, and for values of another shape, type or
        class.
        """
        known = {field.name: field for field in self.inputs}
        result: dict[str, NDArray[Any]] = {}
        for name, values in fields.items():
            if name not in known:
                raise UsageError(
                    f"The generator has no input '{name}'.", fix=f"its inputs are {', '.join(known)}"
                )
            result[name] = checked(known[name], spread(known[name], values, n), n)
        return result

    def draw_walks(
        self,
        count: int,
        steps: int,
        seed: int = 0,
        *,
        label: int | str | Sequence[int] | None = None,
        **fields: Values,
    ) -> dict[str, NDArray[Any]]:
        """The inputs of `interpolate`, one interpolation after the other.

        UsageError without noise fields, for no interpolation, and for less than two steps.
        """
        noise = [
            field
            for field in self.inputs
            if field.source in ("normal", "uniform") and field.dtype == "float32"
        ]
        if not noise:
            raise UsageError(f"The generator '{self.name}' reads no noise: it cannot interpolate.")
        if count < 1 or steps < 2:
            raise UsageError(
                f"{count} interpolations of {steps} steps cannot be made.",
                fix="ask for at least 1 interpolation of 2 steps",
            )
        self._check_size(count * steps)
        given = self.given(count * steps, fields)
        first = {name: values[::steps] for name, values in given.items()}
        starts = self.draw_inputs(count, seed, label=label, size=None, first_row=0, **first)
        ends = sampling.draw(noise, count, seed, count)
        inputs = {name: values.repeat(steps, axis=0) for name, values in starts.items()}
        for field in noise:
            pairs = zip(starts[field.name], ends[field.name], strict=True)
            for index, (a, b) in enumerate(pairs):
                rows = slice(index * steps, (index + 1) * steps)
                inputs[field.name][rows] = sampling.interpolate(a, b, steps, field.source)
        return inputs | given

    def draw_classes(self, n: int, seed: int = 0, **fields: Values) -> dict[str, NDArray[Any]]:
        """Inputs for `n` samples of each class, class after class, with the same noise for all classes.

        UsageError if the generator has no classes, or no names of them.
        """
        if self.label is None:
            raise UsageError(f"The generator '{self.name}' has no classes.")
        count = len(self.classes)
        if not count:
            raise UsageError(f"The generator '{self.name}' has no names of classes.", fix="give a label")
        self._check_size(n * count)
        given = self.given(n * count, fields)
        first = {name: values[:n] for name, values in given.items()}
        inputs = self.draw_inputs(n, seed, label=0, size=None, first_row=0, **first)
        inputs = {name: np.concatenate([values] * count) for name, values in inputs.items()} | given
        inputs[self.label.name] = np.arange(count, dtype=np.int64).repeat(n)
        return inputs

    def run(self, inputs: Mapping[str, NDArray[Any]], *, batch_size: int = 64) -> dict[str, NDArray[Any]]:
        """All outputs for inputs like those of `draw_inputs`, computed `batch_size` rows at a time."""
        sized, count = self.at(None, inputs), len(next(iter(inputs.values())))
        sized._check_size(count)

        def rows(start: int, stop: int) -> dict[str, NDArray[Any]]:
            return {name: values[start:stop] for name, values in inputs.items()}

        return sized._run(count, rows, batch_size)

    def _run(
        self, count: int, rows: Callable[[int, int], dict[str, NDArray[Any]]], batch_size: int
    ) -> dict[str, NDArray[Any]]:
        """All outputs for `count` samples; `rows(start, stop)` returns the inputs of these rows."""
        if batch_size < 1:
            raise UsageError(f"The batch size cannot be {batch_size}.", fix="64 suits most machines")
        results = {field.name: self._empty(field, count) for field in self.outputs}
        step = self.batch or min(batch_size, self._checked.most_rows if self._checked else batch_size)
        for start in range(0, count, step):
            stop = min(start + step, count)
            inputs = rows(start, stop)
            if self.batch:
                inputs = {name: _padded(values, self.batch) for name, values in inputs.items()}
            try:
                parts = self._session.run(list(results), inputs)
            except Exception as error:  # onnxruntime has an exception class for each kind of failure
                message = ascii(str(error))[1:-1]
                raise UsageError(
                    f"onnxruntime could not run the generator: {message}",
                    fix="a smaller batch size" + ", or a larger size" * bool(self.multiples),
                ) from error
            for target, part in zip(results.values(), parts, strict=True):
                wanted = (self.batch or stop - start, *target.shape[1:])
                if part.shape != wanted:
                    raise UsageError(f"The generator returned an array of shape {part.shape}, not {wanted}.")
                if part.dtype.kind == "f" and not np.isfinite(part).all():
                    raise DivergedError(
                        f"The generator '{self.name}' made samples with values that are not finite.",
                        fix="check the inputs that you gave, or export an earlier checkpoint: "
                        "ganzoo export RUN --checkpoint best",
                    )
                target[start:stop] = part[: stop - start]
            report_progress("samples made", stop, count)
        return results

    def _empty(self, field: Field, count: int) -> NDArray[Any]:
        kind = np.uint8 if field.name in self.layouts else field.dtype
        return np.empty(self.shape_of(field, count), dtype=kind)

    def _check_size(self, n: int) -> None:
        """UsageError if inputs and outputs are too large; a sample's noise may be larger than its output."""
        fields = [field for field in (*self.inputs, *self.outputs) if field.name not in self.layouts]
        size = sum(math.prod(field.shape) * np.dtype(field.dtype).itemsize for field in fields)
        size += sum(math.prod(field.shape) for field in self.outputs if field.name in self.layouts)
        if n * size >= _LARGEST_RESULT:
            raise UsageError(
                f"{n} samples would take {n * size / 2**30:.1f} GiB of memory; 4 GiB is the limit.",
                fix=f"make at most {(_LARGEST_RESULT - 1) // size} at a time, each time with another seed",
            )


def _padded(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """The values with their last row repeated until there are `rows`."""
    return np.concatenate([values, values[-1:].repeat(rows - len(values), axis=0)])
