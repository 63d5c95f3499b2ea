"""`ganzoo generate --latent` and `--directions`: inputs from a file, steps along a direction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.runtime.generator import Generator

Array = NDArray[Any]

STEPS = 7
"""Samples of a row along a direction."""


def read_latents(path: Path, loaded: Generator) -> dict[str, Array]:
    """The values of inputs in an .npz file of `ganzoo project`, (n, *shape) by name, n the same for all."""
    arrays = _arrays(path)
    known = {name: arrays[name] for name in arrays if name in {field.name for field in loaded.inputs}}
    if not known or len({len(value) if value.ndim else 0 for value in known.values()}) != 1:
        raise UsageError(
            "The file has no values of this generator's inputs."
            if not known
            else "The inputs in the file differ in the number of their rows.",
            where=f"{path} has: {', '.join(arrays) or 'nothing'}",
            fix=f"the inputs are {', '.join(field.name for field in loaded.inputs)}; "
            "ganzoo project RUN PICTURE writes such files",
        )
    return known


def read_direction(path: Path, number: int, loaded: Generator) -> tuple[str, Array]:
    """The input that a direction of the file changes, and the step (*shape). Directions count from 1."""
    arrays = _arrays(path)
    for field in loaded.inputs:
        vectors = arrays.get(field.name)
        if vectors is None or vectors.shape[1:] != field.shape or vectors.dtype.kind != "f":
            continue
        if not 1 <= number <= len(vectors):
            raise UsageError(
                f"There is no direction {number} in the file.", where=str(path), fix=f"1 to {len(vectors)}"
            )
        return field.name, vectors[number - 1]
    raise UsageError(
        "The file has no directions for an input of this generator.",
        where=f"{path} has: {', '.join(f'{name} {value.shape}' for name, value in arrays.items())}",
        fix="ganzoo directions RUN, with the run that was exported",
    )


def along(
    inputs: Mapping[str, Array], direction: tuple[str, Array], strength: float, steps: int
) -> dict[str, Array]:
    """Each row of the inputs `steps` times; its field moves from -strength to +strength of the direction."""
    name, step = direction
    rows = len(inputs[name])
    result = {key: value.repeat(steps, axis=0) for key, value in inputs.items()}
    shares = np.tile(np.linspace(-strength, strength, steps, dtype=np.float32), rows)
    result[name] = result[name] + shares.reshape(-1, *(1,) * step.ndim) * step.astype(np.float32)
    return result


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, TypeError, AttributeError) as error:
        raise UsageError(f"The .npz file cannot be read: {error}", where=str(path)) from error
    except Exception as error:  # zipfile.BadZipFile, zlib.error
        raise UsageError(f"The .npz file is damaged: {error}", where=str(path)) from error
