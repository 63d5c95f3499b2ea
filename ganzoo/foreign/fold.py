"""Weight norm and spectral norm of any spelling -> plain weights; prefixes of wrappers -> gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganzoo.foreign.arrays import LazyArray

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to each name."""

Arrays = Mapping[str, LazyArray]


def folded(arrays: Arrays) -> dict[str, LazyArray]:
    """The arrays without the prefixes of wrappers, and with one plain weight for each normed layer."""
    found = unwrapped(arrays)
    for rule in (_weight_norm, _parametrized, _spectral_norm, _power_iteration):
        rule(found)
    return found


def unwrapped(arrays: Arrays) -> dict[str, LazyArray]:
    """The arrays without the prefixes that wrappers add to all names."""
    found = dict(arrays)
    for prefix in WRAPPERS * 2:  # one wrapper in the other, in any order
        if found and all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def _weight_norm(found: dict[str, LazyArray]) -> None:
    """`weight_g`, `weight_v` of torch.nn.utils.weight_norm."""
    for key in [key for key in found if key.endswith("_g") and f"{key[:-1]}v" in found]:
        _replace(found, key[:-2], _with_length, key, f"{key[:-1]}v")


def _parametrized(found: dict[str, LazyArray]) -> None:
    """What torch.nn.utils.parametrizations calls weight_norm and spectral_norm."""
    for key in list(found):
        layer, marker, rest = key.rpartition("parametrizations.")
        name, _, part = rest.partition(".")
        start, target = f"{layer}{marker}{name}", f"{layer}{name}"
        if marker and part == "original0" and f"{start}.original1" in found:
            _replace(found, target, _with_length, key, f"{start}.original1")
        elif marker and part == "original" and f"{start}.0._u" in found:
            _replace(found, target, _over_sigma, key, f"{start}.0._u", f"{start}.0._v")


def _spectral_norm(found: dict[str, LazyArray]) -> None:
    """`weight_orig`, `weight_u`, `weight_v` of torch.nn.utils.spectral_norm; before torch 1.0 without v."""
    for key in [key for key in found if key.endswith("_orig")]:
        name = key.removesuffix("_orig")
        if f"{name}_u" in found and f"{name}_v" in found:
            _replace(found, name, _over_sigma, key, f"{name}_u", f"{name}_v")
        elif f"{name}_u" in found:
            _replace(found, name, _over_step, key, f"{name}_u")


def _power_iteration(found: dict[str, LazyArray]) -> None:
    """`weight` with `u0`, `sv0` (BigGAN-PyTorch) or `sn_u`, `sn_sigma` (mimicry): a step at each call."""
    for key in [key for key in found if key.rpartition(".")[2] == "weight"]:
        layer = key.removesuffix("weight")
        for vector, sigma in (("u0", "sv0"), ("sn_u", "sn_sigma")):
            if f"{layer}{vector}" in found:
                _replace(found, key, _over_step, key, f"{layer}{vector}")
                found.pop(f"{layer}{sigma}", None)


def _replace(found: dict[str, LazyArray], target: str, formula: Callable[..., Any], *sources: str) -> None:
    parts = [found.pop(source) for source in sources]
    largest = max(parts, key=lambda part: part.size)
    found[target] = LazyArray(largest.shape, "float32", lambda: formula(*(part.read() for part in parts)))


def _with_length(g: Any, v: Any) -> Any:
    """`g v / |v|`, where the length is over all dimensions in which g has one value."""
    import numpy as np

    axes = tuple(axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1)
    lengths = np.sqrt(np.square(v.astype(np.float64)).sum(axes or None, keepdims=True))
    return (v * (g / lengths)).astype(np.float32)


def _as_matrix(weight: Any, rows: int) -> Any:
    """(rows, others): rows are the second dimension, as in transposed layers, if the first does not fit."""
    if weight.shape[0] != rows and weight.ndim > 1 and weight.shape[1] == rows:
        weight = weight.swapaxes(0, 1)
    return weight.reshape(weight.shape[0], -1)


def _over_sigma(weight: Any, u: Any, v: Any) -> Any:
    """W / (u W v), as torch in eval mode."""
    import numpy as np

    sigma = u.ravel() @ _as_matrix(weight, u.size) @ v.ravel()
    return (weight / sigma).astype(np.float32)


def _over_step(weight: Any, u: Any) -> Any:
    """W / |W v|, where v is u W with length 1: one step of the power iteration from u."""
    import numpy as np

    matrix = _as_matrix(weight, u.size).astype(np.float64)
    v = u.ravel() @ matrix
    return (weight / np.linalg.norm(matrix @ (v / np.linalg.norm(v)))).astype(np.float32)
