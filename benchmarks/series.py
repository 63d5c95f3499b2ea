"""Compares long generated returns with a real series, as in section 7 of Wiese et al. 2020 (QuantGAN).

    python -m benchmarks.series BUNDLE FILE.csv --column Close --paths 128 --length 4000

Prints distances as JSON: `generated` against the whole real series, and `floor`, the first half of the real
series against the second one. Autocorrelations of x, |x| and x^2 and the leverage effect are compared by the
L2 distance over 250 lags, after a mean over the generated paths. `emd_K` are earth mover's distances of
returns over K steps, in real standard deviations.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import ganzoo
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.media import SeriesMedia
from ganzoo_series.metrics import Series, autocorrelation, earth_mover, leverage_effect, sums
from ganzoo_series.read_series import read_series
from ganzoo_series.transform import log_returns

Floats = NDArray[np.float64]

LAGS = 250
STEPS = (1, 5, 20, 100)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--column", required=True)
    parser.add_argument("--paths", type=int, default=128)
    parser.add_argument("--length", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = ganzoo.load(options.bundle)
    field = next(item for item in generator.outputs if item.kind == "series")
    made = generator.generate(options.paths, seed=options.seed, size={"time": options.length}, batch_size=8)
    values = made[field.name] if isinstance(made, dict) else made
    paths = SeriesMedia().metric_values(field, np.asarray(values))[..., 0].astype(np.float64)
    table = read_series(options.file, CsvSeriesConfig(columns=(options.column,)))
    real = np.concatenate([log_returns(piece.values)[:, 0] for piece in table.pieces])
    half = len(real) // 2
    found = {
        "generated": distances(paths, real),
        "floor": distances(real[None, :half], real[half:]),
        "seen": {"generated": moments(paths), "real": moments(real[None])},
    }
    print(json.dumps(found, indent=1))


def distances(paths: Floats, real: Floats) -> dict[str, float]:
    """Distances of paths (N, T) from one real series (n,)."""
    found = {}
    changes: dict[str, Callable[[Floats], Floats]] = {
        "acf": lambda x: x,
        "acf_abs": np.abs,
        "acf_square": np.square,
    }
    for name, change in changes.items():
        curves = [
            np.mean([autocorrelation(_one(change(path - path.mean())), LAGS)[:, 0] for path in item], axis=0)
            for item in (paths, real[None])
        ]
        found[name] = float(np.linalg.norm(curves[0] - curves[1]))
    curves = [
        np.mean([leverage_effect(_one(path), LAGS)[:, 0] for path in item], axis=0)
        for item in (paths, real[None])
    ]
    found["leverage"] = float(np.linalg.norm(curves[0] - curves[1]))
    for steps in STEPS:
        found[f"emd_{steps}"] = earth_mover(*(sums(_many(item), steps) for item in (paths, real[None])))
    for name, error in moments(paths).items():
        found[f"{name}_error"] = abs(error - moments(real[None])[name])
    return {name: round(value, 4) for name, value in found.items()}


def moments(paths: Floats) -> dict[str, float]:
    """Skewness and kurtosis (3 for a normal distribution) of all values."""
    return {
        "skew": round(float(stats.skew(paths, axis=None)), 3),
        "kurtosis": round(float(stats.kurtosis(paths, axis=None)) + 3, 3),
    }


def _one(path: Floats) -> Series:
    return _many(path[None])


def _many(paths: Floats) -> Series:
    return Series(paths[..., None], np.ones(paths.shape, bool))


if __name__ == "__main__":
    main()
