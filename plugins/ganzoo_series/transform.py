"""How series become what networks see, and back: returns, scales, and Gaussianisation by Lambert's W.

A value v of a column, or its log return, becomes x = (W(v) - a) / b, where W is w = (v - c) / d followed by
the inverse of the heavy tail w = u exp(delta u^2 / 2). Every step has an exact inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Floats = NDArray[np.float64]

ROUNDS, CLOSE = 100, 1e-6  # of IGMM


class Scale(NamedTuple):
    """The numbers of one column: v = c + d w, w = u exp(delta u^2 / 2), u = a + b x."""

    a: float = 0.0
    b: float = 1.0
    delta: float = 0.0
    c: float = 0.0
    d: float = 1.0

    def forward(self, values: Floats) -> Floats:
        """Values of the data -> what networks see."""
        return (gaussianise((values - self.c) / self.d, self.delta) - self.a) / self.b

    def inverse(self, seen: Floats) -> Floats:
        """What networks see -> values of the data."""
        return self.c + self.d * heavy_tailed(self.a + self.b * seen, self.delta)


def gaussianise(w: Floats, delta: float) -> Floats:
    """sign(w) sqrt(W(delta w^2) / delta): thinner tails (Goerg 2015, equation 8). The same for delta 0."""
    if delta == 0:
        return w
    found: Floats = np.sign(w) * np.sqrt(special.lambertw(delta * w * w).real / delta)
    return found


def heavy_tailed(u: Floats, delta: float) -> Floats:
    """The inverse of `gaussianise`: u exp(delta u^2 / 2)."""
    return u * np.exp(delta / 2 * u * u)


def fit_tail(values: Floats) -> tuple[float, float, float]:
    """(mu, sigma, delta) of heavy-tailed values (n,) by the method IGMM (Goerg 2015, algorithm 3).

    delta makes the kurtosis of the Gaussianised values 3.
    """
    delta = _first_delta(values)
    mu, sigma = float(np.median(values)), float(values.std() * (1 - 2 * delta) ** 0.75)
    for _ in range(ROUNDS):
        before = np.array([mu, sigma, delta])
        z = (values - mu) / sigma
        delta = _delta_of(z, delta)
        centred = mu + sigma * gaussianise(z, delta)
        mu, sigma = float(centred.mean()), float(centred.std())
        if np.linalg.norm(before - (mu, sigma, delta)) < CLOSE:
            break
    return mu, sigma, delta


def _first_delta(values: Floats) -> float:
    """Taylor approximation from the kurtosis (Goerg 2015, equation 13), kept in 0.01..0.48."""
    kurtosis = _kurtosis(values)
    inside = 66 * kurtosis - 162
    return float(np.clip((np.sqrt(inside) - 6) / 66, 0.01, 0.48)) if inside > 0 else 0.01


def _delta_of(z: Floats, start: float) -> float:
    def error(logarithm: NDArray[Any]) -> float:
        return float((_kurtosis(gaussianise(z, float(np.exp(logarithm[0])))) - 3) ** 2)

    found = optimize.minimize(error, [np.log(start)], method="Nelder-Mead")
    return float(np.exp(found.x[0]))


def _kurtosis(values: Floats) -> float:
    centred = values - values.mean()
    return float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-300))


def fit_scale(values: Floats, kind: str) -> Scale:
    """The scale of one column (n,): `minmax` onto -1..1, `standard` to mean 0 and deviation 1, or `gauss`.

    `gauss` is the order of Wiese et al. 2020: standardise, remove the heavy tail, standardise again.
    """
    if kind == "minmax":
        low, high = float(values.min()), float(values.max())
        return Scale(c=(low + high) / 2, d=(high - low) / 2)
    mean, deviation = float(values.mean()), float(values.std())
    if kind == "standard":
        return Scale(c=mean, d=deviation)
    mu, sigma, delta = fit_tail((values - mean) / deviation)
    plain = Scale(delta=delta, c=mean + deviation * mu, d=deviation * sigma)
    u = plain.forward(values)
    return plain._replace(a=float(u.mean()), b=float(u.std()))


def log_returns(levels: Floats) -> Floats:
    """ln(p_t / p_(t-1)) over the first axis: (n + 1, ...) -> (n, ...)."""
    return np.diff(np.log(levels), axis=0)


def forward(values: Floats, scales: Sequence[Scale]) -> NDArray[np.float32]:
    """(..., C) values or returns -> what networks see."""
    columns = [scale.forward(values[..., at]) for at, scale in enumerate(scales)]
    return np.stack(columns, axis=-1).astype(np.float32)


def inverse(seen: NDArray[Any], scales: Sequence[Scale]) -> Floats:
    """(..., C) as networks see it -> values or returns."""
    columns = [scale.inverse(seen[..., at].astype(np.float64)) for at, scale in enumerate(scales)]
    return np.stack(columns, axis=-1)
