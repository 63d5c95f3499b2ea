"""`ganzoo generate --latent` and `--directions`: inputs from a file, steps along a direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values

    Array = NDArray[Any]

STEPS = 7
"""Samples of a row along a direction."""


@dataclass(frozen=True)
class Latents:
    """Values of inputs, (rows, *shape) by name, and a step in one of them, by its name: (*shape).

    Without values, `rows` is 0. Samples move from -strength to +strength times the step.
    """

    values: Mapping[str, Array]
    step: tuple[str, Array] | None
    strength: float

    @property
    def rows(self) -> int:
        """The number of samples in the file of latents."""
        return len(next(iter(self.values.values()), ()))

    @property
    def steps(self) -> int | None:
        """The usual number of samples in a row; None without a direction."""
        return None if self.step is None else STEPS

    def inputs(
        self,
        loaded: Generator,
        rows: int,
        width: int,
        seed: int,
        label: str | None,
        numbers: Mapping[str, Values],
    ) -> dict[str, Array]:
        """The inputs of all samples, row by row; `numbers` are the values of --set."""
        known: dict[str, Any] = {**{name: numbers[name] for name in numbers}, **self.values}
        classes = known.pop(loaded.label.name, None) if loaded.label is not None else None
        given: Any = label if label is not None else None if classes is None else classes.tolist()
        inputs = loaded.draw_inputs(rows, seed, label=given, size=None, first_row=0, **known)
        return inputs if self.step is None else along(inputs, self.step, self.strength, width)


def read_latents(
    loaded: Generator, latent: Path | None, directions: Path | None, direction: int, strength: float
) -> Latents:
    """The latents and the direction of these files, for this generator. UsageError where they do not fit."""
    values = {} if latent is None else _values(latent, loaded)
    step = None if directions is None else _direction(directions, direction, loaded)
    return Latents(values, step, strength)


def along(
    inputs: Mapping[str, Array], direction: tuple[str, Array], strength: float, steps: int
) -> dict[str, Array]:
    """Each row of the inputs `steps` times; its field moves from -strength to +strength of the direction."""
    import numpy as np

    name, step = direction
    rows = len(inputs[name])
    result = {key: value.repeat(steps, axis=0) for key, value in inputs.items()}
    shares = np.tile(np.linspace(-strength, strength, steps, dtype=np.float32), rows)
    result[name] = result[name] + shares.reshape(-1, *(1,) * step.ndim) * step.astype(np.float32)
    return result


def _values(path: Path, loaded: Generator) -> dict[str, Array]:
    arrays = _arrays(path)
    names = {field.name for field in loaded.inputs}
    known = {name: value for name, value in arrays.items() if name in names}
    if not known or len({len(value) if value.ndim else 0 for value in known.values()}) != 1:
        raise UsageError(
            "The inputs in the file differ in the number of their rows."
            if known
            else "The file has no values of this generator's inputs.",
            where=f"{path} has: {', '.join(arrays) or 'nothing'}",
            fix=f"the inputs are {', '.join(field.name for field in loaded.inputs)}; "
            "ganzoo project RUN PICTURE writes such files",
        )
    return known


def _direction(path: Path, number: int, loaded: Generator) -> tuple[str, Array]:
    """The input that a direction changes, and the step (*shape). Directions count from 1."""
    arrays = _arrays(path)
    for field in loaded.inputs:
        vectors = arrays.get(field.name)
        if vectors is None or vectors.shape[1:] != field.shape or vectors.dtype.kind != "f":
            continue
        if number > len(vectors):
            raise UsageError(
                f"There is no direction {number} in the file.", where=str(path), fix=f"1 to {len(vectors)}"
            )
        return field.name, vectors[number - 1]
    raise UsageError(
        "The file has no directions for an input of this generator.",
        where=f"{path} has: {', '.join(f'{name} {value.shape}' for name, value in arrays.items())}",
        fix="ganzoo directions RUN, with the run that was exported",
    )


def _arrays(path: Path) -> dict[str, Array]:
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (
        OSError,
        ValueError,
        EOFError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UsageError(f"The .npz file cannot be read: {error}", where=str(path)) from error
