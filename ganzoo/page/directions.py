"""Directions of a noise field along which samples change most."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.fields import Field
from ganzoo.runtime.generator import Generator

__all__ = ["directions_of"]

COUNT = 6
_POINTS = 4  # of the latent space, at which the change is measured
_STEP = 0.1
_MOST_VALUES = 2**28  # of all samples together: half a minute for the largest networks that a page takes


def directions_of(generator: Generator) -> dict[str, Any] | None:
    """`field`, the generator's first noise vector, and `vectors`: up to `COUNT` directions of length 1.

    The eigenvectors of the mean of J'J, J being the derivatives of the first float output (Ramesh et al.
    2018, "A Spectral Regularizer for Unsupervised Disentanglement"), by differences at `_POINTS` points.
    The first axes where that would take too long. None without a noise vector, or where a value must be given.
    """
    noise = next((field for field in generator.inputs if _is_vector(field)), None)
    output = next((field for field in generator.outputs if field.dtype == "float32"), None)
    if noise is None or output is None:
        return None
    size = math.prod(noise.shape)
    if _POINTS * (size + 1) * math.prod(output.shape) > _MOST_VALUES:
        vectors = np.eye(size)[:COUNT]
    else:
        vectors = _changes(generator, noise, output)
    return {"field": noise.name, "vectors": np.round(vectors, 5).tolist()}


def _is_vector(field: Field) -> bool:
    return field.dtype == "float32" and field.source in ("normal", "uniform") and math.prod(field.shape) > 1


def _changes(generator: Generator, noise: Field, output: Field) -> NDArray[np.float64]:
    size = math.prod(noise.shape)
    given = {field.name: np.zeros(field.shape) for field in generator.inputs if _must_be_given(field)}
    total = np.zeros((size, size))
    for seed in range(_POINTS):
        rows = {name: value.repeat(size + 1, 0) for name, value in _row(generator, seed, given).items()}
        moved = rows[noise.name].reshape(size + 1, size)
        moved[np.arange(size), np.arange(size)] += _STEP
        samples = generator.run(rows)[output.name].reshape(size + 1, -1).astype(np.float64)
        change = (samples[:-1] - samples[-1]) / _STEP
        total += change @ change.T
    _, vectors = np.linalg.eigh(total)
    found = vectors.T[::-1][:COUNT]
    strongest = found[np.arange(len(found)), np.abs(found).argmax(1)]
    directed: NDArray[np.float64] = found * np.sign(strongest)[:, None]  # else the sign is chance
    return directed


def _must_be_given(field: Field) -> bool:
    return field.source == "data" and not field.classes


def _row(generator: Generator, seed: int, given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    kinds = {field.name: field.dtype for field in generator.inputs}
    values = {name: value[None].astype(kinds[name]) for name, value in given.items()}
    return generator.draw_inputs(1, seed, label=None, size=None, **values)
