"""Directions of change in latents, from the weights alone (SeFa).

Shen and Zhou 2021, Closed-Form Factorization of Latent Semantics in GANs, arXiv:2007.06600: where a layer
computes A z + b, a step n of length 1 changes its output by A n. |A n|^2 is largest for the eigenvectors of
A^T A with the largest eigenvalues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganzoo.api.networks import Net
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.networks.apply import example, inputs_of

__all__ = ["Directions", "directions_of", "factorised"]


@dataclass(frozen=True)
class Directions:
    """Steps of length 1 in a field: `vectors` (k, *shape), the strongest first, `values` (k,) their |A n|^2.

    A field with more axes gets the same step in each row (StyleGAN2's styles of all layers). `layers` names
    the weights in use.
    """

    field: str
    vectors: NDArray[np.float32]
    values: NDArray[np.float64]
    layers: tuple[str, ...]


def directions_of(net: Net, fields: Mapping[str, Field], count: int) -> Directions:
    """The first `count` directions of a generator: of the field that `net.directions` names, else of noise.

    UsageError for a generator in which no layer reads its noise as it is.
    """
    for name, patterns in net.directions.items():
        named = dict(net.module.named_modules())
        layers = [key for key in named if any(fnmatchcase(key, pattern) for pattern in patterns)]
        weights = [named[key].weight.detach() for key in layers]
        if weights:
            matrix = torch.cat([weight.flatten(0, -2) for weight in weights])
            return _directions(fields[name], matrix, layers, count)
    found = _first_layer(net, fields)
    if found is None:
        noise = ", ".join(field.name for field in _noise(net, fields)) or "none"
        raise UsageError(
            "No layer of this generator reads a noise vector as it is, and its architecture names none.",
            where=f"its noise vectors: {noise}",
            fix="Net.directions of the architecture names the layers that a vector goes to",
        )
    field, layer, matrix = found
    return _directions(field, matrix, [layer], count)


def factorised(matrix: NDArray[Any], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(outputs, d) -> eigenvalues (k,) and eigenvectors (k, d) of A^T A, the largest first; k <= d.

    The largest component of each vector is positive, as an eigenvector has no sign.
    """
    exact = matrix.astype(np.float64)
    values, vectors = np.linalg.eigh(exact.T @ exact)
    values, vectors = values[::-1][:count], vectors.T[::-1][:count]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], axis=1)
    return np.maximum(values, 0.0), vectors * np.sign(largest)


def _directions(field: Field, matrix: Tensor, layers: Sequence[str], count: int) -> Directions:
    values, vectors = factorised(matrix.cpu().float().numpy(), count)
    rows = (1,) * (len(field.shape) - 1)
    whole = np.broadcast_to(vectors.reshape(len(vectors), *rows, -1), (len(vectors), *field.shape))
    return Directions(field.name, np.ascontiguousarray(whole, np.float32), values, tuple(layers))


def _noise(net: Net, fields: Mapping[str, Field]) -> list[Field]:
    read = [fields[name] for name in net.reads]
    return [item for item in read if item.source in ("normal", "uniform") and len(item.shape) == 1]


def _first_layer(net: Net, fields: Mapping[str, Field]) -> tuple[Field, str, Tensor] | None:
    """The first layer whose input has a noise vector in it, and its weight's columns for it (outputs, d)."""
    batch = example([fields[name] for name in net.reads], 2)
    found: list[tuple[Field, str, Tensor]] = []

    def look(name: str, layer: nn.Module, given: tuple[Any, ...]) -> None:
        matrix = _matrix(layer)
        if found or matrix is None or not given or not isinstance(given[0], Tensor) or given[0].ndim < 2:
            return
        values = given[0].flatten(1)
        for field in _noise(net, fields):
            size = field.shape[0]
            for start in range(min(values.shape[1], matrix.shape[1]) - size + 1):
                if torch.equal(values[:, start : start + size], batch[field.name]):
                    found.append((field, name, matrix[:, start : start + size]))
                    return

    handles = [
        part.register_forward_pre_hook(lambda layer, given, name=name: look(name, layer, given))
        for name, part in net.module.named_modules()
    ]
    net.module.eval()
    with torch.no_grad():
        net.module(*inputs_of(net, batch))
    for handle in handles:
        handle.remove()
    return found[0] if found else None


def _matrix(layer: nn.Module) -> Tensor | None:
    """The weight of a layer as (outputs, inputs), where its input has one place; None without a weight."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2 or isinstance(layer, nn.Embedding):
        return None
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return weight.detach().flatten(1).T  # (inputs, outputs, ...) with an input of one pixel
    return weight.detach() if weight.ndim == 2 else weight.detach().flatten(2).sum(2)
